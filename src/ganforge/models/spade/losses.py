"""The losses of generator and discriminator, each averaged or summed over the scales as in the authors' code."""

from typing import Literal

import torch
from torch import Tensor

from ganforge.nn.losses import gan_loss, hinge
from ganforge.nn.vgg import compare_features

Outputs = list[list[Tensor]]
"""Of every stage of the discriminator, at every scale; the last stage gives the scores."""
Objective = Literal["hinge", "vanilla", "lsgan", "wgangp"]


def average_loss(outputs: Outputs, real: bool, objective: Objective, judging: bool = True) -> Tensor:
    """The adversarial loss of scores for the label `real` or fake, the mean over the scales.

    `judging`: the discriminator's; without it the generator's, which hinge does not cut off.
    """
    return torch.stack([score_loss(scale[-1], real, objective, judging) for scale in outputs]).mean()


def score_loss(scores: Tensor, real: bool, objective: Objective, judging: bool) -> Tensor:
    """The same of one scale: scores of any shape."""
    if objective != "hinge":
        return gan_loss(scores, real, objective)
    if judging:
        return hinge(scores if real else -scores)
    return -scores.mean()


def match_features(fake: Outputs, real: Outputs) -> Tensor:
    """The mean differences of all features but the scores, summed over stages and averaged over scales."""
    scales = [compare_features(a[:-1], b[:-1], [1.0] * (len(a) - 1)) for a, b in zip(fake, real, strict=True)]
    return torch.stack(scales).mean()
