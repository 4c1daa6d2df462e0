"""What ends a training early: signals, files that cannot be written, losses that are not finite."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from ganforge import distributed
from ganforge.callbacks.training_doctor import TrainingDoctor
from ganforge.console import Say
from ganforge.engine import Engine
from ganforge.errors import CheckpointError, GANForgeError, NotFiniteError, RunError
from ganforge.game import Game
from ganforge.runs.checkpoint import Checkpoints


@contextmanager
def save_on_error(engine: Engine) -> Iterator[None]:
    """Write a checkpoint where the block ends because a file of the run cannot be written, then pass the error on."""
    try:
        yield
    except RunError as error:
        alone = distributed.world_size() == 1
        if alone and engine.step > max(0, engine.saved_at) and not isinstance(error, CheckpointError):
            with suppress(GANForgeError):
                engine.save()
        raise


def train_with_recovery(engine: Engine, checkpoints: Checkpoints) -> Game[Any, Any]:
    """The trained game.  When a loss is not finite, training restarts once from the last checkpoint.

    Only a run with a training doctor does so.  Repeating the same steps on the same batches would fail again, so the
    batches drawn since the checkpoint are skipped; nothing else changes.
    """
    doctor = next((callback for callback in engine.callbacks if isinstance(callback, TrainingDoctor)), None)
    try:
        return engine.train()
    except NotFiniteError as error:
        if doctor is None or not checkpoints.steps():
            raise
        batches_drawn, (step, state) = engine.batches_drawn, checkpoints.load()
        engine.restore(state)
        engine.batches_drawn = batches_drawn
        if distributed.rank() == 0:
            doctor.report_rollback(step, error)
    return engine.train()


@contextmanager
def stop_on_signals(engine: Engine, resume_hint: str, say: Say) -> Iterator[list[int]]:
    """Make Ctrl-C and SIGTERM stop after the current step, with the message `resume_hint`; a second Ctrl-C at once.

    Yields a list to which the numbers of these signals are added.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():  # only the main thread receives signals
        yield received
        return

    def stop(number: int, frame: Any) -> None:
        if engine.stopping and number == signal.SIGINT:
            raise KeyboardInterrupt
        received.append(number)
        engine.stopping = resume_hint
        say("Stopping after this step, with a checkpoint.")

    previous = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
