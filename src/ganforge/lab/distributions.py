"""One-dimensional distributions with known densities: targets for a small GAN, and references to measure it against."""

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
    """A one-dimensional distribution."""

    @abstractmethod
    def log_density(self, x: np.ndarray) -> np.ndarray:
        """log p(x), of the shape of `x`; -inf where the density is 0."""

    def density(self, x: np.ndarray) -> np.ndarray:
        """p(x), of the shape of `x`."""
        return np.exp(self.log_density(x))

    @abstractmethod
    def below(self, x: np.ndarray) -> np.ndarray:
        """The cumulative distribution function at `x`."""

    @abstractmethod
    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """(n,) independent draws."""

    @abstractmethod
    def reach(self) -> tuple[float, float]:
        """The interval that holds all but 1e-18 of the mass."""

    def jumps(self) -> tuple[float, ...]:
        """Where the density is discontinuous."""
        return ()

    def window(self) -> tuple[float, float]:
        """The interval to plot, with a margin at both sides; a generator's outputs are bounded to it."""
        low, high = self.reach()
        return low - 0.1 * (high - low), high + 0.1 * (high - low)


@dataclass(frozen=True)
class Gaussians(Distribution):
    """A mixture of Gaussians (`shares` sum to 1); with one component it is a normal distribution."""

    means: tuple[float, ...]
    spreads: tuple[float, ...]
    shares: tuple[float, ...] = (1.0,)

    def log_density(self, x: np.ndarray) -> np.ndarray:
        logs = np.full(np.shape(x), -math.inf)
        for share, mean, spread in zip(self.shares, self.means, self.spreads, strict=True):
            logs = np.logaddexp(logs, math.log(share / spread) - 0.5 * ((x - mean) / spread) ** 2 - LOG_ROOT)
        return logs

    def below(self, x: np.ndarray) -> np.ndarray:
        components = zip(self.shares, self.means, self.spreads, strict=True)
        return sum((w * normal_cdf((x - m) / s) for w, m, s in components), np.zeros(np.shape(x)))

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        which = rng.choice(len(self.means), n, p=np.array(self.shares))
        return np.array(self.means)[which] + np.array(self.spreads)[which] * rng.standard_normal(n)

    def reach(self) -> tuple[float, float]:
        components = [*zip(self.means, self.spreads, strict=True)]
        return min(m - TAIL * s for m, s in components), max(m + TAIL * s for m, s in components)

    def window(self) -> tuple[float, float]:
        """A fifth wider than four standard deviations around every mean."""
        components = [*zip(self.means, self.spreads, strict=True)]
        low, high = min(m - 4 * s for m, s in components), max(m + 4 * s for m, s in components)
        return low - 0.1 * (high - low), high + 0.1 * (high - low)


@dataclass(frozen=True)
class Uniform(Distribution):
    """The uniform distribution between `low` and `high`."""

    low: float
    high: float

    def log_density(self, x: np.ndarray) -> np.ndarray:
        return np.where((x >= self.low) & (x <= self.high), -math.log(self.high - self.low), -math.inf)

    def below(self, x: np.ndarray) -> np.ndarray:
        return np.clip((x - self.low) / (self.high - self.low), 0.0, 1.0)

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        return rng.uniform(self.low, self.high, n)

    def reach(self) -> tuple[float, float]:
        return self.low, self.high

    def jumps(self) -> tuple[float, ...]:
        return self.low, self.high


NAMED: dict[str, Distribution] = {
    "gaussian": Gaussians((1.0,), (0.6,)),
    "mixture": Gaussians((-1.2, 1.3), (0.4, 0.6), (0.4, 0.6)),
    "uniform": Uniform(-1.0, 2.0),
}
"""The distributions that have a name."""


def distribution(data: str | Path | Distribution) -> Distribution:
    """The distribution of that name, or the kernel density of the numbers in that file; a Distribution is returned.

    Raises DataError for a name that is neither, and for a file without enough different numbers.
    """
    if isinstance(data, Distribution):
        return data
    return NAMED[str(data)] if str(data) in NAMED else kernel_density(read_numbers(Path(data)))


def read_numbers(file: Path) -> np.ndarray:
    """The numbers of a file, (n,) float64: .npy, or text separated by commas, spaces or newlines.

    Raises DataError where there is no such file, or it holds something other than finite numbers.
    """
    if not file.is_file():
        raise DataError(f"There is no distribution {str(file)!r}: name {', '.join(NAMED)}, or a file of numbers.")
    try:
        if file.suffix == ".npy":
            values = np.load(file, allow_pickle=False).astype(np.float64).ravel()
        else:
            values = np.array(file.read_text(encoding="utf-8").replace(",", " ").split(), dtype=np.float64)
    except (ValueError, UnicodeDecodeError, OSError) as error:
        raise DataError(f"{file} cannot be read as numbers ({error}): write one a line, or save an .npy.") from error
    if not np.isfinite(values).all():
        raise DataError(f"{file} holds numbers that are not finite: remove them.")
    return values


def kernel_density(values: np.ndarray) -> Gaussians:
    """The kernel density of some numbers: Gaussian kernels, with Silverman's bandwidth (1986, equation 3.31).

    More than KERNELS numbers are first binned; a kernel is then at least as wide as a bin.
    Raises DataError for fewer than ten different numbers.
    """
    if len(np.unique(values)) < 10:
        raise DataError(f"A density needs ten different numbers; there are {len(np.unique(values))}.")
    quartiles = np.quantile(values, [0.25, 0.75])
    spread = min(values.std(ddof=1), (quartiles[1] - quartiles[0]) / 1.34 or math.inf)
    width = float(0.9 * spread * len(values) ** -0.2)
    places, counts = np.unique(values, return_counts=True)
    if len(places) > KERNELS:
        counts, ends = np.histogram(values, KERNELS)
        width = max(width, float(ends[1] - ends[0]))
        places, counts = ((ends[1:] + ends[:-1]) / 2)[counts > 0], counts[counts > 0]
    shares = counts / counts.sum()
    return Gaussians(tuple(places.tolist()), (width,) * len(places), tuple(shares.tolist()))


def normal_cdf(x: np.ndarray) -> np.ndarray:
    """The cumulative distribution function of the standard normal distribution."""
    return torch.special.ndtr(torch.as_tensor(np.asarray(x, np.float64))).numpy()


def normal_quantile(u: np.ndarray) -> np.ndarray:
    """Its inverse."""
    return torch.special.ndtri(torch.as_tensor(np.asarray(u, np.float64))).numpy()


def equally_likely_z(n: int = 41) -> np.ndarray:
    """(n,) values of a standard normal z, with the same mass between any two neighbours."""
    return normal_quantile((np.arange(n) + 0.5) / n)
