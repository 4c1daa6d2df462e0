"""How pictures are brought to the size that an extractor was made for: the rule changes a FID by whole points.

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


def resized(images: Tensor, size: tuple[int, int], rule: Rule = "clean") -> Tensor:
    """Pictures (N, C, H, W) of 0 ... 255 at `size` = (height, width), in floats."""
    images = images.float()
    if rule == "tensorflow":
        return blended(blended(images, size[0], 2), size[1], 3)
    if rule == "pytorch":
        return F.interpolate(images, size, mode="bilinear", align_corners=False)
    if rule == "clean":
        if tuple(images.shape[2:]) == size:
            return images
        down, across = (bicubic(old, new).to(images) for old, new in zip(images.shape[2:], size, strict=True))
        return (down @ (images @ across.T)).clamp_(0, 255)
    raise OptionError(f"There is no resize rule {rule!r}; there are {', '.join(get_args(Rule))}.")


@lru_cache(maxsize=8)
def bicubic(old: int, new: int) -> Tensor:
    """How much (new, old) of each old pixel each new one holds: Pillow's bicubic filter (a = -1/2), in float64.

    PyTorch's own antialiased resizing rounds these shares first, which moves a pixel by up to 0.004 of 255.
    """
    scale = old / new
    wide = max(1.0, scale)
    centre = (torch.arange(new, dtype=torch.float64) + 0.5)[:, None] * scale
    first, last = ((centre + edge * 2 * wide + 0.5).trunc().clamp(0, old) for edge in (-1, 1))
    place = torch.arange(old, dtype=torch.float64)
    x = ((place + 0.5 - centre) / wide).abs()
    near, far = (1.5 * x - 2.5) * x * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2
    share = torch.where(x < 1, near, torch.where(x < 2, far, 0.0)) * ((place >= first) & (place < last))
    return share / share.sum(1, keepdim=True)


def blended(images: Tensor, side: int, dim: int) -> Tensor:
    """One axis at `side` pixels, each mixed from the two that lie about k * (old / new)."""
    old = images.shape[dim]
    at = torch.arange(side, device=images.device, dtype=torch.float32) * (old / side)
    low = at.long()
    share = (at - low).view([-1 if axis == dim else 1 for axis in range(4)])
    first, second = images.index_select(dim, low), images.index_select(dim, (low + 1).clamp(max=old - 1))
    return torch.lerp(first, second, share)


def in_colour(images: Tensor) -> Tensor:
    """Pictures (N, C, H, W) with three channels.  Raises DataError where that is not possible."""
    if images.shape[1] == 1:
        return images.expand(-1, 3, -1, -1)
    if images.shape[1] != 3:
        raise DataError(
            f"The pictures have {images.shape[1]} channels, and this extractor looks at grey or colour: bring them to "
            "1 or 3 with --channels, or take --features classifier or pixels."
        )
    return images


def to_255(images: Tensor) -> Tensor:
    """Pictures in [-1, 1] as 0 ... 255; what was stored in 8 bits is whole again."""
    scaled = images.float() * 127.5 + 127.5
    whole = scaled.round()
    return torch.where((scaled - whole).abs() < 1e-3, whole, scaled)
