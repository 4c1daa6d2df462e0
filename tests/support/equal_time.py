"""Unconditional models of `small`'s size, trained on the embedded attributes for the same time.

The time is the processor time of this process, so that other programs on the machine change little.
"""

from typing import Any

from ganforge.inference.trained import Trained
from tests.support.kept_runs import count_steps, train_once

DATA, SIZE = "shapes-attributes", 32
SECONDS = 600 * 2
"""Ten minutes on two cores."""
NARROW: dict[str, Any] = {
    "capacity": 1_024, "most": 64, "latent": 64, "style": 64, "gamma": 3.0, "lr": 0.004, "mixing": 0.0,
    "path_weight": 0.5, "half_life": 10_000.0,
}  # fmt: skip
"""After 1,500 steps the distance is 19 with gamma 2, and 52 with gamma 0.1, a rate of 0.002, mixing and path length."""
SETTINGS: dict[str, dict[str, Any]] = {
    "dcgan": {"ema": 10_000.0},
    "r3gan": {},
    "stylegan2": {"config": NARROW, "schedule": "linear", "flip": False},
}


def train_for_the_time(model: str, seed: int) -> Trained:
    """A run of that many processor seconds."""
    settings = {**SETTINGS[model], "size": SIZE, "sample_every": 0}
    steps = count_steps(SECONDS, model, DATA, **settings)
    if model == "r3gan":  # its schedules end with the run
        settings["config"] = {"decay": 32 * steps}
    return train_once(model, DATA, seed=seed, steps=steps, **settings)
