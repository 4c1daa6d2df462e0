"""Train a model and resume a run."""

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ganforge import distributed, system
from ganforge.callbacks import watchers
from ganforge.callbacks.training_doctor import Doctor
from ganforge.console import Say, silent
from ganforge.data.loader import BatchLoader
from ganforge.engine import Callback, Engine
from ganforge.errors import DataError, NotFiniteError, OptionError, ProcessError
from ganforge.evaluation import selection
from ganforge.game import Game
from ganforge.inference import parts
from ganforge.inference.load import address, built, load_part, model_of
from ganforge.inference.trained import Trained
from ganforge.runs.checkpoint import Checkpoints
from ganforge.runs.folder import RunFolder, facts_of, reading_of, run_of
from ganforge.serialize import from_plain
from ganforge.training.plan import Plan, length, opened_data, plan


def train(
    model: str,
    data: str | Path = "",
    preset: str = "small",
    *,
    outdir: str | Path = "runs",
    name: str = "",
    tensorboard: bool = True,
    doctor: bool = True,
    quiet: bool = False,
    say: Say = silent,
    **options: Any,
) -> Trained:
    """Train a model: `ganforge.train("dcgan", data="fashion-mnist", steps=5000)`.

    `options` are those of `plan` and the fields of `Run`; `config={"latent": 64}` sets the paper's own.
    Returns the trained game, ready to sample.  Ctrl-C and SIGTERM stop after the round, with a checkpoint.
    Several processes that torchrun started train together; the first one writes and speaks.
    """
    system.keep_memory()
    with distributed.joined(system.pick_device(options.get("device", "auto"))) as own:
        say = say if distributed.rank() == 0 else silent
        with distributed.one_prepares():
            thought = plan(model, data, preset, load=load_part, say=say, **options)
        title = name or f"{Path(thought.model.name).stem}-{Path(thought.asked).stem or 'data'}"
        folder = RunFolder(
            Path(distributed.from_first(lambda: str(RunFolder.create(Path(outdir), title, thought.card()).path)))
        )
        if distributed.rank() == 0:
            parts.keep(folder, thought.parts)
        seen_by = watchers(folder.path, tensorboard and not quiet, not quiet, doctor, say)
        return carry_out(thought, folder, None, own, seen_by, say)


def resume(
    run: str | Path,
    *,
    steps: int | None = None,
    epochs: float | None = None,
    kimg: float | None = None,
    patience: int | None = None,
    data: str | Path | None = None,
    data_home: str | Path | None = None,
    device: str = "",
    threads: int = 0,
    tensorboard: bool = True,
    doctor: bool = True,
    quiet: bool = False,
    say: Say = silent,
) -> Trained:
    """Go on with a run as though it had never stopped; with `steps`, `epochs` or `kimg` to another length.

    A run that stopped because its measure no longer improved goes on with more `patience`.
    The number of processes, and of `threads`, may be another than before.
    Raises DataError when the data is not what it was, unless `data` says that this is meant.
    """
    system.keep_memory()
    path, which = address(run)
    folder = RunFolder.open(path)
    with distributed.joined(system.pick_device(device or run_of(folder.card).device)) as own:
        say = say if distributed.rank() == 0 else silent
        with distributed.one_prepares():
            thought = plan_resume(folder, steps, epochs, kimg, patience, data, data_home, device, threads)
        if distributed.rank() == 0 and thought.run != run_of(folder.card):
            folder.rewrite(thought.card())
        seen_by = watchers(folder.path, tensorboard and not quiet, not quiet, doctor, say)
        return carry_out(thought, folder, which, own, seen_by, say)


def plan_resume(
    folder: RunFolder,
    steps: int | None,
    epochs: float | None,
    kimg: float | None,
    patience: int | None,
    data: str | Path | None,
    data_home: str | Path | None,
    device: str,
    threads: int,
) -> Plan:
    """The plan of a run that goes on."""
    card, former = folder.card, run_of(folder.card)
    given = {"steps": steps, "patience": patience, "device": device or None, "threads": threads or None}
    config = from_plain(model_of(card).game.Config, card.config)
    asked = str(data) if data is not None else card.data["asked"]
    wanted = replace(former, **{name: value for name, value in given.items() if value is not None})
    selection.check(wanted, model_of(card).game)
    opened = opened_data(asked, wanted, data_home, model_of(card).game.batch_type, reading_of(card))
    if data is None and opened.fingerprint != card.data["fingerprint"]:
        raise DataError(
            f"The data {asked} is not what it was when the run began ({card.data['images']} images then, {len(opened)} "
            f"now, or other content): put it back, or say --data {asked} if the change is meant."
        )
    wanted = replace(wanted, steps=length(wanted, steps is not None, epochs, kimg, len(opened)))
    done = (folder.checkpoints().steps() or [0])[-1]
    if wanted.steps < done:
        raise OptionError(f"{wanted.steps} steps are fewer than the {done} already done: ask for more, or train anew.")
    if facts_of(card) != opened.facts:
        raise DataError(f"The run was made for {facts_of(card)}, but {asked} gives {opened.facts}.")
    loaded = parts.kept(config, folder.path, load_part)
    game = built(model_of(card), config, opened.facts, wanted.seed, loaded)
    held_out = partial(opened_data, asked, wanted, data_home, game.batch_type, reading_of(card), held_out=True)
    return Plan(model_of(card), card.preset, config, wanted, asked, reading_of(card), opened, game, loaded, held_out)


def carry_out(
    thought: Plan, folder: RunFolder, which: str | None, device: torch.device, seen_by: Sequence[Callback], say: Say
) -> Trained:
    """Play a plan in its folder, from the checkpoint `which` on where there is one."""
    system.use_threads(thought.run.threads)
    checkpoints, go_on = folder.checkpoints(thought.run.keep), f"Go on with: ganforge resume {folder.path}"
    folder.hold() if distributed.rank() == 0 else None
    try:
        deck = BatchLoader(thought.data, thought.model.game.batch_type, thought.run)
        seen_by = [
            *seen_by,
            *selection.selection(thought.run, thought.data, thought.held_out, folder.path, device, seen_by, say),
        ]
        engine = Engine(thought.game, thought.run, deck, checkpoints, seen_by, device)
        if which is not None and checkpoints.steps():
            step, state = checkpoints.load(which)
            engine.restore(state)
            say(f"Going on from step {step} of {thought.run.steps}.")
        with stopping_politely(engine, go_on, say):
            game = played(engine, checkpoints)
    except ProcessError as error:
        whole = checkpoints.steps()
        mend = f"Go on from step {whole[-1]} with: ganforge resume {folder.path}" if whole else "It left no checkpoint."
        raise ProcessError(f"{error} {mend}") from error
    finally:
        folder.release()
    if engine.step < thought.run.steps:
        say(f"Stopped at step {engine.step} of {thought.run.steps}. {engine.stopping or go_on}")
    return Trained(game, folder.path, thought.model.name, engine.step, device)


def played(engine: Engine, checkpoints: Checkpoints) -> Game[Any, Any]:
    """The trained game.  Where a loss is not finite, the training doctor goes back to the last checkpoint, once.

    Played again as they were, the same rounds would end the same way.  So the batches dealt since then are
    skipped: the run goes on with the next ones, and everything else stays as the paper has it.
    """
    doctor = next((watcher for watcher in engine.watchers if isinstance(watcher, Doctor)), None)
    try:
        return engine.train()
    except NotFiniteError as error:
        if doctor is None or not checkpoints.steps():
            raise
        dealt, (step, state) = engine.dealt, checkpoints.load()
        engine.restore(state)
        engine.dealt = dealt
        if distributed.rank() == 0:
            doctor.went_back(step, error)
    return engine.train()


@contextmanager
def stopping_politely(engine: Engine, go_on: str, say: Say) -> Iterator[None]:
    """Turn Ctrl-C and SIGTERM into a stop after the round, that says `go_on`; a second Ctrl-C stops at once."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread hears signals
        yield
        return

    def stop(number: int, frame: Any) -> None:
        if engine.stopping and number == signal.SIGINT:
            raise KeyboardInterrupt
        engine.stopping = go_on
        say("Stopping after this round, with a checkpoint.")

    former = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
