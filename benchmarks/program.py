"""What is timed: a program that repeats steps, and the work of one step."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Program:
    """A training loop, or a part of one, ready to run."""

    play: Callable[[int], object]
    """Run that many steps."""
    images: int = 0
    """Real images per step."""
    parameters: int = 0
    """Trainable numbers of all networks: programs that do the same work have equally many."""
    flops: int = 0
    """Floating-point operations of a step in convolutions and matrix products, where they were counted."""


def pictures(side: int, channels: int, n: int = 4_000) -> np.ndarray:
    """The data of every program, uint8 (n, side, side, channels).  Random: the content does not affect the time."""
    return np.random.default_rng(0).integers(0, 256, (n, side, side, channels), np.uint8)
