"""What is timed: something that plays rounds, and what one of its rounds is worth."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Program:
    """A training loop, or a part of one, ready to play."""

    play: Callable[[int], object]
    """Plays so many rounds."""
    images: int = 0
    """Real images that a round consumes."""
    parameters: int = 0
    """Trainable numbers of all networks: programs that do the same work have equally many."""
    flops: int = 0
    """Floating-point operations of a round in convolutions and matrix products, where they were counted."""


def pictures(side: int, channels: int, n: int = 4_000) -> np.ndarray:
    """The data of every program, uint8 (n, side, side, channels).  What they show does not matter to the clock."""
    return np.random.default_rng(0).integers(0, 256, (n, side, side, channels), np.uint8)
