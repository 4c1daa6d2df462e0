"""The losses of GigaGAN, over the scores of all sizes at all stages."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ganforge.models.gigagan.discriminator import Discriminator
from ganforge.nn.losses import mean_where
from ganforge.nn.penalties import gradient_square


def mean_of_each(values: Sequence[Tensor], n: int) -> Tensor:
    """The mean (n,) over sizes and stages of values (k n, ...) of n images."""
    return torch.cat([v.flatten(1).mean(1).view(-1, n) for v in values]).mean(0)


def average(values: Sequence[Tensor]) -> Tensor:
    """The mean of values (k N, ...) of several stages; every size at every stage counts the same."""
    return torch.cat([v.flatten(1).mean(1) if v.ndim > 1 else v for v in values]).mean()


def match(
    judge: Discriminator, on_real: Sequence[Tensor], on_fake: Sequence[Tensor], sentence: Tensor, tokens: Tensor
) -> Tensor:
    """The matching-aware loss: features of both kinds of images, with the sentence of another image, are fakes.

    Rows whose sentence int64 (N, T) is the same do not count.
    """
    wrong, differs = sentence.roll(1, 0), (tokens != tokens.roll(1, 0)).any(1)
    scores = (judge.score(features, wrong) for features in (on_real, on_fake))
    surprises = (mean_of_each([F.softplus(s) for s in each], len(tokens)) for each in scores)
    return torch.stack([mean_where(each, differs) for each in surprises]).sum()


def penalise_slopes(judge: Callable[[list[Tensor]], list[Tensor]], pyramid: Sequence[Tensor]) -> Tensor:
    """R1: the mean over images of |d D / d x|^2, for the mean score D of an image and x its pyramid; in fp32."""
    return gradient_square(lambda *points: mean_of_each(judge([*points]), len(points[0])), *pyramid)
