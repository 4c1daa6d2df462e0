"""What this machine can do at best: layers that its library was made for."""

import torch
import torch.nn.functional as F

from benchmarks.program import Program
from ganforge import system


def convolution(precision: str = "fp32", channels: int = 256, side: int = 32, batch: int = 16) -> Program:
    """A wide 3 x 3 convolution, forward."""
    system.keep_memory()
    kind = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    images = torch.randn(batch, channels, side, side, dtype=kind).to(memory_format=torch.channels_last)
    weight = torch.randn(channels, channels, 3, 3, dtype=kind).to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def play(steps: int) -> None:
        for _ in range(steps):
            F.conv2d(images, weight, padding=1)

    return Program(play, flops=2 * batch * side**2 * channels**2 * 9)


def product(precision: str = "fp32", n: int = 2_048) -> Program:
    """A product of two square matrices."""
    system.keep_memory()
    kind = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    a, b = torch.randn(n, n, dtype=kind), torch.randn(n, n, dtype=kind)

    @torch.inference_mode()
    def play(steps: int) -> None:
        for _ in range(steps):
            a @ b

    return Program(play, flops=2 * n**3)
