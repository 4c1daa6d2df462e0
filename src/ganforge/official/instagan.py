"""The networks of sangwoomo/instagan (models/networks.py).

Images and masks come as one tensor: the channels of the image, then a channel a mask, -1 where it is empty.  Norms
are given by name, as `norm` or as `norm_layer`.  The vectors of a spectral norm are parameters, without gradients.
"""

from typing import Any

import torch
from torch import Tensor, nn

from ganforge.errors import ModelError
from ganforge.nn.init import Initial, initial_weights
from ganforge.nn.mask_sets import SetDiscriminator, SetGenerator, build_features
from ganforge.nn.norms import Norm, make_norm, needs_bias
from ganforge.nn.patchgan import PatchGAN
from ganforge.nn.spectral_norm import SpectralConv2d
from ganforge.official import Adapter, State
from ganforge.official.pix2pix import PADDINGS, ResnetGenerator, _one_of

__all__ = [
    "GANLoss",
    "NLayerDiscriminator",
    "NLayerSetDiscriminator",
    "PixelDiscriminator",
    "ResnetGenerator",
    "ResnetSetGenerator",
    "define_D",
    "define_G",
]

NORMS: dict[str, Norm] = {"batch": "batch", "instance": "instance"}


class ResnetSetGenerator(Adapter):
    """(1, input_nc + M, H, W) -> (1, output_nc + M, H, W); sides multiples of 4."""

    fills = ("instagan.to_b", "instagan.to_a")

    def __init__(
        self,
        input_nc: int,
        output_nc: int,
        ngf: int = 64,
        norm: str = "batch",
        use_dropout: bool = False,
        n_blocks: int = 6,
        padding_type: str = "reflect",
        norm_layer: str | None = None,
    ) -> None:
        inner = ResnetGenerator(input_nc, output_nc, ngf, norm, use_dropout, n_blocks, padding_type, norm_layer)
        trunk = {theirs.removeprefix("model."): ours for theirs, ours in inner.layers.items()}
        up = {theirs: str(ours) for theirs, ours in ((0, 0), (1, 1), (3, 3), (4, 4), (7, 6))}
        padding = _one_of(PADDINGS, padding_type, "padding_type")
        ours = SetGenerator(input_nc, ngf, n_blocks, _norm(norm_layer or norm), use_dropout, padding, output_nc)
        names = {}
        for theirs, part in (("img", "image"), ("seg", "mask")):
            for key, own in trunk.items():
                if own.startswith("encoder."):
                    names[f"encoder_{theirs}.{key}"] = f"{part}_encoder.{own.removeprefix('encoder.')}"
        for theirs, part in (("img", "image"), ("seg", "mask")):
            names |= {f"decoder_{theirs}.{key}": f"{part}_decoder.{own}" for key, own in up.items()}
        super().__init__(ours, names)
        self.channels = input_nc

    def forward(self, inp: Tensor) -> Tensor:
        return torch.cat(self.network(inp[:, : self.channels], inp[:, self.channels :]), 1)

    @classmethod
    def arguments(cls, state: State) -> dict[str, Any]:
        width, channels = state["encoder_img.1.weight"].shape[:2]
        padded = "encoder_img.10.conv_block.0.weight" not in state
        later = state.get(f"encoder_img.10.conv_block.{6 if padded else 4}.weight")  # a convolution, behind dropout
        return {
            "input_nc": channels,
            "output_nc": len(state["decoder_img.7.weight"]),
            "ngf": width,
            "norm": _norm_seen(state),
            "use_dropout": later is not None and later.ndim == 4,
            "n_blocks": len({key.split(".")[1] for key in state if key.startswith("encoder_img.") and "block" in key}),
            "padding_type": "reflect" if padded else "zero",
        }

    @classmethod
    def game(cls, place: str, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        a = arguments
        if a["padding_type"] != "reflect" or a["input_nc"] != a["output_nc"]:
            raise ModelError("Our instagan pads by reflection and has images of as many channels on both sides.")
        return {"width": a["ngf"], "blocks": a["n_blocks"], "norm": a["norm"]}, {"channels": a["input_nc"]}


class _Spectral(Adapter):
    """A discriminator whose convolutions are spectrally normalised."""

    def __init__(self, network: nn.Module, layers: dict[str, str]) -> None:
        """`layers` names whole layers: {theirs: ours}."""
        names = {}
        for theirs, ours in layers.items():
            layer = network.get_submodule(ours)
            if not isinstance(layer, SpectralConv2d):
                names[theirs] = ours
                continue
            bias = {"bias": "bias"} if layer.bias is not None else {}
            own = {**bias, "weight_u": "u", "weight_v": "v", "weight_bar": "weight"}
            names |= {f"{theirs}.module.{key}": f"{ours}.{name}" for key, name in own.items()}
            for name in ("u", "v"):
                vector = layer.get_buffer(name)
                del layer._buffers[name]
                layer.register_parameter(name, nn.Parameter(vector, requires_grad=False))
        super().__init__(network, names)


class NLayerDiscriminator(_Spectral):
    """images (N, input_nc, H, W) -> scores (N, 1, h, w) of patches."""

    def __init__(
        self,
        input_nc: int,
        ndf: int = 64,
        n_layers: int = 3,
        norm: str = "batch",
        use_sigmoid: bool = False,
        norm_layer: str | None = None,
    ) -> None:
        kind = _norm(norm_layer or norm)
        a, b = (ndf * min(2**k, 8) for k in (n_layers - 1, n_layers))
        body = [*build_features(input_nc, ndf, n_layers, kind), SpectralConv2d(a, b, 4, 1, 1, needs_bias(kind))]
        ours = nn.Sequential(*body, make_norm(kind, b), nn.LeakyReLU(0.2), SpectralConv2d(b, 1, 4, 1, 1))
        super().__init__(ours, {f"model.{i}": f"{i}" for i in range(len(ours))})
        self.sigmoid = use_sigmoid

    def forward(self, input: Tensor) -> Tensor:
        scores = self.network(input)
        return scores.sigmoid() if self.sigmoid else scores


class NLayerSetDiscriminator(_Spectral):
    """(N, input_nc + M, H, W) -> scores (N, 1, h, w) of patches.  Their D_A is of domain b: it becomes `is_b`."""

    fills = ("instagan.is_b", "instagan.is_a")

    def __init__(
        self,
        input_nc: int,
        ndf: int = 64,
        n_layers: int = 3,
        norm: str = "batch",
        use_sigmoid: bool = False,
        norm_layer: str | None = None,
    ) -> None:
        ours = SetDiscriminator(input_nc, ndf, n_layers, _norm(norm_layer or norm))
        parts = {"feature_img": "image_features", "feature_seg": "mask_features", "classifier": "verdict"}
        layers = {(t, o): ours.get_submodule(o) for t, o in parts.items()}
        names = {f"{t}.{i}": f"{o}.{i}" for (t, o), part in layers.items() for i, _ in enumerate(part.children())}
        super().__init__(ours, names)
        self.channels, self.sigmoid = input_nc, use_sigmoid

    def forward(self, inp: Tensor) -> Tensor:
        images, masks = inp[:, : self.channels], inp[:, self.channels :]
        held = (masks.amax((0, 2, 3)) > -1).expand(len(masks), -1)  # a mask counts where any image has it
        scores = self.network(images, masks, held)
        return scores.sigmoid() if self.sigmoid else scores

    @classmethod
    def arguments(cls, state: State) -> dict[str, Any]:
        width, channels = state["feature_img.0.module.weight_bar"].shape[:2]
        layers = sum(key.startswith("feature_img.") and key.endswith(".weight_bar") for key in state)
        return {"input_nc": channels, "ndf": width, "n_layers": layers, "norm": _norm_seen(state)}

    @classmethod
    def game(cls, place: str, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        a = arguments
        config = {"judge_width": a["ndf"], "judge_layers": a["n_layers"], "norm": a["norm"]}
        return config, {"channels": a["input_nc"]}


class PixelDiscriminator(Adapter):
    """images (N, input_nc, H, W) -> scores (N, 1, H, W) of pixels."""

    def __init__(
        self,
        input_nc: int,
        ndf: int = 64,
        norm: str = "batch",
        use_sigmoid: bool = False,
        norm_layer: str | None = None,
    ) -> None:
        ours = PatchGAN(input_nc, ndf, 0, _norm(norm_layer or norm))
        super().__init__(ours, {f"net.{i}": f"{i}" for i in range(len(ours))})
        self.sigmoid = use_sigmoid

    def forward(self, input: Tensor) -> Tensor:
        scores = self.network(input)
        return scores.sigmoid() if self.sigmoid else scores


class define_G(Adapter):
    """One of their generators by its name, with the first weights of `init_type`."""

    def __init__(
        self,
        input_nc: int,
        output_nc: int,
        ngf: int,
        netG: str,
        norm: str = "batch",
        use_dropout: bool = False,
        init_type: Initial = "normal",
        init_gain: float = 0.02,
        gpu_ids: tuple[int, ...] | list[int] = (),
    ) -> None:
        kinds = {"basic": ResnetGenerator, "set": ResnetSetGenerator}
        if netG not in kinds:
            raise ModelError(f"There is no generator {netG!r}; there are {', '.join(kinds)}.")
        chosen = kinds[netG](input_nc, output_nc, ngf, norm, use_dropout, 9)
        super().__init__(chosen.network.apply(initial_weights(init_type, init_gain)), chosen.layers)
        self.channels = input_nc if netG == "set" else 0

    def forward(self, inp: Tensor) -> Tensor:
        if not self.channels:
            return self.network(inp)
        return torch.cat(self.network(inp[:, : self.channels], inp[:, self.channels :]), 1)


class define_D(Adapter):
    """One of their discriminators by its name.  Their initialiser does not reach its layers, so neither does ours."""

    def __init__(
        self,
        input_nc: int,
        ndf: int,
        netD: str,
        n_layers_D: int = 3,
        norm: str = "batch",
        use_sigmoid: bool = False,
        init_type: Initial = "normal",
        init_gain: float = 0.02,
        gpu_ids: tuple[int, ...] | list[int] = (),
    ) -> None:
        kinds = {"basic": NLayerDiscriminator, "set": NLayerSetDiscriminator}
        if netD not in kinds:
            raise ModelError(f"There is no discriminator {netD!r}; there are {', '.join(kinds)}.")
        chosen = kinds[netD](input_nc, ndf, n_layers_D, norm, use_sigmoid)
        super().__init__(chosen.network, chosen.layers)
        self.answer = [chosen]  # in a list, so that its tensors are not held twice

    def forward(self, inp: Tensor) -> Tensor:
        return self.answer[0](inp)


class GANLoss(Adapter):
    """(scores of any shape, whether they are of real images) -> least squares, or cross entropy of probabilities."""

    def __init__(self, use_lsgan: bool = True, target_real_label: float = 1.0, target_fake_label: float = 0.0) -> None:
        labels = nn.Module()
        labels.register_buffer("real_label", torch.tensor(target_real_label))
        labels.register_buffer("fake_label", torch.tensor(target_fake_label))
        super().__init__(labels, {name: name for name in ("real_label", "fake_label")})
        self.criterion = nn.functional.mse_loss if use_lsgan else nn.functional.binary_cross_entropy

    def forward(self, input: Tensor, target_is_real: bool) -> Tensor:
        label = self.network.get_buffer("real_label" if target_is_real else "fake_label")
        return self.criterion(input, label.expand_as(input))


def _norm_seen(state: State) -> str:
    """The norm that follows from the keys: batch norm has a running mean."""
    return "batch" if any(key.endswith(".running_mean") for key in state) else "instance"


def _norm(name: str) -> Norm:
    return _one_of(NORMS, name, "norm")
