"""KID: the maximum mean discrepancy with the kernel (x y / D + 1)^3 (Binkowski et al. 2018, section 4).

Unbiased, so values compare at any n, and may be negative where the two sides are alike.
"""

import numpy as np
import torch
from torch import Tensor

from ganforge.errors import DataError
from ganforge.metrics.estimate import Estimate, check_features, check_same_width, normal_estimate
from ganforge.metrics.metric import FeaturePair, Metric
from ganforge.metrics.mmd import mmd


def cubic(x: Tensor, y: Tensor) -> Tensor:
    """The kernel (x y / D + 1)^3."""
    return (x @ y.T).div_(x.shape[1]).add_(1).pow_(3)


def kid(real: Tensor, fake: Tensor) -> Estimate:
    """KID between features (N, D) and (M, D), from all pairs.  Raises DataError as `mmd` does."""
    return normal_estimate("kid", *mmd(real, fake, cubic))


def kid_of_subsets(
    real: Tensor, fake: Tensor, subsets: int = 100, size: int = 1_000, seed: int = 2_020
) -> tuple[float, float]:
    """KID as other libraries report it: mean and standard deviation over random subsets.

    The subsets are torch-fidelity's for the same seed.  The deviation is that of one subset of `size` images; it
    is not the standard error of the mean, and shrinks with neither n nor the number of subsets.
    Raises DataError where there are fewer images than `size`.
    """
    check_same_width(real, fake)
    x, y = check_features(real, "the real images", size), check_features(fake, "the generated images", size)
    if size < 2 or subsets < 1:
        raise DataError(f"{subsets} subsets of {size} images measure nothing: take 1 or more of 2 or more.")
    source, values = np.random.RandomState(seed), []
    for _ in range(subsets):
        a = x[torch.from_numpy(source.choice(len(x), size, replace=False))]
        b = y[torch.from_numpy(source.choice(len(y), size, replace=False))]
        values.append(mmd(a, b, cubic)[0])
    return float(np.mean(values)), float(np.std(values))


def compute_kid(sides: FeaturePair) -> tuple[Estimate, ...]:
    """KID of both sides' features."""
    return (kid(sides.real.features, sides.fake.features),)


METRIC = Metric(
    compute_kid,
    needs="features",
    better="lower",
    about="maximum mean discrepancy, cubic kernel, from all pairs, unbiased",
    interval="Hoeffding's projection",
    select=True,
    default=True,
    order=3,
)
