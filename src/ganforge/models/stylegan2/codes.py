"""Codes with the noise of the layers, for descents that find both (Karras et al. 2020, appendix D)."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from ganforge.capabilities import Codes


@dataclass(frozen=True)
class NoisyCodes(Codes):
    """Codes with maps of noise."""

    noise: Tensor | None = None
    """(N, P): the maps of all layers one after the other; None: the constant ones."""


def split_noise(noise: Tensor, sides: Sequence[tuple[int, int]]) -> list[Tensor]:
    """Maps (N, 1, h, w) of each layer's sides, of (N, P)."""
    parts = noise.split([h * w for h, w in sides], 1)
    return [part.unflatten(1, (1, *side)) for part, side in zip(parts, sides, strict=True)]
