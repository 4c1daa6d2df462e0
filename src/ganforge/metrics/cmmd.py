"""CMMD: maximum mean discrepancy of CLIP embeddings with a Gaussian kernel (Jayasumana et al. 2024, section 4).

Embeddings are brought to length one; the kernel is exp(-|x - y|^2 / (2 * 10^2)), the figure a thousand times the
estimate with k(x, x) left in, as the paper's program does.
"""

import torch
from torch import Tensor

from ganforge.metrics.estimate import Estimate, around
from ganforge.metrics.mmd import mmd

SIGMA = 10.0
SCALE = 1_000.0


def gaussian(x: Tensor, y: Tensor) -> Tensor:
    """The kernel exp(-|x - y|^2 / (2 sigma^2))."""
    squares = x.square().sum(1)[:, None] + y.square().sum(1) - 2 * (x @ y.T)
    return squares.clamp_(min=0).mul_(-1 / (2 * SIGMA**2)).exp_()


def cmmd(real: Tensor, fake: Tensor) -> Estimate:
    """CMMD between embeddings (N, D) and (M, D).  Raises DataError as `mmd` does."""
    one, two = (torch.nn.functional.normalize(side.double(), dim=-1) for side in (real, fake))
    value, error = mmd(one, two, gaussian, unbiased=False)
    return around("cmmd", SCALE * value, SCALE * error)
