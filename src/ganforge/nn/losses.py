"""Adversarial objectives on logits, each one line of its paper."""

import torch.nn.functional as F
from torch import Tensor


def real_loss(logits: Tensor) -> Tensor:
    """-log D(x), the mean over logits of any shape: how surprised the judge is that this is real."""
    return F.softplus(-logits).mean()


def fake_loss(logits: Tensor) -> Tensor:
    """-log(1 - D(x)), the mean over logits of any shape: how surprised the judge is that this is fake."""
    return F.softplus(logits).mean()
