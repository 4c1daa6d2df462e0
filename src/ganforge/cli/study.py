"""The verb study: people choose which of two images is fake."""

from pathlib import Path
from typing import Annotated, Any

from ganforge.cli.options import (
    alias,
    data_home_option,
    help_text,
    json_option,
    parse_options,
    print_json,
    say,
    take_first_word,
    trust_option,
)
from ganforge.errors import OptionError

USAGE = "ganforge study FAKES --against REALS -o STUDY"
WHAT = "a run, a folder, zip or .npz of fakes; or a study file, to serve it again; or results, to evaluate the answers"


def study(words: list[str]) -> None:
    """Run a human study: a web page of real and fake pairs, and the fooling rate."""
    name, rest = take_first_word(words, USAGE, WHAT)
    if name == "results":
        print_results(rest)
    elif is_study(name):
        options = parse_options(
            f"ganforge study {name}",
            "Serve a study again; participants continue where they were.",
            rest,
            *server_options(),
        )
        from ganforge.human_study.server import serve

        serve(name, host=options.host, port=options.port, say=say)
    else:
        create_study(name, rest)


def create_study(name: str, words: list[str]) -> None:
    """Create a study and serve it."""
    from ganforge.human_study import pictures, store

    paper = store.Settings()
    options = parse_options(
        f"ganforge study {name}",
        "Serve the perceptual study of pix2pix (section 4.1): which of two images, shown for a second, is fake?",
        words,
        (
            "against",
            Annotated[str, help_text("The real images: a folder, zip, .npz or a named set. Empty: the run's own.")],
            "",
        ),
        ("out", Annotated[str, alias("-o", help="The study: one SQLite file with all answers.")], ""),
        ("practice", Annotated[int, help_text("Practice trials for each participant, with feedback.")], paper.practice),
        ("trials", Annotated[int, help_text("Scored trials for each participant, without feedback.")], paper.trials),
        ("seconds", Annotated[float, help_text("Seconds that a pair is shown.")], paper.seconds),
        ("same_input", Annotated[bool, help_text("Show fake k beside real k, instead of any.")], paper.same_input),
        ("pictures", Annotated[int, help_text("The most images of each side.")], pictures.MOST),
        ("size", Annotated[tuple[int, ...], help_text("Side, or height and width, that folders are resized to.")], ()),
        ("seed", Annotated[int, help_text("Random seed of the choice of images.")], 0),
        ("held_out", Annotated[bool, help_text("Take real images from the test or validation split.")], False),
        trust_option(),
        data_home_option(),
        *server_options(),
    )
    if not options.out:
        raise OptionError(f"A study needs a file for the answers: {USAGE}.")
    arguments: dict[str, Any] = {**vars(options), "against": options.against or None}
    pictures.study(name, **arguments, say=say)


def print_results(words: list[str]) -> None:
    """Print the results of a study."""
    name, rest = take_first_word(words, "ganforge study results STUDY", "a study file")
    options = parse_options(
        f"ganforge study results {name}",
        "Print the fooling rate, the share of scored trials in which the fake was called real, with its interval.",
        rest,
        ("unfinished", Annotated[bool, help_text("Include participants who did not finish.")], False),
        ("seed", Annotated[int, help_text("Random seed of the bootstrap.")], 0),
        ("csv", Annotated[str, help_text("Write every answered trial to this file.")], ""),
        json_option(),
    )
    from ganforge.human_study.results import study_results, write_csv

    if options.csv:
        write_csv(name, options.csv)
    found = study_results(name, unfinished=options.unfinished, seed=options.seed)
    if options.json:
        print_json(found)
    else:
        say(str(found))


def server_options() -> list[tuple[str, Any, Any]]:
    """The options --host and --port."""
    from ganforge.human_study.server import PORT

    return [
        (
            "host",
            Annotated[str, help_text("0.0.0.0 shares it with the network, with a token in the link.")],
            "127.0.0.1",
        ),
        ("port", Annotated[int, help_text("0: any free port.")], PORT),
    ]


def is_study(name: str) -> bool:
    """Whether a path is a study file, which is an SQLite database."""
    path = Path(name)
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(16) == b"SQLite format 3\0"
