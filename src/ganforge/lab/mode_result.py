"""What the mode contest leaves: every cell, and the table of all."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ganforge.lab.gaussian_mixtures import Coverage, plane
from ganforge.lab.mode_training import Rules
from ganforge.lab.objectives import OBJECTIVES

STUDENT = (0, 12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
"""Student's t for 95 % of both sides, by degrees of freedom; 0 stands for none."""


@dataclass(frozen=True)
class Result:
    """What came out of a cell."""

    plane: str
    objective: str
    seeds: tuple[Coverage, ...]
    points: np.ndarray
    """(SHOWN, 2) of the first seed."""
    seconds: float

    def mean(self, of: Callable[[Coverage], float]) -> tuple[float, float, float]:
        """The mean over the seeds, and the limits of its 95 % interval by Student's t, kept to what was seen possible.

        One seed has no interval: the limits are not numbers.
        """
        values = np.array([of(seed) for seed in self.seeds], dtype=np.float64)
        if len(values) < 2:
            return float(values[0]), np.nan, np.nan
        t = STUDENT[len(values) - 1] if len(values) <= len(STUDENT) else 1.96
        half = t * values.std(ddof=1) / np.sqrt(len(values))
        return float(values.mean()), float(values.mean() - half), float(values.mean() + half)

    @property
    def verdict(self) -> str:
        """In words, by counting: how many seeds found every mode, lost more than half, or ended in no number."""
        modes, n = len(plane(self.plane).means), len(self.seeds)
        whole = sum(seed.modes == modes for seed in self.seeds)
        lost = sum(seed.finite and seed.modes < modes / 2 for seed in self.seeds)
        broke = sum(not seed.finite for seed in self.seeds)
        said = [f"all modes in {whole} of {n}"]
        said += [f"collapses in {lost}"] if lost else []
        said += [f"diverges in {broke}"] if broke else []
        return ", ".join(said)


@dataclass(frozen=True)
class ContestResult:
    """Everything that came out."""

    rules: Rules
    results: tuple[Result, ...]

    def table(self) -> str:
        """A table in Markdown: means over the seeds, with 95 % intervals."""
        lines = [
            f"{self.rules.seeds} seeds, {self.rules.steps} steps of the generator; mean [95 % interval]",
            "",
            "| plane | objective | modes found | within 3 spreads | reverse KL | seeds |",
            "|---|---|---|---|---|---|",
        ]
        for r in self.results:
            total = len(plane(r.plane).means)
            found = interval(r.mean(lambda c: c.modes), 1, (0, total))
            near = interval(r.mean(lambda c: 100 * c.quality), 0, (0, 100))
            apart = interval(r.mean(lambda c: c.reverse_kl), 2, (0, float(np.log(total))))
            title = OBJECTIVES[r.objective].title
            lines.append(f"| {r.plane} | {title} | {found} of {total} | {near} % | {apart} | {r.verdict} |")
        return "\n".join(lines)


def interval(values: tuple[float, float, float], digits: int, limits: tuple[float, float]) -> str:
    """`7.4 [6.3, 8.0]`, cut to what is possible; without limits where there is no interval."""
    mean, low, high = values
    if np.isnan(low):
        return f"{mean:.{digits}f}"
    return f"{mean:.{digits}f} [{max(low, limits[0]):.{digits}f}, {min(high, limits[1]):.{digits}f}]"
