"""Maximum mean discrepancy (Gretton et al. 2012) of whole samples, a block of the kernel matrix at a time.

    MMD^2 = E k(x, x') + E k(y, y') - 2 E k(x, y)

KID and CMMD are this with other kernels.  The literature averages it over random subsets; the mean over all subsets
is the estimate from all pairs, which is computed here, so there is no sampling noise.  The standard error
comes from the first projection of the statistic (Hoeffding 1948; Gretton et al. 2012, appendix B).
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ganforge.metrics.estimate import check_features, check_same_width

Kernel = Callable[[Tensor, Tensor], Tensor]  # (N, D), (M, D) -> (N, M)
ROWS = 1_024  # of the kernel matrix per block


def mmd(real: Tensor, fake: Tensor, kernel: Kernel, *, unbiased: bool = True) -> tuple[float, float]:
    """MMD^2 between features (N, D) and (M, D), and its standard error, in float64.

    `unbiased` leaves out k(x, x), so that the expectation is exact and the value may be negative.
    Raises DataError for less than two images, numbers that are not finite, or different D.
    """
    check_same_width(real, fake)
    x, y = check_features(real, "the real images"), check_features(fake, "the generated images")
    within_x, within_y = own_means(x, kernel, unbiased), own_means(y, kernel, unbiased)
    means, across_y = [], torch.zeros_like(within_y)
    for part in x.split(ROWS):
        block = kernel(part, y)
        means.append(block.mean(1))
        across_y += block.sum(0) / len(x)
    across_x = torch.cat(means)
    value = within_x.mean() + within_y.mean() - 2 * across_x.mean()
    variance = (within_x - across_x).var() / len(x) + (within_y - across_y).var() / len(y)
    return float(value), 2 * math.sqrt(float(variance))


def own_means(x: Tensor, kernel: Kernel, unbiased: bool) -> Tensor:
    """The mean (N,) of k(x_i, x_j) over j, without j = i where `unbiased`."""
    means = []
    for start in range(0, len(x), ROWS):
        block = kernel(x[start : start + ROWS], x)
        total = block.sum(1)
        means.append((total - block.diagonal(start)) / (len(x) - 1) if unbiased else total / len(x))
    return torch.cat(means)
