"""The networks of junyanz/BicycleGAN (models/networks.py).

Norms are given by name, as `norm` or as `norm_layer`, non-linearities as `nl` or `nl_layer`.  `define_G`, `define_D`
and `define_E` are that file's functions, which choose a class by a name and draw its first weights; `GANLoss` is its
criterion.
"""

from typing import Any, get_args

import torch
from torch import Tensor, nn

from ganforge.errors import ModelError
from ganforge.models.bicyclegan import Encoder, ResidualHalf
from ganforge.nn.init import Initial, initial_weights
from ganforge.nn.losses import Objective, gan_loss
from ganforge.nn.norms import Norm
from ganforge.nn.patchgan import PatchGAN, ScaledPatchGAN
from ganforge.nn.unet import Activation, CodedUNet
from ganforge.official import Adapter, State


class _Unet(Adapter):
    """images (N, input_nc, H, W), z (N, nz) where nz > 0 -> images (N, output_nc, H, W)."""

    inject = "all"
    fills = ("bicyclegan.generator",)

    def __init__(
        self,
        input_nc: int,
        output_nc: int,
        nz: int,
        num_downs: int,
        ngf: int = 64,
        norm: str | None = None,
        nl: str | None = None,
        use_dropout: bool = False,
        upsample: str = "basic",
        norm_layer: str | None = None,
        nl_layer: str | None = None,
    ) -> None:
        if upsample not in ("basic", "bilinear"):
            raise ModelError(f"There is no upsample {upsample!r}; there are basic, bilinear.")
        depth, kind = max(5, num_downs), _norm(norm or norm_layer)  # theirs has five levels at least
        active = _activation(nl or nl_layer or "relu")
        ours = CodedUNet(input_nc, output_nc, nz, depth, ngf, kind, active, use_dropout, upsample, type(self).inject)
        super().__init__(ours, self.names(depth, kind != "none", 2 if upsample == "bilinear" else 0))

    @staticmethod
    def names(depth: int, normed: bool, more: int) -> dict[str, str]:
        """{official name: ours}; `more` layers stand before a convolution that goes up."""
        raise NotImplementedError

    def forward(self, x: Tensor, z: Tensor | None = None) -> Tensor:
        return self.network(x, z)

    @classmethod
    def game(cls, place: str, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        a, side = arguments, 2 ** min(8, arguments["num_downs"])
        config = {"inject": cls.inject, "latent": a["nz"], "width": a["ngf"], "norm": a["norm"]}
        sides = {"source_channels": a["input_nc"], "channels": a["output_nc"], "height": side, "width": side}
        return {**config, "upsample": a["upsample"]}, sides


class G_Unet_add_all(_Unet):
    """images (N, input_nc, H, W), z (N, nz), read at every level -> images (N, output_nc, H, W)."""

    @classmethod
    def arguments(cls, state: State) -> dict[str, Any]:
        """The code enters at every level, so the excess of its channels over those from above is the code's length."""
        width, seen = state["model.down.0.weight"].shape[:2]
        nz = state["model.submodule.down.1.weight"].shape[1] - width
        bilinear = "model.up.3.weight" in state
        last = state["model.up.3.weight" if bilinear else "model.up.1.weight"]
        return {
            "input_nc": seen - nz,
            "output_nc": last.shape[0] if bilinear else last.shape[1],
            "nz": nz,
            "num_downs": 1 + sum(key.endswith(".down.1.weight") for key in state),
            "ngf": width,
            "norm": "batch" if any(key.endswith(".running_mean") for key in state) else "instance",
            "upsample": "bilinear" if bilinear else "basic",
        }

    @staticmethod
    def names(depth: int, normed: bool, more: int) -> dict[str, str]:
        before, after = {}, {}
        for i in range(depth):
            path = "model" + i * ".submodule"
            before |= {f"{path}.down.{min(i, 1)}": f"downs.{i}.0", f"{path}.down.2": f"downs.{i}.1"}
            after = {f"{path}.up.{1 + more}": f"ups.{i}.conv", f"{path}.up.{2 + more}": f"ups.{i}.norm"} | after
        return before | after


class G_Unet_add_input(_Unet):
    """images (N, input_nc, H, W), z (N, nz), read beside the image -> images (N, output_nc, H, W)."""

    inject = "input"
    fills = ()  # the code's length follows from no shape

    @staticmethod
    def names(depth: int, normed: bool, more: int) -> dict[str, str]:
        before, after = {"model.model.0": "downs.0.0"}, {f"model.model.{3 + more}": "ups.0.conv"}
        path = "model.model.1.model"
        for i in range(1, depth):
            inner = 2 + normed  # the index of the next level
            up = (3 if i == depth - 1 else inner + 2) + more
            before |= {f"{path}.1": f"downs.{i}.0", f"{path}.2": f"downs.{i}.1"}
            after = {f"{path}.{up}": f"ups.{i}.conv", f"{path}.{up + 1}": f"ups.{i}.norm"} | after
            path += f".{inner}.model"
        return before | after


class D_NLayers(Adapter):
    """images (N, input_nc, H, W) -> scores (N, 1, h, w) of patches."""

    def __init__(
        self, input_nc: int, ndf: int = 64, n_layers: int = 3, norm: str | None = None, norm_layer: str | None = None
    ) -> None:
        ours = PatchGAN(input_nc, ndf, n_layers, _norm(norm or norm_layer))
        super().__init__(ours, {f"model.{i}": f"{i}" for i in range(len(ours))})

    def forward(self, input: Tensor) -> Tensor:
        return self.network(input)


class D_NLayersMulti(Adapter):
    """images (N, input_nc, H, W) -> a list of scores (N, 1, h, w), one for each of num_D scales; of one no list."""

    def __init__(
        self,
        input_nc: int,
        ndf: int = 64,
        n_layers: int = 3,
        norm: str | None = None,
        num_D: int = 1,
        norm_layer: str | None = None,
    ) -> None:
        ours = ScaledPatchGAN(input_nc, ndf, n_layers, _norm(norm or norm_layer), num_D)
        theirs = [f"model_{k}" if num_D > 1 else "model" for k in range(num_D)]
        super().__init__(ours, {name: f"scales.{k}" for k, name in enumerate(theirs)})

    def forward(self, input: Tensor) -> list[Tensor] | Tensor:
        scores = self.network(input)
        return scores if len(scores) > 1 else scores[0]


class E_ResNet(Adapter):
    """images (N, input_nc, H, W) -> mean (N, output_nc), with vaeLike log variance (N, output_nc), too."""

    def __init__(
        self,
        input_nc: int = 3,
        output_nc: int = 1,
        ndf: int = 64,
        n_blocks: int = 4,
        norm: str | None = None,
        nl: str | None = None,
        vaeLike: bool = False,
        norm_layer: str | None = None,
        nl_layer: str | None = None,
    ) -> None:
        kind = _norm(norm or norm_layer)
        ours = Encoder(input_nc, output_nc, ndf, n_blocks, kind, "resnet", _activation(nl or nl_layer or "lrelu"))
        names, skip = {"conv.0": "body.0"}, kind == "none"  # norms that are not there do not count
        for n in range(1, n_blocks):
            names |= {f"conv.{n}.conv.0": f"body.{n}.norm1", f"conv.{n}.conv.{2 - skip}": f"body.{n}.conv1"}
            names |= {f"conv.{n}.conv.3": f"body.{n}.norm2"} if not skip else {}
            names |= {f"conv.{n}.conv.{5 - 2 * skip}.0": f"body.{n}.conv2", f"conv.{n}.shortcut.1": f"body.{n}.short"}
        super().__init__(ours, _heads(ours, vaeLike) | names)
        self.vae_like = vaeLike

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor] | Tensor:
        answer = self.network(x)
        return answer if self.vae_like else answer[0]


class E_NLayers(Adapter):
    """images (N, input_nc, H, W) -> mean (N, output_nc), with vaeLike log variance (N, output_nc), too."""

    def __init__(
        self,
        input_nc: int,
        output_nc: int = 1,
        ndf: int = 64,
        n_layers: int = 3,
        norm: str | None = None,
        nl: str | None = None,
        vaeLike: bool = False,
        norm_layer: str | None = None,
        nl_layer: str | None = None,
    ) -> None:
        kind = _norm(norm or norm_layer)
        ours = Encoder(input_nc, output_nc, ndf, n_layers, kind, "layers", _activation(nl or nl_layer or "lrelu"))
        step, names = 2 if kind == "none" else 3, {"conv.0": "body.0"}
        for n in range(n_layers - 1):
            names |= {f"conv.{2 + step * n}": f"body.{2 + 3 * n}", f"conv.{3 + step * n}": f"body.{3 + 3 * n}"}
        super().__init__(ours, names | _heads(ours, vaeLike))
        self.vae_like = vaeLike

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor] | Tensor:
        answer = self.network(x)
        return answer if self.vae_like else answer[0]


class BasicBlock(Adapter):
    """x (N, inplanes, H, W) -> (N, outplanes, H/2, W/2)."""

    def __init__(
        self,
        inplanes: int,
        outplanes: int,
        norm: str | None = None,
        nl: str | None = None,
        norm_layer: str | None = None,
        nl_layer: str | None = None,
    ) -> None:
        kind = _norm(norm or norm_layer)
        ours, skip = ResidualHalf(inplanes, outplanes, kind, _activation(nl or nl_layer or "lrelu")), kind == "none"
        names = {"conv.0": "norm1", f"conv.{2 - skip}": "conv1"} | ({} if skip else {"conv.3": "norm2"})
        super().__init__(ours, names | {f"conv.{5 - 2 * skip}.0": "conv2", "shortcut.1": "short"})

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)


class define_G(Adapter):
    """One of their generators by its name, with the first weights of `init_type`."""

    def __init__(
        self,
        input_nc: int,
        output_nc: int,
        nz: int,
        ngf: int,
        netG: str = "unet_128",
        norm: str = "batch",
        nl: str = "relu",
        use_dropout: bool = False,
        init_type: Initial = "xavier",
        init_gain: float = 0.02,
        gpu_ids: tuple[int, ...] | list[int] = (),
        where_add: str = "input",
        upsample: str = "bilinear",
    ) -> None:
        depths, places = {"unet_128": 7, "unet_256": 8}, {"input": G_Unet_add_input, "all": G_Unet_add_all}
        if netG not in depths:
            raise ModelError(f"There is no generator {netG!r}; there are {', '.join(depths)}.")
        if where_add not in places:
            raise ModelError(f"There is no where_add {where_add!r}; there are {', '.join(places)}.")
        kind = places[where_add if nz else "input"]
        chosen = kind(input_nc, output_nc, nz, depths[netG], ngf, norm, nl, use_dropout, upsample)
        super().__init__(chosen.network.apply(initial_weights(init_type, init_gain)), chosen.layers)

    def forward(self, x: Tensor, z: Tensor | None = None) -> Tensor:
        return self.network(x, z)


class define_D(Adapter):
    """One of their discriminators by its name, with the first weights of `init_type`."""

    def __init__(
        self,
        input_nc: int,
        ndf: int,
        netD: str,
        norm: str = "batch",
        nl: str = "lrelu",
        init_type: Initial = "xavier",
        init_gain: float = 0.02,
        num_Ds: int = 1,
        gpu_ids: tuple[int, ...] | list[int] = (),
    ) -> None:
        layers = {"basic_128": 2, "basic_256": 3}
        name = netD.removesuffix("_multi")
        if name not in layers:
            there = ", ".join([*layers, *(f"{n}_multi" for n in layers)])
            raise ModelError(f"There is no discriminator {netD!r}; there are {there}.")
        multi = netD.endswith("_multi")
        chosen = (
            D_NLayersMulti(input_nc, ndf, layers[name], norm, num_Ds)
            if multi
            else D_NLayers(input_nc, ndf, layers[name], norm)
        )
        super().__init__(chosen.network.apply(initial_weights(init_type, init_gain)), chosen.layers)

    def forward(self, input: Tensor) -> list[Tensor] | Tensor:
        scores = self.network(input)
        return scores[0] if isinstance(scores, list) and len(scores) == 1 else scores


class define_E(Adapter):
    """One of their encoders by its name, with the first weights of `init_type`."""

    def __init__(
        self,
        input_nc: int,
        output_nc: int,
        ndf: int,
        netE: str,
        norm: str = "batch",
        nl: str = "lrelu",
        init_type: Initial = "xavier",
        init_gain: float = 0.02,
        gpu_ids: tuple[int, ...] | list[int] = (),
        vaeLike: bool = False,
    ) -> None:
        kinds = {"resnet_128": (E_ResNet, 4), "resnet_256": (E_ResNet, 5)}
        kinds |= {"conv_128": (E_NLayers, 4), "conv_256": (E_NLayers, 5)}
        if netE not in kinds:
            raise ModelError(f"There is no encoder {netE!r}; there are {', '.join(kinds)}.")
        kind, depth = kinds[netE]
        chosen = kind(input_nc, output_nc, ndf, depth, norm, "lrelu", vaeLike)  # theirs takes no other, whatever `nl`
        super().__init__(chosen.network.apply(initial_weights(init_type, init_gain)), chosen.layers)
        self.vae_like = vaeLike

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor] | Tensor:
        answer = self.network(x)
        return answer if self.vae_like else answer[0]


class GANLoss(Adapter):
    """(scores, whether they are of real images) -> the loss, and the losses that it is the sum of.

    The scores are a list, one tensor a scale; of a single tensor each row counts as a scale.
    """

    def __init__(self, gan_mode: Objective, target_real_label: float = 1.0, target_fake_label: float = 0.0) -> None:
        if gan_mode not in get_args(Objective):
            raise ModelError(f"There is no gan_mode {gan_mode!r}; there are {', '.join(get_args(Objective))}.")
        super().__init__(_Labels(target_real_label, target_fake_label), {n: n for n in ("real_label", "fake_label")})
        self.gan_mode: Objective = gan_mode

    def forward(self, predictions: list[Tensor] | Tensor, target_is_real: bool) -> tuple[Tensor, list[Tensor]]:
        label = self.network.get_buffer("real_label" if target_is_real else "fake_label")
        losses = [self.one(scores, target_is_real, label) for scores in predictions]
        return torch.stack(losses).sum(), losses

    def one(self, scores: Tensor, real: bool, label: Tensor) -> Tensor:
        if self.gan_mode == "wgangp":
            return gan_loss(scores, real, "wgangp")
        if self.gan_mode == "lsgan":
            return (scores - label).square().mean()
        # Cross entropy is linear in its label.
        return label * gan_loss(scores, True, "vanilla") + (1 - label) * gan_loss(scores, False, "vanilla")


class _Labels(nn.Module):
    """What scores are compared with."""

    def __init__(self, real: float, fake: float) -> None:
        super().__init__()
        self.register_buffer("real_label", torch.tensor(real))
        self.register_buffer("fake_label", torch.tensor(fake))


def _heads(ours: Encoder, both: bool) -> dict[str, str]:
    """{official name: ours} of the last layers; without `both` the log variance has none."""
    if not both:
        ours.log_variance = nn.Identity()  # pyright: ignore[reportAttributeAccessIssue]
    return {"fc.0": "mean"} | ({"fcVar.0": "log_variance"} if both else {})


NORMS: dict[str | None, Norm] = {"batch": "batch", "instance": "instance", "none": "none", None: "none"}


def _norm(name: str | None) -> Norm:
    if name not in NORMS:
        raise ModelError(f"There is no norm {name!r}; there are batch, instance, none.")
    return NORMS[name]


def _activation(name: str) -> Activation:
    if name not in get_args(Activation):
        raise ModelError(f"There is no non-linearity {name!r}; there are {', '.join(get_args(Activation))}.")
    return name  # pyright: ignore[reportReturnType]
