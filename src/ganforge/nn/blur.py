"""A short filter over each channel, with sides kept, doubled or halved; fast also where it is differentiated twice.

Karras, Laine, Aittala, Hellsten, Lehtinen, Aila 2020 (https://arxiv.org/abs/1912.04958), appendix B; Zhang 2019,
https://arxiv.org/abs/1904.11486.

torch differentiates a convolution of each channel twice by a convolution of its own for each of them.  But the filter
is linear, so its gradient is the transposed filter and the gradient of that the filter itself: on a CPU two functions
that name each other.  On a GPU such convolutions are slow at any order, and the filter is a product with a matrix a
side, most of which is zero.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.nn.cpu.convolutions import is_channels_last
from ganforge.nn.upfirdn import TAPS, make_filter


class Blur(nn.Module):
    """A symmetrical filter over each channel of images (N, C, H, W) of any float type; the sum of its taps becomes 1.

    Its taps stand in no state dict.
    """

    kernel: Tensor

    def __init__(self, taps: Sequence[float] = TAPS) -> None:
        super().__init__()
        self.taps, self.reach = make_taps(taps), len(taps)
        self.bilinear = self.taps == make_taps(TAPS)  # so is doubling with these
        self.register_buffer("kernel", make_filter(taps), persistent=False)

    def forward(self, images: Tensor, padding: int, gain: float = 1.0) -> Tensor:
        """Filter images with `padding` zeros at each side, and multiply them by `gain`."""
        return self.filter(images, gain, 1, padding)

    def reduce(self, images: Tensor) -> Tensor:
        """Half of the sides."""
        return self.filter(images, 1.0, 2, (self.reach - 1) // 2)

    def filter(self, images: Tensor, gain: float, stride: int, padding: int) -> Tensor:
        """Every `stride`-th place of the filtered images."""
        images = as_computed(images)
        if images.is_cuda:
            sides = [(side, (side + 2 * padding - self.reach) // stride + 1) for side in images.shape[2:]]
            return multiply(images, *(self.matrix(*side, stride, padding, images) for side in sides)) * gain
        weight, form = self.weight(images, gain), Form(stride, padding, self.bilinear)
        return (_Filter.apply if differentiates(images) else convolve)(images, weight, form)  # pyright: ignore

    def enlarge(self, images: Tensor) -> Tensor:
        """Twice the sides: the reference is `upfirdn2d(up=(2, 2), gain=4)`, with half of the filter as padding."""
        images, padding = as_computed(images), (self.reach - 1) // 2
        sides = [2 * side - 2 - 2 * padding + self.reach for side in images.shape[2:]]
        if images.is_cuda:
            pairs = zip(sides, images.shape[2:], strict=True)
            return multiply(images, *(self.matrix(*pair, 2, padding, images).T for pair in pairs)) * 4
        weight, form = self.weight(images, 4.0), Form(2, padding, self.bilinear)
        return (_Transposed.apply if differentiates(images) else transpose)(images, weight, sides, form)  # pyright: ignore

    def weight(self, images: Tensor, gain: float) -> Tensor:
        """The kernel of each channel (C, 1, K, K)."""
        return (self.kernel.to(images.dtype) * gain).expand(images.shape[1], 1, -1, -1)

    def matrix(self, side: int, output: int, stride: int, padding: int, like: Tensor) -> Tensor:
        """The filter along a side (side, output)."""
        return make_matrix(self.taps, side, output, stride, padding, like.dtype, like.device)


def make_taps(taps: Sequence[float]) -> tuple[float, ...]:
    """The taps, divided by their sum."""
    return tuple(tap / sum(taps) for tap in taps)


def as_computed(images: Tensor) -> Tensor:
    """Images in the type in which autocast would compute a convolution."""
    kind = images.device.type
    return images.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else images


def differentiates(images: Tensor) -> bool:
    """Whether gradients of the images may be asked for."""
    return torch.is_grad_enabled() and images.requires_grad


class Form(NamedTuple):
    """Places between two outputs, zeros at each side, and whether doubling with the taps is bilinear."""

    stride: int
    padding: int
    bilinear: bool


class _Filter(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, form: Form) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.sides, ctx.form = images.shape[2:], form
        return convolve(images, weight, form)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return _Transposed.apply(gradients[0], *ctx.saved_tensors, ctx.sides, ctx.form), None, None  # pyright: ignore


class _Transposed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, sides: Sequence[int], form: Form) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.form = form
        return transpose(images, weight, sides, form)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        return _Filter.apply(gradients[0], *ctx.saved_tensors, ctx.form), None, None, None  # pyright: ignore


def convolve(images: Tensor, weight: Tensor, form: Form) -> Tensor:
    """The filter, with the weights of each channel (C, 1, K, K)."""
    return F.conv2d(images, weight, stride=form.stride, padding=form.padding, groups=len(weight))


def transpose(images: Tensor, weight: Tensor, sides: Sequence[int], form: Form) -> Tensor:
    """The transposed filter; the result has these sides."""
    stride, padding, bilinear = form
    doubles = (stride, padding, *sides) == (2, 1, *(2 * side for side in images.shape[2:]))
    if doubles and bilinear and images.dtype == torch.bfloat16:  # an eighth of the time of such a convolution
        framed = F.interpolate(F.pad(images, (1, 1, 1, 1)), scale_factor=2.0, mode="bilinear")
        return framed[:, :, 2:-2, 2:-2] * (16 * weight[0, 0, 0, 0])
    pairs = zip(sides, images.shape[2:], strict=True)
    extra = [whole - (side - 1) * stride + 2 * padding - weight.shape[2] for whole, side in pairs]
    return F.conv_transpose2d(images, weight, None, stride, padding, extra, groups=len(weight))  # pyright: ignore


def multiply(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, C, h, w) by matrices (H, h) and (W, w), in the memory layout of the images."""
    if not is_channels_last(images):
        return rows.T @ (images @ columns)
    last = images.permute(0, 2, 3, 1)
    last = columns.T @ last  # (N, H, w, C)
    n, height, width, channels = last.shape
    return (rows.T @ last.reshape(n, height, -1)).view(n, -1, width, channels).permute(0, 3, 1, 2)


@lru_cache(256)
def make_matrix(
    taps: tuple[float, ...], side: int, output: int, stride: int, padding: int, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """(side, output): place o of the output is the sum of taps[k] times place o * stride - padding + k."""
    with torch.inference_mode(False):  # kept for later calls, which may need gradients
        tap = torch.arange(side)[:, None] - torch.arange(output) * stride + padding
        weights = torch.tensor(taps)[tap.clamp(0, len(taps) - 1)] * ((tap >= 0) & (tap < len(taps)))
        return weights.to(device, dtype)
