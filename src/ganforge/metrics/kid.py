"""KID: the maximum mean discrepancy with the kernel (x y / D + 1)^3 (Binkowski et al. 2018, section 4).

Without bias, so figures compare whatever n is, and may fall below zero where the two sides are alike.
"""

import numpy as np
import torch
from torch import Tensor

from ganforge.errors import DataError
from ganforge.metrics.estimate import Estimate, around, checked, same_width
from ganforge.metrics.mmd import mmd


def cubic(x: Tensor, y: Tensor) -> Tensor:
    """The kernel (x y / D + 1)^3."""
    return (x @ y.T).div_(x.shape[1]).add_(1).pow_(3)


def kid(real: Tensor, fake: Tensor) -> Estimate:
    """KID between features (N, D) and (M, D), from all pairs.  Raises DataError as `mmd` does."""
    return around("kid", *mmd(real, fake, cubic))


def kid_of_subsets(
    real: Tensor, fake: Tensor, subsets: int = 100, size: int = 1_000, seed: int = 2_020
) -> tuple[float, float]:
    """KID as other libraries print it: mean and standard deviation over random subsets.

    The subsets are torch-fidelity's for the same seed.  The deviation is that of one subset of `size` pictures; it
    is no error of the mean, and shrinks with neither n nor the number of subsets.
    Raises DataError where there are fewer pictures than `size`.
    """
    same_width(real, fake)
    x, y = checked(real, "the real pictures", size), checked(fake, "the generated pictures", size)
    if size < 2 or subsets < 1:
        raise DataError(f"{subsets} subsets of {size} pictures measure nothing: take 1 or more of 2 or more.")
    source, values = np.random.RandomState(seed), []
    for _ in range(subsets):
        a = x[torch.from_numpy(source.choice(len(x), size, replace=False))]
        b = y[torch.from_numpy(source.choice(len(y), size, replace=False))]
        values.append(mmd(a, b, cubic)[0])
    return float(np.mean(values)), float(np.std(values))
