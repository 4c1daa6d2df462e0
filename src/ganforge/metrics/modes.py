"""Mode coverage: how many modes of the real data a generator covers, and how evenly.

For toy data the modes are the centres of a mixture (Srivastava et al. 2017, section 4.1); for labelled images they
are the classes that a classifier predicts (Metz et al. 2017, appendix; Lin et al. 2018, section 4.1).
"""

import math

import torch
from torch import Tensor

from ganforge.errors import DataError, OptionError
from ganforge.metrics.estimate import Estimate
from ganforge.metrics.metric import FeaturePair, Metric, require_logits
from ganforge.metrics.prdc import proportion


def modes_of_points(points: Tensor, centres: Tensor, deviation: float) -> tuple[Estimate, Estimate, Estimate]:
    """Number of modes covered, share of high-quality points, and KL from the uniform distribution, of points (N, D).

    A point counts for its nearest centre (M, D) if it lies within three standard deviations of it.
    """
    if not len(points) or points.ndim != 2 or points.shape[1:] != centres.shape[1:]:
        raise DataError(
            f"Points {tuple(points.shape)} and centres {tuple(centres.shape)} do not match: (N, D) and (M, D)."
        )
    distance, index = torch.cdist(points.double(), centres.double()).min(1)
    near = distance <= 3 * deviation
    visited, divergence = count_visits(index[near], torch.full((len(centres),), 1 / len(centres), dtype=torch.float64))
    quality = proportion("high_quality", near)
    return visited, quality, divergence


def modes_of_classes(predicted: Tensor, real: Tensor, classes: int) -> tuple[Estimate, Estimate]:
    """Number of classes covered, and KL of their frequencies from the real ones; both sides int64 (N,)."""
    expected = torch.bincount(real, minlength=classes).double()
    return count_visits(predicted, expected / expected.sum())


def count_visits(index: Tensor, expected: Tensor) -> tuple[Estimate, Estimate]:
    """Modes with at least one visit, and KL(visits || expected) in nats; `index` int64 (N,), `expected` (M,)."""
    counts = torch.bincount(index, minlength=len(expected)).double()
    modes = Estimate("modes", float((counts > 0).sum()), better="higher")
    if not counts.sum():
        return modes, Estimate("modes_kl", math.inf)
    visited = counts / counts.sum()
    return modes, Estimate("modes_kl", float(torch.xlogy(visited, visited / expected)[visited > 0].sum()))


def count_modes(sides: FeaturePair) -> tuple[Estimate, ...]:
    """Mode coverage over classes.  Raises OptionError without labels, or where the extractor gives no logits."""
    if sides.real_labels is None:
        raise OptionError("--metrics modes counts classes: it needs labelled data and --features classifier.")
    logits = require_logits(sides, "modes")
    return modes_of_classes(logits.argmax(1), torch.from_numpy(sides.real_labels), logits.shape[1])


METRIC = Metric(
    count_modes,
    needs="logits",
    better="higher",
    about="number of classes that are generated, and the divergence of their frequencies",
    order=7,
    per_class=False,
)
