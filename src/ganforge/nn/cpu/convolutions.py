"""Layers that compute a plain formula more cheaply, above all on a CPU.

The docstring of each gives the formula, which tests/nn/cpu/test_convolutions.py compares it with.  Parameters, their
names and initial weights are those of the torch layer that it replaces, so that state dicts are the same.
`...Last` use the order of Keras, whose channels come last.
"""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.grad import conv2d_weight

from ganforge.errors import ModelError
from ganforge.nn.cpu.matmul import compute_dtype, product, use_plain_formula, uses_amx
from ganforge.nn.diffaug import Chance

Padding = Literal["reflect", "replicate", "zeros"]


class UpConv2d(nn.Conv2d):
    """Nearest x2 up-sampling and a 3 x 3 convolution: (N, in, H, W) -> (N, out, 2H, 2W).

    Equals `conv2d(interpolate(x, scale_factor=2), weight, bias, padding=1)`.  Of the nine pixels under the
    kernel several are copies of one: adding up the weights of equal pixels gives a transposed convolution of
    stride 2 with 4 weights per output instead of 9.
    """

    def __init__(self, in_channels: int, out_channels: int, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        if uses_amx(input):  # with AMX nine weights in wide products are faster than four in narrow ones
            return super().forward(F.interpolate(input, scale_factor=2.0))
        by_input = self.weight.permute(1, 2, 3, 0)  # (in, 3, 3, out): the order that the sums need
        summed = merge_taps(merge_taps(by_input, 1), 2).permute(0, 3, 1, 2)
        if input.device.type == "cpu" and compute_dtype(input) == torch.bfloat16 and torch.is_grad_enabled():
            bias = None if self.bias is None else self.bias.bfloat16()
            return TransposedConv.apply(input.bfloat16(), summed.bfloat16(), bias)
        return F.conv_transpose2d(input, summed, self.bias, stride=2, padding=1)


class TransposedConv(torch.autograd.Function):
    """A transposed convolution of stride 2 whose backward pass uses the corresponding convolution.

    Equals `conv_transpose2d(x, weight, bias, stride=2, padding=1)`.  In bf16 it takes two thirds of the time on a CPU.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:  # pyright: ignore
        ctx.save_for_backward(x, weight)
        return F.conv_transpose2d(x, weight, bias, stride=2, padding=1)

    @staticmethod
    def backward(ctx: Any, above: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:  # pyright: ignore
        x, weight = ctx.saved_tensors
        to_weight = conv2d_weight(above, weight.shape, x, stride=2, padding=1)
        to_bias = above.sum((0, 2, 3)) if ctx.needs_input_grad[2] else None
        return F.conv2d(above, weight, stride=2, padding=1), to_weight, to_bias


def merge_taps(weights: Tensor, side: int) -> Tensor:
    """Three weights along `side` -> four: the weights between a pixel, doubled, and each of its four outputs.

    A transposed convolution flips its kernel.
    """
    first, second, third = weights.unbind(side)
    return torch.stack([third, second + third, first + second, first], side)


class ThinConv2d(nn.Conv2d):
    """A 3 x 3 convolution to one, two or three channels: (N, in, H, W) -> (N, out, H, W).

    Equals `conv2d(x, weight, bias, padding=1)`.  Convolutions on a CPU are made for many channels and leave
    most of their lanes empty here.  Instead one matrix product gives nine maps per channel, the contribution of
    each pixel to its nine neighbours, and `fold` shifts the maps and adds them up.
    """

    def __init__(self, in_channels: int, out_channels: int, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        if use_plain_formula(input):
            return super().forward(input)
        kernel = self.weight.flip(2, 3).permute(0, 2, 3, 1).reshape(9 * self.out_channels, self.in_channels)
        pixels = input.permute(0, 2, 3, 1).flatten(0, 2)  # channels last, so that the gradient is too
        parts = (
            (kernel @ pixels.T).unflatten(1, (len(input), -1)).transpose(0, 1)
        )  # long rows: quicker than long columns
        summed = F.fold(parts, input.shape[2:], 3, padding=1)
        return summed if self.bias is None else summed + self.bias.to(summed.dtype).view(-1, 1, 1)


class HalvingConv2d(nn.Conv2d):
    """A 4 x 4 convolution of stride 2: (N, in, 2h, 2w) -> (N, out, h, w).

    Equals `conv2d(x, weight, bias, stride=2, padding=1)`.  Deep in a U-Net there are few pixels and millions of
    weights: there it is fastest on a CPU to multiply a matrix of windows with the weights in their present layout.
    """

    layout = property(lambda self: preferred_layout(self.weight))

    few = 128  # outputs above which torch's convolutions, which reorder the weights first, are as fast

    def __init__(self, in_channels: int, out_channels: int, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, 4, 2, 1, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        n, h, w = input.shape[0], input.shape[2] // 2, input.shape[3] // 2
        if use_plain_formula(input) or n * h * w > self.few:
            return super().forward(input)
        padded = F.pad(input.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))
        windows, weight = padded.unfold(1, 4, 2).unfold(2, 4, 2), self.weight  # (n, h, w, in, 4, 4), (out, in, 4, 4)
        if is_channels_last(weight):
            windows, weight = windows.permute(0, 1, 2, 4, 5, 3), weight.permute(0, 2, 3, 1)
        result = product(windows.reshape(n * h * w, -1), weight.flatten(1))
        result = result if self.bias is None else result + self.bias.to(result.dtype)
        return match_layout(input, result.view(n, h, w, -1).permute(0, 3, 1, 2))


class DoublingConv2d(nn.ConvTranspose2d):
    """A transposed 4 x 4 convolution of stride 2: (N, in, h, w) -> (N, out, 2h, 2w).

    Equals `conv_transpose2d(x, weight, bias, stride=2, padding=1)`, as the mirror image of `HalvingConv2d`.
    """

    layout = property(lambda self: preferred_layout(self.weight))

    few = 256  # inputs

    def __init__(self, in_channels: int, out_channels: int, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, 4, 2, 1, bias=bias)

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        n, _, h, w = input.shape
        if use_plain_formula(input) or n * h * w > self.few:
            return super().forward(input, output_size)
        rows, last = input.permute(0, 2, 3, 1).reshape(n * h * w, -1), is_channels_last(self.weight)
        weight = self.weight.permute(0, 2, 3, 1) if last else self.weight
        parts = product(rows, weight.flatten(1).T)  # the contribution of each pixel to the 4 x 4 around it
        # Both axes of the kernel are split into pairs: (pair of rows, row in it, pair of columns, column in it).
        parts = parts.view(n, h, w, 2, 2, 2, 2, -1) if last else parts.view(n, h, w, -1, 2, 2, 2, 2).movedim(3, 7)
        summed = sum(
            F.pad(parts[:, :, :, a, :, b], (0, 0, 0, 0, 0, 0, b, 1 - b, a, 1 - a)) for a in (0, 1) for b in (0, 1)
        )
        assert isinstance(summed, Tensor)
        result = summed.transpose(2, 3).reshape(n, 2 * h + 2, 2 * w + 2, -1)[:, 1:-1, 1:-1].permute(0, 3, 1, 2)
        return match_layout(input, result if self.bias is None else result + self.bias.to(result.dtype).view(-1, 1, 1))


def preferred_layout(weight: Tensor) -> torch.memory_format:
    """The best memory layout of a weight: contiguous for large weights on a CPU, else channels last.

    There torch's fused Adam copies every gradient in channels-last layout, to no benefit.
    """
    many = weight.device.type == "cpu" and weight.numel() >= 2**22
    return torch.contiguous_format if many else torch.channels_last


def is_channels_last(tensor: Tensor) -> bool:
    """Whether a tensor is in channels-last layout and not contiguous."""
    return not tensor.is_contiguous() and tensor.is_contiguous(memory_format=torch.channels_last)


def match_layout(input: Tensor, output: Tensor) -> Tensor:
    """`output` in the memory layout of `input`."""
    return output.contiguous(memory_format=torch.channels_last if is_channels_last(input) else torch.contiguous_format)


class SameConv2d(nn.Conv2d):
    """A convolution with the padding that Keras calls "same": (N, in, H, W) -> (N, out, ceil(H / stride), ...).

    Where the padding cannot be split evenly, the larger half is at the bottom and on the right: a 3 x 3 kernel
    of stride 2 pads an even side at its end only.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, kernel, stride, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        top, bottom, left, right = (
            part
            for side in input.shape[2:]
            for border in [max((-(-side // stride) - 1) * stride + kernel - side, 0)]
            for part in (border // 2, border - border // 2)
        )
        if (top, left) == (bottom, right):
            return F.conv2d(input, self.weight, self.bias, self.stride, (top, left))
        # Cheaper than a larger kernel or a larger output that is cropped: padding is a copy, these are arithmetic.
        return F.conv2d(F.pad(input, (left, right, top, bottom)), self.weight, self.bias, self.stride)


class FlattenLast(nn.Module):
    """(N, C, H, W) -> (N, H * W * C) in the order of Keras's Flatten; no copy for channels-last memory."""

    def forward(self, input: Tensor) -> Tensor:
        return input.permute(0, 2, 3, 1).flatten(1)


class UnflattenLast(nn.Module):
    """(N, H * W * C) -> (N, C, H, W), the inverse: Keras's Reshape.  The result is in channels-last memory."""

    def __init__(self, channels: int, height: int, width: int) -> None:
        super().__init__()
        self.shape = (height, width, channels)

    def forward(self, input: Tensor) -> Tensor:
        return input.unflatten(1, self.shape).permute(0, 3, 1, 2)


class Dropout(nn.Dropout):
    """`nn.Dropout` with masks that are cheap on a CPU: in training zero with probability p, else x / (1 - p).

    One 64-bit random number of torch's generator decides eight elements, a byte each, so p must be a multiple of
    1/256; raises ModelError naming the nearest for others.
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__(p)
        if not (p * 256).is_integer():
            raise ModelError(f"Dropout draws bytes and cannot drop {p}: the nearest is {round(p * 256) / 256}.")

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or self.p in (0, 1) or input.device.type != "cpu":
            return super().forward(input)
        kept = torch.empty_like(input)
        draws = torch.empty(-(-input.numel() // 8), dtype=torch.int64).random_(-(2**63), None)
        bytes_kept = draws.view(torch.uint8).ge_(round(self.p * 256))
        kept.copy_(bytes_kept.as_strided(kept.shape, kept.stride())).mul_(1 / (1 - self.p))
        return input * kept


class LiveDropout(Dropout):
    """Dropout as a generator's noise: it drops in evaluation mode too, where `chance` is given."""

    def forward(self, input: Tensor, chance: Chance | None = None) -> Tensor:
        if self.training or chance is None or not self.p:
            return super().forward(input)
        kept = chance.uniform(*input.shape).to(input.device) >= self.p
        return input * kept.to(input.dtype) / (1 - self.p)


class PaddedConv2d(nn.Conv2d):
    """A convolution with an odd kernel that keeps the size; padded by reflection, by replication or with zeros."""

    def __init__(self, inputs: int, outputs: int, kernel: int, bias: bool = True, padding: Padding = "reflect") -> None:
        super().__init__(inputs, outputs, kernel, padding=kernel // 2, bias=bias, padding_mode=padding)
