"""edits: does what was asked for appear, and does everything else stay?  What a classifier reads in edited pictures.

Choi et al., "StarGAN", 2017, section 5.3 (domains read by a classifier that learned from real pictures).
https://arxiv.org/abs/1711.09020
"""

import torch
from torch import Tensor

from ganforge.errors import DataError
from ganforge.metrics.estimate import Estimate, around
from ganforge.metrics.prdc import share


def rivals(labels: Tensor) -> Tensor:
    """bool (K, K): labels (M, K) that no picture has together, as a red circle is not blue; each with itself too.

    To ask for one is to drop the others.  NaN is a label that nobody knows.
    """
    there = (labels > 0.5).double()
    return ((there.T @ there) == 0) | torch.eye(labels.shape[1], dtype=torch.bool)


def edits(read: Tensor, own: Tensor, asked: Tensor, apart: Tensor) -> tuple[Estimate, ...]:
    """`edited`, the share of pictures that show what they were asked for, and `kept`, of their other labels.

    `read` bool (N, K) is what a classifier sees in the edited pictures, `own` (N, K) what their sources truly show,
    `asked` int64 (N,) the label that each was asked for, and `apart` (K, K) are `rivals`: what rivals the label asked
    for has to go, so it counts for nothing.  Without others there is no `kept`.
    Raises DataError where there is no picture, or shapes do not fit.
    """
    if not len(asked) or read.shape != own.shape or apart.shape != (read.shape[1],) * 2 or len(asked) != len(own):
        raise DataError(f"Labels {tuple(read.shape)} read in edits of {len(asked)} pictures {tuple(own.shape)}?")
    edited = share("edited", read.gather(1, asked[:, None])[:, 0])
    others = ~apart[asked] & ~own.isnan()
    some = others.any(1)
    if some.sum() < 2:
        return (edited,)
    each = ((read == (own > 0.5)) & others).sum(1)[some].double() / others.sum(1)[some]
    return edited, around("kept", float(each.mean()), float(each.std()) / len(each) ** 0.5, "higher")
