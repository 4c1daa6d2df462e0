"""The lab: see the theory happen, with real numbers, in seconds.

    from ganforge import lab

    study = lab.density("mixture")     # figure 1 of the 2014 paper, from a training: study.figure(), study.page()
    slopes = lab.gradients()           # slopes.starving.figure(), slopes.clipping.figure()
    contest = lab.modes(quick=True)    # contest.figure(), contest.table()
    pair = lab.Pair(lab.Gaussians((0,), (1,)), lab.Uniform(-1, 1))
    pair.best(), pair.criterion(), pair.jsd()

Every verb of `ganforge lab` is one function here; figures are matplotlib's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ganforge.lab.clipping import Clipping as Clipping
from ganforge.lab.density import Study as Study
from ganforge.lab.distributions import Distribution as Distribution
from ganforge.lab.distributions import Gaussians as Gaussians
from ganforge.lab.distributions import Uniform as Uniform
from ganforge.lab.distributions import distribution as distribution
from ganforge.lab.exact import Pair as Pair
from ganforge.lab.exact import Quadrature as Quadrature
from ganforge.lab.mode_coverage import Contest as Contest
from ganforge.lab.mode_training import Rules as Rules
from ganforge.lab.saturation import Starving as Starving


def density(
    data: str | Path | Distribution = "mixture",
    out: str | Path | None = None,
    *,
    steps: int = 2_000,
    frames: int = 60,
    seed: int = 0,
    objective: Literal["non-saturating", "minimax"] = "non-saturating",
    quiet: bool = False,
) -> Study:
    """Train a small GAN on the line and keep its figure 1: p_data, p_g, D, D*, and the theorems beside them.

    `data` is gaussian, mixture, uniform, a distribution of your own, or a file of numbers, whose kernel density is
    then learnt.  With `out`, frames, a GIF and an interactive page are written into that folder.

    Raises DataError for no such distribution, OptionError for impossible numbers, RunError for a bad folder.
    """
    from ganforge.callbacks.progress_bar import Progress
    from ganforge.lab.density import watch
    from ganforge.lab.density_game import Config

    seen_by = [] if quiet else [Progress()]
    study = watch(data, steps=steps, frames=frames, seed=seed, config=Config(objective=objective), watchers=seen_by)
    if out is not None:
        study.save(out)
    return study


@dataclass(frozen=True)
class Gradients:
    """What `gradients` found."""

    starving: Starving
    """Why the saturating loss starves the generator."""
    clipping: Clipping
    """What weight clipping does to a critic."""


def gradients(out: str | Path | None = None, *, seed: int = 0, quiet: bool = False) -> Gradients:
    """Why the saturating loss starves, and why clipping drives weights to the edge: one figure each.

    With `out`, starving.png and clipping.png are written into that folder.  Raises RunError for a bad folder.
    """
    from ganforge.console import bar
    from ganforge.lab import style
    from ganforge.lab.clipping import clip_and_penalise
    from ganforge.lab.saturation import starve

    judges, critics = 500, 2_500  # steps of each of three judges and two critics
    of = 3 * (judges + 1) + 2 * critics
    with bar("judges learn", quiet) as shown:
        starving = starve(judges, seed=seed, told=lambda n: shown.more(of, n))
        clipping = clip_and_penalise(critics, seed=seed, told=lambda n: shown.more(of, n))
    if out is not None:
        style.save(starving.figure(), Path(out) / "starving.png")
        style.save(clipping.figure(), Path(out) / "clipping.png")
    return Gradients(starving, clipping)


def modes(
    out: str | Path = "lab/modes",
    *,
    quick: bool = False,
    objectives: Sequence[str] = (),
    planes: Sequence[str] = (),
    rules: Rules | None = None,
    workers: int = 0,
    quiet: bool = False,
) -> Contest:
    """Which objectives find every mode of the ring of 8 and the grid of 25, over several seeds.

    What is done lies in `out` and is not done again: a contest that was stopped goes on.  `quick` plays three
    objectives on the ring with one seed.  The table and the picture are written as modes.md and modes.png.

    Raises OptionError for an unknown objective or plane, RunError for a bad folder.
    """
    from ganforge.console import bar
    from ganforge.files import replacing
    from ganforge.lab import mode_coverage, style
    from ganforge.lab.objectives import OBJECTIVES

    rules = rules or (Rules(seeds=1, steps=QUICK_STEPS) if quick else Rules())
    chosen = tuple(objectives) or (QUICK if quick else tuple(OBJECTIVES))
    where = tuple(planes) or (("ring",) if quick else mode_coverage.PLANES)
    with bar("objectives play", quiet) as shown:
        found = mode_coverage.play_all(Path(out), chosen, where, rules, workers, shown.at)
    style.save(found.figure(), Path(out) / "modes.png")
    with replacing(Path(out) / "modes.md") as file:
        file.write(found.table().encode() + b"\n")
    return found


QUICK, QUICK_STEPS = ("saturating", "non-saturating", "r1"), 2_500
"""What `modes --quick` plays."""
