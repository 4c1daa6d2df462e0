"""What the answers of a study say: the fooling rate, with an interval over participants."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, fields
from io import TextIOWrapper
from pathlib import Path

import numpy as np

from ganforge.errors import RunError
from ganforge.files import replacing
from ganforge.human_study.store import Study, Trial

RESAMPLES = 10_000


@dataclass(frozen=True)
class Results:
    """The fooling rate of a study, of those who finished unless asked otherwise."""

    rate: float
    """Share of scored trials in which the fake was called real: 0.5 where nobody can tell, 0 where everybody can."""
    low: float | None
    """The interval of the bootstrap over participants; None for a single one."""
    high: float | None
    error: float | None
    """Standard error by the same bootstrap: the number after the paper's plus-minus."""
    participants: int
    trials: int
    left_out: int
    """Participants who began and did not finish."""
    practice_right: float | None
    """Share of their practice trials that were answered rightly; None without practice."""
    exposure_ms: float | None
    """Median time that a pair was on the screen, as the browsers measured it."""
    exposure_worst_ms: float | None
    """The time farthest from the one asked for."""

    def __str__(self) -> str:
        """For a person, in a few lines."""
        interval = "an interval needs two participants"
        if self.low is not None and self.high is not None:
            interval = f"95 % interval {100 * self.low:.1f} to {100 * self.high:.1f} %, "
            interval += f"standard error {100 * (self.error or 0):.1f} %"
        others = f"   ({self.left_out} unfinished, left out)" if self.left_out else ""
        lines = [
            f"fooling rate  {100 * self.rate:.1f} %   ({interval}; bootstrap over participants)",
            f"participants  {self.participants}{others}",
            f"trials        {self.trials}",
        ]
        if self.practice_right is not None:
            lines.append(f"practice      {100 * self.practice_right:.1f} % right")
        if self.exposure_ms is not None:
            lines.append(f"exposure      {self.exposure_ms:.0f} ms (median; farthest {self.exposure_worst_ms:.0f} ms)")
        return "\n".join(lines)


def study_results(study: str | Path, *, unfinished: bool = False, seed: int = 0) -> Results:
    """The fooling rate of a study file.

    As in the paper there are no vigilance trials, so nobody is left out for a wrong answer; participants who did not
    finish are, unless `unfinished`.  `seed` draws the bootstrap.

    Raises RunError when it is no study, or nobody has answered yet.
    """
    opened = Study(study)
    wanted = opened.settings
    sessions: dict[str, list[Trial]] = {}
    for trial in opened.trials():
        sessions.setdefault(trial.participant, []).append(trial)
    counted = {
        who: trials
        for who, trials in sessions.items()
        if len(trials) == wanted.length or (unfinished and any(not trial.practice for trial in trials))
    }
    left_out = opened.joined() - len(counted)
    if not counted:
        begun = f" {left_out} began; --unfinished counts what they answered." if left_out else ""
        raise RunError(f"Nobody has finished the study {study} yet.{begun}")
    scored = [[trial.fooled for trial in trials if not trial.practice] for trials in counted.values()]
    rate, low, high, error = bootstrap([sum(one) for one in scored], [len(one) for one in scored], seed)
    practice = [not trial.fooled for trials in counted.values() for trial in trials if trial.practice]
    times = np.array([t.exposure_ms for trials in counted.values() for t in trials if t.exposure_ms is not None])
    farthest = float(times[np.abs(times - 1000 * wanted.seconds).argmax()]) if len(times) else None
    return Results(
        rate,
        low,
        high,
        error,
        len(counted),
        sum(map(len, scored)),
        left_out,
        sum(practice) / len(practice) if practice else None,
        float(np.median(times)) if len(times) else None,
        farthest,
    )


def bootstrap(
    fooled: Sequence[int], trials: Sequence[int], seed: int = 0, resamples: int = RESAMPLES
) -> tuple[float, float | None, float | None, float | None]:
    """The rate sum(fooled) / sum(trials), its 95 % percentile interval and standard error.

    Participants are drawn with replacement, each with all of their trials: answers of one person are not independent
    (Efron 1979; the paper's tables give such errors).  None in place of the interval for fewer than two.
    """
    hits, counts, n = np.asarray(fooled, float), np.asarray(trials, float), len(trials)
    rate = float(hits.sum() / counts.sum())
    if n < 2:
        return rate, None, None, None
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), resamples)  # how often each is drawn
    rates = drawn @ hits / (drawn @ counts)
    low, high = np.quantile(rates, (0.025, 0.975))
    return rate, float(low), float(high), float(rates.std(ddof=1))


def write_csv(study: str | Path, path: str | Path) -> None:
    """Every answered trial as a row, for other people's statistics.  Raises RunError when it cannot be written."""
    trials = Study(study).trials()
    names = [field.name for field in fields(Trial)]
    with replacing(Path(path)) as file, TextIOWrapper(file, encoding="utf-8", newline="") as text:
        writer = csv.writer(text)
        writer.writerow([*names, "fooled"])
        writer.writerows([*(getattr(trial, name) for name in names), trial.fooled] for trial in trials)
