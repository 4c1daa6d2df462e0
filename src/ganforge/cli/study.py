"""The verb study: people say which of two pictures is fake."""

from pathlib import Path
from typing import Annotated, Any

from ganforge.cli.options import alias, ask, first_word, home_question, note, say
from ganforge.errors import OptionError

USAGE = "ganforge study FAKES --against REALS -o STUDY"
WHAT = "a run, a folder, zip or .npz of fakes; or a study, to serve it again; or results, for what its answers say"


def study(words: list[str]) -> None:
    """Ask people: a web page of real and fake pairs, and the rate at which they are fooled."""
    name, rest = first_word(words, USAGE, WHAT)
    if name == "results":
        results(rest)
    elif is_study(name):
        asked = ask(f"ganforge study {name}", "Serve a study again; everybody goes on where they were.", rest, *where())
        from ganforge.human_study.server import serve

        serve(name, host=asked.host, port=asked.port, say=say)
    else:
        begin(name, rest)


def begin(name: str, words: list[str]) -> None:
    """Make a study of fakes, and serve it."""
    from ganforge.human_study import pictures, store

    paper = store.Settings()
    asked = ask(
        f"ganforge study {name}",
        "Serve the perceptual study of pix2pix (section 4.1): which of two pictures, seen for a second, is fake?",
        words,
        (
            "against",
            Annotated[str, note("The real pictures: a folder, zip, .npz or a named set. Empty: the run's own.")],
            "",
        ),
        ("out", Annotated[str, alias("-o", help="The study: one file, with every answer as it comes.")], ""),
        ("practice", Annotated[int, note("Practice trials a participant, with feedback.")], paper.practice),
        ("trials", Annotated[int, note("Scored trials a participant, without.")], paper.trials),
        ("seconds", Annotated[float, note("For how long a pair is seen.")], paper.seconds),
        ("same_input", Annotated[bool, note("Fake k beside real k, not beside any.")], paper.same_input),
        ("pictures", Annotated[int, note("The most pictures of each side that take part.")], pictures.MOST),
        ("size", Annotated[tuple[int, ...], note("Side, or height and width, to bring folders to.")], ()),
        ("seed", Annotated[int, note("Which pictures.")], 0),
        ("held_out", Annotated[bool, note("Reals from the test or validation split.")], False),
        home_question(),
        *where(),
    )
    if not asked.out:
        raise OptionError(f"A study needs a file for the answers: {USAGE}.")
    given: dict[str, Any] = {**vars(asked), "against": asked.against or None}
    pictures.study(name, **given, say=say)


def results(words: list[str]) -> None:
    """Print what the answers of a study say."""
    name, rest = first_word(words, "ganforge study results STUDY", "a study that ganforge study made")
    asked = ask(
        f"ganforge study results {name}",
        "Print the fooling rate, the share of scored trials in which the fake was called real, with its interval.",
        rest,
        ("unfinished", Annotated[bool, note("Count participants who did not finish, too.")], False),
        ("seed", Annotated[int, note("Of the bootstrap.")], 0),
        ("csv", Annotated[str, note("Write every answered trial to this file.")], ""),
        ("json", Annotated[bool, note("Print as JSON.")], False),
    )
    from ganforge.human_study.results import study_results as measured
    from ganforge.human_study.results import write_csv

    if asked.csv:
        write_csv(name, asked.csv)
    found = measured(name, unfinished=asked.unfinished, seed=asked.seed)
    if asked.json:
        import json

        from ganforge.serialize import to_plain

        say(json.dumps(to_plain(found), indent=2))
    else:
        say(str(found))


def where() -> list[tuple[str, Any, Any]]:
    """Where a study is served."""
    from ganforge.human_study.server import PORT

    return [
        ("host", Annotated[str, note("0.0.0.0 shares it with the network, with a token in the link.")], "127.0.0.1"),
        ("port", Annotated[int, note("0 takes a free one.")], PORT),
    ]


def is_study(name: str) -> bool:
    """Whether a name is that of a study's file: they are SQLite."""
    path = Path(name)
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(16) == b"SQLite format 3\0"
