"""Callbacks for the engine: they observe training and must not change its state."""

from collections.abc import Callable
from pathlib import Path

from ganforge.callbacks.log import Log
from ganforge.callbacks.loss_curves import LossCurves
from ganforge.callbacks.progress_bar import Progress
from ganforge.callbacks.samples import SampleGrids
from ganforge.callbacks.tensorboard import TensorBoard
from ganforge.callbacks.training_doctor import TrainingDoctor
from ganforge.engine import Callback


def default_callbacks(
    folder: Path,
    tensorboard: bool = True,
    bar: bool = True,
    doctor: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> list[Callback]:
    """The callbacks of a run in `folder`.

    Every run has the log, the samples and the loss curves; TensorBoard's files (in `tensorboard/`), the training
    doctor (which reports by `say`) and the progress bar can be switched off.
    """
    boards = [TensorBoard(folder / "tensorboard")] if tensorboard else []
    doctors = [TrainingDoctor(folder / "doctor.jsonl", say)] if doctor else []
    samples = SampleGrids(
        folder / "samples",
        grid_listeners=[board.add_grid for board in boards],
        image_listeners=[doctor.check_images for doctor in doctors],
    )
    log = folder / "log.jsonl"
    curves = LossCurves(log, folder / "losses.png")
    # The bar starts last and ends last: it times the steps only, and stays visible while the others finish.
    return [Log(log), *boards, *doctors, samples, curves, *([Progress()] if bar else [])]
