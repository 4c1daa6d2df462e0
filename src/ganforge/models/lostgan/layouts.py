"""From a layout to features: masks of objects, placed in their boxes, and a normalisation that reads them.

Sun and Wu 2019 (https://arxiv.org/abs/1908.07500) and 2020 (https://arxiv.org/abs/2003.11571).

In this file boxes are x, y, width, height of the upper left corner and the sides, in [0, 1] where they are inside.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.nn.norms import InstanceNorm2d
from ganforge.nn.spectral_norm import SpectralNormConv2d, SpectralNormLinear

Version = Literal[1, 2]
"""LostGAN-V1 (2019) or LostGAN-V2 (2020)."""
ABSENT = (-0.6, -0.6, 0.5, 0.5)
"""The box of no object: outside of the image."""
LEAST = 1e-6
"""The least side of a box, so that an empty one is no division by zero."""


def to_inside(boxes: Tensor, labels: Tensor) -> Tensor:
    """Corners x, y, x, y -> x, y, width, height (N, M, 4), a new tensor; boxes with label 0 lie outside."""
    starts, ends = boxes[..., :2], boxes[..., 2:]
    inside = torch.cat([starts, ends - starts], -1)
    return torch.where((labels > 0)[..., None], inside, inside.new_tensor(ABSENT))


def to_corners(boxes: Tensor) -> Tensor:
    """x, y, width, height -> x, y, x, y (N, M, 4): a new tensor."""
    return torch.cat([boxes[..., :2], boxes[..., :2] + boxes[..., 2:]], -1)


def relative_places(start: Tensor, length: Tensor, side: int) -> Tensor:
    """Places of `side` pixels relative to boxes (N, M): (N, M, side), 0 at a box's start and 1 at its end."""
    pixels = torch.linspace(0, 1, side, device=start.device)
    return (pixels - start[..., None]) / length.clamp(min=LEAST)[..., None]


def place_masks(masks: Tensor, boxes: Tensor, side: int, align_corners: bool = True) -> Tensor:
    """Masks (N, M, h, w), stretched to their boxes in images of `side` pixels: (N, M, side, side), 0 outside.

    Equals `grid_sample` (bilinear, zeros outside) at `2 * relative_places - 1`.  `align_corners` True is what torch 1.0
    did, False is what it does since 1.3.
    """

    def weights(axis: int, pixels: int) -> Tensor:
        places = relative_places(boxes[..., axis], boxes[..., axis + 2], side)
        places = places * (pixels - 1) if align_corners else places * pixels - 0.5
        return (1 - (places[..., None] - torch.arange(pixels, device=places.device)).abs()).clamp(min=0)

    rows, columns = (weights(axis, masks.shape[3 - axis]).to(masks.dtype) for axis in (1, 0))
    return rows @ masks @ columns.transpose(-1, -2)


def box_masks(boxes: Tensor, side: int) -> Tensor:
    """1 inside of each box, 0 outside: (N, M, side, side)."""
    rows, columns = (relative_places(boxes[..., axis], boxes[..., axis + 2], side) for axis in (1, 0))
    inside = [(places >= 0) & (places <= 1) for places in (rows, columns)]
    return (inside[0][..., :, None] & inside[1][..., None, :]).float()


class MaskRegression(nn.Module):
    """codes (N, M, length) -> masks (N, M, 16, 16) in [0, 1], each from the code of its object alone.

    V1 has 128 channels and batch norm, V2 256 channels and instance norm.
    """

    def __init__(self, length: int, version: Version, width: int = 0) -> None:
        super().__init__()
        self.width = width or 128 * version
        self.start = SpectralNormLinear(length, self.width * 16)
        self.four, self.eight, self.sixteen = (
            nn.Sequential(
                SpectralNormConv2d(self.width, self.width, 3),
                nn.BatchNorm2d(self.width) if version == 1 else InstanceNorm2d(self.width),
                nn.ReLU(),
            )
            for _ in range(3)
        )
        self.read = SpectralNormConv2d(self.width, 1, 1)

    def forward(self, codes: Tensor) -> Tensor:
        x = self.four(self.start(codes.flatten(0, 1)).unflatten(1, (self.width, 4, 4)))
        x = self.eight(F.interpolate(x, scale_factor=2, mode="bilinear"))
        x = self.sixteen(F.interpolate(x, scale_factor=2, mode="bilinear"))
        return self.read(x).sigmoid()[:, 0].unflatten(0, codes.shape[:2])


class LayoutNorm(nn.Module):
    """Batch norm whose weights and biases differ from place to place and from object to object (ISLA).

    x (N, C, H, W), codes (N, M, length) and a layout (N, M, h, w) >= 0 -> (N, C, H, W).  The weight at a place is one
    plus the mean of the objects' weights, each weighted by its layout there; so is the bias, without the one.
    """

    def __init__(self, channels: int, length: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.weight, self.bias = SpectralNormLinear(length, channels), SpectralNormLinear(length, channels)

    def forward(self, x: Tensor, codes: Tensor, layout: Tensor) -> Tensor:
        if layout.shape[2:] != x.shape[2:]:
            layout = F.interpolate(layout, x.shape[2:], mode="bilinear")
        shares = layout / (layout.sum(1, keepdim=True) + 1e-6)
        weight, bias = (torch.einsum("nmc,nmhw->nchw", read(codes), shares) for read in (self.weight, self.bias))
        return self.norm(x) * (1 + weight) + bias
