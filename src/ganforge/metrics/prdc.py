"""Fidelity and diversity apart: precision, recall, density, coverage, and the realism of single pictures.

The manifold of a set is the union of balls about its features, each reaching to its k-th neighbour.

    precision   generated pictures in the manifold of the real ones (Kynkaanniemi et al. 2019, equation 2)
    recall      real pictures in the manifold of the generated ones
    density     how many real balls hold a generated picture, over k (Naeem et al. 2020, equation 3)
    coverage    real balls that hold a generated picture (Naeem et al. 2020, equation 4)
    realism     the largest ratio of a real ball's radius to its distance (Kynkaanniemi et al. 2019, equation 3)

Memory: a block of 256 rows of distances, and one side in float64: 0.3 GB for 10,000 pictures of 2,048 numbers.
The intervals hold the manifolds fixed: they are what other pictures in the same balls would change.
"""

import math

import torch
from torch import Tensor

from ganforge.errors import DataError
from ganforge.metrics.distances import blocks, radii
from ganforge.metrics.estimate import NINETY_FIVE, Estimate, around, checked, same_width

NEIGHBOURS = 5


def prdc(real: Tensor, fake: Tensor, k: int = NEIGHBOURS) -> tuple[Estimate, Estimate, Estimate, Estimate]:
    """Precision, recall, density and coverage of features (N, D) and (M, D).

    Raises DataError for no more than `k` pictures, numbers that are not finite, or different D.
    """
    ready(real, fake, k)
    real_radii, fake_radii = radii(real, k), radii(fake, k)
    balls = torch.zeros(len(fake), dtype=torch.int64)  # real ones that hold each generated picture
    recalled, covered = [], []
    for start, squares in blocks(real, fake):
        own = real_radii[start : start + len(squares), None]
        inside = squares < own
        balls += inside.sum(0)
        covered.append(inside.any(1))
        recalled.append((squares < fake_radii).any(1))
    density = balls.double() / k
    return (
        share("precision", balls > 0),
        share("recall", torch.cat(recalled)),
        around("density", float(density.mean()), float(density.std()) / math.sqrt(len(fake)), "higher"),
        share("coverage", torch.cat(covered)),
    )


def ready(real: Tensor, fake: Tensor, k: int) -> None:
    """Raise DataError where there are no k-th neighbours to measure with."""
    if k < 1:
        raise DataError(f"A manifold of {k} neighbours is empty: take 1 or more.")
    same_width(real, fake)
    checked(real[:, :0], "the real pictures", k + 1)
    checked(fake[:, :0], "the generated pictures", k + 1)
    for side, whose in ((real, "the real pictures"), (fake, "the generated pictures")):
        if not side.isfinite().all():
            checked(side, whose)


def share(name: str, hits: Tensor) -> Estimate:
    """How many of the trials hit, with the interval of a proportion (Wilson 1927)."""
    n, p, z = len(hits), float(hits.double().mean()), NINETY_FIVE
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = 0.0 if p == 0 else middle - half, 1.0 if p == 1 else middle + half  # exact where rounding is not
    return Estimate(name, p, low, high, "higher")


def realism(real: Tensor, fake: Tensor, k: int = 3) -> Tensor:
    """The realism (M,) of each generated picture; 1 and more lie in the manifold of the real ones.

    As in the paper, the half of the real balls with the larger radii does not count: they sit where real pictures
    are rare.  Raises DataError as `prdc` does.
    """
    ready(real, fake, k)
    sizes = radii(real, k)
    kept = sizes <= sizes.median()
    ratios = [(sizes[kept] / squares.clamp(min=1e-30)).amax(1).sqrt() for _, squares in blocks(fake, real[kept])]
    return torch.cat(ratios)
