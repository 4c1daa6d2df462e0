"""The best checkpoint by a metric: measured during training, and the end of the run when nothing improves any more.

scores.jsonl          one line a measurement, {"step": 2000, "seen": 128000, "fid": 31.4}
checkpoints/best      names the best measured checkpoint: RUN@best
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ganforge.callbacks.log import Log, read_rows
from ganforge.engine import Callback, Engine, Row
from ganforge.game import Game


class ScoreCallback(Callback):
    """A callback that also receives the measurements of the metric."""

    def score(self, engine: Engine, metric: str, value: float) -> None:
        """Called after a measurement at the current step."""


@dataclass(frozen=True)
class CheckpointMetric:
    """The metric by which checkpoints are compared."""

    name: str
    better: Literal["lower", "higher"]
    measure: Callable[[Game[Any, Any]], float]
    """Measures a game, always on the same seed; it leaves the game unchanged."""

    def rank(self, value: float) -> float:
        """A number that is larger for a better value; NaN is the worst."""
        if math.isnan(value):
            return -math.inf
        return -value if self.better == "lower" else value


class BestCheckpoint(Callback):
    """Measures the averaged networks at checkpoints, and keeps the record in the run folder.

    A resumed run reads the record, so it selects and ends like one that never stopped.  Measurements later than the
    checkpoint from which it continues are repeated.
    """

    def __init__(
        self,
        path: Path,
        metric: CheckpointMetric,
        say: Callable[[str], None],
        score_callbacks: Sequence[ScoreCallback] = (),
    ) -> None:
        self.record_log, self.metric, self.say, self.score_callbacks = Log(path), metric, say, score_callbacks
        self.folder = path.parent

    def start(self, engine: Engine) -> None:
        """Read the record up to the current step; measure here if the run was killed before it could."""
        self.record_log.start(engine)
        self.record = read_rows(self.record_log.path, self.metric.name)
        if engine.checkpoints and engine.step in engine.checkpoints.steps():
            self.saved(engine)
        self.update_best(engine)

    def saved(self, engine: Engine) -> None:
        """Measure the checkpoint just written, if it is one of those that are compared."""
        if not self.is_compared(engine, engine.step) or (self.record and self.record[-1]["step"] == engine.step):
            return
        value = self.metric.measure(engine.averaged)
        self.record.append({"step": engine.step, "seen": engine.clock().seen, self.metric.name: value})
        self.record_log.log(engine, self.record[-1])
        for callback in self.score_callbacks:
            callback.score(engine, self.metric.name, value)
        self.update_best(engine)

    def is_compared(self, engine: Engine, step: int) -> bool:
        """Whether the checkpoint of a step is compared: every --eval-every steps, and the last."""
        return step > 0 and (step % engine.run.every == 0 or step == engine.run.steps)

    def update_best(self, engine: Engine) -> None:
        """Point `best` to the best checkpoint there is, and stop the run if nothing has improved for too long."""
        checkpoints = engine.checkpoints
        if checkpoints is None or not self.record:
            return
        kept = checkpoints.steps()  # a run resumed from an older checkpoint may have deleted the best one before it
        if available := [row for row in self.record if row["step"] in kept]:
            checkpoints.point("best", int(self.best(available)["step"]))
        best, patience = self.best(self.record), engine.run.patience
        since = len(self.record) - 1 - self.record.index(best)
        if patience and since >= patience and engine.step < engine.run.steps:
            engine.stopping = (
                f"Its {self.metric.name} has not improved in {since} measurements on the {self.format_score(best)} of "
                f"step {best['step']:.0f}, which is "
                f"{self.folder}@best. To continue all the same: ganforge resume {self.folder} "
                f"--patience {since + patience}"
            )

    def best(self, record: Sequence[Row]) -> Row:
        """The best row; the first of equal ones."""
        return max(record, key=lambda row: self.metric.rank(row[self.metric.name]))

    def format_score(self, row: Row) -> str:
        """A row's measurement in four digits."""
        return f"{row[self.metric.name]:.4g}"

    def end(self, engine: Engine) -> None:
        """Print which checkpoint is the best."""
        self.record_log.end(engine)
        if self.record:
            best = self.best(self.record)
            self.say(
                f"The best {self.metric.name} is {self.format_score(best)}, of step {best['step']:.0f}: "
                f"{self.folder}@best."
            )
