"""The verbs that evaluate: evaluate, compare."""

import dataclasses
import sys
from typing import Annotated, Any

from ganforge.cli.options import (
    alias,
    data_home_option,
    help_text,
    json_option,
    parse_options,
    print_json,
    say,
    say_aside,
    take_first_word,
    take_words,
    unprefixed,
)

WHAT = "a run folder, RUN@best, RUN@12000, or images: a folder, a zip, an .npz or .npy file"
TRUNCATIONS_HELP = "Also a table and a plot of precision and recall at each: 0.3 0.5 0.7 1."


def evaluate(words: list[str]) -> None:
    """Evaluate a run, or a set of images, against data."""
    name, rest = take_first_word(words, "ganforge evaluate RUN", WHAT)
    from ganforge.evaluation import evaluate as evaluating

    options = parse_options(
        f"ganforge evaluate {name}",
        "Compare images with data by several metrics, each with its 95 % interval.",
        normalise_count_flag(rest),
        against_option(),
        evaluation_options(),
        ("out", Annotated[str, alias("-o", help="The report file. Empty: report.json in the run folder.")], ""),
        (
            "pictures",
            Annotated[bool, help_text("Also write grids: of the seed, by realism, with nearest real images.")],
            False,
        ),
        ("truncations", Annotated[tuple[float, ...], help_text(TRUNCATIONS_HELP)], ()),
        data_home_option(),
        json_option(),
    )
    report = evaluating.evaluate(
        name, options.against, out=options.out, pictures=options.pictures, truncations=options.truncations,
        data_home=options.data_home,
        say=say_aside if options.json else say, **vars(options.evaluation),
    )  # fmt: skip
    if options.json:
        print_json(report)


def compare(words: list[str]) -> None:
    """Compare runs or sets of images: a leaderboard and one page."""
    names, rest = take_words(words)
    if not names:
        print("usage: ganforge compare RUN RUN ... [options]\n\n" + f"Each is {WHAT}.")
        sys.exit(0 if words else 2)
    from ganforge.evaluation import compare as comparing

    options = parse_options(
        f"ganforge compare {' '.join(names)}",
        "Evaluate several against the same data: a leaderboard, and one HTML page with all results.",
        normalise_count_flag(rest),
        against_option(),
        evaluation_options(),
        ("out", Annotated[str, alias("-o", help="The HTML page.")], "comparison.html"),
        data_home_option(),
        json_option(),
    )
    reports = comparing.compare(
        names, against=options.against, out=options.out, data_home=options.data_home,
        say=say_aside if options.json else say, **vars(options.evaluation),
    )  # fmt: skip
    if options.json:
        print_json(reports)


def normalise_count_flag(words: list[str]) -> list[str]:
    """Accept -n for --n, as in the other verbs; torchrun would take --n for an option of its own."""
    return ["--n" if word == "-n" else word for word in words]


def evaluation_options() -> tuple[str, Any, Any]:
    """The fields of EvalOptions as flags; the help of --metrics lists all names."""
    from ganforge.evaluation.inputs import EvalOptions
    from ganforge.metrics.catalogue import names

    text = f"{' '.join(names())}. Empty: the usual ones for images of this kind."
    field = ("metrics", Annotated[tuple[str, ...], help_text(text)], ())
    form = dataclasses.make_dataclass("EvalOptions", [field], bases=(EvalOptions,), frozen=True)
    return "evaluation", unprefixed(form), form()


def against_option() -> tuple[str, Any, Any]:
    """The option --against."""
    return (
        "against",
        Annotated[str | None, help_text("The data to compare with. Empty: the run's training data.")],
        None,
    )
