"""TensorBoard: the figures and the sample grids of a run, for `tensorboard --logdir runs`."""

import weakref
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ganforge.callbacks.best_checkpoint import ScoreCallback
from ganforge.callbacks.log import says
from ganforge.engine import Engine, Row

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class Board(ScoreCallback):
    """Writes event files; the global step is the round.

    `Loss/<player>/<term>`, `Says/real`, `Says/fake`, `Speed/images_per_second`, `Samples/fakes`, `Score/<measure>`.
    """

    writer: "SummaryWriter"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def start(self, engine: Engine) -> None:
        """Open the files; what a former start wrote after the present round is marked as void."""
        from torch.utils.tensorboard import SummaryWriter  # slow to import, and only needed here

        if hasattr(self, "close"):  # a run that went back to a checkpoint starts twice
            self.close()
        # Everything from `purge_step` on is dropped; the row of the present round itself is still good.
        self.writer = SummaryWriter(str(self.folder), purge_step=engine.step + 1 if engine.step else None)
        # Also when the run ends by an error, the file is closed.
        self.close = weakref.finalize(self, self.writer.close)
        self.seen = engine.clock().seen

    def log(self, engine: Engine, row: Row) -> None:
        """The row, each figure under its tag."""
        step = int(row["step"])
        figures = {f"Loss/{name}": value for name, value in row.items() if "/" in name and "/says_" not in name}
        figures |= {f"Says/{about}": said for about in ("real", "fake") if (said := says(row, about)) is not None}
        figures["Speed/images_per_second"] = (row["seen"] - self.seen) / max(row["seconds"], 1e-9)
        self.seen = row["seen"]
        for tag, value in figures.items():
            self.writer.add_scalar(tag, value, step)
        self.writer.flush()

    def picture(self, step: int, picture: np.ndarray) -> None:
        """A sample grid (H, W, C) of 0 ... 255."""
        self.writer.add_image("Samples/fakes", picture, step, dataformats="HWC")

    def score(self, engine: Engine, measure: str, value: float) -> None:
        """A figure by which checkpoints are compared."""
        self.writer.add_scalar(f"Score/{measure}", value, engine.step)

    def end(self, engine: Engine) -> None:
        """Close the files."""
        self.close()
