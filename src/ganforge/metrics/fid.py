"""Frechet distance between two sets of features, each taken for a Gaussian (Heusel et al. 2017, equation 6).

    d^2 = |m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1 S2)^(1/2)

With Inception's features it is the FID; with any others it is a Frechet distance all the same.

The last trace is a sum of singular values, never the root of a matrix that is not symmetric: where S = L L^T, the
eigenvalues of S1 S2 are those of the symmetric L^T S1 L.  So nothing imaginary has to be thrown away.

A finite sample makes it too large, by about c/n (Chong and Forsyth 2020): figures compare only at equal n, and
`fid_infinity` extrapolates.  The interval is what another sample of the same size would change, to first order; it
does not hold that bias.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ganforge.errors import DataError
from ganforge.metrics.estimate import Estimate, around, checked, same_width

ROWS = 4_096  # features at a time in float64
SINGULAR = 1e-14  # share of the largest eigenvalue below which there is no interval
TRUSTED = 5  # features per dimension below which a figure comes with a warning
POINTS = 15  # sample sizes that the extrapolation fits a line to


@dataclass(frozen=True)
class Gaussian:
    """What the Frechet distance keeps of a set of features: float64 mean (D,), covariance (D, D), and how many."""

    mean: Tensor
    covariance: Tensor
    n: int

    @classmethod
    def of(cls, features: Tensor, whose: str = "the pictures") -> "Gaussian":
        """The Gaussian of features (N, D), some rows at a time.  Raises DataError for less than two, or NaN."""
        if not features.numel() or len(features) < 2 or features.ndim != 2 or not features.isfinite().all():
            checked(features, whose)
        mean = sum(part.to(torch.float64).sum(0) for part in features.split(ROWS)) / len(features)
        covariance = features.new_zeros(features.shape[1], features.shape[1], dtype=torch.float64)
        for part in features.split(ROWS):
            away = part.to(torch.float64) - mean
            covariance.addmm_(away.T, away)
        return cls(torch.as_tensor(mean), covariance / (len(features) - 1), len(features))


def frechet_distance(a: Gaussian, b: Gaussian) -> float:
    """The squared Frechet distance of two Gaussians, in float64.  Raises DataError where their widths differ."""
    same_width(b.mean[None], a.mean[None])
    root = root_of(b.covariance)
    return distance_from(a, b, torch.linalg.eigvalsh(root.T @ a.covariance @ root))


def distance_from(a: Gaussian, b: Gaussian, shared: Tensor) -> float:
    """The squared distance, given the eigenvalues of S1 S2."""
    traces = a.covariance.trace() + b.covariance.trace() - 2 * shared.clamp(min=0).sqrt().sum()
    return float((a.mean - b.mean).square().sum() + traces)


def root_of(covariance: Tensor) -> Tensor:
    """A matrix L with L L^T = `covariance`: triangular where that exists, else through its eigenvalues."""
    root, failed = torch.linalg.cholesky_ex(covariance)
    if not failed:
        return root
    values, vectors = torch.linalg.eigh(covariance)
    return vectors * values.clamp(min=0).sqrt()


def fid(real: Tensor, fake: Tensor, name: str = "fid") -> Estimate:
    """The Frechet distance between features (N, D) and (M, D), with its interval and what limits it.

    Raises DataError for less than two pictures, numbers that are not finite, or different D.
    """
    same_width(real, fake)
    a, b = Gaussian.of(fake, "the generated pictures"), Gaussian.of(real, "the real pictures")
    root = root_of(b.covariance)
    values, vectors = torch.linalg.eigh(root.T @ a.covariance @ root)
    value, notes = distance_from(a, b, values), warnings(a, b)
    if min(a.n, b.n) <= len(a.mean) or values[0] <= values[-1] * SINGULAR:
        return Estimate(name, value, notes=notes)
    forth = root @ (vectors * values.pow(-0.25))
    back = torch.linalg.solve(root.T, vectors * values.pow(0.25))
    return around(name, value, standard_error((fake, a, forth), (real, b, back)), notes=notes)


def warnings(fake: Gaussian, real: Gaussian) -> tuple[str, ...]:
    """What a person should know who compares a Frechet distance with another."""
    n, width = min(fake.n, real.n), len(fake.mean)
    said = []
    if n <= width:
        said.append(
            f"{n} pictures are no more than the {width} numbers of a feature: this Frechet distance says more about "
            f"how few they are than about the generator. Take {TRUSTED * width}, or read KID, which has no bias."
        )
    elif n < TRUSTED * width:
        said.append(
            f"{n} pictures are few for features of {width} numbers: compare this Frechet distance only with others at "
            "the same n, or read KID, which has no bias."
        )
    return tuple(said)


def standard_error(fake: tuple[Tensor, Gaussian, Tensor], real: tuple[Tensor, Gaussian, Tensor]) -> float:
    """How much the distance moves from sample to sample, to first order.

    T = L (L^T S1 L)^(-1/2) L^T transports one Gaussian to the other; the derivative of d^2 is I - T in S1, I - T^(-1)
    in S2, and twice their difference in the means.  So one feature x of a set moves d^2, times n, by
    2 (m1 - m2) (x - m1) + (x - m1)^T (I - T) (x - m1), less its mean.  Each side comes with a half H, H H^T = T.
    """
    variance = 0.0
    for (features, own, half), (_, other, _) in ((fake, real), (real, fake)):
        moves = []
        for part in features.split(ROWS):
            away = part.to(torch.float64) - own.mean
            bent = away.square().sum(1) - (away @ half).square().sum(1)
            moves.append(bent + 2 * (away @ (own.mean - other.mean)))
        variance += float(torch.cat(moves).var()) / own.n
    return math.sqrt(variance)


def fid_infinity(real: Tensor, fake: Tensor, seed: int = 0, points: int = POINTS) -> Estimate:
    """The Frechet distance that infinitely many generated pictures would have (Chong and Forsyth 2020, section 4).

    A line in 1/n is fitted to `points` sample sizes from a tenth of all on; its value at 1/n = 0 is the figure, and
    the interval is that of the fit.  The real side stays as it is.  Raises DataError where there are too few.
    """
    same_width(real, fake)
    b = Gaussian.of(real, "the real pictures")
    least = max(len(fake) // 10, fake.shape[1] + 1)
    if least * 2 > len(fake):
        raise DataError(
            f"FID-infinity needs more than {2 * (fake.shape[1] + 1)} generated pictures for features of "
            f"{fake.shape[1]} numbers, and there are {len(fake)}: take more with --n."
        )
    source = torch.Generator().manual_seed(seed)
    sizes = torch.linspace(least, len(fake), points).round().long()
    drawn = [fake[torch.randperm(len(fake), generator=source)[: int(n)]] for n in sizes]
    values = torch.tensor([frechet_distance(Gaussian.of(part), b) for part in drawn], dtype=torch.float64)
    table = torch.stack([torch.ones(points, dtype=torch.float64), 1 / sizes.double()], 1)
    line = torch.linalg.lstsq(table, values[:, None]).solution[:, 0]
    spread = (values - table @ line).square().sum() / (points - 2)
    error = math.sqrt(float(spread * torch.linalg.inv(table.T @ table)[0, 0]))
    return around("fid_infinity", float(line[0]), error)
