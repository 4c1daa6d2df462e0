"""Image sizes that networks can produce, and those that they read."""

import torch.nn.functional as F
from torch import Tensor

from ganforge.errors import ModelError


def halve_sides(height: int, width: int) -> tuple[tuple[int, int], int]:
    """((h, w), halvings) so that the short side of h x w has 4 to 7 pixels.

    Raises ModelError, naming the nearest sides, where repeated halving does not end there.
    """
    for halvings in range(1, 12):
        h, w = height >> halvings, width >> halvings
        if 4 <= min(h, w) <= 7 and (h << halvings, w << halvings) == (height, width):
            return (h, w), halvings
    raise ModelError(
        f"Networks of strided convolutions cannot make images of {height} x {width}: the short side must be 4 to 7 "
        "times a power of two, the long side a multiple of it. Near are --size "
        f"{', '.join(list_near(height, width))}; usual are 28, 32, 64 and 128."
    )


def list_near(height: int, width: int) -> list[str]:
    """The four nearest sizes that halving brings there, as --size takes them."""
    short, long = sorted((height, width))
    possible = {
        (n << halvings, (n if long == short else max(n, round(long / 2**halvings))) << halvings)
        for n in range(4, 8)
        for halvings in range(1, 9)
    }
    near = sorted(sorted(possible), key=lambda sides: abs(sides[0] - short) + abs(sides[1] - long))[:4]
    if height == width:
        return [str(side) for side, _ in sorted(near)]
    return [f"{least} {most}" if height < width else f"{most} {least}" for least, most in sorted(near)]


def shrink(images: Tensor, most: int) -> Tensor:
    """Images (N, C, H, W) averaged so that no side has more than `most` pixels; smaller ones as they are."""
    height, width = images.shape[-2:]
    scale = most / max(height, width)
    if scale >= 1:
        return images
    return F.adaptive_avg_pool2d(images, (max(1, round(height * scale)), max(1, round(width * scale))))
