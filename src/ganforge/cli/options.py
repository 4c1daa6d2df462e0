"""Asking on the command line: questions with types and defaults become flags, checked and explained."""

import dataclasses
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from ganforge.errors import OptionError

FIRST = os.environ.get("RANK", "0") == "0"  # of the processes that torchrun started

DATA_HELP = "shapes, shapes-pairs, fashion-mnist ..., a folder, zip or tar of images, or hub:owner/name."


def say(sentence: str) -> None:
    """Tell a person something that is not an error; of several processes only the first does."""
    if FIRST:
        print(sentence, flush=True)


def ask(program: str, description: str, words: Sequence[str], *questions: tuple[str, Any, Any]) -> Any:
    """Parse `words` into a dataclass made of (name, type, default) questions."""
    import tyro

    fields = [(n, t, dataclasses.field(default=d)) for n, t, d in questions]
    form = dataclasses.make_dataclass("Options", fields, frozen=True)
    plain = ["--no-fast" if word == "--exact" else word for word in words]  # a switch has one opposite, named no-
    return tyro.cli(form, prog=program, description=description, args=plain)


def beside_others(device: str) -> int:
    """The threads to compute with where other programs keep cores busy; 0 where they do not, or it does not matter."""
    from ganforge import system

    usual = system.cores()
    if usual == 1 or os.environ.get("OMP_NUM_THREADS") or system.pick_device(device).type != "cpu":
        return 0
    idle = system.idle_cores()
    fewer = max(1, round(idle))
    if fewer >= usual:
        return 0
    say(
        f"Other programs keep {usual - idle:.1f} of {usual} cores busy, and threads that wait for "
        f"a core hold up the others: training with --threads {fewer} (--threads {usual} insists)."
    )
    return fewer


def home_question() -> tuple[str, Any, Any]:
    """Where named data sets lie."""
    return "data_home", Annotated[Path | None, note("Where named data sets lie; also GANFORGE_DATA.")], None


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
    from ganforge.capabilities import form
    from ganforge.inference.load import address, model_of
    from ganforge.runs.folder import RunFolder

    path, _ = address(run)
    game = model_of(RunFolder.open(path).card).game
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


def print_plain(values: Any) -> None:
    """Plain values as YAML."""
    import yaml

    class Folded(yaml.SafeDumper):
        """Long texts as blocks."""

    def text(dumper: Any, value: str) -> Any:
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)

    Folded.add_representer(str, text)
    print(yaml.dump(values, Dumper=Folded, sort_keys=False, allow_unicode=True, width=110), end="")
