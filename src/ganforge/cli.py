"""The command line: a verb, then what its dataclass or the game's own signature asks for.

Help is generated from the same dataclasses and signatures that Python users see.  Heavy imports wait
until a verb needs them: `ganforge --help` answers at once.
"""

import dataclasses
import difflib
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from ganforge import __version__
from ganforge.errors import GANForgeError, OptionError, ProcessError
from ganforge.run import Run

FIRST = os.environ.get("RANK", "0") == "0"  # of the processes that torchrun started

OVERVIEW = """\
GANForge {version}: every GAN of the literature, on your own images, from one command.

usage: ganforge VERB ...          ganforge VERB --help explains a verb

{verbs}

first steps
  ganforge train dcgan                            on shapes that the program draws itself
  ganforge train dcgan --data path/to/photos      on your own folder or zip of images
  ganforge sample runs/00000-dcgan-shapes -n 64   new pictures from what it learned
"""


def run(argv: Sequence[str]) -> int:
    """Carry out a command line; returns the exit code: 0 done, 1 a problem, 2 a wrong command line."""
    words = list(argv)
    if not words or words[0] in ("-h", "--help", "help"):
        lines = (f"  {name:<12} {about(verb)}" for name, verb in VERBS.items())
        print(OVERVIEW.format(version=__version__, verbs="\n".join(lines)), end="")
        return 0
    if words[0] in ("--version", "-V", "version"):
        print(f"ganforge {__version__}")
        return 0
    if words[0] not in VERBS:
        near = difflib.get_close_matches(words[0], VERBS, 1, 0.5)
        hint = f"Did you mean {near[0]}?" if near else f"There are {', '.join(VERBS)}."
        return complain(f"There is no verb {words[0]!r}. {hint}", 2)
    try:
        VERBS[words[0]](words[1:])
    except GANForgeError as error:
        if not FIRST and not isinstance(error, ProcessError):
            time.sleep(2)  # where all fail alike, the first speaks for them: torchrun ends the others meanwhile
        return complain(str(error), 1)
    except KeyboardInterrupt:
        return complain("Stopped.", 130)
    except BrokenPipeError:  # `ganforge list | head`
        sys.stdout = None
        return 0
    return 0


def complain(sentence: str, code: int) -> int:
    """Say what is wrong where errors belong."""
    print(f"ganforge: {sentence}", file=sys.stderr)
    return code


def say(sentence: str) -> None:
    """Tell a person something that is not an error; of several processes only the first does."""
    if FIRST:
        print(sentence, flush=True)


# -- the verbs --------------------------------------------------------------------------------------


def train(words: list[str]) -> None:
    """Train a model on your images or on the embedded ones."""
    name, rest = first_word(words, "ganforge train MODEL", "the model's name (`ganforge list`) or a file, ./mine.py")
    from ganforge import api
    from ganforge.plan import describe
    from ganforge.settings import plain

    model = api.find(name)
    preset = model.preset(told(rest, "--preset") or "small")
    asked = ask(
        f"ganforge train {name}",
        model.about,
        rest,
        ("data", Annotated[str, alias("--dataroot", help=DATA_HELP)], "shapes"),
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
        ("data_home", Annotated[Path | None, note("Where named data sets lie; also GANFORGE_DATA.")], None),
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
    given = {k: v for k, v in plain(asked.run).items() if v != plain(preset.run)[k]}
    if told(rest, "--steps") is not None:
        given["steps"] = asked.run.steps
    options = {"config": asked.config, "epochs": asked.epochs, "kimg": asked.kimg, "data_home": asked.data_home}
    if asked.dry_run:
        thought = api.plan(name, asked.data, asked.preset, load=api.load_part, say=say, **options, **given)
        print_plain(describe(thought))
        return
    trained = api.train(
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
        ("data", Annotated[str | None, alias("--dataroot", help="Data that is meant to differ from before.")], None),
        ("data_home", Annotated[Path | None, note("Where named data sets lie; also GANFORGE_DATA.")], None),
        ("device", Annotated[str, note("Another device than before.")], ""),
        ("tensorboard", Annotated[bool, note("Write events for TensorBoard.")], True),
        ("doctor", Annotated[bool, note("Say what looks unhealthy, and go back once from a broken loss.")], True),
    )
    from ganforge import api

    farewell(api.resume(name, say=say, **vars(asked)))


def sample(words: list[str]) -> None:
    """Draw new pictures from a run."""
    name, rest = first_word(words, "ganforge sample RUN", "a run folder, or RUN@best, RUN@12000")
    from ganforge import api

    asked = ask(
        f"ganforge sample {name}",
        "Draw pictures: picture k of a seed is always the same.",
        rest,
        ("n", Annotated[int, alias("-n", help="How many.")], 64),
        ("seed", Annotated[int, note("Which pictures.")], 0),
        ("out", Annotated[str, alias("-o", help="grid.png, images.npz, or a folder for single files.")], ""),
        ("depth", Annotated[Literal["8", "16", "float"], note("Bits of what is written; floats are in [-1, 1].")], "8"),
        ("batch", Annotated[int, note("How many at a time; changes nothing but memory.")], 64),
        *own_questions(name, "sample"),
    )
    say(f"Wrote {api.sample(name, **vars(asked))}")


def interpolate(words: list[str]) -> None:
    """Walk between latents: a grid and an animation."""
    name, rest = first_word(words, "ganforge interpolate RUN", "a run folder, or RUN@best, RUN@12000")
    from ganforge import api

    asked = ask(
        f"ganforge interpolate {name}",
        "Walk from one latent to the next: a grid with one walk a row, and an animation.",
        rest,
        ("out", Annotated[str, alias("-o", help="The grid, walk.png; the animation is walk.gif.")], ""),
        ("rows", Annotated[int, note("Walks.")], 8),
        ("steps", Annotated[int, note("Pictures a walk, its ends included.")], 10),
        ("seed", Annotated[int, note("Which latents.")], 0),
        ("path", Annotated[Literal["spherical", "linear"], note("Along the arc, or straight.")], "spherical"),
        *own_questions(name, "generate"),
    )
    say("Wrote {} and {}".format(*api.interpolate(name, **vars(asked))))


def traverse(words: list[str]) -> None:
    """Vary one code after another: what each stands for."""
    name, rest = first_word(words, "ganforge traverse RUN", "a run folder, or RUN@best, RUN@12000")
    from ganforge import api

    asked = ask(
        f"ganforge traverse {name}",
        "Vary one code of the noise after another: a grid whose rows show what each stands for.",
        rest,
        ("out", Annotated[str, alias("-o", help="The grid, codes.png.")], ""),
        ("rows", Annotated[int, note("Rows a code, each about another latent.")], 1),
        ("steps", Annotated[int, note("Values of a continuous code; a category takes each of its own.")], 10),
        ("seed", Annotated[int, note("Which latents.")], 0),
        *own_questions(name, "traverse"),
    )
    target, codes = api.traverse(name, **vars(asked))
    say(f"Wrote {target}; from the top down: {', '.join(codes)}")


def data(words: list[str]) -> None:
    """Examine a data set: what it is, what is wrong, which models can learn from it."""
    name, rest = first_word(words, "ganforge data PATH", "a folder, a zip, tars, an array, or a named set")
    asked = ask(
        f"ganforge data {name}",
        "Decode every picture and say what the data is, what to mend, and which models can train on it.",
        rest,
        (
            "out",
            Annotated[str | None, alias("-o", help="The contact sheet. Empty: NAME-contact-sheet.png, here.")],
            None,
        ),
        ("sheet", Annotated[bool, note("Draw a contact sheet.")], True),
        ("json", Annotated[bool, note("Print everything as JSON; a sheet only with -o.")], False),
        ("held_out", Annotated[bool, note("Examine the test or validation split.")], False),
        ("data_home", Annotated[Path | None, note("Where named data sets lie; also GANFORGE_DATA.")], None),
    )
    from ganforge import api
    from ganforge.report import report, sheet_name

    sheet = asked.out or ("" if asked.json or not asked.sheet else sheet_name(name))
    examination = api.examine(name, sheet=sheet, data_home=asked.data_home, held_out=asked.held_out)
    if asked.json:
        import json

        from ganforge.settings import plain

        say(json.dumps(plain(examination), ensure_ascii=False, indent=2))
    else:
        say(report(examination))


def list_models(words: list[str]) -> None:
    """List the models."""
    ask("ganforge list", "List the models, one line each.", words)
    from ganforge.catalogue import headline, names

    for name in names():
        say(f"{name:<12} {headline(name).removeprefix(f'{name}: ')}")


def show(words: list[str]) -> None:
    """Print the settings of a model, or what a run is."""
    name, rest = first_word(words, "ganforge show MODEL|RUN", "a model's name, a file, or a run folder")
    ask(f"ganforge show {name}", "Print the plain facts of a model or a run.", rest)
    from ganforge import api

    print_plain(api.show(name))


def env(words: list[str]) -> None:
    """Print versions, devices, and anything installed that does not fit."""
    ask("ganforge env", "Print versions, devices, and anything installed that does not fit.", words)
    from ganforge import api

    facts = api.env()
    for key, value in facts.items():
        say(f"{key:<{max(map(len, facts))}}  {value}")


VERBS: dict[str, Callable[[list[str]], None]] = {
    "train": train,
    "resume": resume,
    "sample": sample,
    "interpolate": interpolate,
    "traverse": traverse,
    "data": data,
    "list": list_models,
    "show": show,
    "env": env,
}
DATA_HELP = "shapes, fashion-mnist ..., a folder, zip or tar of images, or hub:owner/name."


# -- asking -----------------------------------------------------------------------------------------


def ask(program: str, description: str, words: Sequence[str], *questions: tuple[str, Any, Any]) -> Any:
    """Parse `words` into a dataclass made of (name, type, default) questions."""
    import tyro

    fields = [(n, t, dataclasses.field(default=d)) for n, t, d in questions]
    form = dataclasses.make_dataclass("Options", fields, frozen=True)
    return tyro.cli(form, prog=program, description=description, args=list(words))


def note(text: str) -> Any:
    """A question's line in the help."""
    import tyro

    return tyro.conf.arg(help=text)


def alias(short: str, help: str) -> Any:
    """Another spelling of a flag, and its line in the help."""
    import tyro

    return tyro.conf.arg(aliases=[short], help=help)


def bare(kind: type) -> Any:
    """The fields of a dataclass as flags of their own, without its name in front."""
    import tyro

    return tyro.conf.OmitArgPrefixes[kind]


def own_questions(run: str, method: str) -> list[tuple[str, Any, Any]]:
    """What the game of a run asks before it can draw, as questions of the command."""
    from ganforge import api
    from ganforge.capabilities import form
    from ganforge.folder import RunFolder

    path, _ = api.address(run)
    game = api.model_of(RunFolder.open(path).card).game
    questions = form(getattr(game, method)) if hasattr(game, method) else []
    return [(q.name, str | None if q.meaning else q.type, None if q.meaning else q.default) for q in questions]


def first_word(words: list[str], usage: str, what: str) -> tuple[str, list[str]]:
    """The word that a verb begins with, and the rest."""
    if not words or words[0] in ("-h", "--help"):
        print(
            f"usage: {usage} [options]\n\nThe first word is {what}.\nWith it, --help lists the options: {usage} --help"
        )
        sys.exit(0 if words else 2)
    if words[0].startswith("-"):
        raise OptionError(f"The first word after the verb is {what}: {usage} {' '.join(words)}")
    return words[0], words[1:]


def told(words: Sequence[str], flag: str) -> str | None:
    """What `flag` was given on the command line, before it is parsed; None if it was not."""
    for word, after in zip(words, [*words[1:], ""], strict=True):
        if word == flag:
            return after
        if word.startswith(f"{flag}="):
            return word.removeprefix(f"{flag}=")
    return None


def about(verb: Callable[..., Any]) -> str:
    """The first line of a verb's docstring."""
    return (verb.__doc__ or "").splitlines()[0].rstrip(".")


def print_plain(values: Any) -> None:
    """Plain values as YAML."""
    import yaml

    class Folded(yaml.SafeDumper):
        """Long texts as blocks."""

    def text(dumper: Any, value: str) -> Any:
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)

    Folded.add_representer(str, text)
    print(yaml.dump(values, Dumper=Folded, sort_keys=False, allow_unicode=True, width=110), end="")


def farewell(trained: Any) -> None:
    """Where everything is, what the doctor said, and what to try next."""
    from ganforge import api

    path = trained.path
    say(f"\nThe run is in {path} (step {trained.step}).")
    for name in ("samples/training.gif", "losses.png"):
        if (path / name).exists():
            say(f"  {path / name}")
    grids = sorted((path / "samples").glob("step-*.png"))
    if grids:
        say(f"  {grids[-1]}")
    for said in api.advice(path):
        say(f"  training doctor, {said}")
    say(f"Try next:\n  ganforge sample {path} -n 64 -o grid.png\n  ganforge interpolate {path} -o walk.png")
    say(f"  ganforge resume {path} --steps {2 * max(1, trained.step)}")
