"""TensorBoard: the losses, scores and sample grids of a run, for `tensorboard --logdir runs`."""

import weakref
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ganforge.callbacks.best_checkpoint import ScoreCallback
from ganforge.callbacks.log import mean_output
from ganforge.engine import Engine, Row

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class TensorBoard(ScoreCallback):
    """Writes event files; the global step is the engine's step.

    `Loss/<player>/<term>`, `Says/real`, `Says/fake`, `Speed/images_per_second`, `Samples/fakes`, `Score/<metric>`.
    """

    writer: "SummaryWriter"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def start(self, engine: Engine) -> None:
        """Open the files; events that an earlier start wrote after the current step are marked as void."""
        from torch.utils.tensorboard import SummaryWriter  # slow to import, and only needed here

        if hasattr(self, "close"):  # a run that went back to a checkpoint starts twice
            self.close()
        # Everything from `purge_step` on is dropped; the row of the current step itself is still valid.
        self.writer = SummaryWriter(str(self.folder), purge_step=engine.step + 1 if engine.step else None)
        # The file is closed even when the run ends by an error.
        self.close = weakref.finalize(self, self.writer.close)
        self.seen = engine.clock().seen

    def log(self, engine: Engine, row: Row) -> None:
        """Write the row, each value under its tag."""
        step = int(row["step"])
        values = {f"Loss/{name}": value for name, value in row.items() if "/" in name and "/says_" not in name}
        outputs = {kind: mean_output(row, kind) for kind in ("real", "fake")}
        values |= {f"Says/{kind}": output for kind, output in outputs.items() if output is not None}
        values["Speed/images_per_second"] = (row["seen"] - self.seen) / max(row["seconds"], 1e-9)
        self.seen = row["seen"]
        for tag, value in values.items():
            self.writer.add_scalar(tag, value, step)
        self.writer.flush()

    def add_grid(self, step: int, image: np.ndarray) -> None:
        """Write a sample grid (H, W, C) of 0 ... 255."""
        self.writer.add_image("Samples/fakes", image, step, dataformats="HWC")

    def score(self, engine: Engine, metric: str, value: float) -> None:
        """Write a measurement of the metric by which checkpoints are compared."""
        self.writer.add_scalar(f"Score/{metric}", value, engine.step)

    def end(self, engine: Engine) -> None:
        """Close the files."""
        self.close()
