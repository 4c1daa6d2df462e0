"""The networks of StyleGAN2 in two dialects.

NVlabs/stylegan2-ada-pytorch (training/networks.py), which NVlabs/stylegan3 has as training/networks_stylegan2.py, and
rosinality/stylegan2-pytorch (model.py), which HyperStyle and its relatives have as models/stylegan2/model.py.

`conv_clamp` and `mbstd_group_size` are in no weights: 256 and 4 are assumed, the defaults of their programs.
"""

import re
from collections.abc import Mapping as Words
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ganforge.errors import WeightsError
from ganforge.models.stylegan2.discriminator import Discriminator as Judge
from ganforge.models.stylegan2.generator import Generator as Maker
from ganforge.models.stylegan2.generator import Mapping, Synthesis, list_widths
from ganforge.nn.upfirdn import TAPS, make_filter
from ganforge.official import Adapter, State

NVIDIA, ROSINALITY = "training/networks.py", "models/stylegan2/model.py"
CODES = 4_096  # drawn for the mean code that rosinality's files lack, as many as its programs draw
Names = list[tuple[str, str | float]]
"""(theirs, ours) of every tensor in their order; a number: the filter with this gain, which ours has no tensor for."""


class _Filtered(Adapter):
    """A network whose official state dict also has the filters."""

    network: Any
    unseen: ClassVar[tuple[str, ...]] = ()
    """Arguments that no weights show."""

    def __init__(self, network: nn.Module, names: Names) -> None:
        super().__init__(network, {theirs: ours for theirs, ours in names if isinstance(ours, str)})
        self.order = [theirs for theirs, _ in names]
        self.filters = {theirs: make_filter(TAPS) * gain for theirs, gain in names if not isinstance(gain, str)}
        self.register_state_dict_post_hook(_insert_filters)
        self.register_load_state_dict_pre_hook(_remove_filters)

    @classmethod
    def assumed(cls, state: State, given: Words[str, Any]) -> tuple[str, ...]:
        return tuple(name for name in cls.unseen if name not in given)


def _insert_filters(adapter: nn.Module, state: dict[str, Any], prefix: str, _metadata: object) -> None:
    assert isinstance(adapter, _Filtered)
    for key in adapter.order:
        state[prefix + key] = adapter.filters[key].clone() if key in adapter.filters else state.pop(prefix + key)


def _remove_filters(adapter: nn.Module, state: dict[str, Any], prefix: str, *_: object) -> None:
    """Raises WeightsError for filters other than theirs: the network would be another one."""
    assert isinstance(adapter, _Filtered)
    for key, expected in adapter.filters.items():
        own = state.pop(prefix + key, expected)
        if not torch.allclose(own.float(), expected, atol=1e-5):
            raise WeightsError(f"{key} is another filter than [1, 3, 3, 1], which this network resamples with.")


def _sizes(resolution: int) -> list[int]:
    """4, 8 ... `resolution`.  Raises ValueError for a side that doubling 4 does not reach."""
    sides = [4 << level for level in range(resolution.bit_length() - 2)]
    if not sides or sides[-1] != resolution:
        raise ValueError(f"theirs makes sides of 4, 8, 16 ..., not {resolution}")
    return sides


def _table(widths: Words[int, int]) -> dict[str, int]:
    """`channel_base` and `channel_max` of {side: channels}."""
    most = widths[4]
    return {"channel_base": max(side * width for side, width in widths.items() if width < most or side == max(widths)),
            "channel_max": most}  # fmt: skip


# NVIDIA's dialect ---------------------------------------------------------------------------------


def _mapping_names(theirs: str, ours: str, mapping: Mapping) -> Names:
    names: Names = [(f"{theirs}.w_avg", f"{ours}.mean")] if mapping.latent else []
    layers = [("embed", "embed")] if mapping.embed is not None else []
    layers += [(f"fc{i}", f"layers.{i}") for i in range(len(mapping.layers))]
    return names + [(f"{theirs}.{a}.{key}", f"{ours}.{b}.{key}") for a, b in layers for key in ("weight", "bias")]


class Generator(_Filtered):
    """z (N, z_dim), c (N, c_dim) -> images (N, C, H, W); `truncation_cutoff` truncates the first layers alone."""

    file = NVIDIA
    fills = ("stylegan2.generator",)
    unseen = ("conv_clamp",)
    entry = "G_ema"

    def __init__(
        self,
        z_dim: int,
        c_dim: int,
        w_dim: int,
        img_resolution: int,
        img_channels: int,
        mapping_kwargs: Words[str, Any] | None = None,
        synthesis_kwargs: Words[str, Any] | None = None,
        *,
        conv_clamp: float | None = None,
    ) -> None:
        more, sides = dict(synthesis_kwargs or {}), _sizes(img_resolution)
        widths = list_widths(len(sides) - 1, more.get("channel_base", 32_768), more.get("channel_max", 512))
        form, clamp = more.get("architecture", "skip"), conv_clamp or more.get("conv_clamp") or 0.0
        mapping = Mapping(z_dim, c_dim, w_dim, (mapping_kwargs or {}).get("num_layers", 8))
        ours = Synthesis(w_dim, img_channels, (4, 4), widths, form, more.get("use_noise", True), clamp)
        super().__init__(Maker(mapping, ours), self.names(ours, mapping, sides))

    @staticmethod
    def names(ours: Synthesis, mapping: Mapping, sides: Sequence[int]) -> Names:
        names: Names = []
        noisy = ours.first.noisy

        def add(theirs: str, own: str, keys: str) -> None:
            for pair in keys.split():
                a, _, b = pair.partition("=")
                if noisy or not a.startswith("noise"):
                    names.append((f"synthesis.{theirs}.{a}", f"synthesis.{own}.{b}" if b else 1.0))

        layer = "weight=conv.weight noise_strength=strength bias=bias resample_filter= noise_const=constant "
        affine = "affine.weight=conv.style.weight affine.bias=conv.style.bias"
        for level, side in enumerate(sides):
            block = f"b{side}"
            if level == 0:
                names.append((f"synthesis.{block}.const", "synthesis.constant"))
            names.append((f"synthesis.{block}.resample_filter", 1.0))
            if level:
                add(f"{block}.conv0", f"blocks.{level - 1}.up", layer + affine)
            add(f"{block}.conv1", f"blocks.{level - 1}.conv" if level else "first", layer + affine)
            if level == len(sides) - 1 or len(ours.to_images) > 1:
                number = min(level, len(ours.to_images) - 1)
                add(f"{block}.torgb", f"to_images.{number}", f"weight=conv.weight bias=bias {affine}")
            if level and ours.blocks[level - 1].short is not None:
                add(f"{block}.skip", f"blocks.{level - 1}.short", "weight=weight resample_filter=")
        return names + _mapping_names("mapping", "mapping", mapping)

    def forward(
        self,
        z: Tensor,
        c: Tensor | None = None,
        truncation_psi: float = 1.0,
        truncation_cutoff: int | None = None,
        noise_mode: str = "const",
    ) -> Tensor:
        """`noise_mode` is const or none; random noise is the game's."""
        styles = self.map_styles(z, c, truncation_psi, truncation_cutoff)
        sides = self.network.synthesis.sides
        silent = [z.new_zeros(1, 1, *side) for side in sides] if noise_mode == "none" else None
        return self.network.synthesis(styles, silent)

    def map_styles(self, z: Tensor, c: Tensor | None = None, psi: float = 1.0, cutoff: int | None = None) -> Tensor:
        """Styles (N, L, w_dim): their `mapping`."""
        mapping, layers = self.network.mapping, self.network.synthesis.styles
        return mapping.truncate(mapping(z, c)[:, None].expand(-1, layers, -1), psi, cutoff or 0)

    @classmethod
    def arguments(cls, state: State) -> dict[str, Any]:
        w_dim, side = len(state["mapping.w_avg"]), _largest(state, r"synthesis\.b(\d+)\.")
        c_dim = state["mapping.embed.weight"].shape[1] if "mapping.embed.weight" in state else 0
        layers = 1 + _largest(state, r"mapping\.fc(\d+)\.")
        z_dim = state["mapping.fc0.weight"].shape[1] - (w_dim if c_dim else 0)
        widths = {r: len(state[f"synthesis.b{r}.conv1.weight"]) for r in _sizes(side)}
        form = (
            "skip"
            if "synthesis.b4.torgb.weight" in state
            else "resnet"
            if "synthesis.b8.skip.weight" in state
            else "orig"
        )
        more = {**_table(widths), "architecture": form, "use_noise": "synthesis.b4.conv1.noise_strength" in state}
        return {
            "z_dim": z_dim, "c_dim": c_dim, "w_dim": w_dim, "img_resolution": side,
            "img_channels": len(state[f"synthesis.b{side}.torgb.weight"]),
            "mapping_kwargs": {"num_layers": layers}, "synthesis_kwargs": more, "conv_clamp": 256,
        }  # fmt: skip

    @classmethod
    def game(cls, place: str, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        a = arguments
        more = a["synthesis_kwargs"]
        config = {"latent": a["z_dim"], "style": a["w_dim"], "mapping_layers": a["mapping_kwargs"]["num_layers"]}
        config |= {"generator_form": more["architecture"], "layer_noise": more["use_noise"]}
        config |= {"clamp": float(a["conv_clamp"] or 0), "conditional": a["c_dim"] > 0}
        return config | _size(more), _facts(a["img_resolution"], a["img_channels"], a["c_dim"])


def _largest(state: State, pattern: str) -> int:
    """The largest number in keys of this pattern.  Raises KeyError where there is none."""
    found = [int(match[1]) for key in state if (match := re.match(pattern, key))]
    if not found:
        raise KeyError(pattern.replace("\\", "").replace("(d+)", "0"))
    return max(found)


def _size(table: Words[str, Any]) -> dict[str, int]:
    return {"capacity": table["channel_base"], "most": table["channel_max"]}


def _facts(side: int, channels: int, labels: int = 0) -> dict[str, Any]:
    """The facts of data with so many classes, which no file names."""
    return {"channels": channels, "height": side, "width": side, "labels": tuple(map(str, range(labels)))}


class Discriminator(_Filtered):
    """Images (N, C, H, W), c (N, c_dim) -> logits (N, 1)."""

    file = NVIDIA
    fills = ("stylegan2.discriminator",)
    unseen = ("conv_clamp", "mbstd_group_size")
    entry = "D"

    def __init__(
        self,
        c_dim: int,
        img_resolution: int,
        img_channels: int,
        architecture: str = "resnet",
        channel_base: int = 32_768,
        channel_max: int = 512,
        num_fp16_res: int = 0,
        conv_clamp: float | None = None,
        mapping_kwargs: Words[str, Any] | None = None,
        epilogue_kwargs: Words[str, Any] | None = None,
        *,
        mbstd_group_size: int = 4,
    ) -> None:
        more, sides = dict(epilogue_kwargs or {}), _sizes(img_resolution)
        ours = Judge(
            img_channels, (4, 4), list_widths(len(sides) - 1, channel_base, channel_max),
            architecture, group=more.get("mbstd_group_size", mbstd_group_size) or 0,  # pyright: ignore
            planes=more.get("mbstd_num_channels", 1), clamp=conv_clamp or 0.0, conditions=c_dim,
            mapping_layers=(mapping_kwargs or {}).get("num_layers", 8),
        )  # fmt: skip
        names: Names = []
        layers = {"fromrgb": "read", "conv0": "conv", "conv1": "down", "skip": "short"}
        for number, side in enumerate(reversed(sides[1:])):
            names.append((f"b{side}.resample_filter", 1.0))
            for theirs, own in layers.items():
                if (layer := getattr(ours.blocks[number], own)) is not None:
                    names += _conv_names(f"b{side}.{theirs}", f"blocks.{number}.{own}", layer.bias is not None)
        if ours.mapping is not None:
            names += _mapping_names("mapping", "mapping", ours.mapping)
        names += _conv_names("b4.fromrgb", "read") if ours.read is not None else []
        names += _conv_names("b4.conv", "conv")
        last = {"fc": "features", "out": "score"}
        names += [(f"b4.{a}.{key}", f"{b}.{key}") for a, b in last.items() for key in ("weight", "bias")]
        super().__init__(ours, names)

    def forward(self, img: Tensor, c: Tensor | None = None) -> Tensor:
        return self.network(img, c)[:, None]

    @classmethod
    def arguments(cls, state: State) -> dict[str, Any]:
        side, c_dim = _largest(state, r"b(\d+)\."), 0
        if "mapping.embed.weight" in state:
            c_dim = state["mapping.embed.weight"].shape[1]
        widths = {r: state[f"b{r}.conv0.weight"].shape[1] for r in _sizes(side)[1:]}
        width, seen = state["b4.conv.weight"].shape[:2]
        form = "skip" if "b4.fromrgb.weight" in state else "resnet" if f"b{side}.skip.weight" in state else "orig"
        layers = 1 + _largest(state, r"mapping\.fc(\d+)\.") if c_dim else 8
        return {
            "c_dim": c_dim, "img_resolution": side, "img_channels": state[f"b{side}.fromrgb.weight"].shape[1],
            "architecture": form, **_table({4: width, **widths}), "conv_clamp": 256,
            "mapping_kwargs": {"num_layers": layers}, "epilogue_kwargs": {"mbstd_num_channels": seen - width},
            "mbstd_group_size": 4,
        }  # fmt: skip

    @classmethod
    def game(cls, place: str, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        a = arguments
        config = {"discriminator_form": a["architecture"], "clamp": float(a["conv_clamp"] or 0)}
        config |= {"group": a["mbstd_group_size"], "conditional": a["c_dim"] > 0}
        return config | _size(a), _facts(a["img_resolution"], a["img_channels"], a["c_dim"])


def _conv_names(theirs: str, ours: str, bias: bool = True) -> Names:
    names: Names = [(f"{theirs}.weight", f"{ours}.weight")]
    return [*names, *([(f"{theirs}.bias", f"{ours}.bias")] if bias else []), (f"{theirs}.resample_filter", 1.0)]


# rosinality's dialect -----------------------------------------------------------------------------


class RosinalityGenerator(_Filtered):
    """A list of one or two z (N, style_dim), or of styles -> images and, where asked for, styles or features.

    Where a file has no mean code beside it, that is computed from 4,096 codes, as theirs do before they truncate.
    Files of encoders hold it as `decoder.`.
    """

    called = ("Generator",)
    file = ROSINALITY
    fills = ("stylegan2.generator",)
    unmapped = (".mean",)
    entry = "g_ema"
    prefix = "decoder."
    beside = ("latent_avg",)
    mean: Tensor | None = None

    def __init__(
        self,
        size: int,
        style_dim: int,
        n_mlp: int,
        channel_multiplier: int = 2,
        *,
        widths: Sequence[int] = (),
        channels: int = 3,
    ) -> None:
        sides = _sizes(size)
        own = [*(widths or list_widths(len(sides) - 1, 16_384 * channel_multiplier, 512))]
        ours = Maker(Mapping(style_dim, 0, style_dim, n_mlp), Synthesis(style_dim, channels, (4, 4), own))
        names: Names = [
            (f"style.{i + 1}.{key}", f"mapping.layers.{i}.{key}") for i in range(n_mlp) for key in ("weight", "bias")
        ]
        names.append(("input.input", "synthesis.constant"))
        names += self.layer("conv1", "first") + self.image("to_rgb1", 0)
        blocks = range(len(sides) - 1)
        for i in blocks:
            names += self.layer(f"convs.{2 * i}", f"blocks.{i}.up", True)
            names += self.layer(f"convs.{2 * i + 1}", f"blocks.{i}.conv")
        for i in blocks:
            names += self.image(f"to_rgbs.{i}", i + 1)
        noisy = ["first", *(f"blocks.{i}.{layer}" for i in blocks for layer in ("up", "conv"))]
        names += [(f"noises.noise_{i}", f"synthesis.{layer}.constant") for i, layer in enumerate(noisy)]
        super().__init__(ours, names)

    @staticmethod
    def layer(theirs: str, ours: str, doubles: bool = False) -> Names:
        own = f"synthesis.{ours}"
        names: Names = [(f"{theirs}.conv.weight", f"{own}.conv.weight")]
        names += [(f"{theirs}.conv.blur.kernel", 4.0)] if doubles else []
        names += [(f"{theirs}.conv.modulation.{key}", f"{own}.conv.style.{key}") for key in ("weight", "bias")]
        return [*names, (f"{theirs}.noise.weight", f"{own}.strength"), (f"{theirs}.activate.bias", f"{own}.bias")]

    @staticmethod
    def image(theirs: str, number: int) -> Names:
        own = f"synthesis.to_images.{number}"
        names: Names = [(f"{theirs}.bias", f"{own}.bias")]
        names += [(f"{theirs}.upsample.kernel", 4.0)] if number else []
        names.append((f"{theirs}.conv.weight", f"{own}.conv.weight"))
        return names + [(f"{theirs}.conv.modulation.{key}", f"{own}.conv.style.{key}") for key in ("weight", "bias")]

    def to_ours(self, key: str, tensor: Tensor) -> Tensor:
        return tensor.reshape(self.network.state_dict()[self.keys()[key]].shape)

    def to_theirs(self, key: str, tensor: Tensor) -> Tensor:
        if key.endswith(".conv.weight") or key == "input.input":
            return tensor[None]
        if key.endswith(".noise.weight"):
            return tensor.reshape(1)
        if key.startswith("noises."):
            return tensor[None, None]
        return (
            tensor.view(1, -1, 1, 1)
            if key.startswith("to_rgb") and key.count(".bias") and "conv" not in key
            else tensor
        )

    def forward(
        self,
        styles: Sequence[Tensor],
        return_latents: bool = False,
        return_features: bool = False,
        inject_index: int | None = None,
        truncation: float = 1.0,
        truncation_latent: Tensor | None = None,
        input_is_latent: bool = False,
        noise: Sequence[Tensor] | None = None,
        weights_deltas: Sequence[Tensor | None] | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Images (N, C, H, W), and the styles (N, L, style_dim), the last features, or None.

        Without `noise` it is the constant one; theirs draws it unless `randomize_noise` is False.
        """
        ours, layers = self.network.synthesis, self.network.synthesis.styles
        given = [*styles] if input_is_latent else [self.network.mapping(z) for z in styles]
        if truncation < 1 and truncation_latent is not None:
            given = [truncation_latent + truncation * (style - truncation_latent) for style in given]
        wide = [style if style.ndim == 3 else style[:, None].expand(-1, layers, -1) for style in given]
        cut = layers if len(wide) == 1 else layers // 2 if inject_index is None else inject_index
        latent = torch.cat([wide[0][:, :cut], wide[-1][:, cut:]], 1)
        features: list[Tensor] = []
        handle = ours.blocks[-1].register_forward_hook(lambda _net, _given, made: features.append(made))
        image = ours(latent, noise, weights_deltas)
        handle.remove()
        return image, latent if return_latents else features[0] if return_features else None

    def take(self, beside: Words[str, Tensor]) -> None:
        self.mean = beside.get("latent_avg")

    def weights(self) -> dict[str, Tensor]:
        """With the mean code: the file's, or that of random codes."""
        if self.mean is not None:
            return {**self.network.state_dict(), "mapping.mean": self.mean.reshape(-1, self.mean.shape[-1])[0].clone()}
        codes = torch.randn(CODES, self.network.mapping.latent, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            mean = self.network.mapping(codes).mean(0)
        return {**self.network.state_dict(), "mapping.mean": mean}

    @classmethod
    def arguments(cls, state: State) -> dict[str, Any]:
        layers, last = _largest(state, r"style\.(\d+)\."), _largest(state, r"to_rgbs\.(\d+)\.")
        widths = [
            state["conv1.conv.weight"].shape[1],
            *(state[f"convs.{2 * i}.conv.weight"].shape[1] for i in range(last + 1)),
        ]
        table = _table({4 << level: width for level, width in enumerate(widths)})
        channels = state["to_rgb1.conv.weight"].shape[1]
        return {
            "size": 8 << last, "style_dim": len(state["style.1.bias"]), "n_mlp": layers,
            "channel_multiplier": table["channel_base"] // 16_384, "widths": tuple(widths), "channels": channels,
        }  # fmt: skip

    @classmethod
    def game(cls, place: str, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        a = arguments
        config = {"latent": a["style_dim"], "style": a["style_dim"], "mapping_layers": a["n_mlp"]}
        config |= {"generator_form": "skip", "clamp": 0.0}
        table = _table({4 << level: width for level, width in enumerate(a["widths"])})
        return config | _size(table), _facts(a["size"], a["channels"])


class RosinalityDiscriminator(_Filtered):
    """Images (N, C, H, W) -> logits (N, 1)."""

    called = ("Discriminator",)
    file = ROSINALITY
    fills = ("stylegan2.discriminator",)
    entry = "d"

    def __init__(
        self, size: int, channel_multiplier: int = 2, *, widths: Sequence[int] = (), channels: int = 3
    ) -> None:
        sides = _sizes(size)
        own = [*(widths or list_widths(len(sides) - 1, 16_384 * channel_multiplier, 512))]
        names: Names = [("convs.0.0.weight", "blocks.0.read.weight"), ("convs.0.1.bias", "blocks.0.read.bias")]
        for i in range(len(sides) - 1):
            block, ours = f"convs.{i + 1}", f"blocks.{i}"
            names += [
                (f"{block}.conv1.0.weight", f"{ours}.conv.weight"),
                (f"{block}.conv1.1.bias", f"{ours}.conv.bias"),
            ]
            names += [(f"{block}.conv2.0.kernel", 1.0), (f"{block}.conv2.1.weight", f"{ours}.down.weight")]
            names += [(f"{block}.conv2.2.bias", f"{ours}.down.bias"), (f"{block}.skip.0.kernel", 1.0)]
            names.append((f"{block}.skip.1.weight", f"{ours}.short.weight"))
        names += [("final_conv.0.weight", "conv.weight"), ("final_conv.1.bias", "conv.bias")]
        last = {"final_linear.0": "features", "final_linear.1": "score"}
        names += [(f"{a}.{key}", f"{b}.{key}") for a, b in last.items() for key in ("weight", "bias")]
        super().__init__(Judge(channels, (4, 4), own), names)

    def forward(self, input: Tensor) -> Tensor:
        return self.network(input)[:, None]

    @classmethod
    def arguments(cls, state: State) -> dict[str, Any]:
        blocks, channels = _largest(state, r"convs\.(\d+)\."), state["convs.0.0.weight"].shape[1]
        widths = [
            len(state["final_conv.1.bias"]),
            *(state[f"convs.{i}.conv1.0.weight"].shape[1] for i in range(blocks, 0, -1)),
        ]
        table = _table({4 << level: width for level, width in enumerate(widths)})
        multiplier = table["channel_base"] // 16_384
        return {"size": 4 << blocks, "channel_multiplier": multiplier, "widths": tuple(widths), "channels": channels}

    @classmethod
    def game(cls, place: str, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        a = arguments
        table = _table({4 << level: width for level, width in enumerate(a["widths"])})
        return {"discriminator_form": "resnet", "group": 4, **_size(table)}, _facts(a["size"], a["channels"])
