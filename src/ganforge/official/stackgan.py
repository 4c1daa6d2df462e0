"""The networks of hanzhanggit/StackGAN-Pytorch (code/model.py).

Sizes are entries of its configuration, so they are given by name: td = TEXT.DIMENSION, cd = GAN.CONDITION_DIM,
z = Z_DIM, gf = GAN.GF_DIM, df = GAN.DF_DIM, rn = GAN.R_NUM.  Noise of the conditions is an argument, where theirs is
drawn inside.
A file of Stage II's generator holds Stage I's as well, under STAGE1_G.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ganforge.models.stackgan.networks import Augmentation, Discriminator, FirstStage, SecondStage
from ganforge.official import Adapter, State

CONDITION = {"ca_net.fc": "augmentation.layer.0"}
UP = {f"upsample{i}.{j}": f"up.{i - 1}.{j - 1}" for i in range(1, 5) for j in (1, 2)}
FIRST = {**CONDITION, "fc.0": "start.0", "fc.1": "start.1", **UP, "img.0": "image.0"}


class CA_NET(Adapter):
    """text (N, td), noise (N, cd) -> condition, mean, log variance (N, cd)."""

    def __init__(self, td: int = 1024, cd: int = 128, z: int = 100, gf: int = 128, df: int = 64, rn: int = 4) -> None:
        super().__init__(Augmentation(td, cd), {"fc": "layer.0"})

    def forward(self, text: Tensor, eps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.network(text, eps)


class STAGE1_G(Adapter):
    """text (N, td), z (N, z), noise (N, cd) -> images (N, 3, 64, 64), mean, log variance (N, cd)."""

    fills = ("stackgan.generator",)

    def __init__(self, td: int = 1024, cd: int = 128, z: int = 100, gf: int = 128, df: int = 64, rn: int = 4) -> None:
        super().__init__(FirstStage(td, cd, z, gf, 3, (4, 4), 4), FIRST)

    def forward(self, text: Tensor, z: Tensor, eps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.network(text, z, eps)

    @classmethod
    def arguments(cls, state: State) -> dict[str, Any]:
        (twice, td), (units, seen) = state["ca_net.fc.weight"].shape, state["fc.0.weight"].shape
        return {"td": td, "cd": twice // 2, "z": seen - twice // 2, "gf": units // 128}

    @classmethod
    def game(cls, place: str, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        a = arguments
        config = {"stage": 1, "condition": a["cd"], "latent": a["z"], "width": a["gf"]}
        return config, {"channels": 3, "height": 64, "width": 64}


class STAGE2_G(Adapter):
    """text (N, td), z (N, z), two noises (N, cd) -> images of both stages, 64 and 256 a side, mean, log variance."""

    fills = ("stackgan.generator",)

    def __init__(self, td: int = 1024, cd: int = 128, z: int = 100, gf: int = 128, df: int = 64, rn: int = 4) -> None:
        first, second = FirstStage(td, cd, z, gf, 3, (4, 4), 4), SecondStage(td, cd, gf, 3, rn)
        own = {**CONDITION, **{f"encoder.{i}": f"down.{i}" for i in (0, 2, 3, 5, 6)}}
        own |= {"hr_joint.0": "joint.0", "hr_joint.1": "joint.1"}
        for block in range(rn):
            parts = {"block.0": "body.0", "block.1": "body.1", "block.3": "body.3", "block.4": "norm"}
            own |= {f"residual.{block}.{a}": f"blocks.{block}.{b}" for a, b in parts.items()}
        own |= {**UP, "img.0": "image.0"}
        names = {f"STAGE1_G.{a}": f"first.{b}" for a, b in FIRST.items()}
        both = nn.ModuleDict({"first": first, "second": second})
        super().__init__(both, names | {a: f"second.{b}" for a, b in own.items()})

    def forward(self, text: Tensor, z: Tensor, eps1: Tensor, eps2: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        assert isinstance(self.network, nn.ModuleDict)
        small = self.network["first"](text, z, eps1)[0].detach()
        return small, *self.network["second"](small, text, eps2)

    def weights(self) -> dict[str, Tensor]:
        assert isinstance(self.network, nn.ModuleDict)
        return self.network["second"].state_dict()

    @classmethod
    def arguments(cls, state: State) -> dict[str, Any]:
        blocks = sum(key.startswith("residual.") and key.endswith("block.0.weight") for key in state)
        return {**STAGE1_G.arguments(first_stage(state)), "gf": len(state["encoder.0.weight"]), "rn": blocks}

    @classmethod
    def game(cls, place: str, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        a = arguments
        config = {"stage": 2, "condition": a["cd"], "width": a["gf"], "blocks": a["rn"]}
        return config, {"channels": 3, "height": 256, "width": 256}


def first_stage(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of Stage I's generator in that of Stage II's."""
    return {key.removeprefix("STAGE1_G."): value for key, value in state.items() if key.startswith("STAGE1_G.")}


class _Judge(Adapter):
    """images (N, 3, H, W), conditions (N, cd) -> features (N, 8 df, 4, 4), probabilities (N,) of each head."""

    halvings, alone, side = 4, False, 64
    fills = ("stackgan.discriminator",)

    def __init__(self, td: int = 1024, cd: int = 128, z: int = 100, gf: int = 128, df: int = 64, rn: int = 4) -> None:
        kind = type(self)
        ours = Discriminator(cd, df, 3, (4, 4), kind.halvings, kind.alone)
        numbers = [0, *(n + k for n in range(2, len(ours.features), 3) for k in (0, 1))]
        names = {f"encode_img.{n}": f"features.{n}" for n in numbers}
        names |= {f"get_cond_logits.outlogits.{n}": f"pair.{n}" for n in (0, 1, 3)}
        super().__init__(ours, names | ({"get_uncond_logits.outlogits.0": "alone.0"} if kind.alone else {}))

    def forward(self, images: Tensor, condition: Tensor) -> tuple[Tensor, ...]:
        network: Any = self.network
        return network.features(images), *(torch.sigmoid(answer) for answer in network(images, condition))

    @classmethod
    def arguments(cls, state: State) -> dict[str, Any]:
        _ = [state[key] for key in ("get_uncond_logits.outlogits.0.weight",) if cls.alone]
        df, joint = len(state["encode_img.0.weight"]), state["get_cond_logits.outlogits.0.weight"]
        return {"df": df, "cd": joint.shape[1] - joint.shape[0]}

    @classmethod
    def game(cls, place: str, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        config = {"stage": 2 if cls.alone else 1, "condition": arguments["cd"], "judge_width": arguments["df"]}
        return config, {"channels": 3, "height": cls.side, "width": cls.side}


class STAGE1_D(_Judge):
    """Stage I's: one head, of an image and its condition."""


class STAGE2_D(_Judge):
    """Stage II's: a second head, of an image alone."""

    halvings, alone, side = 6, True, 256
