"""The layers of StyleGAN2: weights scaled when they are used, and convolutions that a style modulates.

Karras et al. 2018 (https://arxiv.org/abs/1710.10196), section 4.1: weights are drawn from N(0, 1), and divided by the
root of a unit's inputs in each forward pass.  Karras et al. 2020, section 2.2 and appendix B.
"""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.nn.blur import Blur
from ganforge.nn.conditions import tile
from ganforge.nn.equal import GAIN, SLOPE, EqualLinear

EPS = 1e-8
Resample = Literal["same", "up", "down"]


def activate(x: Tensor, clamp: float = 0.0) -> Tensor:
    """Leaky ReLU in place; its gain is in what stands in front.  `clamp`: the largest magnitude, 0: none."""
    x = F.leaky_relu(x, SLOPE, inplace=True)
    return x.clamp(-clamp, clamp) if clamp else x


def normalise(x: Tensor) -> Tensor:
    """(N, K) divided by the root mean square of each row."""
    return x * (x.square().mean(1, keepdim=True) + EPS).rsqrt()


def is_recorded() -> bool:
    """Whether gradients or a graph are recorded, in which a computation has one form for all sizes."""
    return torch.is_grad_enabled() or torch.compiler.is_exporting() or torch.compiler.is_compiling()


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None, resample: Resample, blur: Blur, groups: int = 1) -> Tensor:
    """A convolution that keeps, doubles or halves the sides; weights are (outputs, inputs / groups, k, k).

    The filter follows a doubling and precedes a halving, so that neither has aliases (appendix B).
    """
    side = weight.shape[2]
    if resample == "same":
        return F.conv2d(x, weight, bias, padding=side // 2, groups=groups)
    if side == 1:
        x = blur.reduce(x) if resample == "down" else x
        x = F.conv2d(x, weight, bias, groups=groups)
        return blur.enlarge(x) if resample == "up" else x
    if resample == "down":
        return F.conv2d(blur(x, side // 2 + 1), weight, bias, stride=2, groups=groups)
    swapped = weight.unflatten(0, (groups, -1)).transpose(1, 2).flatten(0, 1)
    x = blur(F.conv_transpose2d(x, swapped, stride=2, groups=groups), 1, 4.0)
    return x if bias is None else x.add_(bias.to(x.dtype)[:, None, None])


class EqualConv2d(nn.Module):
    """(N, inputs, H, W) -> (N, outputs, ...), the same sides, twice or half of them; with a bias, then leaky ReLU.

    `gain` multiplies the output.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        resample: Resample = "same",
        *,
        active: bool = True,
        gain: float = 1.0,
        clamp: float = 0.0,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, kernel, kernel))
        nn.init.normal_(self.weight)
        self.bias = nn.Parameter(torch.zeros(outputs)) if active else None
        self.gain, self.clamp, self.blur = gain, clamp * gain, Blur()
        self.resample: Resample = resample

    def forward(self, x: Tensor) -> Tensor:
        out_gain = self.gain * (1.0 if self.bias is None else GAIN)
        weight = self.weight * (out_gain / math.sqrt(self.weight[0].numel()))
        bias = None if self.bias is None else self.bias * out_gain
        x = convolve(x, weight, bias, self.resample, self.blur)
        return x if self.bias is None else activate(x, self.clamp)


class ModulatedConv2d(nn.Module):
    """x (N, inputs, H, W), style (N, latent) -> (N, outputs, ...), the same sides, twice or half of them.

    The style scales the input's channels, and `demodulate` divides each output channel by the deviation that it would
    have for an input of unit variance (equation 3).  Weights of each image, as in the paper, are not made: scaling the
    input and the output is the same and cheaper, and one convolution computes all images.  The weights are scaled
    where that is cheaper: for one image whose map has more numbers than they have, without gradients.

    `change` (N, outputs, inputs, k, k) multiplies the weights of each image by 1 + change (Alaluf et al. 2022,
    https://arxiv.org/abs/2111.15666, equation 2); then the weights do differ.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, latent: int, demodulate: bool = True, resample: Resample = "same"
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, kernel, kernel))
        nn.init.normal_(self.weight)
        self.style = EqualLinear(latent, inputs, bias=1.0)
        self.demodulate, self.blur = demodulate, Blur()
        self.resample: Resample = resample

    def forward(
        self, x: Tensor, latent: Tensor, bias: Tensor, change: Tensor | None = None, gain: float = 1.0
    ) -> Tensor:
        """The convolution times `gain`, plus `bias` (outputs,)."""
        style = self.style(latent)
        if not self.demodulate:
            style = style * (gain / math.sqrt(self.weight[0].numel()))
        if change is not None or (not is_recorded() and len(x) == 1 and x.numel() > self.weight.numel()):
            return self.convolve_apart(x, style, bias, change, gain)
        x = x * style.to(x.dtype)[..., None, None]
        if not self.demodulate:
            return convolve(x, self.weight, bias, self.resample, self.blur)
        x = convolve(x, self.weight, None, self.resample, self.blur)
        scale = self.scale(style, gain).to(x.dtype)
        return torch.addcmul(bias.to(x.dtype)[:, None, None], x, scale[..., None, None])

    def scale(self, style: Tensor, gain: float) -> Tensor:
        """1 / the deviation of each output (N, outputs), times the gain, in full precision."""
        with torch.autocast(style.device.type, enabled=False):
            power = style.float().square() @ self.weight.square().flatten(2).sum(2).T
            return (power + EPS).rsqrt() * gain

    def convolve_apart(self, x: Tensor, style: Tensor, bias: Tensor, change: Tensor | None, gain: float) -> Tensor:
        """The same with weights of each image; without `change`, of one."""
        weight = self.weight if change is None else self.weight * (1 + change)
        weight = weight * style[:, None, :, None, None]
        if self.demodulate:
            weight = weight * (weight.square().sum((2, 3, 4), keepdim=True) + EPS).rsqrt() * gain
        n, weight, bias = len(x), weight.flatten(0, 1).to(x.dtype), bias.to(x.dtype)
        if change is None:  # one image, which keeps the order of its memory
            return convolve(x, weight, bias, self.resample, self.blur)
        made = convolve(x.flatten(0, 1)[None], weight, bias.repeat(n), self.resample, self.blur, n)
        return made[0].unflatten(0, (n, -1))


class StyledConv(nn.Module):
    """A modulated 3 x 3 convolution, noise of a learned strength, bias and leaky ReLU (figure 2 c)."""

    constant: Tensor

    def __init__(
        self, inputs: int, outputs: int, latent: int, sides: tuple[int, int], double: bool = False,
        noise: bool = True, clamp: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.conv = ModulatedConv2d(inputs, outputs, 3, latent, resample="up" if double else "same")
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.noisy, self.sides, self.clamp = noise, sides, clamp
        if noise:
            self.strength = nn.Parameter(torch.zeros(()))
            self.register_buffer("constant", nn.init.normal_(torch.empty(sides)))

    def forward(
        self, x: Tensor, latent: Tensor, noise: Tensor | None = None, change: Tensor | None = None, gain: float = 1.0
    ) -> Tensor:
        """`noise` (N, 1, H, W), by default the constant map; `gain` multiplies the output."""
        whole = GAIN * gain  # leaky ReLU passes a positive factor on, so it stands in front, where it costs nothing
        x = self.conv(x, latent, self.bias * whole, change, whole)
        if self.noisy:
            added = self.constant if noise is None else noise
            x = x.add_((added * (self.strength * whole)).to(x.dtype))
        return activate(x, self.clamp * gain)


class ToImage(nn.Module):
    """Features (N, inputs, H, W), style -> the channels of an image, without demodulation."""

    def __init__(self, inputs: int, channels: int, latent: int, clamp: float = 0.0) -> None:
        super().__init__()
        self.conv = ModulatedConv2d(inputs, channels, 1, latent, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(channels))
        self.clamp = clamp

    def forward(self, x: Tensor, latent: Tensor, change: Tensor | None = None) -> Tensor:
        x = self.conv(x, latent, self.bias, change)
        return x.clamp(-self.clamp, self.clamp) if self.clamp else x


class MinibatchDeviation(nn.Module):
    """x (N, C, H, W) -> (N, C + planes, H, W): planes with the deviation over a group of images.

    Images n, n + N/g, n + 2 N/g ... are a group, of the largest size up to `group` (0: N) that divides N.
    Karras et al. 2018, section 3.
    """

    def __init__(self, group: int = 4, planes: int = 1) -> None:
        super().__init__()
        self.group, self.planes = group, planes

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        most = min(self.group or n, n)
        size = next(g for g in range(most, 0, -1) if n % g == 0)
        grouped = x.float().reshape(size, n // size, self.planes, c // self.planes, h, w)
        deviation = (grouped.var(0, correction=0) + EPS).sqrt().mean((2, 3, 4))  # (n / size, planes)
        return torch.cat([x, tile(deviation.repeat(size, 1), x)], 1)
