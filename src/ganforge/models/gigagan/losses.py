"""The losses of GigaGAN, over the scores of all sizes at all stages."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ganforge.models.gigagan.discriminator import Discriminator


def mean_over(values: Sequence[Tensor], rows: Tensor) -> Tensor:
    """The mean over sizes and stages of values (k N, ...), and over the images that `rows` bool (N,) chooses.

    0 where it chooses none.
    """
    each = torch.cat([v.flatten(1).mean(1).view(-1, len(rows)) for v in values]).mean(0)  # (N,)
    return (each * rows).sum() / rows.sum().clamp(min=1)


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
    return torch.stack([mean_over([F.softplus(s) for s in each], differs) for each in scores]).sum()


def penalise_slopes(judge: Callable[[list[Tensor]], list[Tensor]], pyramid: Sequence[Tensor]) -> Tensor:
    """R1: the mean over images of |d D / d x|^2, for the mean score D of an image and x its pyramid; in fp32.

    Mescheder et al. 2018, equation 9.
    """
    n = len(pyramid[0])
    with torch.autocast(pyramid[0].device.type, enabled=False):
        points = [images.detach().float().requires_grad_() for images in pyramid]
        scores = judge(points)
        each = torch.cat([s.flatten(1).mean(1).view(-1, n) for s in scores]).mean(0)
        slopes = torch.autograd.grad(each.sum(), points, create_graph=True, allow_unused=True)
        return torch.stack([s.flatten(1).square().sum(1) for s in slopes if s is not None]).sum(0).mean()


def shrink(images: Tensor, side: int) -> Tensor:
    """Images (N, C, k side, k side) -> (N, C, side, side): the mean of squares of k x k pixels."""
    return F.avg_pool2d(images, images.shape[-1] // side)
