"""The networks of xinntao/ESRGAN and of xinntao/BasicSR, which call the same layers by other names.

A third layout is that of ESRGAN's first release, in which most models that people share are kept: numbered layers.
"""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ganforge.nn.superresolution import MSRResNet as Ours
from ganforge.nn.superresolution import RRDBNet, VGGStyleDiscriminator
from ganforge.nn.vgg import VGG, layer_names
from ganforge.official import Adapter, State


class _Dense(Adapter):
    """low (N, in, H, W) in [0, 1] -> high (N, out, 4H, 4W), unbounded."""

    called = ("RRDBNet",)
    fills = ("srgan.generator",)

    def __init__(self, ours: RRDBNet, block: str, ends: Mapping[str, str], first: str = "conv_first") -> None:
        """`block` is their name of convolution {k} of dense block {j} of block {i}; `ends` the layers after those."""
        count = len(ours.trunk) - 1
        layers = {first: "first"}
        layers |= {
            block.format(i=i, j=j + 1, k=k + 1): f"trunk.{i}.{j}.layers.{k}"
            for i in range(count)
            for j in range(3)
            for k in range(5)
        }
        super().__init__(ours, layers | {theirs: own.format(count=count) for theirs, own in ends.items()})

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)


def measured(state: State, first: str, block: str, last: str) -> dict[str, int]:
    """Channels in and out, width, blocks and growth of an RRDBNet, from the names that a layout gives its layers."""
    width, channels = state[f"{first}.weight"].shape[:2]
    inner = [block.format(i=i, j=1, k=1) + ".weight" for i in range(len(state))]
    count = next(i for i, key in enumerate([*inner, ""]) if key not in state)
    return {
        "channels": channels,
        "out": state[f"{last}.weight"].shape[0],
        "width": width,
        "blocks": count,
        "growth": state[inner[0]].shape[0],
    }


def dense_game(channels: int, width: int, blocks: int, growth: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The Config and the Facts of a game with such a generator."""
    config = {"generator": "rrdb", "scale": 4, "width": width, "blocks": blocks, "growth": growth, "judge": "esrgan"}
    return {**config, "content": "pixel", "relativistic": True}, {"channels": channels}


class RRDBNetOfESRGAN(_Dense):
    """ESRGAN's RRDBNet: low (N, in_nc, H, W) in [0, 1] -> high (N, out_nc, 4H, 4W), without limits."""

    file = "RRDBNet_arch.py"
    block = "RRDB_trunk.{i}.RDB{j}.conv{k}"

    def __init__(self, in_nc: int, out_nc: int, nf: int, nb: int, gc: int = 32) -> None:
        ends = {"trunk_conv": "trunk.{count}", "upconv1": "up.0", "upconv2": "up.1", "HRconv": "fine"}
        super().__init__(RRDBNet(in_nc, 4, nf, nb, gc, out_nc), self.block, {**ends, "conv_last": "last"})

    @classmethod
    def arguments(cls, state: State) -> dict[str, Any]:
        m = measured(state, "conv_first", cls.block, "conv_last")
        return {"in_nc": m["channels"], "out_nc": m["out"], "nf": m["width"], "nb": m["blocks"], "gc": m["growth"]}

    @classmethod
    def game(cls, place: str, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        a = arguments
        return dense_game(a["in_nc"], a["nf"], a["nb"], a["gc"])


class RRDBNetOfBasicSR(_Dense):
    """BasicSR's RRDBNet: low (N, in, H, W) in [0, 1] -> high (N, out, 4H, 4W), unbounded."""

    file = "basicsr/models/archs/rrdbnet_arch.py"
    block = "body.{i}.rdb{j}.conv{k}"

    def __init__(
        self, num_in_ch: int, num_out_ch: int, num_feat: int = 64, num_block: int = 23, num_grow_ch: int = 32
    ) -> None:
        ours = RRDBNet(num_in_ch, 4, num_feat, num_block, num_grow_ch, num_out_ch)
        ends = {"conv_body": "trunk.{count}", "conv_up1": "up.0", "conv_up2": "up.1", "conv_hr": "fine"}
        super().__init__(ours, self.block, {**ends, "conv_last": "last"})

    @classmethod
    def arguments(cls, state: State) -> dict[str, Any]:
        m = measured(state, "conv_first", cls.block, "conv_last")
        sizes = {"num_feat": m["width"], "num_block": m["blocks"], "num_grow_ch": m["growth"]}
        return {"num_in_ch": m["channels"], "num_out_ch": m["out"], **sizes}

    @classmethod
    def game(cls, place: str, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        a = arguments
        return dense_game(a["num_in_ch"], a["num_feat"], a["num_block"], a["num_grow_ch"])


class RRDB_Net(_Dense):
    """ESRGAN's first release: the same network, its layers numbered (`model.1.sub.0.RDB1.conv1.0.weight`)."""

    called = ("RRDB_Net",)
    file = "architecture.py"
    block = "model.1.sub.{i}.RDB{j}.conv{k}.0"

    def __init__(
        self,
        in_nc: int,
        out_nc: int,
        nf: int,
        nb: int,
        gc: int = 32,
        upscale: int = 4,
        norm_type: None = None,
        act_type: str = "leakyrelu",
        mode: str = "CNA",
        res_scale: float = 1,
        upsample_mode: str = "upconv",
    ) -> None:
        ours = RRDBNet(in_nc, upscale, nf, nb, gc, out_nc)
        ups = len(ours.up)  # an up-sampling, a convolution and a bend have three numbers
        ends = {f"model.1.sub.{nb}": "trunk.{count}", **{f"model.{3 + 3 * i}": f"up.{i}" for i in range(ups)}}
        after = {f"model.{2 + 3 * ups}": "fine", f"model.{4 + 3 * ups}": "last"}
        super().__init__(ours, self.block, {**ends, **after}, "model.0")

    @classmethod
    def arguments(cls, state: State) -> dict[str, Any]:
        last = max((int(key.split(".")[1]) for key in state if key.startswith("model.")), default=10)
        m = measured(state, "model.0", cls.block, f"model.{last}")
        sizes = {"nf": m["width"], "nb": m["blocks"], "gc": m["growth"], "upscale": 2 ** ((last - 4) // 3)}
        return {"in_nc": m["channels"], "out_nc": m["out"], **sizes}

    @classmethod
    def game(cls, place: str, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        a = arguments
        config, facts = dense_game(a["in_nc"], a["nf"], a["nb"], a["gc"])
        return {**config, "scale": a["upscale"]}, facts


class MSRResNet(Adapter):
    """low (N, in, H, W) in [0, 1] -> high (N, out, upscale * H, upscale * W), without limits."""

    file = "basicsr/models/archs/srresnet_arch.py"
    fills = ("srgan.generator",)

    def __init__(
        self, num_in_ch: int = 3, num_out_ch: int = 3, num_feat: int = 64, num_block: int = 16, upscale: int = 4
    ) -> None:
        ours = Ours(num_in_ch, upscale, num_feat, num_block, num_out_ch)
        layers = {"conv_first": "first"}
        layers |= {f"body.{i}.conv{j + 1}": f"trunk.{i}.{2 * j}" for i in range(num_block) for j in (0, 1)}
        layers |= {f"upconv{i + 1}": f"up.{i}" for i in range(len(ours.up))}
        super().__init__(ours, {**layers, "conv_hr": "fine", "conv_last": "last"})

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)

    @classmethod
    def arguments(cls, state: State) -> dict[str, Any]:
        width, channels = state["conv_first.weight"].shape[:2]
        out, factor = state["conv_last.weight"].shape[0], state["upconv1.weight"].shape[0] // width
        count = sum(key.startswith("body.") and key.endswith("conv1.weight") for key in state)
        scale = round(factor**0.5) * (2 if "upconv2.weight" in state else 1)
        sizes = {"num_feat": width, "num_block": count, "upscale": scale}
        return {"num_in_ch": channels, "num_out_ch": out, **sizes}

    @classmethod
    def game(cls, place: str, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        a = arguments
        config = {"generator": "msrresnet", "scale": a["upscale"], "width": a["num_feat"], "blocks": a["num_block"]}
        return {**config, "content": "pixel"}, {"channels": a["num_in_ch"]}


class VGGStyleDiscriminator128(Adapter):
    """images (N, in, 128, 128) in [0, 1] -> logits (N, 1)."""

    def __init__(self, num_in_ch: int, num_feat: int) -> None:
        ours = VGGStyleDiscriminator(num_in_ch, num_feat, 128, 128)
        layers = {"conv0_0": "0", "conv0_1": "2", "bn0_1": "3"}
        for i in range(1, 5):
            at = 5 + 6 * (i - 1)
            layers |= {f"conv{i}_0": f"{at}", f"bn{i}_0": f"{at + 1}"}
            layers |= {f"conv{i}_1": f"{at + 3}", f"bn{i}_1": f"{at + 4}"}
        super().__init__(ours, {**layers, "linear1": "30", "linear2": "32"})

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)[:, None]


class PerceptualLoss(Adapter):
    """images (N, 3, H, W), twice -> (perceptual, style), each a number or None where its weight is 0.

    Names such as conv5_4 are before the ReLU, relu5_4 behind it.  Style compares Gram matrices.
    """

    def __init__(
        self,
        layer_weights: Mapping[str, float],
        vgg_type: str = "vgg19",
        use_input_norm: bool = True,
        range_norm: bool = False,
        perceptual_weight: float = 1.0,
        style_weight: float = 0.0,
        norm_img: bool = False,
        criterion: str = "l1",
    ) -> None:
        depth: Any = int(vgg_type.removeprefix("vgg"))
        ours, names = VGG(depth, [*layer_weights]), layer_names(depth)
        layers = {"vgg.mean": "mean", "vgg.std": "std"} if use_input_norm else {}
        for name in ("mean", "std"):  # kept with the weights, as theirs are
            ours.register_buffer(name, getattr(ours, name), persistent=use_input_norm)
        layers |= {f"vgg.vgg_net.{names[i]}": f"features.{i}" for i in range(len(ours.features))}
        super().__init__(ours, layers)
        self.shares, self.criterion = dict(layer_weights), criterion
        self.perceptual_weight, self.style_weight, self.scaled = perceptual_weight, style_weight, norm_img or range_norm
        if not use_input_norm:
            ours.mean.zero_()
            ours.std.fill_(1)

    def forward(self, x: Tensor, gt: Tensor) -> tuple[Tensor | None, Tensor | None]:
        if self.scaled:  # from [-1, 1]
            x, gt = (x + 1) / 2, (gt + 1) / 2
        seen = list(zip(self.shares.values(), self.network(x), self.network(gt.detach()), strict=True))
        content = sum((w * self.differ(a, b) for w, a, b in seen), x.new_zeros(()))
        style = sum((w * self.differ(gram(a), gram(b)) for w, a, b in seen), x.new_zeros(()))
        return (
            content * self.perceptual_weight if self.perceptual_weight > 0 else None,
            style * self.style_weight if self.style_weight > 0 else None,
        )

    def differ(self, one: Tensor, other: Tensor) -> Tensor:
        """How far two maps are apart, by the criterion."""
        if self.criterion == "fro":
            return torch.linalg.vector_norm(one - other)
        return F.l1_loss(one, other) if self.criterion == "l1" else F.mse_loss(one, other)


def gram(maps: Tensor) -> Tensor:
    """(N, K, K) of maps (N, K, h, w): products of channels, by the number of their values."""
    flat = maps.flatten(2)
    return flat @ flat.transpose(1, 2) / flat[0].numel()


def interpolated(one: State, other: State, alpha: float) -> dict[str, Tensor]:
    """Network interpolation (ESRGAN, section 3.4): every tensor is (1 - alpha) * one + alpha * other."""
    return {key: (1 - alpha) * value + alpha * other[key] for key, value in one.items()}
