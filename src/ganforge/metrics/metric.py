"""The declaration of a metric: a file metrics/NAME.py that ends in `METRIC = Metric(...)` is the metric NAME.

`evaluate` and `compare --metrics`, `train --select`, `sweep --metric`, `reproduce` and the table of docs/metrics.md
read the declarations through catalogue.py and nothing else: a new metric is one new file.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from ganforge.errors import OptionError
from ganforge.metrics.extractors.base import Features

Better = Literal["lower", "higher"]
Needs = Literal["features", "logits", "target", "inputs", "labels", "captions"]
SELECTABLE = ("features", "logits", "target")


@dataclass(frozen=True)
class Metric:
    """How a metric is computed, and what is said about it.

    `needs` names the arguments of `compute`, and what an evaluation must have:

    features    compute(FeaturePair) -> tuple[Estimate, ...]
    logits      the same, with an extractor that gives class logits
    target      compute(outputs, targets) -> Tensor (N,), of images (N, C, H, W) in [-1, 1]; evaluation averages over
                all images and adds the interval
    inputs      compute(MetricInputs, MetricOptions, say) -> tuple[Estimate, ...], in the first process
    labels      the same arguments, for translators that are given a target label, in every process
                -> (tuple[Estimate, ...], {label: tuple[Estimate, ...]})
    captions    the same arguments, for text encoders, in the first process -> tuple[Estimate, ...]
    """

    compute: Callable[..., Any]
    needs: Needs
    better: Better
    """Which direction is better, of its first figure."""
    about: str
    """Its definition, for the table of docs/metrics.md."""
    interval: str = ""
    """Where its interval comes from, for the same table."""
    select: bool = False
    """Whether --select can compare checkpoints by its first figure."""
    default: bool = False
    """Whether it is computed without --metrics, where an evaluation has what it needs."""
    order: int = 100
    """Its place among the metrics that need the same, the smallest first; equal ones are sorted by name."""
    per_class: bool = True
    """Whether --per-class also computes it on the images of each class (needs: features or logits)."""

    def __post_init__(self) -> None:
        if self.select and self.needs not in SELECTABLE:
            raise ValueError(f"--select compares by metrics that need {', '.join(SELECTABLE)}, not {self.needs}.")
        if self.default and self.needs == "inputs":
            raise ValueError("A metric that needs inputs is computed on request only: default must be False.")

    @property
    def of_features(self) -> bool:
        """Whether it compares the features of two sets of images."""
        return self.needs in ("features", "logits")


@dataclass(frozen=True)
class FeaturePair:
    """Features of the real and the generated images, by one extractor."""

    real: Features
    fake: Features
    real_labels: np.ndarray | None = None
    """int64 (N,), where the data has classes."""
    fake_labels: np.ndarray | None = None
    """int64 (M,), the classes that the images were conditioned on, or are filed under."""
    seed: int = 0

    def of_class(self, number: int) -> "FeaturePair":
        """Features of the images of class `number` alone."""
        real, fake = (
            Features(f.features[torch.from_numpy(rows)], None if f.logits is None else f.logits[torch.from_numpy(rows)])
            for f, rows in ((self.real, self.real_labels == number), (self.fake, self.fake_labels == number))
        )
        return FeaturePair(real, fake, seed=self.seed)


def require_logits(sides: FeaturePair, metric: str) -> Tensor:
    """Class logits of the generated images.  Raises OptionError where the extractor gives none."""
    if sides.fake.logits is None:
        raise OptionError(f"--metrics {metric} needs --features with class logits: classifier or inception.")
    return sides.fake.logits
