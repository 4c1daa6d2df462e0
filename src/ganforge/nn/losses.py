"""Adversarial objectives, each one line of its paper."""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor


def real_loss(logits: Tensor) -> Tensor:
    """-log D(x), the mean over logits of any shape: cross entropy with the label real."""
    return F.softplus(-logits).mean()


def fake_loss(logits: Tensor) -> Tensor:
    """-log(1 - D(x)), the mean over logits of any shape: cross entropy with the label fake."""
    return F.softplus(logits).mean()


def hinge(scores: Tensor) -> Tensor:
    """The mean of max(0, 1 - s) over scores of any shape, 0 of none: the real's; of the fake with the sign changed."""
    return (1 - scores).relu().sum() / max(1, scores.numel())


def normal_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, variance) || N(0, 1)) of each element, of any shape.  Kingma and Welling 2014, appendix B."""
    return (mean.square() + log_variance.exp() - 1 - log_variance) / 2


def mean_where(values: Tensor, rows: Tensor) -> Tensor:
    """The mean of values (N,) over the rows that `rows` bool (N,) chooses; 0 where it chooses none."""
    return (values * rows).sum() / rows.sum().clamp(min=1)


def mode_seeking(z: Tensor, others: Tensor, images: Tensor, drawn: Tensor) -> Tensor:
    """How alike two images of a condition are, a scalar: |z - z'| / |G(z, t) - G(z', t)| (Mao et al. 2019, equation 2).

    `images` and `drawn` (n, C, H, W) were made of z and `others` (n, latent).  https://arxiv.org/abs/1903.05628
    """
    return (z - others).abs().mean() / (images - drawn).abs().mean().clamp(min=1e-5)


Objective = Literal["vanilla", "lsgan", "wgangp"]


def gan_loss(scores: Tensor, real: bool, objective: Objective) -> Tensor:
    """The loss of scores of any shape for the label `real` or fake: cross entropy, least squares, or Wasserstein."""
    if objective == "vanilla":
        return real_loss(scores) if real else fake_loss(scores)
    if objective == "lsgan":
        return (scores - float(real)).square().mean()
    return -scores.mean() if real else scores.mean()
