"""Sample-adaptive convolutions: ours, and with a kernel made for each image; one layer, and whole steps of gigagan."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from benchmarks.ours import build_engine, train_steps
from benchmarks.program import Program
from ganforge.models.gigagan.adaptive import AdaptiveConv2d
from ganforge.models.gigagan.attention import SelfAttention


def ours(batch: int = 16, channels: int = 64, side: int = 8, bank: int = 2, precision: str = "fp32") -> Program:
    """The form that the layer chooses."""
    layer = AdaptiveConv2d(channels, channels, 3, bank)
    return program(layer, batch, side, precision, lambda x, style, choice: layer(x, style, choice))


def grouped(batch: int = 16, channels: int = 64, side: int = 8, bank: int = 2, precision: str = "fp32") -> Program:
    """A grouped convolution."""
    layer = AdaptiveConv2d(channels, channels, 3, bank)

    def convolve(x: Tensor, style: Tensor, choice: Tensor | None) -> Tensor:
        shares = style.new_ones(len(x), 1) if choice is None else choice.softmax(1)
        return layer.convolve_grouped(x, 1 + style, shares)

    return program(layer, batch, side, precision, convolve)


Convolve = Callable[[Tensor, Tensor, Tensor | None], Tensor]


def program(layer: AdaptiveConv2d, batch: int, side: int, precision: str, convolve: Convolve) -> Program:
    """The layer's output for random images, and the gradients of all inputs and weights."""
    channels = layer.weight.shape[1]
    x, style = torch.randn(batch, channels, side, side), torch.randn(batch, channels)
    choice = torch.randn(batch, layer.bank, requires_grad=True) if layer.bank > 1 else None
    given = [x.requires_grad_(), style.requires_grad_(), layer.weight, *([] if choice is None else [choice])]

    def play(steps: int) -> None:
        for _ in range(steps):
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                y = convolve(x, style, choice)
            torch.autograd.grad(y.float().sum(), given)

    return Program(play, batch, layer.weight.numel())


def grouped_steps(**run: Any) -> Program:
    """Whole steps of gigagan's `small` with a kernel made for each image, and attention to places by plain products."""
    engine = build_engine("gigagan", "small", **{"ema": 0.0, **run})
    for layer in engine.game.modules():
        if isinstance(layer, AdaptiveConv2d):
            layer.has_small_images = lambda x: False
        if isinstance(layer, SelfAttention):
            layer.twice = True
    return train_steps(engine)
