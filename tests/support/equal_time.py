"""Unconditional models of `small`'s size, trained on the embedded attributes for the same time.

The time is the processor time of this process.  Other programs change it all the same: beside one, a step of dcgan
took 0.17 seconds, alone 0.10.  So measure the paces of all models while the machine does nothing else.
"""

from typing import Any

from ganforge.inference.trained import Trained
from tests.support.kept_runs import count_steps, train_once

DATA, SIZE = "shapes-attributes", 32
SECONDS = 600 * 2
"""Ten minutes on two cores."""
AT_32_PIXELS: dict[str, Any] = {"gamma": 3.0, "mixing": 0.0}
"""Of stylegan2, whose `small` has 64.  After 1,500 steps the distance is 19 with gamma 2, and 52 with gamma 0.1, a
rate of 0.002, and four times the path length's weight."""
SETTINGS: dict[str, dict[str, Any]] = {
    "dcgan": {"ema": 10_000.0},
    "r3gan": {},
    "stylegan2": {"config": AT_32_PIXELS},
}


def train_for_the_time(model: str, seed: int) -> Trained:
    """A run of that many processor seconds."""
    settings = {**SETTINGS[model], "size": SIZE, "sample_every": 0}
    steps = count_steps(SECONDS, model, DATA, **settings)
    return train_once(model, DATA, seed=seed, steps=steps, **settings)
