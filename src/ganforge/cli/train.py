"""The verbs that train: train, resume."""

import inspect
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from ganforge.cli.options import (
    MODEL_WORD,
    alias,
    choose_threads,
    data_home_option,
    data_option,
    find_option,
    help_text,
    parse_options,
    preset_option,
    print_yaml,
    replace_old_flags,
    run_options,
    say,
    take_first_word,
    trust_option,
    unprefixed,
)
from ganforge.data.read_options import ReadOptions

INIT_HELP = "Start from the networks of RUN, RUN@best or a file of weights that fit; optimisers start anew."
LINK_HELP = "Keep paths and hashes of the runs that this one is built on, instead of copies of their weights."
DOCTOR_HELP = "Report symptoms of failing training; go back once from a loss that is not finite."


def train(words: list[str]) -> int:
    """Train a model on your images or on the embedded ones."""
    name, rest = take_first_word(words, "ganforge train MODEL", MODEL_WORD)
    rest = replace_old_flags(rest)
    from ganforge.catalogue import find
    from ganforge.data.synthetic.choose import choose_embedded
    from ganforge.inference.load import load_part
    from ganforge.serialize import to_plain
    from ganforge.training import train as training
    from ganforge.training.plan import describe, plan

    model = find(name)
    preset = model.preset(find_option(rest, "--preset") or "small")
    options = parse_options(
        f"ganforge train {name}",
        model.about,
        rest,
        data_option(choose_embedded(model.game)),
        ("reading", unprefixed(ReadOptions), ReadOptions()),
        preset_option(model.presets, "Named settings; other options override them."),
        run_options(preset.run),
        ("config", model.game.Config, preset.config),
        ("epochs", Annotated[float | None, help_text("Length in passes through the data, instead of --steps.")], None),
        ("kimg", Annotated[float | None, help_text("Length in thousands of images, instead of --steps.")], None),
        ("outdir", Annotated[Path, help_text("Folder in which the run folder is made.")], Path("runs")),
        ("name", Annotated[str, help_text("Name of the run folder, after its number.")], ""),
        data_home_option(),
        ("init_from", Annotated[str, help_text(INIT_HELP)], ""),
        ("link_parts", Annotated[bool, help_text(LINK_HELP)], False),
        ("tensorboard", Annotated[bool, help_text("Write events for TensorBoard.")], True),
        ("doctor", Annotated[bool, help_text(DOCTOR_HELP)], True),
        trust_option(),
        (
            "dry_run",
            Annotated[bool, help_text("Check the data, print all settings and one traced step; do not train.")],
            False,
        ),
    )
    if find_option(rest, "--preset") is None:
        say(f"Preset small of {name} (others: {', '.join(p for p in model.presets if p != 'small') or 'none'}).")
    changed = {k: v for k, v in to_plain(options.run).items() if v != to_plain(preset.run)[k]}
    for given in ("steps", "size", "augment"):
        if find_option(rest, f"--{given}") is not None:
            changed[given] = getattr(options.run, given)
    if not options.run.threads and (fewer := choose_threads(options.run.device)):
        changed["threads"] = fewer
    more = {"config": options.config, "epochs": options.epochs, "kimg": options.kimg, "data_home": options.data_home}
    more |= {"init_from": options.init_from, "link_parts": options.link_parts, **to_plain(options.reading)}
    given = any(find_option(rest, flag) is not None for flag in ("--data", "--dataroot"))
    data = options.data if given else ""
    if options.dry_run:
        load = partial(load_part, trust=options.trust)
        planned = plan(name, data, options.preset, load=load, say=say, stand_ins=True, **more, **changed)
        print_yaml(describe(planned))
        return 0
    trained = training.train(
        name, data, options.preset, outdir=options.outdir, name=options.name, tensorboard=options.tensorboard,
        doctor=options.doctor, trust=options.trust, say=say, **more, **changed,
    )  # fmt: skip
    return print_summary(trained)


def resume(words: list[str]) -> int:
    """Continue a run exactly as if it had not stopped."""
    name, rest = take_first_word(words, "ganforge resume RUN", "a run folder, for instance runs/00000-dcgan-shapes")
    options = parse_options(
        f"ganforge resume {name}",
        "Continue a run from its newest checkpoint; the result is the same as without the stop.",
        rest,
        ("steps", Annotated[int | None, help_text("A new total length, in steps.")], None),
        ("epochs", Annotated[float | None, help_text("A new total length, in passes through the data.")], None),
        ("kimg", Annotated[float | None, help_text("A new total length, in thousands of images.")], None),
        ("patience", Annotated[int | None, help_text("Another patience for --select; 0: never stop early.")], None),
        ("data", Annotated[str | None, alias("--dataroot", help="Accept other data than before.")], None),
        data_home_option(),
        ("device", Annotated[str, help_text("Device. Empty: the same as before.")], ""),
        ("threads", Annotated[int, help_text("CPU threads. 0: the same as before.")], 0),
        ("shorten", Annotated[bool, help_text("Accept a total length below the planned one.")], False),
        ("tensorboard", Annotated[bool, help_text("Write events for TensorBoard.")], True),
        ("doctor", Annotated[bool, help_text(DOCTOR_HELP)], True),
        trust_option(),
    )
    from ganforge.training import train as training

    return print_summary(training.resume(name, say=say, **vars(options)))


def print_summary(trained: Any) -> int:
    """Print the run's files, the training doctor's advice, and the next commands; returns the exit code.

    After a signal the command that resumes the run has been printed, and nothing is added.
    """
    from ganforge.callbacks.training_doctor import summarise_advice
    from ganforge.runs.folder import RunFolder, run_of

    path = trained.path
    if trained.stopped_by:
        return 128 + trained.stopped_by
    say(f"\nThe run is in {path} (step {trained.step}).")
    for name in ("samples/training.gif", "losses.png"):
        if (path / name).exists():
            say(f"  {path / name}")
    grids = sorted((path / "samples").glob("step-*.png"))
    if grids:
        say(f"  {grids[-1]}")
    for advice in summarise_advice(path):
        say(f"  training doctor, {advice}")
    commands = list_commands(trained)
    if trained.step >= run_of(RunFolder.open(path).run_config).steps:  # else its metric no longer improved
        commands.append(f"ganforge resume {path} --steps {2 * max(1, trained.step)}")
    say("\n  ".join(["Try next:", *commands]))
    return 0


def list_commands(trained: Any) -> list[str]:
    """What to do with a run next, as it is typed."""
    from ganforge.capabilities import offers
    from ganforge.inference.input_columns import input_columns

    path, game = trained.path, trained.game
    if offers(game, "score"):
        return [f"ganforge score {path} path/to/images path/to/results"]
    if offers(game, "sample"):
        text = f' --text "{trained.captions[0]}"' if trained.captions else ""
        return [f"ganforge sample {path} -n 64{text} -o grid.png", f"ganforge interpolate {path} -o walk.png"]
    if not offers(game, "translate"):
        return [f"ganforge evaluate {path}"]
    given = f"{name_input(trained)} path/to/results{format_required_options(trained)}"
    commands = [f"ganforge translate {path} {given}"]
    if "boxes" in input_columns(game):
        layout = name_input(trained).removeprefix("'layout:").rstrip("'")
        commands.append(f"ganforge rearrange {path} --layout '{layout}' --move {trained.facts.objects[1]} 0.3,0.2")
    return commands


def name_input(trained: Any) -> str:
    """What `translate` takes, as it is typed: path/to/images, path/to/maps, or a layout of the run's first object."""
    from ganforge.inference.input_columns import input_columns

    kind = next(iter(input_columns(trained.game)), "images")
    layout = f"'layout:{trained.facts.objects[1]} 0.1 0.2 0.5 0.6'" if kind == "boxes" else ""
    return {"label_map": "path/to/maps", "boxes": layout}.get(kind, "path/to/images")


def format_required_options(trained: Any) -> str:
    """The options that `translate` requires, as they are typed: ` --to circle`, or ` --masks path/to/masks`."""
    from ganforge.capabilities import labels_of, list_questions

    method = trained.game.translate
    names = labels_of(trained.game)
    required = [q for q in list_questions(method) if q.required]
    values = {q.name: names[0] if q.meaning == "label" and names else q.name.upper() for q in required}
    if "masks" in inspect.signature(method).parameters:
        values["masks"] = "path/to/masks"
    return "".join(f" --{name} {value}" for name, value in values.items())
