"""Classes, attributes and sentences as the networks see them."""

from typing import Protocol

import torch.nn.functional as F
from torch import Tensor


class Draws(Protocol):
    """What draws random numbers, a game's `draw`."""

    def uniform(self, n: int, *shape: int) -> Tensor: ...

    def choice(self, n: int, options: int) -> Tensor: ...


def as_vectors(condition: Tensor, k: int) -> Tensor:
    """The condition as float (N, k): one-hot for classes (N,), attributes (N, k) as they are."""
    return condition.float() if condition.ndim == 2 else F.one_hot(condition, k).float()


def draw_labels(draw: Draws, n: int, k: int, attributes: bool) -> Tensor:
    """Random labels: classes int64 (n,), or k attributes float (n, k), each present or absent."""
    return draw.uniform(n, k).round() if attributes else draw.choice(n, k)


def tile(vectors: Tensor, maps: Tensor) -> Tensor:
    """Vectors (N, K) as planes (N, K, h, w), the same at every place of maps (N, C, h, w) and of their type."""
    return vectors.to(maps.dtype)[:, :, None, None].expand(-1, -1, *maps.shape[2:])
