"""What a reproduction found: our figures beside the paper's, and which of its orderings hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ganforge.metrics.estimate import Estimate
from ganforge.reproduction.experiment import Experiment, Ordering

Word = Literal["holds", "within error", "does not hold", "cannot be told"]


@dataclass(frozen=True)
class Row:
    """One row of the table."""

    name: str
    run: Path | None
    """Its run folder."""
    figures: tuple[Estimate, ...]
    """Ours; none where its training broke down."""
    paper: tuple[float, ...]
    """The paper's, in the order of the experiment's measures; none where the paper does not have it."""
    seconds: float
    """Spent in its rounds."""
    why: str = ""
    """Why it broke down."""

    def __getitem__(self, measure: str) -> Estimate | None:
        return next((figure for figure in self.figures if figure.name == measure), None)


@dataclass(frozen=True)
class Verdict:
    """What became of one of the paper's orderings."""

    ordering: Ordering
    word: Word
    ours: tuple[Estimate | None, Estimate | None]
    """Of the row that should be better, and of the other."""
    paper: tuple[float, float] | None
    """The same two of the paper."""


@dataclass(frozen=True)
class Findings:
    """Everything that the table, the page and results.json say."""

    folder: Path
    experiment: Experiment
    asked: Mapping[str, Any]
    rounds: int
    """That every row played."""
    batch: int
    rows: tuple[Row, ...]
    truth: Row | None
    """The true pictures by the same measure, where it has such a figure."""
    pictures: Mapping[str, np.ndarray]
    """{column: held-out pictures (n, H, W, C) of 0 ... 255}: the input, what each row makes of it, the truth."""
    notes: tuple[str, ...]
    judging: float
    """Seconds that judging took."""

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """The paper's orderings, in its order."""
        rows, measures = {row.name: row for row in self.rows}, [*self.experiment.measures]
        found = []
        for one in self.experiment.orderings:
            a, b = rows[one.better], rows[one.worse]
            place = measures.index(one.measure)
            paper = (a.paper[place], b.paper[place]) if a.paper and b.paper else None
            found.append(Verdict(one, word(a[one.measure], b[one.measure]), (a[one.measure], b[one.measure]), paper))
        return tuple(found)

    @property
    def minutes(self) -> float:
        """Spent in rounds, by all rows."""
        return sum(row.seconds for row in self.rows) / 60

    @property
    def summary(self) -> str:
        """How many of the orderings hold, in a sentence."""
        words = [verdict.word for verdict in self.verdicts]
        plural = {"holds": "hold", "does not hold": "do not hold"}
        counts = {one: words.count(one) for one in ("holds", "does not hold", "within error", "cannot be told")}
        parts = [f"{n} {one if n == 1 else plural.get(one, one)}" for one, n in counts.items() if n or one == "holds"]
        return f"Of the paper's {len(words)} orderings, at {self.rounds:,} rounds a row: {', '.join(parts)}."


def word(better: Estimate | None, worse: Estimate | None) -> Word:
    """Whether the first figure is the better one, surely: their intervals lie apart."""
    if better is None or worse is None or not np.isfinite([better.value, worse.value]).all():
        return "cannot be told"
    sign = 1 if better.better == "higher" else -1
    (low, high), (least, most) = (sorted(sign * x for x in span(figure)) for figure in (better, worse))
    if low > most:
        return "holds"
    return "does not hold" if high < least else "within error"


def span(figure: Estimate) -> tuple[float, float]:
    """The interval; of a figure without one, the figure itself."""
    return (figure.value, figure.value) if figure.low is None or figure.high is None else (figure.low, figure.high)


def truth_of(told: Experiment, rows: Sequence[Row]) -> Row | None:
    """The true pictures' row: what `evaluate` calls real_NAME; None where the measure has no such figure."""
    whole = next(row for row in rows if row.figures)
    figures = [whole[f"real_{name}"] for name in told.measures]
    there = [replace(f, name=name) for name, f in zip(told.measures, figures, strict=True) if f is not None]
    return Row("the true pictures", None, tuple(there), tuple(told.truth), 0.0) if there else None
