"""Mode coverage: of many places where the real data is, how many does a generator visit, and how evenly?

For toy data the places are the centres of a mixture (Srivastava et al. 2017, section 4.1); for labelled pictures they
are the classes that a classifier reads (Metz et al. 2017, appendix; Lin et al. 2018, section 4.1).
"""

import math

import torch
from torch import Tensor

from ganforge.errors import DataError
from ganforge.metrics.estimate import Estimate
from ganforge.metrics.prdc import share


def modes_of_points(points: Tensor, centres: Tensor, deviation: float) -> tuple[Estimate, Estimate, Estimate]:
    """Modes visited, share of points near one, and divergence from an even spread, of points (N, D).

    A point counts for its nearest centre (M, D) when it lies within three standard deviations of it.
    """
    if not len(points) or points.ndim != 2 or points.shape[1:] != centres.shape[1:]:
        raise DataError(f"Points {tuple(points.shape)} cannot lie about centres {tuple(centres.shape)}.")
    away, which = torch.cdist(points.double(), centres.double()).min(1)
    near = away <= 3 * deviation
    visited, divergence = visits(which[near], torch.full((len(centres),), 1 / len(centres), dtype=torch.float64))
    quality = share("high_quality", near)
    return visited, quality, divergence


def modes_of_classes(read: Tensor, real: Tensor, classes: int) -> tuple[Estimate, Estimate]:
    """Classes visited, and how their frequencies diverge from the real ones; both sides int64 (N,)."""
    wanted = torch.bincount(real, minlength=classes).double()
    return visits(read, wanted / wanted.sum())


def visits(which: Tensor, wanted: Tensor) -> tuple[Estimate, Estimate]:
    """How many places are visited at all, and KL(visited || wanted) in nats."""
    counts = torch.bincount(which, minlength=len(wanted)).double()
    modes = Estimate("modes", float((counts > 0).sum()), better="higher")
    if not counts.sum():
        return modes, Estimate("modes_kl", math.inf)
    found = counts / counts.sum()
    return modes, Estimate("modes_kl", float(torch.xlogy(found, found / wanted)[found > 0].sum()))
