"""The best checkpoint: measured as the run goes on, pointed at, and the end of the run when nothing improves.

scores.jsonl          one line a measurement, {"step": 2000, "seen": 128000, "fid": 31.4}
checkpoints/best      names the checkpoint of the best of them: RUN@best
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ganforge.callbacks.log import Log, rows
from ganforge.engine import Callback, Engine, Row
from ganforge.game import Game


class ScoreCallback(Callback):
    """A watcher that wants to hear what is measured."""

    def score(self, engine: Engine, measure: str, value: float) -> None:
        """After a measurement of the present round."""


@dataclass(frozen=True)
class CheckpointMetric:
    """By what checkpoints are compared."""

    name: str
    better: Literal["lower", "higher"]
    of: Callable[[Game[Any, Any]], float]
    """Measures a game, always on the same seed; it leaves the game as it was."""

    def worth(self, value: float) -> float:
        """Larger is better; a figure that is not a number is worth nothing."""
        if math.isnan(value):
            return -math.inf
        return -value if self.better == "lower" else value


class Selection(Callback):
    """Measures the averaged networks at checkpoints, and keeps the record in the run folder.

    A run that goes on reads the record, so it chooses and ends as one that never stopped.  What was measured after the
    checkpoint from which it goes on is measured again.
    """

    def __init__(
        self,
        path: Path,
        criterion: CheckpointMetric,
        say: Callable[[str], None],
        heard_by: Sequence[ScoreCallback] = (),
    ) -> None:
        self.log_of, self.criterion, self.say, self.heard_by = Log(path), criterion, say, heard_by
        self.folder = path.parent

    def start(self, engine: Engine) -> None:
        """Read the record up to where the run stands; measure here if the run was killed before it could."""
        self.log_of.start(engine)
        self.record = rows(self.log_of.path)
        if engine.checkpoints and engine.step in engine.checkpoints.steps():
            self.saved(engine)
        self.conclude(engine)

    def saved(self, engine: Engine) -> None:
        """Measure what was written, if it counts."""
        if not self.counts(engine, engine.step) or (self.record and self.record[-1]["step"] == engine.step):
            return
        value = self.criterion.of(engine.averaged)
        self.record.append({"step": engine.step, "seen": engine.clock().seen, self.criterion.name: value})
        self.log_of.log(engine, self.record[-1])
        for watcher in self.heard_by:
            watcher.score(engine, self.criterion.name, value)
        self.conclude(engine)

    def counts(self, engine: Engine, step: int) -> bool:
        """Whether the checkpoint of a step is one of those that are compared: those that are due, and the last."""
        return step > 0 and (step % engine.run.every == 0 or step == engine.run.steps)

    def conclude(self, engine: Engine) -> None:
        """Point to the best checkpoint there is, and stop the run if nothing has improved for too long."""
        checkpoints = engine.checkpoints
        if checkpoints is None or not self.record:
            return
        kept = checkpoints.steps()  # a run that goes on from an older one may have dropped the best until there
        if standing := [row for row in self.record if row["step"] in kept]:
            checkpoints.point("best", int(self.best(standing)["step"]))
        best, patience = self.best(self.record), engine.run.patience
        since = len(self.record) - 1 - self.record.index(best)
        if patience and since >= patience and engine.step < engine.run.steps:
            engine.stopping = (
                f"Its {self.criterion.name} has not improved in {since} measurements on the {self.said(best)} of step "
                f"{best['step']:.0f}, which is "
                f"{self.folder}@best. Go on all the same: ganforge resume {self.folder} --patience {since + patience}"
            )

    def best(self, record: Sequence[Row]) -> Row:
        """The best row; of equal ones the first."""
        return max(record, key=lambda row: self.criterion.worth(row[self.criterion.name]))

    def said(self, row: Row) -> str:
        """A row's figure as a person reads it."""
        return f"{row[self.criterion.name]:.4g}"

    def end(self, engine: Engine) -> None:
        """Say which checkpoint is the best."""
        if self.record:
            best = self.best(self.record)
            self.say(
                f"The best {self.criterion.name} is {self.said(best)}, of step {best['step']:.0f}: {self.folder}@best."
            )
