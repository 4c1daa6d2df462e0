"""FID-infinity: the Frechet distance extrapolated to infinitely many generated images (Chong and Forsyth 2020)."""

import math

import torch
from torch import Tensor

from ganforge.errors import DataError
from ganforge.metrics.estimate import Estimate, check_same_width, normal_estimate
from ganforge.metrics.fid import Gaussian, frechet_distance
from ganforge.metrics.metric import FeaturePair, Metric

POINTS = 15  # sample sizes to which the extrapolation fits a line


def fid_infinity(real: Tensor, fake: Tensor, seed: int = 0, points: int = POINTS) -> Estimate:
    """The Frechet distance extrapolated to infinitely many generated images (Chong and Forsyth 2020, section 4).

    A line in 1/n is fitted to `points` sample sizes, from a tenth of all images to all; the value is that at
    1/n = 0, and the interval is that of the fit.  All real images are used throughout.  Raises DataError where there
    are too few generated images.
    """
    check_same_width(real, fake)
    b = Gaussian.of(real, "the real images")
    least = max(len(fake) // 10, fake.shape[1] + 1)
    if least * 2 > len(fake):
        raise DataError(
            f"FID-infinity needs more than {2 * (fake.shape[1] + 1)} generated images for features of "
            f"{fake.shape[1]} dimensions, and there are {len(fake)}: take more with --n."
        )
    source = torch.Generator().manual_seed(seed)
    sizes = torch.linspace(least, len(fake), points).round().long()
    subsets = [fake[torch.randperm(len(fake), generator=source)[: int(n)]] for n in sizes]
    values = torch.tensor([frechet_distance(Gaussian.of(part), b) for part in subsets], dtype=torch.float64)
    table = torch.stack([torch.ones(points, dtype=torch.float64), 1 / sizes.double()], 1)
    line = torch.linalg.lstsq(table, values[:, None]).solution[:, 0]
    spread = (values - table @ line).square().sum() / (points - 2)
    error = math.sqrt(float(spread * torch.linalg.inv(table.T @ table)[0, 0]))
    return normal_estimate("fid_infinity", float(line[0]), error)


def compute_fid_infinity(sides: FeaturePair) -> tuple[Estimate, ...]:
    """FID-infinity of both sides' features; the subsets depend on the seed of the evaluation."""
    return (fid_infinity(sides.real.features, sides.fake.features, sides.seed),)


METRIC = Metric(
    compute_fid_infinity,
    needs="features",
    better="lower",
    about="the same for infinitely many generated images, by a linear fit in 1/n",
    interval="of the fit",
    order=2,
)
