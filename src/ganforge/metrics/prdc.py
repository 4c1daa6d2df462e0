"""Fidelity and diversity separately: precision, recall, density, coverage, and the realism of single images.

The manifold of a set is the union of balls around its features, each reaching to its k-th neighbour.

    precision   share of generated images in the manifold of the real ones (Kynkaanniemi et al. 2019, equation 2)
    recall      share of real images in the manifold of the generated ones
    density     number of real balls that contain a generated image, over k (Naeem et al. 2020, equation 3)
    coverage    share of real balls that contain a generated image (Naeem et al. 2020, equation 4)
    realism     the largest ratio of a real ball's radius to its distance (Kynkaanniemi et al. 2019, equation 3)

Memory: a block of 256 rows of distances, and one side in float64: 0.3 GB for 10,000 images of 2,048 features.
The intervals take the manifolds as fixed: they cover the sampling of images, not that of the balls.
"""

import math

import torch
from torch import Tensor

from ganforge.errors import DataError
from ganforge.metrics.distances import blocks, radii
from ganforge.metrics.estimate import NINETY_FIVE, Estimate, check_features, check_same_width, normal_estimate
from ganforge.metrics.metric import FeaturePair, Metric

NEIGHBOURS = 5


def prdc(real: Tensor, fake: Tensor, k: int = NEIGHBOURS) -> tuple[Estimate, Estimate, Estimate, Estimate]:
    """Precision, recall, density and coverage of features (N, D) and (M, D).

    Raises DataError for no more than `k` images, numbers that are not finite, or different D.
    """
    check_neighbours(real, fake, k)
    real_radii, fake_radii = radii(real, k), radii(fake, k)
    balls = torch.zeros(len(fake), dtype=torch.int64)  # number of real balls that contain each generated image
    recalled, covered = [], []
    for start, squares in blocks(real, fake):
        own = real_radii[start : start + len(squares), None]
        inside = squares < own
        balls += inside.sum(0)
        covered.append(inside.any(1))
        recalled.append((squares < fake_radii).any(1))
    density = balls.double() / k
    return (
        proportion("precision", balls > 0),
        proportion("recall", torch.cat(recalled)),
        normal_estimate("density", float(density.mean()), float(density.std()) / math.sqrt(len(fake)), "higher"),
        proportion("coverage", torch.cat(covered)),
    )


def check_neighbours(real: Tensor, fake: Tensor, k: int) -> None:
    """Raise DataError where there are too few images for k neighbours, or features are not finite."""
    if k < 1:
        raise DataError(f"A manifold of {k} neighbours is empty: take 1 or more.")
    check_same_width(real, fake)
    check_features(real[:, :0], "the real images", k + 1)
    check_features(fake[:, :0], "the generated images", k + 1)
    for side, whose in ((real, "the real images"), (fake, "the generated images")):
        if not side.isfinite().all():
            check_features(side, whose)


def proportion(name: str, hits: Tensor) -> Estimate:
    """The share of true values in bool (N,), with the interval of a proportion (Wilson 1927)."""
    n, p, z = len(hits), float(hits.double().mean()), NINETY_FIVE
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = 0.0 if p == 0 else middle - half, 1.0 if p == 1 else middle + half  # exact where rounding is not
    return Estimate(name, p, low, high, "higher")


def realism(real: Tensor, fake: Tensor, k: int = 3) -> Tensor:
    """The realism (M,) of each generated image; 1 and more lie in the manifold of the real ones.

    As in the paper, the half of the real balls with the larger radii is left out: they lie where real images are
    rare.  Raises DataError as `prdc` does.
    """
    check_neighbours(real, fake, k)
    sizes = radii(real, k)
    kept = sizes <= sizes.median()
    ratios = [(sizes[kept] / squares.clamp(min=1e-30)).amax(1).sqrt() for _, squares in blocks(fake, real[kept])]
    return torch.cat(ratios)


def compute_prdc(sides: FeaturePair) -> tuple[Estimate, ...]:
    """Precision, recall, density and coverage of both sides' features."""
    return prdc(sides.real.features, sides.fake.features)


METRIC = Metric(
    compute_prdc,
    needs="features",
    better="higher",
    about="precision, recall, density, coverage, 5 neighbours",
    interval="Wilson's, the manifolds held fixed",
    default=True,
    order=4,
)
