"""Layers that double, halve and blur maps."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Blur(nn.Module):
    """x (N, C, H, W) -> the same size: averages with the weights 1, 2, 1 along each side; edges are reflected.

    `Blur((1, 2, 1))` of nn/upfirdn rounds differently, and keeps its weights out of checkpoints, which hold these.
    """

    weights: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weights", torch.tensor([1.0, 2.0, 1.0]))

    def forward(self, x: Tensor) -> Tensor:
        weights, channels = (self.weights / self.weights.sum()).to(x.dtype), x.shape[1]
        x = F.pad(x, (1, 1, 1, 1), mode="reflect")
        x = F.conv2d(x, weights.view(1, 1, 3, 1).expand(channels, 1, 3, 1), groups=channels)
        return F.conv2d(x, weights.view(1, 1, 1, 3).expand(channels, 1, 1, 3), groups=channels)


class Double(nn.Module):
    """x (N, C, H, W) -> (N, C, 2H, 2W): bilinear, then blurred."""

    def __init__(self) -> None:
        super().__init__()
        self.blur = Blur()

    def forward(self, x: Tensor) -> Tensor:
        return self.blur(F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False))


class ShuffledDouble(nn.Module):
    """x (N, in, H, W) -> (N, out, 2H, 2W): four pixels from the channels of one."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, 4 * outputs, 1)
        first = torch.empty(outputs, inputs, 1, 1)
        nn.init.kaiming_uniform_(first)
        self.conv.weight.data.copy_(first.repeat_interleave(4, 0))  # four equal pixels at first
        nn.init.zeros_(self.conv.bias)  # pyright: ignore

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(F.silu(self.conv(x)), 2)


class Halve(nn.Module):
    """x (N, C, H, W) -> (N, C, H/2, W/2): the channels of four pixels in one, then a 1 x 1 convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pixel_unshuffle(x, 2))


class SplitHalve(nn.Module):
    """x (N, in, H, W) -> pooled (N, out, H/2, W/2), and what a blur would take away (N, out, H, W).

    Without `halves` the size stays, and nothing is taken away: (N, 0, H, W).
    """

    def __init__(self, inputs: int, outputs: int, halves: bool) -> None:
        super().__init__()
        self.halves = halves
        self.conv, self.blur = nn.Conv2d(inputs, outputs, 3, padding=1), Blur()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.conv(x)
        if not self.halves:
            return x, x[:, :0]
        return F.max_pool2d(x, 2), x - self.blur(x)


class Excite(nn.Module):
    """x (N, in, H, W) -> factors (N, out, 1, 1) in [0, 1] for a later layer's channels (Liu et al. 2021)."""

    def __init__(self, inputs: int, outputs: int, least: int = 32) -> None:
        super().__init__()
        inner = max(outputs // 2, least)
        self.net = nn.Sequential(nn.Linear(inputs, inner), nn.SiLU(), nn.Linear(inner, outputs), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x.mean((2, 3)))[..., None, None]


class AddNoise(nn.Module):
    """x (N, C, H, W), noise (N, 1, H, W) -> x plus noise, with a learned strength for each channel, 0 at first."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.strength = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        return x + self.strength * noise
