"""The result of the mode contest: one entry for each objective and plane, and the table of all."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ganforge.lab.gaussian_mixtures import Coverage, find_plane
from ganforge.lab.mode_training import Rules
from ganforge.lab.objectives import OBJECTIVES

STUDENT = (0, 12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
"""Student's t of the two-sided 95 % interval, by degrees of freedom; index 0 is unused."""


def estimate_mean(values: Sequence[float]) -> tuple[float, float, float]:
    """(mean, low, high) with the limits of the 95 % interval by Student's t; NaN for one value."""
    found = np.array(values, dtype=np.float64)
    if len(found) < 2:
        return float(found[0]), np.nan, np.nan
    t = STUDENT[len(found) - 1] if len(found) <= len(STUDENT) else 1.96
    half = t * found.std(ddof=1) / np.sqrt(len(found))
    return float(found.mean()), float(found.mean() - half), float(found.mean() + half)


@dataclass(frozen=True)
class ModeResult:
    """The result of one objective on one plane."""

    plane: str
    objective: str
    seeds: tuple[Coverage, ...]
    points: np.ndarray
    """(SHOWN, 2) of the first seed."""
    seconds: float

    def mean(self, of: Callable[[Coverage], float]) -> tuple[float, float, float]:
        """(mean, low, high) over the seeds; see `estimate_mean`."""
        return estimate_mean([of(seed) for seed in self.seeds])

    @property
    def summary(self) -> str:
        """How many seeds found every mode, found fewer than half of them, or diverged."""
        modes, n = len(find_plane(self.plane).means), len(self.seeds)
        whole = sum(seed.modes == modes for seed in self.seeds)
        collapsed = sum(seed.finite and seed.modes < modes / 2 for seed in self.seeds)
        diverged = sum(not seed.finite for seed in self.seeds)
        counts = [f"all modes in {whole} of {n}"]
        counts += [f"collapses in {collapsed}"] if collapsed else []
        counts += [f"diverges in {diverged}"] if diverged else []
        return ", ".join(counts)


@dataclass(frozen=True)
class ContestResult:
    """All results of a contest."""

    rules: Rules
    results: tuple[ModeResult, ...]

    def table(self) -> str:
        """A table in Markdown: means over the seeds, with 95 % intervals."""
        lines = [
            f"{self.rules.seeds} seeds, {self.rules.steps} steps of the generator; mean [95 % interval]",
            "",
            "| plane | objective | modes found | within 3 spreads | reverse KL | seeds |",
            "|---|---|---|---|---|---|",
        ]
        for r in self.results:
            total = len(find_plane(r.plane).means)
            found = format_interval(r.mean(lambda c: c.modes), 1, (0, total))
            near = format_interval(r.mean(lambda c: 100 * c.quality), 0, (0, 100))
            divergence = format_interval(r.mean(lambda c: c.reverse_kl), 2, (0, float(np.log(total))))
            title = OBJECTIVES[r.objective].title
            lines.append(f"| {r.plane} | {title} | {found} of {total} | {near} % | {divergence} | {r.summary} |")
        return "\n".join(lines)


def format_interval(values: tuple[float, float, float], digits: int, limits: tuple[float, float]) -> str:
    """`7.4 [6.3, 8.0]`, cut to possible values; only the mean where there is no interval."""
    mean, low, high = values
    if np.isnan(low):
        return f"{mean:.{digits}f}"
    return f"{mean:.{digits}f} [{max(low, limits[0]):.{digits}f}, {min(high, limits[1]):.{digits}f}]"
