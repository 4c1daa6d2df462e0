"""The networks of NVlabs/SPADE (models/networks).

Their constructors read one object of options; here every option is an argument of its name.  The vectors of a spectral
norm are `weight_u` and `weight_v`, buffers, and the weight before it is `weight_orig`.
"""

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, get_args

from torch import Tensor, nn

from ganforge.errors import ModelError
from ganforge.models.spade.generator import DOUBLINGS, Generator, Layers, Norm, SPADEBlock
from ganforge.models.spade.generator import SPADE as Layer
from ganforge.models.spade.others import Discriminator, StyleEncoder
from ganforge.nn.norms import Norm as PatchNorm
from ganforge.nn.norms import make_norm
from ganforge.nn.patchgan import at_scales
from ganforge.nn.spectral_norm import SpectralNorm, SpectralNormConv2d
from ganforge.official import Adapter, State

VECTORS = {"bias": "bias", "weight_orig": "weight", "weight_u": "u", "weight_v": "v"}
UNTRAINED = {"content": "none"}  # VGG-19's weights, which only training needs, are in no file of theirs
RELEASED = {151: {"no_instance": True}, 36: {"num_upsampling_layers": "more"}}
"""{channels of the map: options of the authors' weights for ADE20K and Cityscapes that no shape shows}; they are
assumed for all weights with so many channels (`assumed`), unless the user says otherwise."""


class SPADE(Adapter):
    """features (N, norm_nc, H, W), maps (N, label_nc, h, w) of any sides -> features."""

    def __init__(self, config_text: str, norm_nc: int, label_nc: int) -> None:
        _, norm, kernel = _parsed(config_text)
        super().__init__(Layer(norm_nc, label_nc, 128, norm, kernel), _of_layer("", ""))

    def forward(self, x: Tensor, segmap: Tensor) -> Tensor:
        return self.network(x, _resized(segmap, x))


class SPADEResnetBlock(Adapter):
    """features (N, fin, H, W), maps (N, semantic_nc, h, w) of any sides -> features (N, fout, H, W)."""

    def __init__(self, fin: int, fout: int, norm_G: str = "spectralspadesyncbatch3x3", semantic_nc: int = 184) -> None:
        spectral, norm, kernel = _parsed(norm_G)
        ours = SPADEBlock(fin, fout, semantic_nc, 128, norm, spectral, kernel)
        super().__init__(ours, _of_block(ours, "", ""))

    def forward(self, x: Tensor, seg: Tensor) -> Tensor:
        return self.network(x, _resized(seg, x))


class SPADEGenerator(Adapter):
    """maps (N, K, H, W), z (N, z_dim) with use_vae -> images (N, output_nc, H, W) in [-1, 1].

    K is label_nc, and one more for "don't care" and for the boundaries of instances.
    """

    fills = ("spade.generator",)

    def __init__(
        self,
        ngf: int = 64,
        crop_size: int = 256,
        aspect_ratio: float = 1.0,
        label_nc: int = 182,
        contain_dontcare_label: bool = False,
        no_instance: bool = False,
        norm_G: str = "spectralspadesyncbatch3x3",
        num_upsampling_layers: str = "normal",
        use_vae: bool = False,
        z_dim: int = 256,
        output_nc: int = 3,
    ) -> None:
        spectral, norm, kernel = _parsed(norm_G)
        layers = _layers(num_upsampling_layers)
        across = crop_size // 2 ** DOUBLINGS[layers]
        regions = _channels(label_nc, contain_dontcare_label, no_instance)
        ours = Generator(
            regions, output_nc, ngf, layers, norm, 128, z_dim if use_vae else 0,
            (round(across / aspect_ratio), across), spectral, kernel,
        )  # fmt: skip
        blocks = ["head_0", "G_middle_0", "G_middle_1", "up_0", "up_1", "up_2", "up_3", "up_4"]
        names = {"fc": "start"}
        for i, (theirs, block) in enumerate(zip(blocks, ours.blocks, strict=False)):
            assert isinstance(block, SPADEBlock)
            names |= _of_block(block, f"{theirs}.", f"blocks.{i}.")
        super().__init__(ours, {**names, "conv_img": "last"})

    def forward(self, input: Tensor, z: Tensor | None = None) -> Tensor:
        return self.network(input, z)

    @classmethod
    def assumed(cls, state: State, given: Mapping[str, Any]) -> tuple[str, ...]:
        """`num_upsampling_layers`, unless there are seven blocks; `aspect_ratio` of styles; boundaries of instances."""
        names = _regions_assumed(given)
        if "up_4.conv_0.bias" not in state:
            names += ("num_upsampling_layers",)
        if state["fc.weight"].ndim == 2:
            names += ("aspect_ratio",)
        return tuple(name for name in names if name not in given)

    @classmethod
    def arguments(cls, state: State) -> dict[str, Any]:
        return cls.complete(state, {})

    @classmethod
    def complete(cls, state: State, given: Mapping[str, Any]) -> dict[str, Any]:
        first, channels = state["fc.weight"], state["up_0.norm_0.mlp_shared.0.weight"].shape[1]
        width, coded = len(state["up_0.conv_0.bias"]) // 8, first.ndim == 2
        layers = RELEASED.get(channels, {}).get("num_upsampling_layers", "normal")
        layers = given.get("num_upsampling_layers", "most" if "up_4.conv_0.bias" in state else layers)
        ratio = given.get("aspect_ratio", 1.0)
        kind = "syncbatch" if "up_0.norm_0.param_free_norm.running_mean" in state else "instance"
        kernel = state["up_0.norm_0.mlp_gamma.weight"].shape[-1]
        spectral = "spectral" if "up_0.conv_0.weight_orig" in state else ""
        across = round((ratio * len(first) / (16 * width)) ** 0.5) if coded else 8
        return {
            "ngf": width,
            "crop_size": across * 2 ** DOUBLINGS[_layers(layers)],
            "aspect_ratio": ratio,
            **_regions_seen(channels, given),
            "norm_G": f"{spectral}spade{kind}{kernel}x{kernel}",
            "num_upsampling_layers": layers,
            "use_vae": coded,
            "z_dim": first.shape[1] if coded else 256,
            "output_nc": len(state["conv_img.weight"]),
            **given,
        }

    @classmethod
    def game(cls, place: str, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        a = arguments
        spectral, norm, kernel = _parsed(a["norm_G"])
        if not spectral or kernel != 3:
            raise ModelError("Our spade has spectral normalisation, and kernels of 3 x 3 after the map.")
        config = {"width": a["ngf"], "layers": a["num_upsampling_layers"], "norm": norm, "use_vae": a["use_vae"]}
        sides = {"height": round(a["crop_size"] / a["aspect_ratio"]), "width": a["crop_size"]}
        return {**config, **UNTRAINED, "latent": a["z_dim"]}, {"channels": a["output_nc"], **_regions(**a), **sides}


class MultiscaleDiscriminator(Adapter):
    """(N, K + output_nc, H, W), a map and an image -> for each scale a list of all outputs, or of the scores."""

    fills = ("spade.discriminator",)

    def __init__(
        self,
        ndf: int = 64,
        label_nc: int = 182,
        contain_dontcare_label: bool = False,
        no_instance: bool = False,
        output_nc: int = 3,
        num_D: int = 2,
        n_layers_D: int = 4,
        norm_D: str = "spectralinstance",
        no_ganFeat_loss: bool = False,
    ) -> None:
        inputs = _channels(label_nc, contain_dontcare_label, no_instance) + output_nc
        norm = _spectral_norm(norm_D)
        ours, names = Discriminator(inputs, ndf, n_layers_D, num_D, norm), {}
        inner = ".0" if norm == "none" else ".0.0"
        for i in range(num_D):
            names[f"discriminator_{i}.model0.0"] = f"scales.{i}.0.0"
            for k in range(1, n_layers_D):
                theirs, own = f"discriminator_{i}.model{k}", f"scales.{i}.{k}"
                names |= _vectors(f"{theirs}{inner}", f"{own}.0", norm == "none")
                if norm == "batch":
                    names[f"{theirs}.0.1"] = f"{own}.1"
            names[f"discriminator_{i}.model{n_layers_D}.0"] = f"scales.{i}.{n_layers_D}.0"
        super().__init__(ours, names)
        self.scores_alone = no_ganFeat_loss

    def forward(self, input: Tensor) -> list[list[Tensor]]:
        network = self.network
        assert isinstance(network, Discriminator)
        outputs = at_scales(network.scales, input)
        return [scale[-1:] for scale in outputs] if self.scores_alone else outputs

    @classmethod
    def assumed(cls, state: State, given: Mapping[str, Any]) -> tuple[str, ...]:
        """Channels of the images, and boundaries of instances."""
        return tuple(name for name in (*_regions_assumed(given), "output_nc") if name not in given)

    @classmethod
    def arguments(cls, state: State) -> dict[str, Any]:
        return cls.complete(state, {})

    @classmethod
    def complete(cls, state: State, given: Mapping[str, Any]) -> dict[str, Any]:
        width, inputs = state["discriminator_0.model0.0.weight"].shape[:2]
        stages = {key.split(".")[1] for key in state if key.startswith("discriminator_0.")}
        plain = "discriminator_0.model1.0.weight_orig" in state
        batch = "discriminator_0.model1.0.1.running_mean" in state
        return {
            "ndf": width,
            "output_nc": given.get("output_nc", 3),
            **_regions_seen(inputs - given.get("output_nc", 3), given),
            "num_D": len({key.split(".")[0] for key in state}),
            "n_layers_D": len(stages) - 1,
            "norm_D": f"spectral{'none' if plain else 'batch' if batch else 'instance'}",
            **given,
        }

    @classmethod
    def game(cls, place: str, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        a = arguments
        config = {"judge_width": a["ndf"], "judge_layers": a["n_layers_D"], "scales": a["num_D"]}
        norm = {"judge_norm": _spectral_norm(a["norm_D"])}
        return {**config, **norm, **UNTRAINED}, {"channels": a["output_nc"], **_regions(**a)}


class ConvEncoder(Adapter):
    """images (N, 3, H, W), resized to 256 x 256 -> mean and log variance (N, 256) of their style."""

    fills = ("spade.encoder",)

    def __init__(self, ngf: int = 64, crop_size: int = 256, norm_E: str = "spectralinstance") -> None:
        if crop_size < 256:
            raise ModelError(f"Their encoder takes images of 256 pixels a side and more, not of crop_size={crop_size}.")
        if _spectral_norm(norm_E) != "instance":
            raise ModelError(f"There is no encoder of norm_E {norm_E!r} here; there is spectralinstance.")
        names = {}
        for i in range(6):
            names |= _vectors(f"layer{i + 1}.0", f"body.{i}.0", False)
        super().__init__(StyleEncoder(3, 256, ngf), {**names, "fc_mu": "mean", "fc_var": "log_variance"})

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.network(x)

    @classmethod
    def arguments(cls, state: State) -> dict[str, Any]:
        return {"ngf": len(state["layer1.0.weight_orig"])}

    @classmethod
    def game(cls, place: str, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return {"width": arguments["ngf"], "use_vae": True, **UNTRAINED}, {}


class Pix2PixHDGenerator(Adapter):
    """maps (N, K, H, W) -> images (N, output_nc, H, W): the baseline, whose layers see the map at the input alone."""

    def __init__(
        self,
        ngf: int = 64,
        label_nc: int = 182,
        contain_dontcare_label: bool = False,
        no_instance: bool = False,
        norm_G: str = "spectralinstance",
        resnet_n_downsample: int = 4,
        resnet_n_blocks: int = 9,
        resnet_kernel_size: int = 3,
        resnet_initial_kernel_size: int = 7,
        output_nc: int = 3,
    ) -> None:
        norm, regions = _spectral_norm(norm_G), _channels(label_nc, contain_dontcare_label, no_instance)
        halvings, edge, bias = resnet_n_downsample, resnet_initial_kernel_size // 2, norm == "none"

        def stage(a: int, b: int, kernel: int, stride: int = 1, padding: int = 0) -> nn.Sequential:
            conv = SpectralNormConv2d(a, b, kernel, stride=stride, padding=padding, bias=bias)
            return nn.Sequential(conv, make_norm(norm, b))

        body: list[nn.Module] = [nn.ReflectionPad2d(edge), stage(regions, ngf, 2 * edge + 1), nn.ReLU()]
        widths = [ngf * 2**i for i in range(halvings + 1)]
        for a, b in pairwise(widths):
            body += [stage(a, b, 3, 2, 1), nn.ReLU()]
        body += [_Residual(widths[-1], resnet_kernel_size, stage) for _ in range(resnet_n_blocks)]
        for a, b in zip(widths[:0:-1], widths[-2::-1], strict=True):
            body += [nn.Sequential(_SpectralUp(a, b, bias), make_norm(norm, b)), nn.ReLU()]
        body += [nn.ReflectionPad2d(edge), nn.Conv2d(ngf, output_nc, 2 * edge + 1), nn.Tanh()]
        ours, names = nn.Sequential(*body), dict[str, str]()
        for name, layer in ours.named_modules():
            if isinstance(layer, SpectralNorm):
                names |= _vectors(f"model.{name.removesuffix('.0') if bias else name}", name, bias)
            elif isinstance(layer, nn.BatchNorm2d | nn.Conv2d):
                names[f"model.{name}"] = name
        super().__init__(ours, names)

    def forward(self, input: Tensor, z: Tensor | None = None) -> Tensor:
        return self.network(input)


class _Residual(nn.Module):
    """features -> features + F(features), padded by reflection."""

    def __init__(self, width: int, kernel: int, stage: Any) -> None:
        super().__init__()
        pad = nn.ReflectionPad2d(kernel // 2)
        self.conv_block = nn.Sequential(pad, stage(width, width, kernel), nn.ReLU(), pad, stage(width, width, kernel))

    def forward(self, input: Tensor) -> Tensor:
        return input + self.conv_block(input)


class _SpectralUp(SpectralNorm, nn.ConvTranspose2d):
    """(N, in, H, W) -> (N, out, 2H, 2W); the rows of the matrix are the outputs."""

    in_memory_order = False

    def __init__(self, inputs: int, outputs: int, bias: bool) -> None:
        super().__init__(inputs, outputs, 3, 2, 1, 1, bias=bias)
        self.add_vectors(1e-12)

    def matrix(self) -> Tensor:
        return self.weight.transpose(0, 1).flatten(1)

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        return nn.functional.conv_transpose2d(input, self.normalised(), self.bias, 2, 1, 1)


def _of_layer(theirs: str, ours: str) -> dict[str, str]:
    """{official name: ours} of a SPADE layer."""
    parts = {"param_free_norm": "norm", "mlp_shared.0": "shared", "mlp_gamma": "gamma", "mlp_beta": "beta"}
    return {theirs + one: ours + other for one, other in parts.items()}


def _of_block(block: SPADEBlock, theirs: str, ours: str) -> dict[str, str]:
    """{official name: ours} of a residual block, in the official order: convolutions first."""
    kinds = {"0": "1", "1": "2"} | ({"s": "short"} if block.learnt else {})
    names = {}
    for one, other in kinds.items():
        own = f"{ours}{'short' if one == 's' else f'conv{other}'}"
        layer = block.get_submodule(own.removeprefix(ours))
        if isinstance(layer, SpectralNorm):
            names |= _vectors(f"{theirs}conv_{one}", own, one != "s")
        else:
            names[f"{theirs}conv_{one}"] = own
    for one, other in kinds.items():
        own = f"{ours}{'norm_short' if one == 's' else f'norm{other}'}"
        names |= _of_layer(f"{theirs}norm_{one}.", f"{own}.")
    return names


def _vectors(theirs: str, ours: str, bias: bool) -> dict[str, str]:
    """{official name: ours} of a layer under spectral normalisation."""
    return {f"{theirs}.{one}": f"{ours}.{other}" for one, other in VECTORS.items() if bias or other != "bias"}


def _resized(maps: Tensor, like: Tensor) -> Tensor:
    return nn.functional.interpolate(maps, like.shape[2:], mode="nearest")


def _channels(label_nc: int, dontcare: bool, no_instance: bool) -> int:
    """Channels of the map."""
    return label_nc + dontcare + (not no_instance)


def _regions_seen(channels: int, given: Mapping[str, Any]) -> dict[str, Any]:
    """Options that give so many channels: those given, else those of the authors' weights, else boundaries."""
    dontcare = given.get("contain_dontcare_label", False)
    if "label_nc" in given:
        no_instance = channels == given["label_nc"] + dontcare
    else:
        no_instance = given.get("no_instance", RELEASED.get(channels, {}).get("no_instance", False))
    return {"label_nc": channels - dontcare - (not no_instance), "no_instance": no_instance}


def _regions_assumed(given: Mapping[str, Any]) -> tuple[str, ...]:
    """`no_instance`, unless it follows from the number of regions that is given."""
    return () if "label_nc" in given else ("no_instance",)


def _regions(**a: Any) -> dict[str, Any]:
    """The facts of the map that options stand for; regions have numbers for names."""
    count = a["label_nc"] + a.get("contain_dontcare_label", False)
    return {"regions": tuple(map(str, range(count))), "instance_maps": not a["no_instance"]}


def _parsed(text: str) -> tuple[bool, Norm, int]:
    """(spectral, norm, kernel) of their name of a norm, `spectralspadesyncbatch3x3`."""
    found = re.fullmatch(r"(spectral)?spade(syncbatch|batch|instance)(\d)x\3", text)
    if not found:
        raise ModelError(
            f"There is no norm {text!r}; there are spade(syncbatch|batch|instance)3x3, after spectral or not."
        )
    return bool(found[1]), "instance" if found[2] == "instance" else "batch", int(found[3])


def _spectral_norm(text: str) -> PatchNorm:
    """The norm in `spectralinstance`."""
    for norm in get_args(PatchNorm):
        if text in (f"spectral{norm}", "spectralsyncbatch" if norm == "batch" else ""):
            return norm
    raise ModelError(f"There is no norm {text!r}; there are spectralinstance, spectralbatch, spectralnone.")


def _layers(name: str) -> Layers:
    if name not in get_args(Layers):
        raise ModelError(f"There is no num_upsampling_layers {name!r}; there are {', '.join(get_args(Layers))}.")
    return name  # pyright: ignore[reportReturnType]
