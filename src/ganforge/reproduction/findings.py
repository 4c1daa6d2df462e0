"""The result of a reproduction: our figures beside the paper's, and which of its orderings hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ganforge.metrics.estimate import Estimate
from ganforge.reproduction.experiment import Experiment, Ordering

Outcome = Literal["holds", "within error", "does not hold", "cannot be told"]


@dataclass(frozen=True)
class Row:
    """One row of the table."""

    name: str
    run: Path | None
    """Its run folder."""
    figures: tuple[Estimate, ...]
    """Ours; empty where training diverged."""
    paper: tuple[float, ...]
    """The paper's, in the order of the experiment's measures; empty where the paper has none."""
    seconds: float
    """Time spent in training steps."""
    why: str = ""
    """Why training diverged."""

    def __getitem__(self, measure: str) -> Estimate | None:
        return next((figure for figure in self.figures if figure.name == measure), None)


@dataclass(frozen=True)
class Verdict:
    """The outcome of one of the paper's orderings."""

    ordering: Ordering
    outcome: Outcome
    ours: tuple[Estimate | None, Estimate | None]
    """Our figures: of the row that should be better, and of the other."""
    paper: tuple[float, float] | None
    """The paper's two figures."""


@dataclass(frozen=True)
class Findings:
    """Everything that the table, the page and results.json contain."""

    folder: Path
    experiment: Experiment
    options: Mapping[str, Any]
    steps: int
    """Training steps of every row."""
    batch: int
    rows: tuple[Row, ...]
    truth: Row | None
    """The real images under the same metric, where it has such figures."""
    images: Mapping[str, np.ndarray]
    """{column: held-out images (n, H, W, C) of 0 ... 255}: the input, the output of each row, the target."""
    notes: tuple[str, ...]
    evaluation_seconds: float

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """The paper's orderings, in its order."""
        rows, measures = {row.name: row for row in self.rows}, [*self.experiment.measures]
        verdicts = []
        for one in self.experiment.orderings:
            a, b = rows[one.better], rows[one.worse]
            column = measures.index(one.measure)
            paper = (a.paper[column], b.paper[column]) if a.paper and b.paper else None
            outcome = compare_estimates(a[one.measure], b[one.measure])
            verdicts.append(Verdict(one, outcome, (a[one.measure], b[one.measure]), paper))
        return tuple(verdicts)

    @property
    def minutes(self) -> float:
        """Training minutes of all rows."""
        return sum(row.seconds for row in self.rows) / 60

    @property
    def summary(self) -> str:
        """How many of the orderings hold, in a sentence."""
        outcomes = [verdict.outcome for verdict in self.verdicts]
        plural = {"holds": "hold", "does not hold": "do not hold"}
        counts = {one: outcomes.count(one) for one in ("holds", "does not hold", "within error", "cannot be told")}
        parts = [f"{n} {one if n == 1 else plural.get(one, one)}" for one, n in counts.items() if n or one == "holds"]
        return f"Of the paper's {len(outcomes)} orderings, at {self.steps:,} steps per row: {', '.join(parts)}."


def compare_estimates(better: Estimate | None, worse: Estimate | None) -> Outcome:
    """Whether the first estimate is better: holds (or not) where the intervals do not overlap."""
    if better is None or worse is None or not np.isfinite([better.value, worse.value]).all():
        return "cannot be told"
    sign = 1 if better.better == "higher" else -1
    (low, high), (least, most) = (sorted(sign * x for x in interval_bounds(figure)) for figure in (better, worse))
    if low > most:
        return "holds"
    return "does not hold" if high < least else "within error"


def interval_bounds(figure: Estimate) -> tuple[float, float]:
    """(low, high) of the interval; the value twice where there is none."""
    return (figure.value, figure.value) if figure.low is None or figure.high is None else (figure.low, figure.high)


def build_truth_row(experiment: Experiment, rows: Sequence[Row]) -> Row | None:
    """The row of the real images, from the figures real_NAME of `evaluate`; None where the metric has none."""
    complete = next(row for row in rows if row.figures)
    figures = [complete[f"real_{name}"] for name in experiment.measures]
    present = [replace(f, name=name) for name, f in zip(experiment.measures, figures, strict=True) if f is not None]
    return Row("the real images", None, tuple(present), tuple(experiment.truth), 0.0) if present else None
