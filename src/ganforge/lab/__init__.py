"""The lab: see the theory happen, with real numbers, in seconds.

    from ganforge import lab

    study = lab.density("mixture")     # figure 1 of the 2014 paper, from a training: study.figure(), study.page()
    pair = lab.Pair(lab.Gaussians((0,), (1,)), lab.Uniform(-1, 1))
    pair.best(), pair.criterion(), pair.jsd()

Every verb of `ganforge lab` is one function here; figures are matplotlib's.
"""

from pathlib import Path
from typing import Literal

from ganforge.lab.exact import Pair as Pair
from ganforge.lab.exact import Quadrature as Quadrature
from ganforge.lab.line import Distribution as Distribution
from ganforge.lab.line import Gaussians as Gaussians
from ganforge.lab.line import Uniform as Uniform
from ganforge.lab.line import distribution as distribution
from ganforge.lab.watching import Study as Study


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
    from ganforge.lab.game import Config
    from ganforge.lab.watching import watch
    from ganforge.watch.progress import Progress

    seen_by = [] if quiet else [Progress()]
    study = watch(data, steps=steps, frames=frames, seed=seed, config=Config(objective=objective), watchers=seen_by)
    if out is not None:
        study.save(out)
    return study
