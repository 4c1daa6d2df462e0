"""The residual networks of Gulrajani et al. 2017 (the authors' code for 64 x 64), which f-AnoGAN uses too.

    block(x) = conv(relu(norm(conv(relu(norm(x)))))) + shortcut(x)

A block doubles the sides by repeating pixels, or halves them by taking the mean of two by two pixels.
"""

from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.nn.cpu.convolutions import UpConv2d

Resampling = Literal["double", "halve"]
Norm = Literal["batch", "layer"]
LARGEST = 8  # times as many channels as next to the image have the layers that are farthest from it


class MeanConv2d(nn.Conv2d):
    """A 3 x 3 convolution and the mean of two by two pixels: (N, in, H, W) -> (N, out, H / 2, W / 2).

    Equals `avg_pool2d(conv2d(x, weight, bias, padding=1), 2)`: adding up the weights of the four places gives a
    convolution of stride 2 with 4 weights per pixel instead of 9.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1)

    def forward(self, input: Tensor) -> Tensor:
        return F.conv2d(input, add_neighbours(add_neighbours(self.weight, 2), 3), self.bias, 2, 1)


def add_neighbours(weights: Tensor, side: int) -> Tensor:
    """Three weights along `side` -> the four of two outputs' mean."""
    first, second, third = weights.unbind(side)
    return torch.stack([first, first + second, second + third, third], side) / 2


class ResamplingBlock(nn.Module):
    """x (N, inputs, h, w) -> (N, outputs, 2h, 2w), or (N, outputs, h / 2, w / 2)."""

    def __init__(self, inputs: int, outputs: int, resampling: Resampling, norm: Norm) -> None:
        super().__init__()
        doubles = resampling == "double"
        inner = outputs if doubles else inputs
        self.resampling = resampling
        self.shortcut = nn.Conv2d(inputs, outputs, 1)
        self.norm1 = make_norm(norm, inputs)
        self.conv1 = UpConv2d(inputs, inner, bias=False) if doubles else nn.Conv2d(inputs, inner, 3, 1, 1, bias=False)
        self.norm2 = make_norm(norm, inner)
        self.conv2 = nn.Conv2d(inner, outputs, 3, 1, 1) if doubles else MeanConv2d(inner, outputs)
        begin(self.shortcut, 1.0)
        begin(self.conv1, 2.0)
        begin(self.conv2, 2.0)

    def forward(self, input: Tensor) -> Tensor:
        inner = self.conv2(self.norm2(self.conv1(self.norm1(input).relu())).relu())
        if self.resampling == "halve":
            return inner + self.shortcut(F.avg_pool2d(input, 2))
        return inner + F.interpolate(self.shortcut(input), scale_factor=2.0)  # a 1 x 1 convolution may come first


class ResidualGenerator(nn.Sequential):
    """z (N, latent) -> images (N, C, H, W) in [-1, 1], from `base` (h, w) by `doublings`."""

    def __init__(self, latent: int, width: int, channels: int, base: tuple[int, int], doublings: int) -> None:
        widths = layer_widths(width, doublings)[::-1]
        h, w = base
        super().__init__(
            nn.Linear(latent, widths[0] * h * w),
            nn.Unflatten(1, (widths[0], h, w)),
            *(ResamplingBlock(a, b, "double", "batch") for a, b in pairwise(widths)),
            make_norm("batch", width),
            nn.ReLU(),
            nn.Conv2d(width, channels, 3, 1, 1),
            nn.Tanh(),
        )
        begin(self[0], 1.0)
        begin(self[-2], 2.0)


class ResidualFeatures(nn.Sequential):
    """images (N, C, H, W) -> features (N, F), F = `features`: a critic, or an encoder, without its last layer.

    With layer norm the features of an image do not depend on the other images of the batch.
    """

    def __init__(self, width: int, channels: int, base: tuple[int, int], halvings: int, norm: Norm) -> None:
        widths = layer_widths(width, halvings)
        super().__init__(
            nn.Conv2d(channels, width, 3, 1, 1),
            *(ResamplingBlock(a, b, "halve", norm) for a, b in pairwise(widths)),
            nn.Flatten(),
        )
        self.features = widths[-1] * base[0] * base[1]
        begin(self[0], 1.0)


class ResidualCritic(nn.Sequential):
    """images (N, C, H, W) -> scores (N,): the features with layer norm, and one linear layer, nothing between."""

    def __init__(self, width: int, channels: int, base: tuple[int, int], halvings: int) -> None:
        body = ResidualFeatures(width, channels, base, halvings, "layer")
        super().__init__(body, nn.Linear(body.features, 1), nn.Flatten(0))
        begin(self[1], 1.0)


def layer_widths(width: int, halvings: int) -> list[int]:
    """Channels at the image and after each halving: doubled each time, up to `LARGEST` times as many."""
    return [width * min(2**i, LARGEST) for i in range(halvings + 1)]


def make_norm(kind: Norm, channels: int) -> nn.Module:
    """TensorFlow's batch norm, or layer norm over channels and places with a scale and an offset a channel."""
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01) if kind == "batch" else nn.GroupNorm(1, channels)


def begin(layer: nn.Module, gain: float) -> None:
    """Initial weights from a uniform distribution of variance 2 gain / (inputs + outputs); biases 0."""
    assert isinstance(layer, nn.Conv2d | nn.Linear)
    nn.init.xavier_uniform_(layer.weight, gain**0.5)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
