"""Normalisations that a translator can choose, and those that look at one picture at a time.

A picture normalised by its own statistics comes out the same alone and in any batch, in training and afterwards.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.nn.cpu.matmul import left_plain

Norm = Literal["batch", "instance", "none"]


def norm_of(kind: Norm, channels: int, live: bool = False) -> nn.Module:
    """The norm that follows a convolution; "none" is an identity.  `live`: `LiveBatchNorm2d` instead of batch norm."""
    if kind == "batch":
        return LiveBatchNorm2d(channels) if live else nn.BatchNorm2d(channels)
    return InstanceNorm2d(channels) if kind == "instance" else nn.Identity()


def biased(kind: Norm) -> bool:
    """Whether a convolution in front of this norm has a bias in the pix2pix family: with instance norm alone."""
    return kind == "instance"


class InstanceNorm2d(nn.Module):
    """(N, C, H, W) -> the same, each channel of each picture with mean 0 and variance 1; no parameters.

    Equals `F.instance_norm(x)`.
    """

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.channels, self.eps = channels, eps

    def forward(self, input: Tensor) -> Tensor:
        return by_picture(input, None, None, self.eps)

    def extra_repr(self) -> str:
        return f"{self.channels}"


class LiveBatchNorm2d(nn.BatchNorm2d):
    """Batch norm that goes on as in training with batches of one: each picture has its own statistics in evaluation.

    Isola et al. 2017, section 3.3.  Running statistics are kept, and not used.
    """

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) if self.training else by_picture(input, self.weight, self.bias, self.eps)


class LiveInstanceNorm2d(nn.InstanceNorm2d):
    """Instance norm with each picture's own statistics in evaluation mode, too; running ones are kept, not used."""

    def forward(self, input: Tensor) -> Tensor:
        return by_picture(input, self.weight, self.bias, self.eps)


def by_picture(input: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
    """`F.instance_norm(input, weight=weight, bias=bias, eps=eps)`, in whichever form is quick.

    On a CPU group norm is two to three times as fast where channels come first in memory; where they come last it
    and instance norm are up to ten times slower than batch norm of one picture after the other.
    """
    if left_plain(input) or not input.is_contiguous(memory_format=torch.channels_last):
        return F.group_norm(input, input.shape[1], weight, bias, eps)
    return torch.cat([F.batch_norm(one, None, None, weight, bias, True, 0.0, eps) for one in input.split(1)])
