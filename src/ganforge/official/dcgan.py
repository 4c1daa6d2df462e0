"""The DCGAN of pytorch/examples (dcgan/main.py): 64 x 64 images, probabilities instead of logits.

Its sizes are variables of the script, so they are given as `globals`.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ganforge.models import dcgan
from ganforge.nn.strided import StridedGenerator
from ganforge.official import Adapter, State

GLOBALS = {"nz": 100, "ngf": 64, "ndf": 64, "nc": 3}  # the script's defaults


class Generator(Adapter):
    """z (N, nz, 1, 1) -> images (N, nc, 64, 64) in [-1, 1]."""

    called = ("Generator", "_netG")
    fills = ("dcgan.generator",)

    def __init__(self, ngpu: int = 1, globals: Mapping[str, int] = GLOBALS) -> None:
        g = {**GLOBALS, **globals}
        ours = StridedGenerator(g["nz"], g["ngf"], g["nc"], base=(4, 4), doublings=4)
        # Ours begins with the layer that turns vectors into images of one pixel.
        super().__init__(ours, {f"main.{i}": f"{i + 1}" for i in range(13)})

    def forward(self, input: Tensor) -> Tensor:
        return self.network(input.flatten(1))

    @classmethod
    def arguments(cls, state: State) -> dict[str, Any]:
        first, last = state["main.0.weight"], state["main.12.weight"]
        return {"globals": {"nz": first.shape[0], "ngf": last.shape[0], "nc": last.shape[1]}}

    @classmethod
    def game(cls, place: str, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        g = {**GLOBALS, **arguments["globals"]}
        example = {"kernel": 4, "noise": "normal", "weight_decay": 0.0}  # where the preset `paper` differs
        return {"latent": g["nz"], "width": g["ngf"], **example}, {"channels": g["nc"], "height": 64, "width": 64}


class Discriminator(Adapter):
    """images (N, nc, 64, 64) -> probabilities of being real (N,)."""

    called = ("Discriminator", "_netD")

    def __init__(self, ngpu: int = 1, globals: Mapping[str, int] = GLOBALS) -> None:
        g = {**GLOBALS, **globals}
        ours = dcgan.Discriminator(g["ndf"], g["nc"], base=(4, 4), halvings=4)
        super().__init__(ours, {f"main.{i}": f"{i}" for i in range(12)})

    def forward(self, input: Tensor) -> Tensor:
        return torch.sigmoid(self.network(input))
