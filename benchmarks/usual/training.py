"""What every usual PyTorch loop begins with."""

import torch
from torch import Tensor, nn

from benchmarks.program import pictures


def data(side: int, channels: int, n: int = 4_000) -> Tensor:
    """All images at once, float32 (n, C, H, W) in [-1, 1]: kinder to the loop than a DataLoader."""
    return torch.from_numpy(pictures(side, channels, n)).permute(0, 3, 1, 2).contiguous().float() / 127.5 - 1


def autocast(precision: str) -> torch.autocast:
    """bf16 where it is asked for."""
    return torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16")


def count(*networks: nn.Module) -> int:
    """Trainable numbers."""
    return sum(p.numel() for network in networks for p in network.parameters())
