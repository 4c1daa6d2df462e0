"""Differentiable augmentation for small data sets (Zhao, Liu, Lin, Zhu, Han 2020, https://arxiv.org/abs/2006.10738).

Real and fake images are augmented alike before a discriminator sees them, so that it cannot memorise the
training images; the generator's gradient passes through the augmentation.

Random numbers come from the argument `chance`, one row per image.
"""

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor


class Chance(Protocol):
    """A source of random numbers; the first argument is the number of images."""

    def normal(self, n: int, *shape: int) -> Tensor:
        """(n, *shape) from the standard normal distribution."""
        ...

    def uniform(self, n: int, *shape: int) -> Tensor:
        """(n, *shape), uniform in [0, 1)."""
        ...


def diffaug(images: Tensor, chance: Chance) -> Tensor:
    """Colour, translation and cutout, each on every image (section 3, figure 4).

    images (N, C, H, W) of any size and number of channels -> the same shape.
    """
    return cutout(translation(colour(images, chance), chance), chance)


def colour(images: Tensor, chance: Chance) -> Tensor:
    """Brightness shifted by up to 0.5, saturation scaled by 0 to 2, contrast by 0.5 to 1.5."""
    n = len(images)
    light, saturation, contrast = (chance.uniform(n, 1, 1, 1).to(images) for _ in range(3))
    images = images + light - 0.5
    images = around(images.mean(1, keepdim=True), images, 2 * saturation)
    return around(images.mean((1, 2, 3), keepdim=True), images, contrast + 0.5)


def around(centre: Tensor, images: Tensor, factor: Tensor) -> Tensor:
    """`images` with their distance from `centre` scaled by `factor`."""
    return centre + (images - centre) * factor


def translation(images: Tensor, chance: Chance, ratio: float = 0.125) -> Tensor:
    """Shift by whole pixels, up to `ratio` of each side; padded with zeros, as in the official code."""
    for axis in (2, 3):
        size = images.shape[axis]
        most = int(size * ratio + 0.5)
        shift = (chance.uniform(len(images), 1) * (2 * most + 1)).floor().long()  # 0 ... 2 most: how far from the left
        window = (torch.arange(size, device=shift.device) + shift).to(images.device)
        margins = (0, 0, most, most) if axis == 2 else (most, most, 0, 0)
        window = window[:, None, :, None] if axis == 2 else window[:, None, None, :]
        images = F.pad(images, margins).gather(axis, window.expand_as(images))
    return images


def cutout(images: Tensor, chance: Chance, ratio: float = 0.5) -> Tensor:
    """A rectangle of `ratio` of each side set to 0, with its centre anywhere in the image."""
    inside = []
    for size in images.shape[2:]:
        hole = int(size * ratio + 0.5)
        centre = (chance.uniform(len(images), 1) * (size + 1 - hole % 2)).floor()
        place = torch.arange(size, device=centre.device) - (centre - hole // 2)
        inside.append((place >= 0) & (place < hole))
    keep = ~(inside[0][:, None, :, None] & inside[1][:, None, None, :])
    return images * keep.to(images)
