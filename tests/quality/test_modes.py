"""Mixtures of Gaussians in the plane: which games find every mode, and which leave some out.

A point is an image of one pixel and two channels.  A mode counts as found when a fifth of its fair share of 2,500
samples lies within three standard deviations of it.
"""

import math

import numpy as np
import pytest
import torch

from ganforge.batches import Facts, Images
from ganforge.catalogue import find
from ganforge.data.dataset import DataSet
from ganforge.data.loader import BatchLoader
from ganforge.draw import RowDraw
from ganforge.engine import Engine
from ganforge.inference.inference_mode import inference_mode
from ganforge.run import Run

pytestmark = pytest.mark.quality
SPREAD, SAMPLES, FACTS = 0.02, 2_500, Facts(channels=2, height=1, width=1)
ANGLES, LINE = np.arange(8) * math.pi / 4, np.linspace(-0.8, 0.8, 5)
RING = 0.8 * np.stack([np.cos(ANGLES), np.sin(ANGLES)], 1)
GRID = np.stack(np.meshgrid(LINE, LINE), -1).reshape(-1, 2)
ORIGINAL = {"latent": 64, "width": 128, "units": 32, "dropout": 0.0, "optimiser": "adam", "lr": 2e-3}
# The authors weigh the penalty by 0.1 in the plane, where slopes are steeper than between images.
PENALTY = {"latent": 2, "width": 128, "networks": "perceptrons", "penalty": 0.1, "lr": 1e-3}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("model", "config", "modes", "steps", "least"),
    [
        pytest.param("gan", ORIGINAL, RING, 4_000, 6, id="gan-ring"),
        pytest.param("wgan_gp", PENALTY, RING, 1_500, 8, id="wgan_gp-ring"),
        pytest.param("wgan_gp", PENALTY, GRID, 2_500, 23, id="wgan_gp-grid"),
    ],
)
def test_modes_found(model: str, config: dict[str, object], modes: np.ndarray, steps: int, least: int, seed: int):
    game_class = find(model).game
    run = Run(steps=steps, batch=256, seed=seed, schedule="linear", save_every=0, log_every=500)
    torch.manual_seed(seed)
    engine = Engine(game_class(game_class.Config(**config), FACTS), run, make_loader(modes, run))
    with inference_mode(engine.train()) as game:
        game.draw = RowDraw(0)
        points = game.sample(SAMPLES).flatten(1).numpy()
    shares = counts(points, modes)
    found = int((shares >= SAMPLES / len(modes) / 5).sum())
    print(f"{model}, seed {seed}: {found} of {len(modes)} modes, {shares.sum() / SAMPLES:.0%} of samples near one")
    assert found >= least


def make_loader(modes: np.ndarray, run: Run, points: int = 20_000) -> BatchLoader:
    """Points about the modes, the same in every run of a seed."""
    source = np.random.default_rng(run.seed)
    cloud = modes[source.integers(len(modes), size=points)] + SPREAD * source.standard_normal((points, 2))
    images = cloud.astype(np.float32)[:, None, None]  # (N, 1, 1, 2)
    return BatchLoader(DataSet("modes", FACTS, {"images": images}), Images, run)


def counts(points: np.ndarray, modes: np.ndarray) -> np.ndarray:
    """How many of the points lie within three deviations of each mode."""
    apart = np.linalg.norm(points[:, None] - modes, axis=2)
    near = apart.min(1) < 3 * SPREAD
    return np.bincount(apart.argmin(1)[near], minlength=len(modes))
