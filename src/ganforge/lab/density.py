"""A small GAN on the line, watched: figure 1 of the 2014 paper while it happens, and the theorems beside it.

The engine plays the game of 2014 (density_game.py): a point on the line is a picture of one grey pixel.
G maps one Gaussian number to one number, so its density is known by a change of variables and not guessed from
samples: between two neighbours of a fine lattice of z, G is taken as a straight line, which spreads the mass between
them evenly over the stretch it covers.  Densities are means over the bins of a lattice of x, for p_data and p_g
alike, so the identities hold to the last digits; coarser bins can only lower a divergence (data processing), and
`Study.error` says by how much these do.
"""

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from ganforge.batches import Facts, Images
from ganforge.data.dataset import DataSet
from ganforge.data.loader import BatchLoader
from ganforge.engine import Callback, Engine
from ganforge.errors import NotFiniteError, OptionError
from ganforge.inference.inference_mode import inference_mode
from ganforge.lab import density_figure, density_page, exact
from ganforge.lab.density_game import Config, Line
from ganforge.lab.density_result import LATTICE, DensityResult, Frame, logs
from ganforge.lab.distributions import Distribution, distribution, normal_below
from ganforge.run import Run

BINS = 512
POINTS = 50_000
FACTS = Facts(channels=1, height=1, width=1)
BATCH = 256


class Study(DensityResult):
    """A training on the line, with its pictures."""

    def figure(self, frame: int = -1) -> Figure:
        """Figure 1 of the paper at one frame, the last without it, as a matplotlib figure."""
        return density_figure.Picture(self).show(frame)

    def page(self) -> str:
        """The interactive page, as one text of HTML; a notebook shows it by `_repr_html_`."""
        return density_page.page(self)

    def _repr_html_(self) -> str:
        return f'<iframe srcdoc="{html.escape(self.page())}" width="100%" height="900" frameborder="0"></iframe>'

    def save(self, folder: str | Path) -> list[Path]:
        """Write frames/*.png, figure-1.png, figure-1.gif and figure-1.html into a folder; returns all but the frames.

        Raises RunError where the folder cannot be written.
        """
        out = Path(folder)
        return [*density_figure.write_film(self, out), density_page.write_page(self, out / "figure-1.html")]


def watch(
    data: str | Path | Distribution = "mixture",
    *,
    steps: int = 2_000,
    frames: int = 60,
    seed: int = 0,
    config: Config = Config(),  # noqa: B008, it is frozen
    watchers: Sequence[Callback] = (),
) -> Study:
    """Train a small GAN on a distribution of the line and keep `frames` moments of it, denser at the start.

    A training whose losses stop being finite ends there, and the study says so.

    Raises OptionError for less than two frames or more frames than steps, DataError for a distribution that is none.
    """
    if not 2 <= frames <= steps:
        raise OptionError(f"Of {steps} steps {frames} frames cannot be kept: take at least 2 and at most one a step.")
    task = distribution(data)
    film = Film(task, {round(steps * (k / (frames - 1)) ** 1.6) for k in range(frames)})
    run = Run(steps=steps, batch=BATCH, seed=seed, schedule="linear", log_every=100, sample_every=0, save_every=0)
    torch.manual_seed(seed)
    engine = Engine(Line(config, FACTS), run, BatchLoader(points(film, run), Images, run), None, [film, *watchers])
    broke = ""
    try:
        engine.train()
    except NotFiniteError as error:
        broke = str(error).partition(". ")[0] + "."
    return Study(
        Path(str(data)).stem if isinstance(data, str | Path) else "own", film.edges, film.p_data, film.frames, broke
    )


class Film(Callback):
    """Looks at the players at chosen steps; the window of x is what their [-1, 1] means."""

    def __init__(self, task: Distribution, steps: set[int]) -> None:
        self.task, self.steps, self.frames = task, steps, list[Frame]()
        low, high = task.window()
        self.middle, self.half = (low + high) / 2, (high - low) / 2
        self.edges = np.linspace(low, high, BINS + 1)
        masses = np.diff(task.below(self.edges))
        self.p_data = masses / masses.sum() / np.diff(self.edges)  # what lies outside is less than 1e-6

    def start(self, engine: Engine) -> None:
        """The players before they have learnt anything."""
        self.round(engine)

    def round(self, engine: Engine) -> None:
        """Keep this moment, if it is one of the chosen."""
        if engine.step in self.steps:
            with inference_mode(engine.game) as game:
                frame = self.look(engine.step, game)
            if frame is not None:
                self.frames.append(frame)

    def look(self, step: int, game: Any) -> Frame | None:
        """Everything about this moment; None once the networks are broken, which the engine soon notices itself."""
        x, widths = (self.edges[1:] + self.edges[:-1]) / 2, np.diff(self.edges)
        z = torch.as_tensor(LATTICE, dtype=torch.float32)[:, None]
        heights = self.middle + self.half * game.generator(z).double().numpy().ravel()
        there = torch.as_tensor((x - self.middle) / self.half, dtype=torch.float32)[:, None, None, None]
        logit = game.discriminator(there).double().numpy()
        if not (np.isfinite(heights).all() and np.isfinite(logit).all()):
            return None
        p_g = pushed(heights, self.edges)
        log_data, log_g = logs(self.p_data), logs(p_g)
        best, says = exact.optimum(log_data, log_g), exact.probability(logit)
        apart = np.abs(says - exact.probability(best))
        return Frame(
            step=step,
            p_g=p_g,
            logit=logit,
            optimum=best,
            heights=heights,
            value=exact.value(log_data, log_g, logit, widths),
            best=exact.value(log_data, log_g, best, widths),
            criterion=exact.criterion(log_data, log_g, widths),
            gap=float(np.sum(apart * (self.p_data + p_g) / 2 * widths)),
            says_real=exact.expected(says, log_data, widths),
            says_fake=exact.expected(says, log_g, widths),
        )


def points(film: Film, run: Run) -> DataSet:
    """Draws of the distribution as pictures of one pixel, the same for every run of a seed."""
    drawn = film.task.sample(POINTS, np.random.default_rng(run.seed))
    pictures = ((drawn - film.middle) / film.half).astype(np.float32)
    return DataSet("line", FACTS, {"images": pictures[:, None, None, None]})


def pushed(heights: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """The density of G(z), z normal, as its mean over each bin; `heights` are G on LATTICE."""
    masses = np.diff(normal_below(LATTICE))
    masses /= masses.sum()
    low, high = np.minimum(heights[1:], heights[:-1]), np.maximum(heights[1:], heights[:-1])
    high = np.maximum(high, low + 1e-7 * (edges[-1] - edges[0]))  # where G is flat
    slopes = masses / (high - low)
    below = risen(low, slopes, edges) - risen(high, slopes, edges)
    found = np.maximum(np.diff(below), 0)
    return found / found.sum() / np.diff(edges)


def risen(starts: np.ndarray, slopes: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The sum at each of `x` of lines that rise with `slopes` from 0 at their `starts` on."""
    order = np.argsort(starts)
    starts, slopes = starts[order], slopes[order]
    begun = np.searchsorted(starts, x)
    rises = np.concatenate([[0.0], np.cumsum(slopes)])[begun]
    return rises * x - np.concatenate([[0.0], np.cumsum(slopes * starts)])[begun]
