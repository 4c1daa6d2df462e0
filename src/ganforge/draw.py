"""Random numbers for games.

A game never calls `torch.rand`, and no capability takes a seed: the caller sets `game.draw`, which holds the seed.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ganforge.errors import ContractError

Make = Callable[[int, torch.Generator], Tensor]  # (rows, random generator) -> a tensor of so many rows

GOLDEN, MASK = 0x9E3779B97F4A7C15, 2**64 - 1  # the increment of SplitMix64, and 64 bits


class Draw(ABC):
    """The only source of random numbers that a game may use.

    The first argument of every draw is its number of rows, one per image.
    """

    @abstractmethod
    def normal(self, n: int, *shape: int) -> Tensor:
        """(n, *shape) from the standard normal distribution."""

    @abstractmethod
    def uniform(self, n: int, *shape: int) -> Tensor:
        """(n, *shape), uniform in [0, 1)."""

    @abstractmethod
    def choice(self, n: int, options: int) -> Tensor:
        """(n,) int64, each of 0 ... options - 1 equally likely."""

    @abstractmethod
    def permutation(self, n: int) -> Tensor:
        """(n,) int64: the numbers 0 ... n - 1 in random order, shuffled within one micro-batch."""


class Seeded(Draw):
    """Draws that follow from a seed; subclasses mix the position in the run or in the batch into it."""

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.device, self.calls = torch.device(device), 0

    def normal(self, n: int, *shape: int) -> Tensor:
        return self._rows(n, lambda m, g: torch.randn(m, *shape, generator=g, device=g.device))

    def uniform(self, n: int, *shape: int) -> Tensor:
        return self._rows(n, lambda m, g: torch.rand(m, *shape, generator=g, device=g.device))

    def choice(self, n: int, options: int) -> Tensor:
        return self._rows(n, lambda m, g: torch.randint(options, (m,), generator=g, device=g.device))

    @abstractmethod
    def _rows(self, n: int, make: Make) -> Tensor:
        """`n` rows of what `make` draws."""


class RoundDraw(Seeded):
    """Draws of a training step: made for the whole batch from (seed, step, call); a micro-batch takes its rows.

    So a batch split over processes or micro-batches gets the same numbers as the undivided batch.
    """

    def __init__(self, seed: int, step: int, share: int, shares: int, device: torch.device | str) -> None:
        super().__init__(device)
        self.seed, self.step, self.share, self.shares = seed, step, share, shares

    def _source(self, *more: int) -> torch.Generator:
        self.calls += 1
        return torch.Generator(self.device).manual_seed(mix(self.seed, self.step, self.calls, *more))

    def _rows(self, n: int, make: Make) -> Tensor:
        return make(n * self.shares, self._source())[self.share * n : (self.share + 1) * n]

    def permutation(self, n: int) -> Tensor:
        source = self._source(self.share)
        return torch.randperm(n, generator=source, device=source.device)


class RowDraw(Seeded):
    """Draws of a capability: row k follows from (seed, k) alone, on every device and in batches of any size."""

    def __init__(self, seed: int, start: int = 0, device: torch.device | str = "cpu") -> None:
        super().__init__(device)
        self.seed, self.start = seed, start

    def _rows(self, n: int, make: Make) -> Tensor:
        self.calls += 1
        rows = range(self.start, self.start + n)
        drawn = [make(1, torch.Generator().manual_seed(mix(self.seed, k, self.calls))) for k in rows]
        return torch.cat(drawn).to(self.device)

    def permutation(self, n: int) -> Tensor:
        raise ContractError("A capability must not shuffle its batch: image k has to follow from (seed, k) alone.")


class FrameDraw(RowDraw):
    """Draws of a walk: all rows, which are frames of one animation, are that of image 0, so that nothing flickers."""

    def _rows(self, n: int, make: Make) -> Tensor:
        self.calls += 1
        row = make(1, torch.Generator().manual_seed(mix(self.seed, 0, self.calls)))
        return row.expand(n, *row.shape[1:]).to(self.device)


class Recorded(Draw):
    """Returns the given tensors in order: for comparisons with other implementations."""

    def __init__(self, *tensors: Tensor) -> None:
        self.left = list(tensors)

    def normal(self, n: int, *shape: int) -> Tensor:
        return self._next((n, *shape))

    def uniform(self, n: int, *shape: int) -> Tensor:
        return self._next((n, *shape))

    def choice(self, n: int, options: int) -> Tensor:
        return self._next((n,))

    def permutation(self, n: int) -> Tensor:
        return self._next((n,))

    def _next(self, shape: tuple[int, ...]) -> Tensor:
        if not self.left or tuple(self.left[0].shape) != shape:
            was = tuple(self.left[0].shape) if self.left else "nothing more"
            raise ContractError(f"The game drew {shape}, but the recording holds {was}.")
        return self.left.pop(0)


def mix(*numbers: int) -> int:
    """One 63-bit seed from several integers, the same on every machine (SplitMix64, folded)."""
    state = 0
    for number in numbers:
        state = splitmix(state ^ (number & MASK))
    return state >> 1


def splitmix(state: Any) -> Any:
    """One step of SplitMix64 (Steele, Lea and Flood 2014): an integer below 2**64, or a uint64 array, well mixed."""
    state = state + GOLDEN & MASK
    state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & MASK
    state = (state ^ state >> 27) * 0x94D049BB133111EB & MASK
    return state ^ state >> 31
