"""Bilinear sampling of images at given places, differentiable in the images as often as one likes.

Penalties on slopes behind an augmentation differentiate it twice, and torch 2.11 cannot do that with its `grid_sample`.
The places need no gradient, so that it is linear: its gradient is the transposed map, whose gradient is the sampling.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

BILINEAR, ZEROS = 0, 0  # torch's numbers of the modes


class _Sample(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, grid: Tensor) -> Tensor:
        ctx.save_for_backward(grid)
        ctx.shape = images.shape
        return F.grid_sample(images, grid, align_corners=False)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return _Transposed.apply(gradients[0], ctx.saved_tensors[0], ctx.shape), None  # pyright: ignore


class _Transposed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gradient: Tensor, grid: Tensor, shape: torch.Size) -> Tensor:
        ctx.save_for_backward(grid)
        like, wanted = gradient.new_empty(shape), [True, False]
        return torch.ops.aten.grid_sampler_2d_backward(gradient, like, grid, BILINEAR, ZEROS, False, wanted)[0]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return _Sample.apply(gradients[0], ctx.saved_tensors[0]), None, None  # pyright: ignore


def sample_bilinear(images: Tensor, grid: Tensor) -> Tensor:
    """Images (N, C, H, W) at the places `grid` (N, h, w, 2), from -1 to 1 between the outer edges -> (N, C, h, w).

    Beyond the edges is zero.  `grid` gets no gradient.
    """
    return _Sample.apply(images, grid.detach())  # pyright: ignore[reportReturnType]
