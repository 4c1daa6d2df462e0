"""The verbs that judge: evaluate, compare."""

import sys
from typing import Annotated, Any

from ganforge.cli.options import alias, ask, bare, first_word, home_question, note, say

WHAT = "a run folder, RUN@best, RUN@12000, or pictures: a folder, a zip, an .npz or .npy file"


def evaluate(words: list[str]) -> None:
    """Judge a run or pictures against data."""
    name, rest = first_word(words, "ganforge evaluate RUN", WHAT)
    from ganforge.evaluation.evaluate import evaluate as judged
    from ganforge.evaluation.inputs import EvalOptions

    asked = ask(
        f"ganforge evaluate {name}",
        "Judge pictures against data by several measures, each with the interval that holds it 95 times in 100.",
        counted(rest),
        against_question(),
        ("terms", bare(EvalOptions), EvalOptions()),
        ("out", Annotated[str, alias("-o", help="The report. Empty: report.json in the run folder.")], ""),
        ("pictures", Annotated[bool, note("Also grids: the seed's, by realism, beside the nearest real ones.")], False),
        home_question(),
    )
    judged(
        name, asked.against, out=asked.out, pictures=asked.pictures, data_home=asked.data_home, say=say,
        **vars(asked.terms),
    )  # fmt: skip


def compare(words: list[str]) -> None:
    """Compare runs or pictures: a leaderboard and one page."""
    names = before_options(words)
    if not names:
        print("usage: ganforge compare RUN RUN ... [options]\n\n" + f"Each is {WHAT}.")
        sys.exit(0 if words else 2)
    from ganforge.evaluation.compare import compare as compared
    from ganforge.evaluation.inputs import EvalOptions

    asked = ask(
        f"ganforge compare {' '.join(names)}",
        "Judge several against the same data: a leaderboard, and one page that holds everything.",
        counted(words[len(names) :]),
        against_question(),
        ("terms", bare(EvalOptions), EvalOptions()),
        ("out", Annotated[str, alias("-o", help="The page.")], "comparison.html"),
        home_question(),
    )
    compared(names, asked.against, out=asked.out, data_home=asked.data_home, say=say, **vars(asked.terms))


def counted(words: list[str]) -> list[str]:
    """-n is a count, as everywhere; and torchrun, which reads all words, takes --n for an option of its own."""
    return ["--n" if word == "-n" else word for word in words]


def before_options(words: list[str]) -> list[str]:
    """The words before the first option."""
    first = next((k for k, word in enumerate(words) if word.startswith("-")), len(words))
    return words[:first]


def against_question() -> tuple[str, Any, Any]:
    """What pictures are held against."""
    return "against", Annotated[str | None, note("Data. Empty: what the run was trained on.")], None
