"""The networks of martinarjovsky/WassersteinGAN (models/dcgan.py, models/mlp.py).

The authors' critic descends D(real) - D(fake) where the paper's climbs f(real) - f(fake): D = -f.  Our critic is f,
so the weights of its last layer change their sign on the way in and on the way out.
"""

import math
from typing import Any

from torch import Tensor, nn

from ganforge.errors import ModelError
from ganforge.models import wgan
from ganforge.nn.sizes import halve_sides
from ganforge.official import Adapter, State


class DCGAN_G(Adapter):
    """z (N, nz, 1, 1) -> images (N, nc, isize, isize) in [-1, 1]."""

    norm = True
    fills = ("wgan.generator",)

    def __init__(self, isize: int, nz: int, nc: int, ngf: int, ngpu: int, n_extra_layers: int = 0) -> None:
        even = ngf // 2 * 2  # the authors double from the half
        ours = wgan.Generator(nz, even, nc, *_base(isize), n_extra_layers, self.norm)
        super().__init__(ours, _names(ours))

    def forward(self, input: Tensor) -> Tensor:
        return self.network(input.flatten(1))

    @classmethod
    def arguments(cls, state: State) -> dict[str, Any]:
        weights = {key: value for key, value in state.items() if key.endswith((":convt.weight", ":conv.weight"))}
        first, last = (key for key in weights if key.startswith(("main.initial:", "main.final:")))
        doublings = sum(key.endswith(":convt.weight") for key in weights) - 1
        return {
            "isize": 4 * 2**doublings,
            "nz": weights[first].shape[0],
            "nc": weights[last].shape[1],
            "ngf": weights[last].shape[0],
            "ngpu": 0,
            "n_extra_layers": sum("extra-layers" in key for key in weights),
        }

    @classmethod
    def game(cls, place: str, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        a = arguments
        config = {"latent": a["nz"], "width": a["ngf"], "extra_layers": a["n_extra_layers"], "generator_norm": cls.norm}
        return config, {"channels": a["nc"], "height": a["isize"], "width": a["isize"]}


class DCGAN_G_nobn(DCGAN_G):
    """The same without batch normalisation."""

    norm = False


class _Mirrored(Adapter):
    """images (N, nc, isize, isize) -> the mean score (1,), lower for real."""

    final: str
    """The last layer's official name."""

    def forward(self, input: Tensor) -> Tensor:
        return -self.network(input).mean(0, keepdim=True)

    def to_ours(self, key: str, tensor: Tensor) -> Tensor:
        return -tensor if key.startswith(self.final) else tensor

    to_theirs = to_ours


class DCGAN_D(_Mirrored):
    """images (N, nc, isize, isize) -> the mean score (1,), lower for real."""

    norm = True
    final = "main.final:"

    def __init__(self, isize: int, nz: int, nc: int, ndf: int, ngpu: int, n_extra_layers: int = 0) -> None:
        ours = wgan.Critic(ndf, nc, *_base(isize), n_extra_layers, self.norm)
        super().__init__(ours, _names(ours))


class DCGAN_D_nobn(DCGAN_D):
    """The same without batch normalisation."""

    norm = False


class MLP_G(Adapter):
    """z (N, nz, 1, 1) or (N, nz) -> images (N, nc, isize, isize), not bounded."""

    fills = ("wgan.generator",)

    def __init__(self, isize: int, nz: int, nc: int, ngf: int, ngpu: int) -> None:
        super().__init__(wgan.PerceptronGenerator(nz, ngf, (nc, isize, isize)), {"main": "0"})

    def forward(self, input: Tensor) -> Tensor:
        return self.network(input.flatten(1))

    @classmethod
    def arguments(cls, state: State) -> dict[str, Any]:
        """Of colour images, where the number of pixels allows it: it does not follow from the weights."""
        ngf, nz = state["main.0.weight"].shape
        values = len(state["main.6.bias"])
        nc = 3 if values % 3 == 0 and math.isqrt(values // 3) ** 2 * 3 == values else 1
        return {"isize": math.isqrt(values // nc), "nz": nz, "nc": nc, "ngf": ngf, "ngpu": 0}

    @classmethod
    def game(cls, place: str, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        a = arguments
        config = {"latent": a["nz"], "width": a["ngf"], "networks": "perceptrons"}
        return config, {"channels": a["nc"], "height": a["isize"], "width": a["isize"]}


class MLP_D(_Mirrored):
    """images (N, nc, isize, isize) -> the mean score (1,), lower for real."""

    final = "main.6."

    def __init__(self, isize: int, nz: int, nc: int, ndf: int, ngpu: int) -> None:
        super().__init__(wgan.PerceptronCritic(ndf, (nc, isize, isize)), {"main": "1"})


def _base(isize: int) -> tuple[tuple[int, int], int]:
    """((4, 4), halvings); ModelError for sides that the authors' code cannot make."""
    if isize < 16 or isize & isize - 1:
        raise ModelError(f"The WGAN networks make images of 16, 32, 64, ... pixels; isize={isize} is none of these.")
    return halve_sides(isize, isize)


def _names(ours: nn.Sequential) -> dict[str, str]:
    """{official name: our index}: layers are called by what they do and by the channels they lead from and to."""
    last = max(i for i, layer in enumerate(ours) if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)))
    names, stage, extra = {}, "initial", 0
    for i, layer in enumerate(ours):
        if isinstance(layer, nn.BatchNorm2d):
            names[f"main.{stage}:{layer.num_features}:batchnorm"] = f"{i}"
        elif isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3):
            stage, extra = f"extra-layers-{extra}", extra + 1
            names[f"main.{stage}:{layer.in_channels}:conv"] = f"{i}"
        elif isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            stage = "final" if i == last else "pyramid" if names else "initial"
            kind = "conv" if isinstance(layer, nn.Conv2d) else "convt"
            names[f"main.{stage}:{layer.in_channels}-{layer.out_channels}:{kind}"] = f"{i}"
    return names
