"""The verb lab: the theory, seen."""

from typing import Annotated, Literal

from ganforge.cli.options import alias, ask, note, say
from ganforge.errors import OptionError

USAGE = """\
usage: ganforge lab SUBJECT [options]

subjects
  density     a GAN on the line: p_data, p_g, D and D*, and the theorems of 2014 beside them
  gradients   why the saturating loss starves, and what weight clipping does to a critic
  modes       ten objectives on rings and grids of Gaussians: which find every mode

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


def gradients(words: list[str]) -> None:
    """Slopes of losses, and of critics."""
    asked = ask(
        "ganforge lab gradients",
        "Measure why the saturating loss starves the generator, and what weight clipping does to a critic.",
        words,
        ("out", Annotated[str, alias("-o", help="The folder to write.")], "lab/gradients"),
        ("seed", Annotated[int, note("Everything drawn follows from it.")], 0),
    )
    from ganforge import lab

    found = lab.gradients(asked.out, seed=asked.seed)
    say(f"{found.starving.table()}\n\n{found.clipping.table()}")
    say(f"Wrote {asked.out}/starving.png and clipping.png beside it.")


def modes(words: list[str]) -> None:
    """Which objectives find every mode."""
    asked = ask(
        "ganforge lab modes",
        "Let ten objectives learn a ring of 8 and a grid of 25 Gaussians, and count the modes they find. "
        "What is done is kept: the same command goes on where it was stopped.",
        words,
        ("quick", Annotated[bool, note("The ring, one seed, three objectives: under a minute.")], False),
        ("out", Annotated[str, alias("-o", help="The folder to write. Empty: lab/modes or lab/modes-quick.")], ""),
        ("objectives", Annotated[tuple[str, ...], note("Only these.")], ()),
        ("planes", Annotated[tuple[str, ...], note("Only these: ring, grid.")], ()),
        ("workers", Annotated[int, note("Processes. 0: one a core.")], 0),
    )
    from ganforge import lab

    out = asked.out or ("lab/modes-quick" if asked.quick else "lab/modes")
    given = {k: v for k, v in vars(asked).items() if k != "out"}
    say(lab.modes(out, **given).table())
    say(f"Wrote {out}/modes.png and modes.md beside it.")


SUBJECTS = {"density": density, "gradients": gradients, "modes": modes}
