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


def maps(side: int, values: int, n: int, seed: int = 0) -> np.ndarray:
    """Label maps or instance maps, uint8 (n, side, side)."""
    return np.random.default_rng(seed).integers(0, values, (n, side, side), np.uint8)


def sentences(n: int, words: int = 40, length: int = 12) -> np.ndarray:
    """int64 (n, length): rows of 4 to `length` random words of `words`, 0 behind them; every word occurs."""
    chance = np.random.default_rng(0)
    tokens = chance.integers(2, words + 2, (n, length))
    tokens[0] = words + 1
    return np.where(np.arange(length) < chance.integers(4, length + 1, (n, 1)), tokens, 0)


def boxes_and_labels(n: int, classes: int, most: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Boxes float32 (n, most, 4), corners in [0, 1] with sides of 0.2 to 0.6, and labels int64 (n, most) from 1 on."""
    random = np.random.default_rng(0)
    sides, starts = 0.2 + 0.4 * random.random((n, most, 2)), random.random((n, most, 2))
    starts *= 1 - sides
    labels = random.integers(1, classes, (n, most), np.int64)
    return np.concatenate([starts, starts + sides], 2, dtype=np.float32), labels
