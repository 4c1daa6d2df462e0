"""The result of a study: the fooling rate, with a bootstrap interval over participants."""

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
    """The fooling rate of a study, by default over participants who finished."""

    rate: float
    """Share of scored trials in which the fake was called real: 0.5 is chance, 0 means always recognised."""
    low: float | None
    """Lower end of the 95 % bootstrap interval over participants; None for a single one."""
    high: float | None
    error: float | None
    """Standard error by the same bootstrap: the number after +/- in the paper."""
    participants: int
    trials: int
    left_out: int
    """Participants who joined and did not finish."""
    practice_right: float | None
    """Share of correctly answered practice trials; None without practice."""
    exposure_ms: float | None
    """Median time that a pair was on screen, as measured by the browsers."""
    exposure_worst_ms: float | None
    """The time farthest from the setting."""

    def __str__(self) -> str:
        """The results as a few lines of text."""
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

    As in the paper there are no vigilance trials, so nobody is excluded for wrong answers; participants who did not
    finish are excluded, unless `unfinished`.  `seed` is that of the bootstrap.

    Raises RunError where the file is not a study, or nobody has finished yet.
    """
    opened = Study(study)
    settings = opened.settings
    sessions: dict[str, list[Trial]] = {}
    for trial in opened.trials():
        sessions.setdefault(trial.participant, []).append(trial)
    counted = {
        participant: trials
        for participant, trials in sessions.items()
        if len(trials) == settings.length or (unfinished and any(not trial.practice for trial in trials))
    }
    left_out = opened.count_participants() - len(counted)
    if not counted:
        begun = f" {left_out} joined; --unfinished counts their answers." if left_out else ""
        raise RunError(f"Nobody has finished the study {study} yet.{begun}")
    scored = [[trial.fooled for trial in trials if not trial.practice] for trials in counted.values()]
    rate, low, high, error = bootstrap([sum(one) for one in scored], [len(one) for one in scored], seed)
    practice = [not trial.fooled for trials in counted.values() for trial in trials if trial.practice]
    times = np.array([t.exposure_ms for trials in counted.values() for t in trials if t.exposure_ms is not None])
    farthest = float(times[np.abs(times - 1000 * settings.seconds).argmax()]) if len(times) else None
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
    (Efron 1979; the paper's tables give such errors).  The interval is None for fewer than two.
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
    """Write every answered trial as a CSV row.  Raises RunError where the file cannot be written."""
    trials = Study(study).trials()
    names = [field.name for field in fields(Trial)]
    with replacing(Path(path)) as file, TextIOWrapper(file, encoding="utf-8", newline="") as text:
        writer = csv.writer(text)
        writer.writerow([*names, "fooled"])
        writer.writerows([*(getattr(trial, name) for name in names), trial.fooled] for trial in trials)
