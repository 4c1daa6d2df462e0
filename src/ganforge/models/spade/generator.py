"""The generator: a map normalises every layer, so that no layer can wash it away (section 3, figures 2 to 4)."""

from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.nn.norms import InstanceNorm2d
from ganforge.nn.spectral_norm import SpectralNorm, SpectralNormConv2d

Layers = Literal["normal", "more", "most"]
DOUBLINGS: dict[Layers, int] = {"normal": 5, "more": 6, "most": 7}
"""Doublings of the sides on the way to the image."""
Norm = Literal["batch", "instance"]


def one_hot(label_map: Tensor, regions: int) -> Tensor:
    """int64 (N, H, W) -> (N, regions, H, W) of 0 and 1."""
    n, h, w = label_map.shape
    planes = torch.zeros(n, regions, h, w, device=label_map.device)
    return planes.scatter(1, label_map[:, None], 1.0)


def find_boundaries(instance_map: Tensor) -> Tensor:
    """int64 (N, H, W) -> float (N, 1, H, W): 1 where one of four neighbours is of another instance."""
    lower = instance_map[:, 1:] != instance_map[:, :-1]
    right = instance_map[:, :, 1:] != instance_map[:, :, :-1]
    edge = F.pad(lower, (0, 0, 1, 0)) | F.pad(lower, (0, 0, 0, 1)) | F.pad(right, (1, 0)) | F.pad(right, (0, 1))
    return edge[:, None].float()


def resize_map(maps: Tensor, height: int, width: int) -> Tensor:
    """Planes (N, K, H, W) at another resolution, each pixel that of the nearest."""
    return F.interpolate(maps, (height, width), mode="nearest")


class SPADE(nn.Module):
    """features (N, C, H, W), maps (N, K, H, W) -> (N, C, H, W): normalised, then scaled and shifted at every place.

    Equation 1, with gamma stored as its difference from 1, as in the authors' code.
    """

    def __init__(self, channels: int, regions: int, hidden: int = 128, norm: Norm = "batch", kernel: int = 3) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False) if norm == "batch" else InstanceNorm2d(channels)
        self.shared = nn.Conv2d(regions, hidden, kernel, padding=kernel // 2)
        self.gamma = nn.Conv2d(hidden, channels, kernel, padding=kernel // 2)
        self.beta = nn.Conv2d(hidden, channels, kernel, padding=kernel // 2)

    def forward(self, input: Tensor, maps: Tensor) -> Tensor:
        hidden = self.shared(maps).relu()
        gamma, beta = self.gamma, self.beta
        assert gamma.bias is not None
        assert beta.bias is not None
        weight = torch.cat([gamma.weight, beta.weight])  # one convolution reads `hidden` once
        bias = torch.cat([gamma.bias + 1, beta.bias])
        scale, shift = F.conv2d(hidden, weight, bias, padding=gamma.padding).chunk(2, 1)
        return torch.addcmul(shift, self.norm(input), scale)


class SPADEBlock(nn.Module):
    """features (N, in, H, W), maps (N, K, H, W) -> (N, out, H, W): two convolutions and a shortcut (figure 4)."""

    def __init__(
        self, inputs: int, outputs: int, regions: int, hidden: int, norm: Norm, spectral: bool = True, kernel: int = 3
    ) -> None:
        super().__init__()
        middle = min(inputs, outputs)
        conv = SpectralNormConv2d if spectral else PlainConv2d
        self.norm1, self.conv1 = SPADE(inputs, regions, hidden, norm, kernel), conv(inputs, middle, 3)
        self.norm2, self.conv2 = SPADE(middle, regions, hidden, norm, kernel), conv(middle, outputs, 3)
        self.learnt = inputs != outputs
        if self.learnt:
            self.norm_short = SPADE(inputs, regions, hidden, norm, kernel)
            self.short = conv(inputs, outputs, 1, bias=False)

    def forward(self, input: Tensor, maps: Tensor) -> Tensor:
        short = self.short(self.norm_short(input, maps)) if self.learnt else input
        x = self.conv1(F.leaky_relu(self.norm1(input, maps), 0.2))
        return short + self.conv2(F.leaky_relu(self.norm2(x, maps), 0.2))


class PlainConv2d(nn.Conv2d):
    """A convolution that keeps the sides."""

    def __init__(self, inputs: int, outputs: int, kernel: int, bias: bool = True) -> None:
        super().__init__(inputs, outputs, kernel, padding=kernel // 2, bias=bias)


class Generator(nn.Module):
    """maps (N, K, H, W), z (N, latent) where `latent` > 0 -> images (N, C, H, W) in [-1, 1].

    Both sides are multiples of 2 to the number of doublings.  Without z the network starts from the map at its
    smallest size; with z from a grid that a linear layer makes of it, resized where the map has other sides than
    `grid` doubled.
    """

    def __init__(
        self,
        regions: int,
        channels: int,
        width: int = 64,
        layers: Layers = "normal",
        norm: Norm = "batch",
        hidden: int = 128,
        latent: int = 0,
        grid: tuple[int, int] = (8, 8),
        spectral: bool = True,
        kernel: int = 3,
    ) -> None:
        super().__init__()
        self.doublings, self.grid = DOUBLINGS[layers], grid
        widths = [width * k for k in (16, 16, 16, 16, 8, 4, 2, 1)]
        doubled = [False, True, layers != "normal", True, True, True, True]
        if layers == "most":
            widths, doubled = [*widths, width // 2], [*doubled, True]
        self.doubled = tuple(doubled)
        places = grid[0] * grid[1]
        self.start = nn.Linear(latent, widths[0] * places) if latent else nn.Conv2d(regions, widths[0], 3, padding=1)
        self.blocks = nn.ModuleList(
            SPADEBlock(a, b, regions, hidden, norm, spectral, kernel) for a, b in pairwise(widths)
        )
        self.last = nn.Conv2d(widths[-1], channels, 3, padding=1)

    def forward(self, maps: Tensor, z: Tensor | None = None) -> Tensor:
        h, w = (side // 2**self.doublings for side in maps.shape[2:])
        sized = resize_map(maps, h, w)
        x = self.start(sized) if z is None else self.make_grid(z, h, w)
        maps, sized = maps.to(x.dtype), sized.to(x.dtype)  # once, and not in every layer
        for double, block in zip(self.doubled, self.blocks, strict=True):
            if double:
                h, w = 2 * h, 2 * w
                x, sized = F.interpolate(x, scale_factor=2.0), resize_map(maps, h, w)
            x = block(x, sized)
        return self.last(F.leaky_relu(x, 0.2)).tanh()

    def make_grid(self, z: Tensor, height: int, width: int) -> Tensor:
        """z (N, latent) -> features (N, 16 width, height, width)."""
        grid = self.start(z).unflatten(1, (-1, *self.grid))
        if self.grid == (height, width):
            return grid
        return F.interpolate(grid, (height, width), mode="bilinear", align_corners=False)


def first_weights(layer: nn.Module) -> None:
    """For `Module.apply`: Xavier with gain 0.02 and biases 0; weights under spectral normalisation stay torch's.

    As the authors' code runs: it initialises after the move to the GPU, where those weights are stale copies.
    """
    if isinstance(layer, nn.Conv2d | nn.Linear):
        if not isinstance(layer, SpectralNorm):
            nn.init.xavier_normal_(layer.weight, 0.02)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
