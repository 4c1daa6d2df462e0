"""Distributions on the line whose densities are known: what a small GAN is asked to learn, and judged against."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ganforge.errors import DataError

TAIL = 9.0  # standard deviations beyond which a Gaussian's mass (1e-19) is left out
LOG_ROOT = 0.5 * math.log(2 * math.pi)
KERNELS = 2_000  # more numbers than that share kernels


class Distribution(ABC):
    """A distribution on the line."""

    @abstractmethod
    def log_density(self, x: np.ndarray) -> np.ndarray:
        """log p(x), of the shape of `x`; -inf where there is none."""

    def density(self, x: np.ndarray) -> np.ndarray:
        """p(x), of the shape of `x`."""
        return np.exp(self.log_density(x))

    @abstractmethod
    def below(self, x: np.ndarray) -> np.ndarray:
        """The probability of a number below `x`: the distribution function."""

    @abstractmethod
    def sample(self, n: int, source: np.random.Generator) -> np.ndarray:
        """(n,) independent draws."""

    @abstractmethod
    def reach(self) -> tuple[float, float]:
        """The stretch that holds all but 1e-18 of it."""

    def jumps(self) -> tuple[float, ...]:
        """Where the density is not continuous."""
        return ()

    def window(self) -> tuple[float, float]:
        """A stretch to look at it in, with air at both sides, inside which a generator is bounded."""
        low, high = self.reach()
        return low - 0.1 * (high - low), high + 0.1 * (high - low)


@dataclass(frozen=True)
class Gaussians(Distribution):
    """A mixture of Gaussians (`shares` sum to 1); one of them is the normal distribution."""

    means: tuple[float, ...]
    spreads: tuple[float, ...]
    shares: tuple[float, ...] = (1.0,)

    def log_density(self, x: np.ndarray) -> np.ndarray:
        logs = np.full(np.shape(x), -math.inf)
        for share, mean, spread in zip(self.shares, self.means, self.spreads, strict=True):
            logs = np.logaddexp(logs, math.log(share / spread) - 0.5 * ((x - mean) / spread) ** 2 - LOG_ROOT)
        return logs

    def below(self, x: np.ndarray) -> np.ndarray:
        peaks = zip(self.shares, self.means, self.spreads, strict=True)
        return sum((w * normal_below((x - m) / s) for w, m, s in peaks), np.zeros(np.shape(x)))

    def sample(self, n: int, source: np.random.Generator) -> np.ndarray:
        which = source.choice(len(self.means), n, p=np.array(self.shares))
        return np.array(self.means)[which] + np.array(self.spreads)[which] * source.standard_normal(n)

    def reach(self) -> tuple[float, float]:
        peaks = [*zip(self.means, self.spreads, strict=True)]
        return min(m - TAIL * s for m, s in peaks), max(m + TAIL * s for m, s in peaks)

    def window(self) -> tuple[float, float]:
        """A fifth wider than four standard deviations about every peak."""
        peaks = [*zip(self.means, self.spreads, strict=True)]
        low, high = min(m - 4 * s for m, s in peaks), max(m + 4 * s for m, s in peaks)
        return low - 0.1 * (high - low), high + 0.1 * (high - low)


@dataclass(frozen=True)
class Uniform(Distribution):
    """Equally likely everywhere between `low` and `high`."""

    low: float
    high: float

    def log_density(self, x: np.ndarray) -> np.ndarray:
        return np.where((x >= self.low) & (x <= self.high), -math.log(self.high - self.low), -math.inf)

    def below(self, x: np.ndarray) -> np.ndarray:
        return np.clip((x - self.low) / (self.high - self.low), 0.0, 1.0)

    def sample(self, n: int, source: np.random.Generator) -> np.ndarray:
        return source.uniform(self.low, self.high, n)

    def reach(self) -> tuple[float, float]:
        return self.low, self.high

    def jumps(self) -> tuple[float, ...]:
        return self.low, self.high


NAMED: dict[str, Distribution] = {
    "gaussian": Gaussians((1.0,), (0.6,)),
    "mixture": Gaussians((-1.2, 1.3), (0.4, 0.6), (0.4, 0.6)),
    "uniform": Uniform(-1.0, 2.0),
}
"""Distributions that have a name."""


def distribution(data: str | Path | Distribution) -> Distribution:
    """The distribution of that name, or the kernel density of the numbers in that file; one of your own stays.

    Raises DataError for a name that is neither, and for a file without enough different numbers.
    """
    if isinstance(data, Distribution):
        return data
    return NAMED[str(data)] if str(data) in NAMED else kernel_density(numbers(Path(data)))


def numbers(file: Path) -> np.ndarray:
    """The numbers of a file: .npy, or text with commas, spaces or lines between them.

    Raises DataError where there is no such file, or something in it is no finite number.
    """
    if not file.is_file():
        raise DataError(f"There is no distribution {str(file)!r}: name {', '.join(NAMED)}, or a file of numbers.")
    try:
        if file.suffix == ".npy":
            found = np.load(file, allow_pickle=False).astype(np.float64).ravel()
        else:
            found = np.array(file.read_text(encoding="utf-8").replace(",", " ").split(), dtype=np.float64)
    except (ValueError, UnicodeDecodeError, OSError) as error:
        raise DataError(f"{file} cannot be read as numbers ({error}): write one a line, or save an .npy.") from error
    if not np.isfinite(found).all():
        raise DataError(f"{file} holds numbers that are not finite: leave them out.")
    return found


def kernel_density(found: np.ndarray) -> Gaussians:
    """The density of some numbers: a Gaussian about each, as wide as Silverman's rule says (1986, equation 3.31).

    More than a few thousand numbers are first gathered on a lattice, which a kernel is never narrower than.
    Raises DataError for fewer than ten different numbers.
    """
    if len(np.unique(found)) < 10:
        raise DataError(f"A density needs ten different numbers; there are {len(np.unique(found))}.")
    quarters = np.quantile(found, [0.25, 0.75])
    spread = min(found.std(ddof=1), (quarters[1] - quarters[0]) / 1.34 or math.inf)
    width = float(0.9 * spread * len(found) ** -0.2)
    places, counts = np.unique(found, return_counts=True)
    if len(places) > KERNELS:
        counts, ends = np.histogram(found, KERNELS)
        width = max(width, float(ends[1] - ends[0]))
        places, counts = ((ends[1:] + ends[:-1]) / 2)[counts > 0], counts[counts > 0]
    shares = counts / counts.sum()
    return Gaussians(tuple(places.tolist()), (width,) * len(places), tuple(shares.tolist()))


def normal_below(x: np.ndarray) -> np.ndarray:
    """The distribution function of the standard normal distribution."""
    return torch.special.ndtr(torch.as_tensor(np.asarray(x, np.float64))).numpy()


def normal_quantile(u: np.ndarray) -> np.ndarray:
    """Its inverse."""
    return torch.special.ndtri(torch.as_tensor(np.asarray(u, np.float64))).numpy()


def equally_likely(n: int = 41) -> np.ndarray:
    """(n,) values of a standard normal number with the same mass between any two neighbours."""
    return normal_quantile((np.arange(n) + 0.5) / n)
