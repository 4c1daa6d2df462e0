"""Unconditional models of `small`'s size, trained on the embedded attributes for the same time.

The time is the processor time of this process.  Other programs change it all the same: beside one, a step of dcgan
took 0.17 seconds, alone 0.10.  So the paces of all models are measured one after the other: let the machine do
nothing else meanwhile.
"""

from typing import Any

from ganforge.inference.trained import Trained
from tests.support.kept_runs import count_steps, train_once

DATA, SIZE = "shapes-attributes", 32
SECONDS = 600 * 2
"""Ten minutes on two cores."""
AT_32_PIXELS: dict[str, Any] = {"gamma": 3.0, "mixing": 0.0, "path_weight": 0.0, "lr": 0.008}
"""Of stylegan2, whose `small` has 64: no mixing and no path length, as in `cifar`.  After 2,500 steps its distance
is 10.2, with half the rate 18.0, and with that and gamma 1 18.6."""
SETTINGS: dict[str, dict[str, Any]] = {
    "dcgan": {"ema": 10_000.0},
    "r3gan": {},
    "stylegan2": {"config": AT_32_PIXELS},
}


def train_for_the_time(model: str, seed: int) -> Trained:
    """A run of that many processor seconds."""
    options = {name: {**SETTINGS[name], "size": SIZE, "sample_every": 0} for name in SETTINGS}
    steps = {name: count_steps(SECONDS, name, DATA, **options[name]) for name in SETTINGS}
    return train_once(model, DATA, seed=seed, steps=steps[model], **options[model])
