"""Resizing images to the input size of an extractor: the rule changes a FID by whole points.

clean         bicubic, antialiased, in floats (Parmar et al. 2022, the rule of clean-fid): the default
tensorflow    bilinear without antialiasing, corner to corner as TensorFlow 1 (Heusel's program, torch-fidelity)
pytorch       bilinear without antialiasing, centre to centre as PyTorch (pytorch-fid)
"""

from functools import lru_cache
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from ganforge.errors import DataError, OptionError

Rule = Literal["clean", "tensorflow", "pytorch"]


def resize_images(images: Tensor, size: tuple[int, int], rule: Rule = "clean") -> Tensor:
    """Images (N, C, H, W) of 0 ... 255 resized to `size` = (height, width), as floats."""
    images = images.float()
    if rule == "tensorflow":
        return blend_axis(blend_axis(images, size[0], 2), size[1], 3)
    if rule == "pytorch":
        return F.interpolate(images, size, mode="bilinear", align_corners=False)
    if rule == "clean":
        if tuple(images.shape[2:]) == size:
            return images
        down, across = (bicubic_weights(old, new).to(images) for old, new in zip(images.shape[2:], size, strict=True))
        return (down @ (images @ across.T)).clamp_(0, 255)
    raise OptionError(f"There is no resize rule {rule!r}; there are {', '.join(get_args(Rule))}.")


@lru_cache(maxsize=8)
def bicubic_weights(old: int, new: int) -> Tensor:
    """(new, old): the weight of each old pixel in each new one, by Pillow's bicubic filter (a = -1/2), in float64.

    PyTorch's own antialiased resizing rounds these weights, which changes a pixel by up to 0.004 of 255.
    """
    scale = old / new
    width = max(1.0, scale)
    centre = (torch.arange(new, dtype=torch.float64) + 0.5)[:, None] * scale
    first, last = ((centre + edge * 2 * width + 0.5).trunc().clamp(0, old) for edge in (-1, 1))
    place = torch.arange(old, dtype=torch.float64)
    x = ((place + 0.5 - centre) / width).abs()
    near, far = (1.5 * x - 2.5) * x * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2
    weights = torch.where(x < 1, near, torch.where(x < 2, far, 0.0)) * ((place >= first) & (place < last))
    return weights / weights.sum(1, keepdim=True)


def blend_axis(images: Tensor, side: int, dim: int) -> Tensor:
    """Resize one axis to `side` pixels, bilinearly between the two neighbours of k * (old / new)."""
    old = images.shape[dim]
    position = torch.arange(side, device=images.device, dtype=torch.float32) * (old / side)
    low = position.long()
    fraction = (position - low).view([-1 if axis == dim else 1 for axis in range(4)])
    first, second = images.index_select(dim, low), images.index_select(dim, (low + 1).clamp(max=old - 1))
    return torch.lerp(first, second, fraction)


def to_colour(images: Tensor) -> Tensor:
    """Images (N, C, H, W) with three channels.  Raises DataError unless there are one or three."""
    if images.shape[1] == 1:
        return images.expand(-1, 3, -1, -1)
    if images.shape[1] != 3:
        raise DataError(
            f"The images have {images.shape[1]} channels, and this extractor takes 1 or 3: convert them with "
            "--channels, or use --features classifier or pixels."
        )
    return images


def to_255(images: Tensor) -> Tensor:
    """Images in [-1, 1] as 0 ... 255; values that came from 8 bits are whole numbers again."""
    scaled = images.float() * 127.5 + 127.5
    whole = scaled.round()
    return torch.where((scaled - whole).abs() < 1e-3, whole, scaled)
