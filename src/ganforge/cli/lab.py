"""The verb lab: the theory, seen."""

from typing import Annotated, Literal

from ganforge.cli.asking import alias, ask, note, say
from ganforge.errors import OptionError

USAGE = """\
usage: ganforge lab SUBJECT [options]

subjects
  density     a GAN on the line: p_data, p_g, D and D*, and the theorems of 2014 beside them

`ganforge lab SUBJECT --help` lists the options.
"""


def lab(words: list[str]) -> None:
    """See the theory happen: density, gradients, modes."""
    if not words or words[0] in ("-h", "--help"):
        print(USAGE, end="")
        return
    if words[0] not in SUBJECTS:
        raise OptionError(f"The lab has no {words[0]!r}: ask for {', '.join(SUBJECTS)}.")
    SUBJECTS[words[0]](words[1:])


def density(words: list[str]) -> None:
    """A GAN on the line, with what the theory says of every moment."""
    asked = ask(
        "ganforge lab density",
        "Train a small GAN on the line and draw figure 1 of Goodfellow et al. 2014 from it, alive.",
        words,
        ("data", Annotated[str, note("gaussian, mixture, uniform, or a file of numbers.")], "mixture"),
        ("out", Annotated[str, alias("-o", help="The folder to write. Empty: lab/density-DATA.")], ""),
        ("steps", Annotated[int, note("Rounds to play.")], 2_000),
        ("frames", Annotated[int, note("Moments to keep.")], 60),
        ("seed", Annotated[int, note("Everything drawn follows from it.")], 0),
        (
            "objective",
            Annotated[Literal["non-saturating", "minimax"], note("What the generator descends.")],
            "non-saturating",
        ),
    )
    from pathlib import Path

    from ganforge import lab

    given = vars(asked)
    out = Path(given.pop("out") or f"lab/density-{Path(asked.data).stem}")
    study = lab.density(**given, out=out)
    say(study.table())
    say(f"Wrote {out / 'figure-1.html'} (open it in a browser), figure-1.gif, figure-1.png and frames/ beside it.")


SUBJECTS = {"density": density}
