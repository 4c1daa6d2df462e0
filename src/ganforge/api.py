"""Everything that GANForge does, as functions: the command calls them, and so do Python users."""

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from ganforge import augmentation, catalogue, machine, parallel, parts
from ganforge.capabilities import capabilities
from ganforge.catalogue import Model, find
from ganforge.checkpoint import Checkpoints, reason
from ganforge.data.assemble import Found
from ganforge.data.deal import Deck, to_images
from ganforge.data.doctor import Examination
from ganforge.data.doctor import examine as examined
from ganforge.data.open import find_data
from ganforge.data.sheet import contact_sheet, pictures_alike
from ganforge.engine import Engine, Watcher, load_weights
from ganforge.errors import DataError, ModelError, NotFiniteError, OptionError, ProcessError, RunError
from ganforge.fitting import fits
from ganforge.folder import Card, RunFolder, facts_of, run_of, sha256
from ganforge.game import Game
from ganforge.images import Depth, grid, holds, lossless, replacing, stored, to_uint8, visible, write, write_gif
from ganforge.judging import criteria
from ganforge.planning import Plan, Say, built, length, opened_data, parameters, plan, reading_of, silent
from ganforge.settings import plain, rebuilt
from ganforge.trained import Trained
from ganforge.watch import doctor as clinic
from ganforge.watch import watchers
from ganforge.watch.doctor import Doctor


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
    machine.keep_memory()
    with parallel.joined(machine.pick_device(options.get("device", "auto"))) as own:
        say = say if parallel.rank() == 0 else silent
        with parallel.one_prepares():
            thought = plan(model, data, preset, load=load_part, say=say, **options)
        title = name or f"{Path(thought.model.name).stem}-{Path(thought.asked).stem or 'data'}"
        folder = RunFolder(
            Path(parallel.from_first(lambda: str(RunFolder.create(Path(outdir), title, thought.card()).path)))
        )
        if parallel.rank() == 0:
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
    machine.keep_memory()
    path, which = address(run)
    folder = RunFolder.open(path)
    with parallel.joined(machine.pick_device(device or run_of(folder.card).device)) as own:
        say = say if parallel.rank() == 0 else silent
        with parallel.one_prepares():
            thought = rethought(folder, steps, epochs, kimg, patience, data, data_home, device, threads)
        if parallel.rank() == 0 and thought.run != run_of(folder.card):
            folder.rewrite(thought.card())
        seen_by = watchers(folder.path, tensorboard and not quiet, not quiet, doctor, say)
        return carry_out(thought, folder, which, own, seen_by, say)


def rethought(
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
    config = rebuilt(model_of(card).game.Config, card.config)
    asked = str(data) if data is not None else card.data["asked"]
    wanted = replace(former, **{name: value for name, value in given.items() if value is not None})
    criteria.check(wanted, model_of(card).game)
    opened = opened_data(asked, wanted, data_home, model_of(card).game.Deal, reading_of(card))
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
    held_out = partial(opened_data, asked, wanted, data_home, game.Deal, reading_of(card), held_out=True)
    return Plan(model_of(card), card.preset, config, wanted, asked, reading_of(card), opened, game, loaded, held_out)


def carry_out(
    thought: Plan, folder: RunFolder, which: str | None, device: torch.device, seen_by: Sequence[Watcher], say: Say
) -> Trained:
    """Play a plan in its folder, from the checkpoint `which` on where there is one."""
    machine.use_threads(thought.run.threads)
    checkpoints, go_on = folder.checkpoints(thought.run.keep), f"Go on with: ganforge resume {folder.path}"
    folder.hold() if parallel.rank() == 0 else None
    try:
        deck = Deck(thought.data, thought.model.game.Deal, thought.run)
        seen_by = [*seen_by, *criteria.selection(thought, folder.path, device, seen_by, say)]
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
        if parallel.rank() == 0:
            doctor.went_back(step, error)
    return engine.train()


def load(run: str | Path, device: str = "auto") -> Trained:
    """The trained game of a run folder; `RUN@best` and `RUN@12000` name a checkpoint of it."""
    path, which = address(run)
    card = RunFolder.open(path).card
    model = model_of(card)
    config = rebuilt(model.game.Config, card.config)
    loaded = parts.kept(config, path, load_part)
    game = built(model, config, facts_of(card), 0, loaded)
    step, state = Checkpoints(path / "checkpoints").load(which)
    load_weights(game, state, averaged=game)
    chosen = machine.pick_device(device)
    return Trained(game.to(chosen).eval(), path, model.name, step, chosen)


def sample(
    run: str | Path,
    n: int = 64,
    seed: int = 0,
    out: str | Path = "",
    *,
    batch: int = 64,
    depth: Depth = "8",
    **answers: Any,
) -> Path:
    """Draw `n` pictures of a run into `out`: a grid (.png, .webp ...), an array (.npz) or a folder of single files.

    Without `out`: `samples/sample-seed0.png` in the run folder.  `depth` is that of the numbers written: 8 or 16
    bits, or the floats in [-1, 1] that the game made.  Single files are .png, or .npy for what PNG cannot hold:
    floats, more than four channels, and 16 bits in colour without the libraries of deep.py, which write TIFFs (.tif)
    of anything, too.  Returns what was written.

    Raises DataError for a grid in a format that cannot hold the depth.
    """
    trained = load(run)
    target = Path(out) if str(out) else trained.path / "samples" / f"sample-seed{seed}.png"
    batches = (stored(pictures, depth) for pictures in trained.samples(n, seed, batch=batch, **answers))
    if target.suffix == ".npz":
        save_arrays(target, images=np.concatenate([*batches]))
    elif target.suffix:
        sheet = grid(np.concatenate([*batches]))
        write(target, sheet if holds(target.suffix.lower(), sheet) else visible(sheet))
    else:
        for number, picture in enumerate(picture for pictures in batches for picture in pictures):
            write(target / f"{number:06d}{lossless(picture)}", picture)
    return target


def interpolate(
    run: str | Path,
    out: str | Path = "",
    *,
    rows: int = 8,
    steps: int = 10,
    seed: int = 0,
    path: Literal["spherical", "linear"] = "spherical",
    **answers: Any,
) -> tuple[Path, Path]:
    """A walk between latents, as a grid (one row a walk) and as an animation that returns to where it began.

    `out` names the grid; the animation lies beside it as .gif.  Returns both.
    """
    trained = load(run)
    target = Path(out) if str(out) else trained.path / "samples" / f"interpolation-seed{seed}.png"
    if not target.suffix or target.suffix == ".gif":
        target = target.with_suffix(".png")
    walk = trained.interpolate(rows, steps, seed, path=path, **answers)
    write(target, grid(visible(to_uint8(walk.flatten(0, 1))), columns=steps))
    around = trained.interpolate(rows, steps + 1, seed, path=path, closed=True, **answers)[:, :-1]
    frames = [enlarged(picture) for picture in visible(to_uint8(around.flatten(0, 1)))]
    write_gif(target.with_suffix(".gif"), frames, 0.08)
    return target, target.with_suffix(".gif")


def traverse(
    run: str | Path, out: str | Path = "", *, rows: int = 1, steps: int = 10, seed: int = 0, **answers: Any
) -> tuple[Path, tuple[str, ...]]:
    """What each code of a run's noise stands for, as a grid: from left to right one code varies, all else stays.

    Every code has `rows` rows, each about another latent of the seed.  Returns the grid and the names of the codes
    from the top down.
    """
    trained = load(run)
    target = Path(out) if str(out) else trained.path / "samples" / f"traversal-seed{seed}.png"
    if not target.suffix:
        target = target.with_suffix(".png")
    codes = trained.traverse(rows, steps, seed, **answers)
    columns = max(pictures.shape[1] for pictures in codes.values())
    sheets = []
    for pictures in codes.values():
        shown = to_uint8(pictures.flatten(0, 1))
        blank = np.full((columns - pictures.shape[1], *shown.shape[1:]), 255, shown.dtype)
        sheets += [np.concatenate([row, blank]) for row in np.split(shown, rows)]
    write(target, grid(np.concatenate(sheets), columns=columns))
    return target, (*codes,)


def examine(
    data: str | Path,
    *,
    sheet: str | Path = "",
    augment: Literal["none", "diffaug", "ada"] = "none",
    data_home: str | Path | None = None,
    held_out: bool = False,
) -> Examination:
    """What the doctor finds in a data set: layout, counts, sizes, classes, damage, and the models it suits.

    Every picture is decoded.  `sheet` names a file for a contact sheet; with `augment` it shows what that makes of
    some of the pictures.  `held_out` takes the test split.

    Raises DataError when there is no data set, and OptionError for a sheet inside it.
    """
    found = find_data(str(data), home=Path(data_home) if data_home is not None else None, held_out=held_out)
    target = Path(sheet).resolve()
    if str(sheet) and Path(found.where).is_dir() and target.is_relative_to(Path(found.where).resolve()):
        raise OptionError(f"The contact sheet {sheet} would become one of the images: write it outside {found.where}.")
    examination, seen = examined(found)
    examination = replace(examination, models=fits(examination, str(data)))
    if str(sheet) and seen.looks:
        rows = [*seen.looks]
        write(Path(sheet), contact_sheet(found, rows) if augment == "none" else augmented_sheet(found, rows, augment))
        examination = replace(examination, sheet=str(sheet))
    return examination


def list() -> dict[str, str]:  # the command's name; nothing here uses the builtin
    """{name: headline} of every model."""
    return {name: catalogue.headline(name) for name in catalogue.names()}


def show(what: str) -> dict[str, Any]:
    """The plain facts of a model (by name or file) or of a run (by folder), as plain values."""
    path, _ = address(what)
    if (path / "config.yaml").is_file():
        folder = RunFolder.open(path)
        card, steps = folder.card, folder.checkpoints().steps()
        model = model_of(card)
        trained = {"parameters": parameters(load(what, device="cpu").game)} if steps else {}
        return {**plain(card), "checkpoints": steps, **trained, "can": questions(model)}
    model = find(what)
    return {
        "model": what,
        "about": model.about,
        "data": {"needs": [*model.game.Deal.columns()]},
        "presets": {name: {"config": plain(p.config), "run": plain(p.run)} for name, p in model.presets.items()},
        "can": questions(model),
    }


def env() -> dict[str, str]:
    """What this machine has, and anything in the installation that does not fit together."""
    return machine.describe()


def advice(run: str | Path) -> Sequence[str]:
    """What the training doctor said in a run, one sentence or two each: the last word about each cause."""
    said = clinic.read(address(run)[0] / "doctor.jsonl")
    return [f"step {a.step}: {a}" for a in {a.cause: a for a in said}.values()]


def load_part(run: str) -> Trained:
    """A pretrained part, where its new game is built."""
    return load(run, device="cpu")


# -- the pieces -----------------------------------------------------------------------------------


def augmented_sheet(found: Found, rows: Sequence[int], kind: Literal["diffaug", "ada"]) -> np.ndarray:
    """A line of pictures, and under it what an augmentation makes of them: with ada more and more (p 0.2, 0.5, 0.8)."""
    pictures = pictures_alike(found, rows)
    return grid(to_uint8(augmentation.gallery(to_images(pictures), kind)), len(pictures))


def questions(model: Model) -> dict[str, dict[str, str]]:
    """{capability: {question: its default}} of a model."""
    return {verb: {q.name: str(q.default) for q in form} for verb, form in capabilities(model.game).items()}


def enlarged(picture: np.ndarray, least: int = 128) -> np.ndarray:
    """A small picture with every pixel repeated, so that a person sees it."""
    times = max(1, -(-least // min(picture.shape[:2])))
    return picture.repeat(times, 0).repeat(times, 1)


def save_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Write an .npz file.  Raises RunError where that is not possible."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            np.savez_compressed(file, **arrays)  # pyright: ignore[reportArgumentType]
    except OSError as error:
        raise RunError(f"{path} cannot be written ({reason(error)}).") from error


def model_of(card: Card) -> Model:
    """The model of a run; a person's own file must be where it was, as it was."""
    if card.source:
        path = Path(card.model)
        if not path.is_file():
            raise ModelError(f"The run was trained from {path}, which is not there any more: put the file back.")
        if sha256(path) != card.source:
            raise ModelError(f"{path} has changed since the run was trained: put the former version back.")
    return find(card.model)


def address(run: str | Path) -> tuple[Path, str]:
    """`RUN`, `RUN@best`, `RUN@12000` -> folder and checkpoint."""
    text = str(run)
    head, _, tail = text.rpartition("@")
    if head and (tail in ("best", "latest") or tail.isdigit()) and not Path(text).exists():
        return Path(head), tail
    return Path(text), "latest"


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
