"""Observers that the engine is handed: they look, and change nothing."""

from collections.abc import Callable
from pathlib import Path

from ganforge.callbacks.log import Log
from ganforge.callbacks.loss_curves import Curves
from ganforge.callbacks.progress_bar import Progress
from ganforge.callbacks.samples import Samples
from ganforge.callbacks.tensorboard import Board
from ganforge.callbacks.training_doctor import Doctor
from ganforge.engine import Callback


def watchers(
    folder: Path,
    tensorboard: bool = True,
    bar: bool = True,
    doctor: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> list[Callback]:
    """Who looks on while a run plays in `folder`.

    The log, the samples and the curves belong to every run; TensorBoard's files (in `tensorboard/`), the
    training doctor (who speaks by `say`) and the progress bar can be switched off.
    """
    board = [Board(folder / "tensorboard")] if tensorboard else []
    doctors = [Doctor(folder / "doctor.jsonl", say)] if doctor else []
    shows, looks = [watcher.picture for watcher in board], [watcher.pictures for watcher in doctors]
    samples = Samples(folder / "samples", shows, looks)
    log = folder / "log.jsonl"
    # The bar starts last and ends last: it times the rounds only, and stays while the others finish.
    curves = Curves(log, folder / "losses.png")
    return [Log(log), *board, *doctors, samples, curves, *([Progress()] if bar else [])]
