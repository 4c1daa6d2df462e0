"""The networks of junyanz/pytorch-CycleGAN-and-pix2pix (models/networks.py).

Norms are given by name, as `norm` or as `norm_layer`.  `define_G` and `define_D` are that file's functions, which
choose a class by a name and draw its first weights; `GANLoss` is its criterion.
"""

from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn

from ganforge.errors import ModelError
from ganforge.nn.cpu.convolutions import Padding
from ganforge.nn.init import Initial, initial_weights
from ganforge.nn.losses import gan_loss
from ganforge.nn.norms import Norm
from ganforge.nn.patchgan import PatchGAN
from ganforge.nn.resnet import ResNetGenerator
from ganforge.nn.unet import UNet
from ganforge.official import Adapter, State

T = TypeVar("T")
NORMS: dict[str, Norm] = {"batch": "batch", "instance": "instance", "none": "none"}
PADDINGS: dict[str, Padding] = {"reflect": "reflect", "replicate": "replicate", "zero": "zeros"}


class UnetGenerator(Adapter):
    """images (N, input_nc, H, W) -> images (N, output_nc, H, W); sides multiples of 2 ** num_downs."""

    fills = ("pix2pix.generator",)

    def __init__(
        self,
        input_nc: int,
        output_nc: int,
        num_downs: int,
        ngf: int = 64,
        norm: str = "batch",
        use_dropout: bool = False,
        norm_layer: str | None = None,
    ) -> None:
        depth = max(5, num_downs)  # theirs has five levels at least
        ours = UNet(
            input_nc,
            output_nc,
            ngf,
            depth,
            _norm(norm_layer or norm),
            dropouts=depth - 5 if use_dropout else 0,
            live=False,
        )
        super().__init__(ours, unet_names(depth))

    def forward(self, input: Tensor) -> Tensor:
        return self.network(input)

    @classmethod
    def arguments(cls, state: State) -> dict[str, Any]:
        """Dropout does not follow from the weights: it is on, as by default there."""
        width, channels = state["model.model.0.weight"].shape[:2]
        depth, path = 1, "model.model.1.model"
        while f"{path}.1.weight" in state:
            depth, path = depth + 1, f"{path}.3.model"
        inner = "model.model.1.model"
        return {
            "input_nc": channels,
            "output_nc": state["model.model.3.weight"].shape[1],
            "num_downs": depth,
            "ngf": width,
            "norm": norm_seen(state, f"{inner}.2.weight", f"{inner}.1.bias"),
            "use_dropout": True,
        }

    @classmethod
    def game(cls, place: str, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        a, side = arguments, 2 ** min(8, arguments["num_downs"])
        config = {"networks": "unet", "width": a["ngf"], "norm": a["norm"], "dropout": a["use_dropout"]}
        return config, {
            "channels": a["output_nc"],
            "source_channels": a["input_nc"],
            "height": side,
            "width": side,
        }


def norm_seen(state: State, weight: str, bias: str) -> str:
    """The norm that follows from the keys: batch norm has weights, in front of instance norm there is a bias."""
    return "batch" if weight in state else "instance" if bias in state else "none"


def unet_names(depth: int) -> dict[str, str]:
    """{official name: ours}: their levels lie inside one another, ours side by side."""
    before, after, path = {"model.model.0": "downs.0.conv"}, {"model.model.3": "ups.0.conv"}, "model.model.1.model"
    for i in range(1, depth):
        innermost = i == depth - 1
        up = 3 if innermost else 5
        before |= {f"{path}.1": f"downs.{i}.conv"}
        before |= {} if innermost else {f"{path}.2": f"downs.{i}.norm"}
        after = {f"{path}.{up}": f"ups.{i}.conv", f"{path}.{up + 1}": f"ups.{i}.norm"} | after
        path += ".3.model"
    return before | after


class ResnetGenerator(Adapter):
    """images (N, input_nc, H, W) -> images (N, output_nc, H, W); sides multiples of 4."""

    fills = ("pix2pix.generator", "cyclegan.to_b", "cyclegan.to_a")

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
        padding = _one_of(PADDINGS, padding_type, "padding_type")
        ours = ResNetGenerator(input_nc, output_nc, ngf, n_blocks, _norm(norm_layer or norm), use_dropout, padding)
        super().__init__(ours, resnet_names(n_blocks, use_dropout, padding != "zeros"))

    def forward(self, input: Tensor) -> Tensor:
        return self.network(input)

    @classmethod
    def arguments(cls, state: State) -> dict[str, Any]:
        width, channels = state["model.1.weight"].shape[:2]
        padded = "model.10.conv_block.0.weight" not in state
        later = state.get(f"model.10.conv_block.{6 if padded else 4}.weight")  # where the second convolution then is
        return {
            "input_nc": channels,
            "output_nc": max((int(k.split(".")[1]), len(v)) for k, v in state.items() if k.endswith(".weight"))[1],
            "ngf": width,
            "norm": norm_seen(state, "model.2.weight", "model.1.bias"),
            "use_dropout": later is not None and later.ndim == 4,
            "n_blocks": len({key.split(".")[1] for key in state if ".conv_block." in key}),
            "padding_type": "reflect" if padded else "zero",
        }

    @classmethod
    def game(cls, place: str, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        a, channels = arguments, {"channels": arguments["output_nc"]}
        if a["padding_type"] != "reflect":
            raise ModelError(f"Our games pad by reflection, this generator by {a['padding_type']}.")
        config = {"width": a["ngf"], "norm": a["norm"], "dropout": a["use_dropout"]}
        if place == "pix2pix.generator":
            return {**config, "networks": f"resnet{a['n_blocks']}"}, {**channels, "source_channels": a["input_nc"]}
        return {**config, "blocks": a["n_blocks"]}, channels


def resnet_names(blocks: int, dropout: bool, padded: bool) -> dict[str, str]:
    """{official name: ours}.  `padded`: their blocks pad in layers of their own, which count."""
    names = {
        f"model.{theirs}": f"encoder.enter.{ours}"
        for theirs, ours in zip((1, 2, 4, 5, 7, 8), (0, 1, 3, 4, 6, 7), strict=True)
    }
    first = int(padded)
    second = first + 3 + dropout + padded
    for i in range(blocks):
        block = f"model.{10 + i}.conv_block"
        names |= {
            f"{block}.{first}": f"encoder.blocks.{i}.conv1",
            f"{block}.{first + 1}": f"encoder.blocks.{i}.norm1",
            f"{block}.{second}": f"encoder.blocks.{i}.conv2",
            f"{block}.{second + 1}": f"encoder.blocks.{i}.norm2",
        }
    last = {f"model.{10 + blocks + k}": f"decoder.{k}" for k in (0, 1, 3, 4)}
    return names | last | {f"model.{17 + blocks}": "decoder.6"}  # theirs pads in a layer before


class NLayerDiscriminator(Adapter):
    """images (N, input_nc, H, W) -> scores (N, 1, h, w) of patches."""

    def __init__(
        self, input_nc: int, ndf: int = 64, n_layers: int = 3, norm: str = "batch", norm_layer: str | None = None
    ) -> None:
        if n_layers < 1:
            raise ModelError(
                f"NLayerDiscriminator has one layer at least, not {n_layers}: one pixel is judged by pixel."
            )
        ours = PatchGAN(input_nc, ndf, n_layers, _norm(norm_layer or norm))
        super().__init__(ours, {f"model.{i}": f"{i}" for i in range(len(ours))})

    def forward(self, input: Tensor) -> Tensor:
        return self.network(input)


class PixelDiscriminator(Adapter):
    """images (N, input_nc, H, W) -> scores (N, 1, H, W) of pixels."""

    def __init__(self, input_nc: int, ndf: int = 64, norm: str = "batch", norm_layer: str | None = None) -> None:
        ours = PatchGAN(input_nc, ndf, 0, _norm(norm_layer or norm))
        super().__init__(ours, {f"net.{i}": f"{i}" for i in range(len(ours))})

    def forward(self, input: Tensor) -> Tensor:
        return self.network(input)


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
        blocks, depths = {"resnet_9blocks": 9, "resnet_6blocks": 6}, {"unet_128": 7, "unet_256": 8}
        if netG in blocks:
            chosen = ResnetGenerator(input_nc, output_nc, ngf, norm, use_dropout, blocks[netG])
        elif netG in depths:
            chosen = UnetGenerator(input_nc, output_nc, depths[netG], ngf, norm, use_dropout)
        else:
            raise ModelError(f"There is no generator {netG!r}; there are {', '.join([*blocks, *depths])}.")
        super().__init__(chosen.network.apply(initial_weights(init_type, init_gain)), chosen.layers)

    def forward(self, input: Tensor) -> Tensor:
        return self.network(input)


class define_D(Adapter):
    """One of their discriminators by its name, with the first weights of `init_type`."""

    def __init__(
        self,
        input_nc: int,
        ndf: int,
        netD: str,
        n_layers_D: int = 3,
        norm: str = "batch",
        init_type: Initial = "normal",
        init_gain: float = 0.02,
        gpu_ids: tuple[int, ...] | list[int] = (),
    ) -> None:
        if netD == "pixel":
            chosen = PixelDiscriminator(input_nc, ndf, norm)
        elif netD in ("basic", "n_layers"):
            chosen = NLayerDiscriminator(input_nc, ndf, 3 if netD == "basic" else n_layers_D, norm)
        else:
            raise ModelError(f"There is no discriminator {netD!r}; there are basic, n_layers, pixel.")
        super().__init__(chosen.network.apply(initial_weights(init_type, init_gain)), chosen.layers)

    def forward(self, input: Tensor) -> Tensor:
        return self.network(input)


class GANLoss(Adapter):
    """(scores of any shape, whether they are of real images) -> the loss."""

    def __init__(
        self,
        gan_mode: Literal["vanilla", "lsgan", "wgangp"],
        target_real_label: float = 1.0,
        target_fake_label: float = 0.0,
    ) -> None:
        if gan_mode not in ("vanilla", "lsgan", "wgangp"):
            raise ModelError(f"There is no gan_mode {gan_mode!r}; there are vanilla, lsgan, wgangp.")
        super().__init__(_Labels(target_real_label, target_fake_label), {n: n for n in ("real_label", "fake_label")})
        self.gan_mode: Literal["vanilla", "lsgan", "wgangp"] = gan_mode

    def forward(self, prediction: Tensor, target_is_real: bool) -> Tensor:
        label = self.network.get_buffer("real_label" if target_is_real else "fake_label")
        if self.gan_mode == "wgangp":
            return gan_loss(prediction, target_is_real, "wgangp")
        if self.gan_mode == "lsgan":
            return (prediction - label).square().mean()
        # Cross entropy is linear in its label.
        return label * gan_loss(prediction, True, "vanilla") + (1 - label) * gan_loss(prediction, False, "vanilla")


class _Labels(nn.Module):
    """What scores are compared with."""

    def __init__(self, real: float, fake: float) -> None:
        super().__init__()
        self.register_buffer("real_label", torch.tensor(real))
        self.register_buffer("fake_label", torch.tensor(fake))


def _norm(name: str) -> Norm:
    return _one_of(NORMS, name, "norm")


def _one_of(options: dict[str, T], name: str, what: str) -> T:
    """What `name` means; ModelError naming the options there are."""
    if name not in options:
        raise ModelError(f"There is no {what} {name!r}; there are {', '.join(options)}.")
    return options[name]
