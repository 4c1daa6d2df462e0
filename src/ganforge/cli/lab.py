"""The verb lab: experiments with the theory of GANs."""

from typing import Annotated, Literal

from ganforge.cli.options import alias, help_text, parse_options, say
from ganforge.errors import OptionError

USAGE = """\
usage: ganforge lab SUBJECT [options]

subjects
  density     a one-dimensional GAN: p_data, p_g, D and D*, beside the theorems of 2014
  gradients   why the saturating loss vanishes, and what weight clipping does to a critic
  modes       ten objectives on rings and grids of Gaussians: which find every mode

`ganforge lab SUBJECT --help` lists the options.
"""


def lab(words: list[str]) -> None:
    """Run experiments with the theory: density, gradients, modes."""
    if not words or words[0] in ("-h", "--help"):
        print(USAGE, end="")
        return
    if words[0] not in SUBJECTS:
        raise OptionError(f"There is no subject {words[0]!r}; there are {', '.join(SUBJECTS)}.")
    SUBJECTS[words[0]](words[1:])


def density(words: list[str]) -> None:
    """Train a one-dimensional GAN and compare it with the theory."""
    options = parse_options(
        "ganforge lab density",
        "Train a small one-dimensional GAN and animate figure 1 of Goodfellow et al. 2014 from it.",
        words,
        ("data", Annotated[str, help_text("gaussian, mixture, uniform, or a file of numbers.")], "mixture"),
        ("out", Annotated[str, alias("-o", help="The output folder. Empty: lab/density-DATA.")], ""),
        ("steps", Annotated[int, help_text("Training steps.")], 2_000),
        ("frames", Annotated[int, help_text("Frames of the animation.")], 60),
        ("seed", Annotated[int, help_text("Random seed.")], 0),
        (
            "objective",
            Annotated[Literal["non-saturating", "minimax"], help_text("The generator's loss.")],
            "non-saturating",
        ),
    )
    from pathlib import Path

    from ganforge import lab

    given = vars(options)
    out = Path(given.pop("out") or f"lab/density-{Path(options.data).stem}")
    study = lab.density(**given, out=out)
    say(study.table())
    say(f"Wrote {out / 'figure-1.html'} (open it in a browser), figure-1.gif, figure-1.png and frames/ beside it.")


def gradients(words: list[str]) -> None:
    """Measure gradients of losses and of critics."""
    options = parse_options(
        "ganforge lab gradients",
        "Measure how the saturating loss vanishes, and what weight clipping does to a critic.",
        words,
        ("out", Annotated[str, alias("-o", help="The output folder.")], "lab/gradients"),
        ("seed", Annotated[int, help_text("Random seed.")], 0),
    )
    from ganforge import lab

    found = lab.gradients(options.out, seed=options.seed)
    say(f"{found.starving.table()}\n\n{found.clipping.table()}")
    say(f"Wrote {options.out}/starving.png and clipping.png beside it.")


def modes(words: list[str]) -> None:
    """Compare how many modes each objective finds."""
    options = parse_options(
        "ganforge lab modes",
        "Train ten objectives on a ring of 8 and a grid of 25 Gaussians, and count the modes they find. "
        "Results are kept: the same command continues where it was stopped.",
        words,
        ("quick", Annotated[bool, help_text("The ring, one seed, three objectives: under a minute.")], False),
        ("out", Annotated[str, alias("-o", help="The output folder. Empty: lab/modes or lab/modes-quick.")], ""),
        ("objectives", Annotated[tuple[str, ...], help_text("Only these.")], ()),
        ("planes", Annotated[tuple[str, ...], help_text("Only these: ring, grid.")], ()),
        ("workers", Annotated[int, help_text("Processes. 0: one a core.")], 0),
    )
    from ganforge import lab

    out = options.out or ("lab/modes-quick" if options.quick else "lab/modes")
    given = {k: v for k, v in vars(options).items() if k != "out"}
    say(lab.modes(out, **given).table())
    say(f"Wrote {out}/modes.png and modes.md beside it.")


SUBJECTS = {"density": density, "gradients": gradients, "modes": modes}
