"""The verbs that train: train, resume."""

import inspect
from pathlib import Path
from typing import Annotated, Any, Literal

from ganforge.cli.options import (
    DATA_HELP,
    alias,
    ask,
    bare,
    beside_others,
    first_word,
    home_question,
    note,
    print_plain,
    say,
    told,
)
from ganforge.data.read_options import ReadOptions
from ganforge.run import Run


def train(words: list[str]) -> None:
    """Train a model on your images or on the embedded ones."""
    name, rest = first_word(words, "ganforge train MODEL", "the model's name (`ganforge list`) or a file, ./mine.py")
    from ganforge.catalogue import find
    from ganforge.data.synthetic.domains import embedded
    from ganforge.inference.load import load_part
    from ganforge.serialize import to_plain
    from ganforge.training import train as training
    from ganforge.training.plan import describe, plan

    model = find(name)
    preset = model.preset(told(rest, "--preset") or "small")
    asked = ask(
        f"ganforge train {name}",
        model.about,
        rest,
        ("data", Annotated[str, alias("--dataroot", help=DATA_HELP)], embedded(model.game.batch_type.columns())),
        ("reading", bare(ReadOptions), ReadOptions()),
        (
            "preset",
            Annotated[Literal[tuple(model.presets)], note("Named settings; what you give beside it wins.")],
            "small",
        ),  # pyright: ignore
        ("run", bare(Run), preset.run),
        ("config", model.game.Config, preset.config),
        ("epochs", Annotated[float | None, note("Length in passes through the data, instead of --steps.")], None),
        ("kimg", Annotated[float | None, note("Length in thousands of images, instead of --steps.")], None),
        ("outdir", Annotated[Path, note("Where run folders are made.")], Path("runs")),
        ("name", Annotated[str, note("Name of the run folder, after its number.")], ""),
        home_question(),
        ("tensorboard", Annotated[bool, note("Write events for TensorBoard.")], True),
        ("doctor", Annotated[bool, note("Say what looks unhealthy, and go back once from a broken loss.")], True),
        (
            "dry_run",
            Annotated[bool, note("Check the data, print all settings and one traced round; train nothing.")],
            False,
        ),
    )
    if told(rest, "--preset") is None:
        say(f"Preset small of {name} (others: {', '.join(p for p in model.presets if p != 'small') or 'none'}).")
    given = {k: v for k, v in to_plain(asked.run).items() if v != to_plain(preset.run)[k]}
    if told(rest, "--steps") is not None:
        given["steps"] = asked.run.steps
    if not asked.run.threads and (beside := beside_others(asked.run.device)):
        given["threads"] = beside
    options = {"config": asked.config, "epochs": asked.epochs, "kimg": asked.kimg, "data_home": asked.data_home}
    options |= to_plain(asked.reading)
    if asked.dry_run:
        thought = plan(name, asked.data, asked.preset, load=load_part, say=say, **options, **given)
        print_plain(describe(thought))
        return
    trained = training.train(
        name, asked.data, asked.preset, outdir=asked.outdir, name=asked.name, tensorboard=asked.tensorboard,
        doctor=asked.doctor, say=say, **options, **given,
    )  # fmt: skip
    farewell(trained)


def resume(words: list[str]) -> None:
    """Go on with a run as though it had never stopped."""
    name, rest = first_word(words, "ganforge resume RUN", "a run folder, for instance runs/00000-dcgan-shapes")
    asked = ask(
        f"ganforge resume {name}",
        "Go on with a run from its newest checkpoint; the result is the same as without the stop.",
        rest,
        ("steps", Annotated[int | None, note("A new length of the whole run, in rounds.")], None),
        ("epochs", Annotated[float | None, note("The same in passes through the data.")], None),
        ("kimg", Annotated[float | None, note("The same in thousands of images.")], None),
        ("patience", Annotated[int | None, note("Another patience with --select's measure; 0: without end.")], None),
        ("data", Annotated[str | None, alias("--dataroot", help="Data that is meant to differ from before.")], None),
        home_question(),
        ("device", Annotated[str, note("Another device than before.")], ""),
        ("threads", Annotated[int, note("Another number of CPU threads than before.")], 0),
        ("tensorboard", Annotated[bool, note("Write events for TensorBoard.")], True),
        ("doctor", Annotated[bool, note("Say what looks unhealthy, and go back once from a broken loss.")], True),
    )
    from ganforge.training import train as training

    farewell(training.resume(name, say=say, **vars(asked)))


def farewell(trained: Any) -> None:
    """Where everything is, what the doctor said, and what to try next."""
    from ganforge.callbacks.training_doctor import advice

    path = trained.path
    say(f"\nThe run is in {path} (step {trained.step}).")
    for name in ("samples/training.gif", "losses.png"):
        if (path / name).exists():
            say(f"  {path / name}")
    grids = sorted((path / "samples").glob("step-*.png"))
    if grids:
        say(f"  {grids[-1]}")
    for said in advice(path):
        say(f"  training doctor, {said}")
    if hasattr(trained.game, "sample"):
        say(f"Try next:\n  ganforge sample {path} -n 64 -o grid.png\n  ganforge interpolate {path} -o walk.png")
    elif hasattr(trained.game, "translate"):
        say(f"Try next:\n  ganforge translate {path} path/to/pictures path/to/results{answers(trained)}")
    say(f"  ganforge resume {path} --steps {2 * max(1, trained.step)}")


def answers(trained: Any) -> str:
    """What must be said to translate, as it is typed: ` --to circle`, or ` --masks path/to/masks`."""
    from ganforge.capabilities import form, labels_of

    ask = trained.game.translate
    names = labels_of(trained.game)
    said = {q.name: names[0] if q.meaning == "label" and names else q.name.upper() for q in form(ask) if q.required}
    if "masks" in inspect.signature(ask).parameters:
        said["masks"] = "path/to/masks"
    return "".join(f" --{name} {value}" for name, value in said.items())
