"""Train a model and resume a run."""

import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ganforge import distributed, system
from ganforge.callbacks import default_callbacks
from ganforge.console import Say, outlive_terminal, silent
from ganforge.data.loader import BatchLoader
from ganforge.data.tokens import examples_of, tokeniser_of
from ganforge.engine import Callback, Engine
from ganforge.errors import DataError, ModelError, OptionError, ProcessError
from ganforge.evaluation import selection
from ganforge.game import missing_parts, only_class
from ganforge.inference import parts
from ganforge.inference.load import RunLike, build_game, config_of, load_part, model_of, name_folder, parse_run_address
from ganforge.inference.trained import Trained
from ganforge.runs.folder import RunFolder, facts_of, read_options_of, run_of
from ganforge.runs.run_data import load_run_tokeniser, locate, ranges_of, run_data_arguments
from ganforge.runs.trust import record
from ganforge.serialize import check_config
from ganforge.text.tokeniser import FILE
from ganforge.training import chain
from ganforge.training import plan as planning
from ganforge.training.interruptions import save_on_error, stop_on_signals, train_with_recovery
from ganforge.training.plan import Plan, open_training_data, resolve_steps
from ganforge.training.suitable_data import check_data_facts


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
    trust: bool = False,
    say: Say = silent,
    **options: Any,
) -> Trained:
    """Train a model: `ganforge.train("dcgan", data="fashion-mnist", steps=5000)`.

    `options` are those of `plan`: the fields of `Run` (`size=64`), and those of the model's Config (`lr=1e-4`), which
    may also be given together, `config={"latent": 64}`.  The run folder is made in `outdir`; `say` is called
    with each message, and `quiet` hides the progress bar. `trust` runs
    the code of pretrained parts that were not trained here.

    Returns the trained game, ready to sample.  Ctrl-C and SIGTERM stop after the current step, with a checkpoint; the
    end of the terminal (SIGHUP, a closed pipe) stops nothing.  Processes started by torchrun train together; the first
    one writes the run folder and prints.

    Raises a GANForgeError with one sentence for whatever does not fit, OutOfMemoryError among them.
    """
    system.keep_memory()
    with (
        outlive_terminal(),
        system.explain_memory(),
        distributed.join_processes(system.pick_device(options.get("device", "auto"))) as process_device,
    ):
        door = Door(tensorboard, doctor, quiet, trust, say if distributed.rank() == 0 else silent)
        entry, settings = planning.resolve_settings(model, preset, options)
        if missing_parts(settings):
            options = planning.keep_given(options, settings)
            options |= {"only": only} if (only := only_class(settings)) and "only" not in options else {}
            if str(data):
                raise ModelError(chain.describe_chain(entry, str(data), preset, settings, options, outdir, name))
            options = {**options, "config": settings}
            with distributed.main_process_first():  # what does not fit is said before a part is trained
                planning.plan(model, data, preset, load=partial(load_part, trust=trust), stand_ins=True, **options)
            begin = partial(chain.begin_chain, Path(outdir), name or Path(entry.name).stem, entry, preset, options)
            folder = RunFolder(Path(distributed.broadcast_text(lambda: str(begin().path))))
            record(entry) if entry.files and distributed.rank() == 0 else None
            return finish_chain(folder, process_device, door)
        return train_new(
            model, data, preset, options, lambda plan: create(plan, Path(outdir), name), process_device, door
        )


class Door(NamedTuple):
    """How a run speaks to the person who started it, and whom it trusts."""

    tensorboard: bool
    doctor: bool
    quiet: bool
    trust: bool
    say: Say


def create(plan: Plan, outdir: Path, name: str) -> RunFolder:
    """A new folder for a run; its config.yaml is not written yet."""
    return RunFolder.reserve(outdir, name or f"{Path(plan.model.name).stem}-{Path(plan.data_spec).stem or 'data'}")


def train_new(
    model: str,
    data: str | Path,
    preset: str,
    options: Mapping[str, Any],
    make_folder: Callable[[Plan], RunFolder],
    device: torch.device,
    door: Door,
) -> Trained:
    """Plan a run whose parts are there, fill its folder, and train it."""
    with distributed.main_process_first():
        plan = planning.plan(model, data, preset, load=partial(load_part, trust=door.trust), say=door.say, **options)
    folder = RunFolder(Path(distributed.broadcast_text(lambda: str(make_folder(plan).path))))
    if distributed.rank() == 0:
        parts.copy_parts(folder, plan.parts, plan.part_records)
        if tokeniser := tokeniser_of(plan.data):
            tokeniser.save(folder.path / FILE, examples_of(plan.data))
        record(plan.model) if plan.model.files else None  # before there is a config.yaml, so that it can be resumed
        folder.begin(plan.run_config())
    door.say(f"Run folder: {folder.path}")
    callbacks = default_callbacks(
        folder.path, door.tensorboard and not door.quiet, not door.quiet, door.doctor, door.say
    )
    return run_training(plan, folder, None, device, callbacks, door.say)


def finish_chain(folder: RunFolder, device: torch.device, door: Door) -> Trained:
    """Train the parts that a chain lacks, and then its last run, from wherever it was cut."""
    asked = chain.read_chain(folder.path, door.trust)
    entry, settings = planning.resolve_settings(asked.model, asked.preset, asked.options)
    common: dict[str, Any] = door._asdict()
    stages = chain.list_stages(entry, asked.preset, settings)
    if distributed.rank() == 0:
        folder.lock()
    try:
        doers = partial(train, **common), partial(resume, **common)
        made, stopped = chain.train_stages(folder, stages, entry.game.embedded, asked.options, *doers, door.say)
    finally:
        folder.unlock()
    if stopped:
        return stopped
    config = {**asked.options["config"], **{name: made[name] for name in missing_parts(settings)}}
    options = {**asked.options, "config": config}
    return train_new(asked.model, "", asked.preset, options, lambda plan: folder, device, door)


def resume(
    run: RunLike,
    *,
    steps: int | None = None,
    epochs: float | None = None,
    kimg: float | None = None,
    patience: int | None = None,
    data: str | Path | None = None,
    data_home: str | Path | None = None,
    device: str = "",
    threads: int = 0,
    shorten: bool = False,
    tensorboard: bool = True,
    doctor: bool = True,
    quiet: bool = False,
    trust: bool = False,
    say: Say = silent,
) -> Trained:
    """Continue a run exactly as if it had not stopped; `steps`, `epochs` or `kimg` set another total length.

    `shorten` accepts a length below the planned one.  A run that stopped early because its metric no longer improved
    continues with more `patience`.  The number of processes, and of `threads`, may differ from before.  `trust` runs
    the code of a model that was not trained here.

    Returns the trained game.  Raises DataError when the data has changed, unless `data` is given, and OptionError for
    a length below what is done, or below the planned one without `shorten`.  A run that is not resumed is not changed.
    """
    system.keep_memory()
    path, checkpoint = parse_run_address(run)
    if chain.is_chain(path):
        given = [steps, epochs, kimg, patience, data, data_home, device or None, threads or None, shorten or None]
        return resume_chain(
            path, any(value is not None for value in given), Door(tensorboard, doctor, quiet, trust, say)
        )
    folder = RunFolder.open(path)
    stored = run_of(folder.run_config)
    with (
        outlive_terminal(),
        system.explain_memory(),
        distributed.join_processes(system.pick_device(device or stored.device)) as process_device,
    ):
        say = say if distributed.rank() == 0 else silent
        try:
            with distributed.main_process_first():
                folder.lock() if distributed.rank() == 0 else None
                plan = plan_resume(
                    folder, steps, epochs, kimg, patience, data, data_home, device, threads, shorten, trust, say
                )
            callbacks = default_callbacks(folder.path, tensorboard and not quiet, not quiet, doctor, say)
            changed = data is not None or plan.run != stored
            return run_training(plan, folder, checkpoint, process_device, callbacks, say, changed)
        finally:
            folder.unlock()


def resume_chain(path: Path, changed: bool, door: Door) -> Trained:
    """Go on in a chain of runs.  Raises OptionError where options of its last run are given."""
    if changed:
        raise OptionError(
            f"The parts of {path} are not all trained, so that the run itself has not begun: `ganforge resume {path}` "
            "goes on as it was asked for, without further options."
        )
    device = chain.read_chain(path, door.trust).options.get("device", "auto")
    with (
        outlive_terminal(),
        system.explain_memory(),
        distributed.join_processes(system.pick_device(device)) as process_device,
    ):
        door = door._replace(say=door.say if distributed.rank() == 0 else silent)
        return finish_chain(RunFolder(path), process_device, door)


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
    shorten: bool = False,
    trust: bool = False,
    say: Say = silent,
) -> Plan:
    """The plan of a run that continues: its stored settings, changed where an argument is given."""
    # Resolve the settings.
    stored = folder.run_config
    model, read_options = model_of(stored, trust), read_options_of(stored)
    given = {"steps": steps, "patience": patience, "device": device or None, "threads": threads or None}
    config = config_of(folder.path, stored, model)
    data_spec = str(data) if data is not None else stored.data["asked"]
    options = replace(run_of(stored), **{name: value for name, value in given.items() if value is not None})
    batch_type = model.game.choose_batches(config)
    check_config(config)
    selection.check_options(options, model.game, config)
    # Open the data.
    where: dict[str, Any] = {"spec": data_spec, "ranges": ranges_of(stored)}
    where |= run_data_arguments(stored) if data is None else {}
    where["tokeniser"], _ = load_run_tokeniser(folder.path, facts_of(stored))
    try:
        opened = open_training_data(data_spec, options, data_home, batch_type, read_options, **where)
    except DataError as error:
        if data is not None:
            raise
        raise DataError(f"{str(error).rstrip('.')}. If the run's data are elsewhere now, give --data PATH.") from error
    if data is None and opened.fingerprint != stored.data["fingerprint"]:
        raise DataError(
            f"The data {where['spec']} has changed since the run began ({stored.data['images']} images then, "
            f"{len(opened)} now, or other content): restore it, or give --data {where['spec']} to accept the change."
        )
    options = replace(options, steps=resolve_steps(options, steps is not None, epochs, kimg, len(opened)))
    done = (folder.checkpoints().steps() or [0])[-1]
    planned = run_of(stored).steps if done or "imported" not in stored.data else 0  # nobody planned what was imported
    check_length(options.steps, planned, done, shorten)
    check_data_facts(facts_of(stored), opened.facts, data_spec, stored.data, say)
    # Build the game.
    loaded = parts.load_kept(config, folder.path, partial(load_part, trust=trust), stored.parts, model.name)
    with name_folder(folder.path, model):
        game = build_game(model, config, opened.facts, options.seed, loaded)
    held_out = partial(open_training_data, data_spec, options, data_home, batch_type, read_options, True, **where)
    location = {"path": stored.data["path"]} if data is None and "path" in stored.data else locate(data_spec)
    return Plan(
        model, stored.preset, config, options, data_spec, read_options, opened, game, loaded, held_out,
        ranges_of(stored), location, stored.init_from, stored.parts,
    )  # fmt: skip


def check_length(steps: int, planned: int, done: int, shorten: bool) -> None:
    """Raise OptionError for a new length below what is done; without `shorten`, also for one below the planned."""
    if steps < done:
        raise OptionError(f"{steps} steps are fewer than the {done} already done: give more, or start a new run.")
    if steps < planned and not shorten:
        raise OptionError(
            f"The run is planned for {planned} steps, of which {done} are done, and {steps} would end it earlier: "
            "leave --steps, --epochs and --kimg out to finish it as planned, or say --shorten to make it shorter."
        )


def run_training(
    plan: Plan,
    folder: RunFolder,
    checkpoint: str | None,
    device: torch.device,
    callbacks: Sequence[Callback],
    say: Say,
    changed: bool = False,
) -> Trained:
    """Train a plan in its run folder, from `checkpoint` on if that is given and exists.

    Where settings or data have `changed`, config.yaml is rewritten as the last thing before the first step: what is
    refused until then leaves the folder as it was.
    """
    system.use_threads(plan.run.threads)
    checkpoints = folder.checkpoints(plan.run.keep)
    resume_hint = f"Continue with: ganforge resume {folder.path}"
    main = distributed.rank() == 0
    folder.lock() if main else None
    try:
        loader = BatchLoader(plan.data, plan.game.batch_type, plan.run)
        callbacks = [
            *callbacks,
            *selection.build_selection(plan.run, plan.data, plan.held_out, folder.path, device, callbacks, say),
        ]
        engine = Engine(plan.game, plan.run, loader, checkpoints, callbacks, device)
        if checkpoint is not None and checkpoints.steps():
            step, state = checkpoints.load(checkpoint)
            engine.restore(state)
            say(f"Continuing from step {step} of {plan.run.steps}.")
        if main:
            folder.remove_drafts()
            folder.rewrite(plan.run_config()) if changed else None
            record(plan.model) if plan.model.files else None
        with outlive_terminal(), stop_on_signals(engine, resume_hint, say) as signals, save_on_error(engine):
            game = train_with_recovery(engine, checkpoints)
    except ProcessError as error:
        saved = checkpoints.steps()
        hint = (
            f"Continue from step {saved[-1]} with: ganforge resume {folder.path}"
            if saved
            else "There is no checkpoint."
        )
        raise ProcessError(f"{error} {hint}") from error
    finally:
        folder.unlock()
    if engine.step < plan.run.steps:
        say(f"Stopped at step {engine.step} of {plan.run.steps}. {engine.stopping or resume_hint}")
    stopped_elsewhere = main and engine.step < plan.run.steps and not engine.stopping  # by a signal to another process
    unknown = signal.SIGTERM if stopped_elsewhere else 0
    stopped_by = int(next(iter(signals), unknown)) if engine.step < plan.run.steps else 0
    ranges, tokeniser, captions = plan.ranges or {}, tokeniser_of(plan.data), examples_of(plan.data)
    return Trained(
        game, folder.path, plan.model.name, engine.step, device, ranges, stopped_by, tokeniser, captions,
        plan.run.native,
    )  # fmt: skip
