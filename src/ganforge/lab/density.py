"""Train a small one-dimensional GAN and record figure 1 of the 2014 paper on the way, with both sides of its theorems.

The engine trains the GAN of 2014 (density_game.py) on numbers, each stored as an image of one grey pixel.  G maps one
Gaussian number to one number, so its density follows by a change of variables and is not estimated from samples:
between two neighbours of a fine lattice of z, G is taken as linear, which spreads the mass between them evenly over the
interval that it covers.  Densities are means over bins of x, for p_data and p_g alike, so the identities hold to the
last digits; coarser bins can only lower a divergence (data processing inequality), and `Study.error` estimates by how
much these do.
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
from ganforge.lab.density_game import GAN1D, Config
from ganforge.lab.density_result import LATTICE, DensityResult, Frame, safe_log
from ganforge.lab.distributions import Distribution, distribution, normal_cdf
from ganforge.run import Run

BINS = 512
POINTS = 50_000
FACTS = Facts(channels=1, height=1, width=1)
BATCH = 256


class Study(DensityResult):
    """A recorded training in one dimension, with its figure and its page."""

    def figure(self, frame: int = -1) -> Figure:
        """Figure 1 of the paper at one frame, by default the last, as a matplotlib figure."""
        return density_figure.DensityFigure(self).show(frame)

    def page(self) -> str:
        """The interactive page as one HTML document; a notebook shows it through `_repr_html_`."""
        return density_page.render_page(self)

    def _repr_html_(self) -> str:
        return f'<iframe srcdoc="{html.escape(self.page())}" width="100%" height="900" frameborder="0"></iframe>'

    def save(self, folder: str | Path) -> list[Path]:
        """Write frames/*.png, figure-1.png, figure-1.gif and figure-1.html into a folder; returns all but the frames.

        Raises RunError where the folder cannot be written.
        """
        out = Path(folder)
        return [*density_figure.write_frames(self, out), density_page.write_page(self, out / "figure-1.html")]


def train_and_record(
    data: str | Path | Distribution = "mixture",
    *,
    steps: int = 2_000,
    frames: int = 60,
    seed: int = 0,
    config: Config = Config(),  # noqa: B008, it is frozen
    callbacks: Sequence[Callback] = (),
) -> Study:
    """Train a small GAN on a one-dimensional distribution and record `frames` frames, denser at the start.

    A training whose losses become NaN or infinite ends there, and `Study.broke` says so.

    Raises OptionError for fewer than two frames or more frames than steps, DataError for an unknown distribution.
    """
    if not 2 <= frames <= steps:
        raise OptionError(f"{frames} frames of {steps} steps are impossible: take at least 2 and at most one a step.")
    target = distribution(data)
    recorder = FrameRecorder(target, {round(steps * (k / (frames - 1)) ** 1.6) for k in range(frames)})
    run = Run(steps=steps, batch=BATCH, seed=seed, schedule="linear", log_every=100, sample_every=0, save_every=0)
    torch.manual_seed(seed)
    loader = BatchLoader(build_dataset(recorder, run), Images, run)
    engine = Engine(GAN1D(config, FACTS), run, loader, None, [recorder, *callbacks])
    broke = ""
    try:
        engine.train()
    except NotFiniteError as error:
        broke = str(error).partition(". ")[0] + "."
    name = Path(str(data)).stem if isinstance(data, str | Path) else "own"
    return Study(name, recorder.edges, recorder.p_data, recorder.frames, broke)


class FrameRecorder(Callback):
    """Records a frame at each of some steps; the networks' range [-1, 1] stands for the window of x."""

    def __init__(self, target: Distribution, steps: set[int]) -> None:
        self.target, self.steps, self.frames = target, steps, list[Frame]()
        low, high = target.window()
        self.middle, self.half = (low + high) / 2, (high - low) / 2
        self.edges = np.linspace(low, high, BINS + 1)
        masses = np.diff(target.below(self.edges))
        self.p_data = masses / masses.sum() / np.diff(self.edges)  # less than 1e-6 of the mass lies outside

    def start(self, engine: Engine) -> None:
        """Record the initial networks."""
        self.after_step(engine)

    def after_step(self, engine: Engine) -> None:
        """Record a frame, if this step is one of the chosen."""
        if engine.step in self.steps:
            with inference_mode(engine.game) as game:
                frame = self.measure(engine.step, game)
            if frame is not None:
                self.frames.append(frame)

    def measure(self, step: int, game: Any) -> Frame | None:
        """The frame of the current networks; None where their outputs are not finite (the engine will raise then)."""
        x, widths = (self.edges[1:] + self.edges[:-1]) / 2, np.diff(self.edges)
        z = torch.as_tensor(LATTICE, dtype=torch.float32)[:, None]
        outputs = self.middle + self.half * game.generator(z).double().numpy().ravel()
        images = torch.as_tensor((x - self.middle) / self.half, dtype=torch.float32)[:, None, None, None]
        logit = game.discriminator(images).double().numpy()
        if not (np.isfinite(outputs).all() and np.isfinite(logit).all()):
            return None
        p_g = pushforward_density(outputs, self.edges)
        log_data, log_g = safe_log(self.p_data), safe_log(p_g)
        best, d = exact.optimum(log_data, log_g), exact.probability(logit)
        gap = np.abs(d - exact.probability(best))
        return Frame(
            step=step,
            p_g=p_g,
            logit=logit,
            optimum=best,
            outputs=outputs,
            value=exact.value(log_data, log_g, logit, widths),
            best=exact.value(log_data, log_g, best, widths),
            criterion=exact.criterion(log_data, log_g, widths),
            gap=float(np.sum(gap * (self.p_data + p_g) / 2 * widths)),
            says_real=exact.expectation(d, log_data, widths),
            says_fake=exact.expectation(d, log_g, widths),
        )


def build_dataset(recorder: FrameRecorder, run: Run) -> DataSet:
    """Samples of the target as images of one pixel (POINTS, 1, 1, 1) in [-1, 1]; they depend on the seed only."""
    samples = recorder.target.sample(POINTS, np.random.default_rng(run.seed))
    images = ((samples - recorder.middle) / recorder.half).astype(np.float32)
    return DataSet("line", FACTS, {"images": images[:, None, None, None]})


def pushforward_density(outputs: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """The density of G(z) for a standard normal z, as its mean over each bin (bins,); `outputs` is G on LATTICE."""
    masses = np.diff(normal_cdf(LATTICE))
    masses /= masses.sum()
    low, high = np.minimum(outputs[1:], outputs[:-1]), np.maximum(outputs[1:], outputs[:-1])
    high = np.maximum(high, low + 1e-7 * (edges[-1] - edges[0]))  # where G is constant
    slopes = masses / (high - low)
    cdf = sum_of_ramps(low, slopes, edges) - sum_of_ramps(high, slopes, edges)
    bins = np.maximum(np.diff(cdf), 0)
    return bins / bins.sum() / np.diff(edges)


def sum_of_ramps(starts: np.ndarray, slopes: np.ndarray, x: np.ndarray) -> np.ndarray:
    """sum_i slopes[i] * max(0, x - starts[i]) at each of `x`."""
    order = np.argsort(starts)
    starts, slopes = starts[order], slopes[order]
    active = np.searchsorted(starts, x)  # how many ramps have started
    total = np.concatenate([[0.0], np.cumsum(slopes)])[active]
    return total * x - np.concatenate([[0.0], np.cumsum(slopes * starts)])[active]
