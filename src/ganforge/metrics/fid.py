"""Frechet distance between two sets of features, each fitted by a Gaussian (Heusel et al. 2017, equation 6).

    d^2 = |m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1 S2)^(1/2)

With Inception's features it is the FID; with others it is a Frechet distance in their feature space.

The last trace is computed from the eigenvalues of a symmetric matrix instead of the root of a non-symmetric one: where
S2 = L L^T, the eigenvalues of S1 S2 are those of L^T S1 L.  So no imaginary part has to be discarded.

A finite sample biases it upwards, by about c/n (Chong and Forsyth 2020): compare values only at equal n;
fid_infinity.py extrapolates.  The interval covers the variation between samples of this size, to first order; it does
not include that bias.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ganforge.metrics.estimate import Estimate, check_features, check_same_width, normal_estimate
from ganforge.metrics.metric import FeaturePair, Metric

ROWS = 4_096  # features at a time in float64
SINGULAR = 1e-14  # fraction of the largest eigenvalue, below which there is no interval
TRUSTED = 5  # samples per feature dimension, below which a value comes with a warning


@dataclass(frozen=True)
class Gaussian:
    """The statistics of a feature set: float64 mean (D,), covariance (D, D), and the sample size n."""

    mean: Tensor
    covariance: Tensor
    n: int

    @classmethod
    def of(cls, features: Tensor, whose: str = "the images") -> "Gaussian":
        """The Gaussian of features (N, D), in blocks of rows.  Raises DataError for less than two, or NaN."""
        if not features.numel() or len(features) < 2 or features.ndim != 2 or not features.isfinite().all():
            check_features(features, whose)
        mean = sum(part.to(torch.float64).sum(0) for part in features.split(ROWS)) / len(features)
        covariance = features.new_zeros(features.shape[1], features.shape[1], dtype=torch.float64)
        for part in features.split(ROWS):
            centred = part.to(torch.float64) - mean
            covariance.addmm_(centred.T, centred)
        return cls(torch.as_tensor(mean), covariance / (len(features) - 1), len(features))


def frechet_distance(a: Gaussian, b: Gaussian) -> float:
    """The squared Frechet distance of two Gaussians, in float64.  Raises DataError where their widths differ."""
    check_same_width(b.mean[None], a.mean[None])
    root = factorise(b.covariance)
    return distance_from(a, b, torch.linalg.eigvalsh(root.T @ a.covariance @ root))


def distance_from(a: Gaussian, b: Gaussian, shared: Tensor) -> float:
    """The squared distance, given the eigenvalues of S1 S2."""
    traces = a.covariance.trace() + b.covariance.trace() - 2 * shared.clamp(min=0).sqrt().sum()
    return float((a.mean - b.mean).square().sum() + traces)


def factorise(covariance: Tensor) -> Tensor:
    """A matrix L with L L^T = `covariance`: its Cholesky factor where that exists, else by eigendecomposition."""
    root, failed = torch.linalg.cholesky_ex(covariance)
    if not failed:
        return root
    values, vectors = torch.linalg.eigh(covariance)
    return vectors * values.clamp(min=0).sqrt()


def fid(real: Tensor, fake: Tensor, name: str = "fid") -> Estimate:
    """The Frechet distance between features (N, D) and (M, D), with its interval and warnings.

    Raises DataError for less than two images, numbers that are not finite, or different D.
    """
    check_same_width(real, fake)
    a, b = Gaussian.of(fake, "the generated images"), Gaussian.of(real, "the real images")
    root = factorise(b.covariance)
    values, vectors = torch.linalg.eigh(root.T @ a.covariance @ root)
    value, notes = distance_from(a, b, values), warn_about_sample_size(a, b)
    if min(a.n, b.n) <= len(a.mean) or values[0] <= values[-1] * SINGULAR:
        return Estimate(name, value, notes=notes)
    forward = root @ (vectors * values.pow(-0.25))
    backward = torch.linalg.solve(root.T, vectors * values.pow(0.25))
    return normal_estimate(name, value, standard_error((fake, a, forward), (real, b, backward)), notes=notes)


def warn_about_sample_size(fake: Gaussian, real: Gaussian) -> tuple[str, ...]:
    """Warnings where there are too few images for a reliable distance."""
    n, width = min(fake.n, real.n), len(fake.mean)
    messages = []
    if n <= width:
        messages.append(
            f"{n} images are no more than the {width} feature dimensions: this Frechet distance reflects the sample "
            f"size more than the generator. Use {TRUSTED * width} images, or KID, which is unbiased."
        )
    elif n < TRUSTED * width:
        messages.append(
            f"{n} images are few for features of {width} dimensions: compare this Frechet distance only with others "
            "at the same n, or use KID, which is unbiased."
        )
    return tuple(messages)


def standard_error(fake: tuple[Tensor, Gaussian, Tensor], real: tuple[Tensor, Gaussian, Tensor]) -> float:
    """Standard deviation of the distance over samples, to first order.

    T = L (L^T S1 L)^(-1/2) L^T transports one Gaussian to the other; the derivative of d^2 is I - T in S1, I - T^(-1)
    in S2, and twice their difference in the means.  So one feature x of a set moves d^2, times n, by
    2 (m1 - m2) (x - m1) + (x - m1)^T (I - T) (x - m1), less its mean.  Each side is given with a factor H, H H^T = T.
    """
    variance = 0.0
    for (features, own, half), (_, other, _) in ((fake, real), (real, fake)):
        influences = []
        for part in features.split(ROWS):
            centred = part.to(torch.float64) - own.mean
            quadratic = centred.square().sum(1) - (centred @ half).square().sum(1)
            influences.append(quadratic + 2 * (centred @ (own.mean - other.mean)))
        variance += float(torch.cat(influences).var()) / own.n
    return math.sqrt(variance)


def compute_fid(sides: FeaturePair) -> tuple[Estimate, ...]:
    """The Frechet distance of both sides' features."""
    return (fid(sides.real.features, sides.fake.features),)


METRIC = Metric(
    compute_fid,
    needs="features",
    better="lower",
    about="Frechet distance of the two Gaussians, float64, from eigenvalues of a symmetric matrix",
    interval="influence of each image, to first order; none where a covariance is singular",
    select=True,
    default=True,
    order=1,
)
