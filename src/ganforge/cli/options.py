"""Command-line options: (name, type, default) tuples become typed flags with help."""

import dataclasses
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

from ganforge.errors import OptionError
from ganforge.run import FLAGS, Run

if TYPE_CHECKING:
    from ganforge.capabilities import Question

IS_FIRST_PROCESS = os.environ.get("RANK", "0") == "0"  # among those started by torchrun

MODEL_WORD = "the model's name (`ganforge list`) or a file, ./mine.py"
NARROWEST = 40  # columns that help is written for, at least
TRUST_HELP = "Run the Python code of a run that was not trained on this machine: read it first."
DATA_HELP = "shapes, shapes-pairs, fashion-mnist ..., a folder, zip or tar of images, or hub:owner/name."


def say(sentence: str) -> None:
    """Print a message that is not an error; only the first of several processes does."""
    if IS_FIRST_PROCESS:
        print(sentence, flush=True)


def parse_options(program: str, description: str, words: Sequence[str], *options: tuple[str, Any, Any]) -> Any:
    """Parse `words` into a dataclass with one field for each (name, type, default)."""
    import tyro

    # In terminals of a few columns tyro's help would grow without end; rich and tyro ask COLUMNS first.
    if shutil.get_terminal_size().columns < NARROWEST:
        os.environ["COLUMNS"] = str(NARROWEST)
    fields = [(n, t, dataclasses.field(default=d)) for n, t, d in options]
    form = dataclasses.make_dataclass("Options", fields, frozen=True)
    args = ["--no-fast" if word == "--exact" else word for word in words]  # tyro knows one opposite of a switch
    with plain_terminal():
        return tyro.cli(form, prog=program, description=description, args=args)


@contextmanager
def plain_terminal() -> Iterator[None]:
    """Where NO_COLOR is set, tyro writes its help without colours: it knows TERM=dumb alone."""
    before = os.environ.get("TERM")
    if os.environ.get("NO_COLOR"):
        os.environ["TERM"] = "dumb"
    try:
        yield
    finally:
        if os.environ.get("NO_COLOR"):
            os.environ.pop("TERM")
            os.environ.update({} if before is None else {"TERM": before})


def choose_threads(device: str, tell: Callable[[str], None] = say) -> int:
    """The number of threads to use where other programs keep cores busy; 0 for the default."""
    from ganforge import system

    usual = system.cores()
    if usual == 1 or os.environ.get("OMP_NUM_THREADS") or system.pick_device(device).type != "cpu":
        return 0
    idle = system.idle_cores()
    fewer = max(1, round(idle))
    if fewer >= usual:
        return 0
    tell(
        f"Other programs keep {usual - idle:.1f} of {usual} cores busy, and threads that wait for a core delay the "
        f"others: training with --threads {fewer} (--threads {usual} uses all cores all the same)."
    )
    return fewer


def data_option(default: str) -> tuple[str, Any, Any]:
    """The option --data."""
    return "data", Annotated[str, alias("--dataroot", help=DATA_HELP)], default


def preset_option(presets: Iterable[str], help: str) -> tuple[str, Any, Any]:
    """The option --preset, with the names of a model's presets."""
    return "preset", Annotated[Literal[tuple(presets)], help_text(help)], "small"  # pyright: ignore


def json_option() -> tuple[str, Any, Any]:
    """The option --json."""
    return "json", Annotated[bool, help_text("Print the result as JSON; messages go to stderr.")], False


def print_json(value: Any) -> None:
    """Print a result, dataclasses included, as JSON; infinite and NaN numbers become strings."""
    import json

    from ganforge.evaluation.report import replace_non_finite
    from ganforge.serialize import to_plain

    say(json.dumps(replace_non_finite(to_plain(value)), ensure_ascii=False, indent=2, allow_nan=False))


def say_aside(sentence: str) -> None:
    """Print a message to stderr, where the result alone goes to stdout."""
    if IS_FIRST_PROCESS:
        print(sentence, file=sys.stderr, flush=True)


def data_home_option() -> tuple[str, Any, Any]:
    """The option --data-home."""
    return "data_home", Annotated[Path | None, help_text("Folder of named data sets; also GANFORGE_DATA.")], None


def trust_option() -> tuple[str, Any, Any]:
    """The option --trust."""
    return "trust", Annotated[bool, help_text(TRUST_HELP)], False


def help_text(text: str) -> Any:
    """The help of an option."""
    import tyro

    return tyro.conf.arg(help=text)


def alias(short: str, help: str) -> Any:
    """A second spelling of a flag, and the help of the option."""
    import tyro

    return tyro.conf.arg(aliases=[short], help=help)


def unprefixed(kind: type) -> Any:
    """The fields of a dataclass as flags without its name in front."""
    import tyro

    return tyro.conf.OmitArgPrefixes[kind]


def run_options(run: Run) -> tuple[str, Any, Any]:
    """The fields of Run as flags, with the names in FLAGS where those differ from the fields'; defaults from `run`."""
    import tyro

    hints = get_type_hints(Run)
    fields = [
        (name, Annotated[hints[name], tyro.conf.arg(name=flag)], getattr(run, name)) for name, flag in FLAGS.items()
    ]
    form = dataclasses.make_dataclass("Run", fields, bases=(Run,), frozen=True)
    return "run", unprefixed(form), form(**vars(run))


def take_words(words: list[str]) -> tuple[list[str], list[str]]:
    """(the words before the first option, the others)."""
    first = next((k for k, word in enumerate(words) if word.startswith("-")), len(words))
    return words[:first], words[first:]


def take_in_and_out(words: list[str], usage: str, what: str) -> tuple[list[str], list[str]]:
    """([IN, OUT], the other words); OptionError, which says to give `what`, without the two or a request for help."""
    places, rest = take_words(words)
    if len(places) < 2 and not {"-h", "--help"} & {*rest}:
        raise OptionError(f"Give {what}: {usage}")
    return places[:2], places[2:] + rest


def replace_old_flags(words: Sequence[str]) -> list[str]:
    """The words with the flags of FLAGS under their new names; prints a note for each old one."""
    new_flags = {}
    for old, new in FLAGS.items():
        flag = new.replace("_", "-")
        new_flags |= {f"--{old}": f"--{flag}", f"--no-{old}": f"--no-{flag}"}
    replaced = []
    for word in words:
        flag, equals, value = word.partition("=")
        if flag in new_flags:
            say(f"{flag} is now called {new_flags[flag]}; the old name goes in the next release.")
        replaced.append(new_flags.get(flag, flag) + equals + value)
    return replaced


def game_options(run: str, method: str, words: Sequence[str]) -> list[tuple[str, Any, Any]]:
    """The questions of a run's game about `method` (a label, a direction ...) as options of the command.

    `words` is the command line, where --trust may be.
    """
    from ganforge.capabilities import find_method, list_questions
    from ganforge.inference.load import config_of, model_of, parse_run_address
    from ganforge.runs.folder import RunFolder

    path, _ = parse_run_address(run)
    run_config = RunFolder.open(path).run_config
    model = model_of(run_config, is_trusted(words))
    asked = find_method(model.game, method, config_of(path, run_config, model))
    questions = list_questions(asked) if asked is not None else []
    return [(q.name, option_type(q), None if q.meaning else q.default) for q in questions]


def option_type(question: "Question") -> Any:
    """The type of a question's option: words where it has a meaning, whose tensors are made later."""
    if question.meaning == "text":
        import tyro

        aliases = ["--text-a"] if question.name == "text" else None  # the first of two, beside --text-b
        return Annotated[str | None, tyro.conf.arg(aliases=aliases, help="A sentence, or @FILE with one a line.")]
    return str | None if question.meaning else question.type


def is_trusted(words: Sequence[str]) -> bool:
    """Whether --trust is on, on a command line before it is parsed: the last of --trust and --no-trust counts."""
    given = [word for word in words if word in ("--trust", "--no-trust")]
    return given[-1:] == ["--trust"]


def take_first_word(words: list[str], usage: str, what: str) -> tuple[str, list[str]]:
    """Split off the word after the verb, which is `what`; without it, prints the usage and exits."""
    if not words or words[0] in ("-h", "--help"):
        print(
            f"usage: {usage} [options]\n\nThe first word is {what}.\nWith it, --help lists the options: {usage} --help"
        )
        sys.exit(0 if words else 2)
    if words[0].startswith("-"):
        raise OptionError(f"The first word after the verb is {what}: {usage} {' '.join(words)}")
    return words[0], words[1:]


def find_option(words: Sequence[str], flag: str) -> str | None:
    """The value of `flag` on the command line before it is parsed; None where it is not given."""
    for word, after in zip(words, [*words[1:], ""], strict=True):
        if word == flag:
            return after
        if word.startswith(f"{flag}="):
            return word.removeprefix(f"{flag}=")
    return None


def print_yaml(values: Any) -> None:
    """Print plain values as YAML."""
    import yaml

    class Folded(yaml.SafeDumper):
        """Long texts as blocks."""

    def text(dumper: Any, value: str) -> Any:
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)

    Folded.add_representer(str, text)
    print(yaml.dump(values, Dumper=Folded, sort_keys=False, allow_unicode=True, width=110), end="")
