"""The networks of brownvc/R3GAN (R3GAN/Networks.py), and their wrappers in checkpoints (training/networks.py).

A checkpoint is a pickle of whole modules by reference, {G, D, G_ema, ...}: `official.read` takes the tensors out
without importing or running any of their classes.  Those of a wrapper begin with `Model.`.
"""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ganforge.errors import WeightsError
from ganforge.models.r3gan import Config, plan_stages
from ganforge.models.r3gan.networks import Discriminator as OurDiscriminator
from ganforge.models.r3gan.networks import Generator as OurGenerator
from ganforge.models.r3gan.networks import Stage
from ganforge.nn.blur import make_taps
from ganforge.nn.upfirdn import TAPS
from ganforge.official import Adapter, State

Part = Literal["generator", "discriminator"]


class _WithFilters(nn.Module):
    """Our network beside the filters that theirs keeps as buffers, one for each resampling."""

    def __init__(self, ours: nn.Module, filters: int) -> None:
        super().__init__()
        self.ours = ours
        taps = torch.tensor(make_taps(TAPS))
        for number in range(filters):
            self.register_buffer(f"filter{number}", 4 * (taps[:, None] * taps) / 4)


class _Network(Adapter):
    """What both have in common: the names of the layers, of the filters and of the wrapper."""

    part: Part

    def __init__(self, ours: nn.Module, stages: Sequence[Stage], conditional: bool, prefix: str) -> None:
        names, filters, up = {}, 0, self.part == "generator"
        if not up:
            names["ExtractionLayer.Layer"] = "ours.from_image"
        for number, stage in enumerate(stages):
            theirs, own = f"MainLayers.{number}.Layers", f"ours.stages.{number}"
            resized = number > 0 if up else number + 1 < len(stages)
            before = stages[number - 1].width if up else stage.width
            after = stage.width if up or not resized else stages[number + 1].width
            change: dict[str, str] = {}
            place = 0 if up else stage.blocks
            if resized:
                change[f"{theirs}.{place}.Resampler.Kernel"] = f"filter{filters}"
                filters += 1
                if before != after:
                    change[f"{theirs}.{place}.LinearLayer.Layer"] = f"{own}.{place}.convert"
            elif up:
                change = {f"{theirs}.0.Basis": f"{own}.0.maps", f"{theirs}.0.LinearLayer": f"{own}.0.scales"}
            else:
                change = {f"{theirs}.{place}.Basis": "ours.weigh", f"{theirs}.{place}.LinearLayer": "ours.score"}
            blocks: dict[str, str] = {}
            for block in range(up, stage.blocks + up):
                layers = {"LinearLayer1.Layer": "widen", "LinearLayer2.Layer": "spread", "LinearLayer3.Layer": "narrow"}
                blocks |= {f"{theirs}.{block}.{a}.weight": f"{own}.{block}.{b}.weight" for a, b in layers.items()}
                biases = {"NonLinearity1.Bias": "widen.bias", "NonLinearity2.Bias": "spread.bias"}
                blocks |= {f"{theirs}.{block}.{a}": f"{own}.{block}.{b}" for a, b in biases.items()}
            names |= change | blocks if up else blocks | change
        if up:
            names["AggregationLayer.Layer"] = "ours.to_image"
        if conditional:
            names["EmbeddingLayer"] = "ours.embed"
        super().__init__(_WithFilters(ours, filters), {prefix + theirs: own for theirs, own in names.items()})
        self.stages = tuple(stages)

    def weights(self) -> dict[str, Tensor]:
        """Ours, without the filters."""
        return self.network.get_submodule("ours").state_dict()

    def expect(self, state: State) -> None:
        """Raise WeightsError for a checkpoint that resamples with another filter."""
        for key, own in self.state_dict().items():
            if key.endswith(".Kernel") and key in state and not torch.allclose(state[key].float(), own, atol=1e-6):
                raise WeightsError(f"{key} is another filter than 1 3 3 1, the only one that r3gan has here.")

    @classmethod
    def arguments(cls, state: State) -> dict[str, Any]:
        prefix = "Model." if any(key.startswith("Model.") for key in state) else ""
        stages, expansion = list[Stage](), 1
        while any(key.startswith(f"{prefix}MainLayers.{len(stages)}.") for key in state):
            start = f"{prefix}MainLayers.{len(stages)}.Layers."
            blocks = [key for key in state if key.startswith(start) and key.endswith("LinearLayer2.Layer.weight")]
            inner, group = state[next(iter(blocks))].shape[:2]
            width = len(state[blocks[0].replace("LinearLayer2", "LinearLayer3")])
            expansion = inner // width
            stages.append(Stage(width, inner // group, len(blocks)))
        if not stages:
            raise KeyError(f"{prefix}MainLayers.0.Layers.0.LinearLayer1.Layer.weight")
        embed = state.get(f"{prefix}EmbeddingLayer.weight")
        given = {
            "WidthPerStage": [stage.width for stage in stages],
            "CardinalityPerStage": [stage.groups for stage in stages],
            "BlocksPerStage": [stage.blocks for stage in stages],
            "ExpansionFactor": expansion,
            "ConditionDimension": None if embed is None else embed.shape[1],
            "ConditionEmbeddingDimension": 0 if embed is None else embed.shape[0],
        }
        if prefix:
            given["c_dim"] = given.pop("ConditionDimension") or 0
        return given

    @classmethod
    def game(cls, place: str, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Raises WeightsError for widths, groups or blocks that no Config describes."""
        a, up = arguments, cls.part == "generator"
        stages = _stages(a["WidthPerStage"], a["CardinalityPerStage"], a["BlocksPerStage"])
        coarse = stages if up else stages[::-1]
        side, expansion, conditions = 4 << (len(stages) - 1), a["ExpansionFactor"], _conditions(a)
        widest, full = coarse[0], sum(stage.width == coarse[0].width for stage in coarse)
        shape = {"width": widest.width, "full": 4 << (full - 1), "blocks": widest.blocks, "expansion": expansion}
        shape["group"] = widest.width * expansion // widest.groups
        embedding = a.get("ConditionEmbeddingDimension", 0)
        latent = a["NoiseDimension"] if up else None
        fits = plan_stages(Config(**shape), len(stages) - 1) == coarse
        if not fits or (conditions and embedding != (latent if up else stages[0].width)):
            raise WeightsError(
                f"This network of R3GAN has stages of {', '.join(str(stage.width) for stage in coarse)} channels that "
                "no setting of r3gan describes: official.network('r3gan', ...) runs it."
            )
        facts: dict[str, Any] = {"channels": 3, "height": side, "width": side}
        if conditions:
            facts["labels"] = tuple(map(str, range(conditions)))
        return {**shape, "conditional": conditions > 0, **({"latent": latent} if up else {})}, facts


def _stages(widths: Sequence[int], groups: Sequence[int], blocks: Sequence[int]) -> list[Stage]:
    return [Stage(*sizes) for sizes in zip(widths, groups, blocks, strict=True)]


def _conditions(arguments: dict[str, Any]) -> int:
    return arguments.get("c_dim") or arguments.get("ConditionDimension") or 0


class Generator(_Network):
    """z (N, NoiseDimension), classes one-hot (N, ConditionDimension) -> images (N, 3, H, W)."""

    part = "generator"
    file = "R3GAN/Networks.py"
    fills = ("r3gan.generator",)
    entry = "G_ema"
    prefix = ""

    def __init__(
        self,
        NoiseDimension: int,
        WidthPerStage: Sequence[int],
        CardinalityPerStage: Sequence[int],
        BlocksPerStage: Sequence[int],
        ExpansionFactor: int,
        ConditionDimension: int | None = None,
        ConditionEmbeddingDimension: int = 0,
    ) -> None:
        stages = _stages(WidthPerStage, CardinalityPerStage, BlocksPerStage)
        conditions = ConditionDimension or 0
        ours = OurGenerator(NoiseDimension, stages, 3, (4, 4), ExpansionFactor, conditions, ConditionEmbeddingDimension)
        super().__init__(ours, stages, conditions > 0, type(self).prefix)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.network.get_submodule("ours")(x, y)

    @classmethod
    def arguments(cls, state: State) -> dict[str, Any]:
        given = super().arguments(state)
        inputs = state[f"{cls.prefix}MainLayers.0.Layers.0.LinearLayer.weight"].shape[1]
        return {"NoiseDimension": inputs - given["ConditionEmbeddingDimension"], **given}


class Discriminator(_Network):
    """images (N, 3, H, W), classes one-hot (N, ConditionDimension) -> scores (N,)."""

    part = "discriminator"
    file = "R3GAN/Networks.py"
    fills = ("r3gan.discriminator",)
    entry = "D"
    prefix = ""

    def __init__(
        self,
        WidthPerStage: Sequence[int],
        CardinalityPerStage: Sequence[int],
        BlocksPerStage: Sequence[int],
        ExpansionFactor: int,
        ConditionDimension: int | None = None,
        ConditionEmbeddingDimension: int = 0,
    ) -> None:
        stages = _stages(WidthPerStage, CardinalityPerStage, BlocksPerStage)
        conditions = ConditionDimension or 0
        ours = OurDiscriminator(stages, 3, (4, 4), ExpansionFactor, conditions, ConditionEmbeddingDimension)
        super().__init__(ours, stages, conditions > 0, type(self).prefix)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.network.get_submodule("ours")(x, y)


class WrappedGenerator(Generator):
    """The generator as checkpoints hold it."""

    called, file, prefix = ("Generator", "Generator (training wrapper)"), "training/networks.py", "Model."

    def __init__(self, c_dim: int = 0, img_resolution: int = 0, FP16Stages: Sequence[int] = (), **sizes: Any) -> None:
        super().__init__(**sizes, ConditionDimension=c_dim or None)


class WrappedDiscriminator(Discriminator):
    """The discriminator as checkpoints hold it."""

    called, file, prefix = ("Discriminator",), "training/networks.py", "Model."

    def __init__(self, c_dim: int = 0, img_resolution: int = 0, FP16Stages: Sequence[int] = (), **sizes: Any) -> None:
        super().__init__(**sizes, ConditionDimension=c_dim or None)
