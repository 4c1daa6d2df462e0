"""The lab: small experiments that show GAN theory with measured numbers, in seconds.

    from ganforge import lab

    study = lab.density("mixture")     # figure 1 of the 2014 paper, from a real training: study.figure(), study.page()
    slopes = lab.gradients()           # slopes.starving.figure(), slopes.clipping.figure()
    contest = lab.modes(quick=True)    # contest.figure(), contest.table()
    pair = lab.Pair(lab.Gaussians((0,), (1,)), lab.Uniform(-1, 1))
    pair.best(), pair.criterion(), pair.jsd()

Every subject of `ganforge lab` is one function here; figures are matplotlib figures.
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
    """Train a small one-dimensional GAN and record p_data, p_g, D, D* and both sides of the theorems on the way.

    `data` is gaussian, mixture, uniform, a Distribution, or a file of numbers, whose kernel density is then learned.
    With `out`, frames, a GIF and an interactive page are written into that folder.

    Raises DataError for an unknown distribution or a bad file, OptionError for impossible `steps` and `frames`,
    RunError where the folder cannot be written.
    """
    from ganforge.callbacks.progress_bar import Progress
    from ganforge.lab.density import train_and_record
    from ganforge.lab.density_game import Config

    callbacks = [] if quiet else [Progress()]
    config = Config(objective=objective)
    study = train_and_record(data, steps=steps, frames=frames, seed=seed, config=config, callbacks=callbacks)
    if out is not None:
        study.save(out)
    return study


@dataclass(frozen=True)
class Gradients:
    """The two results of `gradients`."""

    starving: Starving
    """Gradients that each generator loss gives while the discriminator trains."""
    clipping: Clipping
    """A critic with weight clipping and one with a gradient penalty."""


def gradients(out: str | Path | None = None, *, seed: int = 0, quiet: bool = False) -> Gradients:
    """Measure why the saturating loss starves the generator, and what weight clipping does to a critic.

    With `out`, starving.png and clipping.png are written into that folder.  Raises RunError where it cannot be.
    """
    from ganforge.console import bar
    from ganforge.images.figure import save
    from ganforge.lab.clipping import compare_critics
    from ganforge.lab.saturation import measure_saturation

    discriminator_steps, critic_steps = 500, 2_500  # of each of three discriminators and two critics
    total = 3 * (discriminator_steps + 1) + 2 * critic_steps
    with bar("training discriminators", quiet) as progress:
        starving = measure_saturation(discriminator_steps, seed=seed, on_progress=lambda n: progress.more(total, n))
        clipping = compare_critics(critic_steps, seed=seed, on_progress=lambda n: progress.more(total, n))
    if out is not None:
        save(starving.figure(), Path(out) / "starving.png")
        save(clipping.figure(), Path(out) / "clipping.png")
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
    """Measure which objectives find every mode of the ring of 8 and the grid of 25, over several seeds.

    Results are stored in `out` and are not computed again, so an interrupted contest goes on.  `quick` trains three
    objectives on the ring with one seed.  The table and the figure are written as modes.md and modes.png.

    Raises OptionError for an unknown objective or plane, RunError where the folder cannot be written.
    """
    from ganforge.console import bar
    from ganforge.files import replacing
    from ganforge.images.figure import save
    from ganforge.lab import mode_coverage
    from ganforge.lab.objectives import OBJECTIVES

    rules = rules or (Rules(seeds=1, steps=QUICK_STEPS) if quick else Rules())
    objectives = tuple(objectives) or (QUICK if quick else tuple(OBJECTIVES))
    planes = tuple(planes) or (("ring",) if quick else mode_coverage.PLANES)
    with bar("training objectives", quiet) as progress:
        contest = mode_coverage.run_contest(Path(out), objectives, planes, rules, workers, progress.at)
    save(contest.figure(), Path(out) / "modes.png")
    with replacing(Path(out) / "modes.md") as file:
        file.write(contest.table().encode() + b"\n")
    return contest


QUICK, QUICK_STEPS = ("saturating", "non-saturating", "r1"), 2_500
"""Objectives and steps of `modes --quick`."""
