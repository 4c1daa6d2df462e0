"""Bicubic rescaling by the rule of MATLAB's imresize, which is what papers on super-resolution mean by bicubic.

Weights are Keys's cubic with a = -1/2 (1981, https://doi.org/10.1109/TASSP.1981.1163711).  Where an image shrinks,
the kernel is as much wider, so that it averages what would alias.  Images are padded by reflection, the edge pixel
included.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor


def bicubic(images: Tensor, scale: float) -> Tensor:
    """Images (N, C, H, W) -> (N, C, ceil(H * scale), ceil(W * scale)), in float32 also under autocast."""
    with torch.autocast(images.device.type, enabled=False):
        down, across = (weights(side, scale).to(images.device) for side in images.shape[2:])
        return down @ images.float() @ across.T


@lru_cache(maxsize=64)
def weights(side: int, scale: float) -> Tensor:
    """(ceil(side * scale), side): the weight of each pixel in each result, along one axis."""
    with torch.inference_mode(False):  # cached for later calls, which may need gradients
        results, shrinks = math.ceil(side * scale), min(scale, 1.0)
        centres = (torch.arange(results, dtype=torch.float64) + 0.5) / scale - 0.5  # in the image's own pixels
        reach = math.ceil(4 / shrinks) + 2
        pixels = (centres - 2 / shrinks).floor()[:, None] + torch.arange(reach)
        values = cubic((centres[:, None] - pixels) * shrinks)
        values = values / values.sum(1, keepdim=True)
        index = pixels.long() % (2 * side)  # a reflected image repeats after twice its side
        index = torch.where(index < side, index, 2 * side - 1 - index)
        return torch.zeros(results, side, dtype=torch.float64).scatter_add_(1, index, values).float()


def cubic(x: Tensor) -> Tensor:
    """Keys's kernel with a = -1/2: 1 at 0, 0 at every other whole number and beyond 2."""
    x = x.abs()
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return torch.where(x <= 1, near, torch.where(x < 2, far, torch.zeros_like(x)))
