"""The networks: a residual generator and a discriminator that is its mirror image (sections 3.2 to 3.4)."""

import math
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.nn.blur import make_matrix, make_taps, multiply
from ganforge.nn.upfirdn import TAPS

L = TypeVar("L", bound=nn.Conv2d | nn.Linear)


class Stage(NamedTuple):
    """The blocks of one resolution."""

    width: int
    groups: int
    blocks: int


def scaled(layer: L, gain: float = 1.0) -> L:
    """A layer with weights from N(0, gain^2 / inputs of an output) and a bias of 0."""
    nn.init.normal_(layer.weight, 0.0, gain / math.sqrt(layer.weight[0].numel()))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class Block(nn.Module):
    """x + 1x1(act(3x3 in groups(act(1x1(x))))): maps (N, C, h, w) -> (N, C, h, w) (section 3.3, figure 3).

    Among `depth` blocks the first two convolutions start at depth^(-1/4) of the usual deviation, the last at 0.
    """

    def __init__(self, width: int, groups: int, expansion: int, depth: int) -> None:
        super().__init__()
        inner, gain = width * expansion, math.sqrt(2 / (1 + 0.2**2)) * depth**-0.25
        self.widen = scaled(nn.Conv2d(width, inner, 1), gain)
        self.spread = scaled(nn.Conv2d(inner, inner, 3, padding=1, groups=groups), gain)
        self.narrow = scaled(nn.Conv2d(inner, width, 1, bias=False), 0.0)

    def forward(self, maps: Tensor) -> Tensor:
        inner = F.leaky_relu(self.spread(F.leaky_relu(self.widen(maps), 0.2)), 0.2)
        return maps + self.narrow(inner)


class Base(nn.Module):
    """codes (N, K) -> maps (N, C, h, w): learned maps, each scaled by a number that follows from the code."""

    def __init__(self, inputs: int, width: int, base: tuple[int, int]) -> None:
        super().__init__()
        self.maps = nn.Parameter(nn.init.normal_(torch.empty(width, *base)))
        self.scales = scaled(nn.Linear(inputs, width, bias=False))

    def forward(self, codes: Tensor) -> Tensor:
        return self.maps * self.scales(codes)[:, :, None, None]


class Resize(nn.Module):
    """maps (N, C, h, w) -> (N, C, 2h, 2w), or (N, C, h/2, w/2), filtered by 1 3 3 1 along both axes."""

    kernel_size = 4

    def __init__(self, up: bool) -> None:
        super().__init__()
        self.up, self.stride = up, 1 if up else 2

    def forward(self, maps: Tensor) -> Tensor:
        return double(maps) if self.up else halve(maps)


class Transition(nn.Module):
    """maps (N, a, h, w) -> (N, b, 2h, 2w), or (N, b, h/2, w/2), with a 1 x 1 convolution where a is not b.

    The convolution is on the side of the low resolution.
    """

    def __init__(self, a: int, b: int, up: bool) -> None:
        super().__init__()
        self.up, self.resize = up, Resize(up)
        self.convert = nn.Identity() if a == b else scaled(nn.Conv2d(a, b, 1, bias=False))

    def forward(self, maps: Tensor) -> Tensor:
        return self.resize(self.convert(maps)) if self.up else self.convert(self.resize(maps))


class Generator(nn.Module):
    """z (N, latent), condition (N, K) -> images (N, C, H, W), not bounded; `base` is the size of the first stage."""

    def __init__(
        self,
        latent: int,
        stages: Sequence[Stage],
        channels: int = 3,
        base: tuple[int, int] = (4, 4),
        expansion: int = 2,
        conditions: int = 0,
        embedding: int = 0,
    ) -> None:
        super().__init__()
        depth, before = sum(stage.blocks for stage in stages), stages[0].width
        self.embed = scaled(nn.Linear(conditions, embedding, bias=False)) if conditions else None
        self.stages = nn.ModuleList()
        for number, (width, groups, blocks) in enumerate(stages):
            inputs = latent + (embedding if conditions else 0)
            first = Transition(before, width, up=True) if number else Base(inputs, width, base)
            self.stages.append(nn.Sequential(first, *(Block(width, groups, expansion, depth) for _ in range(blocks))))
            before = width
        self.to_image = scaled(nn.Conv2d(before, channels, 1, bias=False))

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        maps = z if self.embed is None else torch.cat([z, self.embed(condition)], 1)
        for stage in self.stages:
            maps = stage(maps)
        return self.to_image(maps)


class Discriminator(nn.Module):
    """images (N, C, H, W), condition (N, K) -> scores (N,): the mirror image; `stages` from the image to the base."""

    def __init__(
        self,
        stages: Sequence[Stage],
        channels: int = 3,
        base: tuple[int, int] = (4, 4),
        expansion: int = 2,
        conditions: int = 0,
        embedding: int = 0,
    ) -> None:
        super().__init__()
        depth, last = sum(stage.blocks for stage in stages), stages[-1].width
        self.from_image = scaled(nn.Conv2d(channels, stages[0].width, 1, bias=False))
        self.stages = nn.ModuleList()
        for number, (width, groups, blocks) in enumerate(stages):
            layers: list[nn.Module] = [Block(width, groups, expansion, depth) for _ in range(blocks)]
            if number + 1 < len(stages):
                layers.append(Transition(width, stages[number + 1].width, up=False))
            self.stages.append(nn.Sequential(*layers))
        self.weigh = scaled(nn.Conv2d(last, last, base, groups=last, bias=False))
        self.score = scaled(nn.Linear(last, embedding if conditions else 1, bias=False))
        self.embed = None
        if conditions:
            self.embed = scaled(nn.Linear(conditions, embedding, bias=False), embedding**-0.5)

    def forward(self, images: Tensor, condition: Tensor | None = None) -> Tensor:
        maps = self.from_image(images)
        for stage in self.stages:
            maps = stage(maps)
        features = self.score(self.weigh(maps).flatten(1))
        return (features if self.embed is None else features * self.embed(condition)).sum(1)


# Resampling -------------------------------------------------------------------------------------


# Products with matrices, differentiated twice, take a half to a seventh of the time of convolutions of each channel
# (16 x 64 maps, 8 to 64 pixels a side, one CPU core).


def double(maps: Tensor) -> Tensor:
    """maps (N, C, h, w) -> (N, C, 2h, 2w): zeros between the pixels, then the filter 1 3 3 1 along both axes."""
    return 4 * multiply(maps, *(filter_matrix(side, maps).T for side in maps.shape[2:]))


def halve(maps: Tensor) -> Tensor:
    """maps (N, C, 2h, 2w) -> (N, C, h, w): the filter 1 3 3 1 along both axes, then every second pixel."""
    return multiply(maps, *(filter_matrix(side // 2, maps) for side in maps.shape[2:]))


def filter_matrix(side: int, like: Tensor) -> Tensor:
    """(2 side, side): the weights of each of `side` pixels among twice as many; pixels outside count as 0."""
    return make_matrix(make_taps(TAPS), 2 * side, side, 2, 1, like.dtype, like.device)
