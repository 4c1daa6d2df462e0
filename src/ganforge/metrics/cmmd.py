"""CMMD: maximum mean discrepancy of CLIP embeddings with a Gaussian kernel (Jayasumana et al. 2024, section 4).

Embeddings are normalised to length one; the kernel is exp(-|x - y|^2 / (2 * 10^2)), the value 1000 times the biased
estimate, which includes k(x, x), as in the paper's code.
"""

import torch
from torch import Tensor

from ganforge.metrics.estimate import Estimate, normal_estimate
from ganforge.metrics.metric import FeaturePair, Metric
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
    return normal_estimate("cmmd", SCALE * value, SCALE * error)


def compute_cmmd(sides: FeaturePair) -> tuple[Estimate, ...]:
    """CMMD of both sides' features."""
    return (cmmd(sides.real.features, sides.fake.features),)


METRIC = Metric(
    compute_cmmd,
    needs="features",
    better="lower",
    about="maximum mean discrepancy of unit vectors, Gaussian kernel of width 10, times 1,000",
    interval="Hoeffding's projection",
    select=True,
    order=5,
)
