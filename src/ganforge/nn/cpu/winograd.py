"""Winograd convolutions: a quarter or a fifth of the multiplications, on a CPU in full precision.

An image is split into overlapping tiles, each with 4 x 4 outputs.  Regarded as polynomials, tile and kernel are
multiplied by their values at a few points: 36 products where a 3 x 3 kernel takes 144, 49 where a 4 x 4 kernel takes
256.

Winograd 1980, Arithmetic complexity of computations.
Lavin and Gray 2016, Fast algorithms for convolutional neural networks, section 4.  https://arxiv.org/abs/1509.09308
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ganforge.nn.cpu.convolutions import Padding, match_layout
from ganforge.nn.cpu.matmul import compute_dtype, use_plain_formula

STEP = 4
"""Outputs along each side of a tile."""
POINTS = {3: (0.0, 2 / 3, -2 / 3, 3 / 2, -3 / 2), 4: (1 / 3, -1 / 3, 4 / 5, -4 / 5, 2.0, -2.0)}
"""{kernel: evaluation points, without infinity}.  Their powers stay near 1: the error is a quarter of that of 0, 1, -1,
2, -2."""


class WinogradConv2d(nn.Conv2d):
    """A k x k convolution of stride 1, k 3 or 4: (N, in, H, W) -> (N, out, H', W').

    Equals `conv2d(pad(x, padding_mode), weight, bias)` within single precision.  Other kernels, narrow layers and
    small images, for which tiles cost more than they save, are computed by the plain formula.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        padding: int = 0,
        bias: bool = True,
        padding_mode: Padding = "zeros",
    ) -> None:
        super().__init__(in_channels, out_channels, kernel, padding=padding, bias=bias, padding_mode=padding_mode)

    def forward(self, input: Tensor) -> Tensor:
        padding = self.padding[0]
        assert isinstance(padding, int)
        if not is_faster(input, self.weight, padding):
            return super().forward(input)
        if padding and self.padding_mode != "zeros":
            input, padding = F.pad(input, (padding,) * 4, self.padding_mode), 0
        result = Tiled.apply(input, self.weight, padding)
        bias = Parameters.apply(input.detach(), self.weight, self.bias, padding, result.shape)
        return match_layout(input, result + bias)


def is_faster(input: Tensor, weight: Tensor, padding: int) -> bool:
    """Whether tiles are faster than the plain formula (measured): wide layers, and many outputs per weight."""
    kernel = weight.shape[-1]
    if use_plain_formula(input) or compute_dtype(input) not in (torch.float32, torch.float64) or kernel not in POINTS:
        return False
    n, _, h, w = input.shape
    results = n * (h + 2 * padding + 1 - kernel) * (w + 2 * padding + 1 - kernel)
    return min(weight.shape[:2]) >= 192 and results * kernel**2 >= 300 * (STEP + kernel - 1) ** 2


class Tiled(torch.autograd.Function):
    """`conv2d(x, weight, padding=padding)`, differentiable by x, and by the weight where it is differentiated twice.

    A torch function cannot see that the gradient of its weight is not needed (`backward(inputs=...)`), so the weight's
    derivative belongs to `Parameters`, which autograd then skips.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, padding: int) -> Tensor:  # pyright: ignore
        ctx.save_for_backward(weight)
        ctx.tiling = tiling = Tiling(x.shape, weight.shape, padding)
        results = torch.bmm(tiling.tiles(x), tiling.kernels(weight).transpose(1, 2))
        return tiling.join_tiles(results)

    @staticmethod
    def backward(ctx: Any, above: Tensor) -> tuple[Tensor | None, None, None]:  # pyright: ignore
        (weight,), tiling = ctx.saved_tensors, ctx.tiling
        if not ctx.needs_input_grad[0]:
            return None, None, None
        return tiling.tiles_back(torch.bmm(tiling.split_tiles(above), tiling.kernels(weight))), None, None


class Parameters(torch.autograd.Function):
    """The bias, or 0, in the shape of the outputs; backward gives the parameters' gradients of the convolution."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, padding: int, shape: torch.Size) -> Tensor:  # pyright: ignore
        ctx.save_for_backward(x)
        ctx.tiling = Tiling(x.shape, weight.shape, padding)
        return (weight.new_zeros(1) if bias is None else bias).view(-1, 1, 1).expand(shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, above: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore
        (x,), tiling = ctx.saved_tensors, ctx.tiling
        by_kernel = torch.bmm(tiling.split_tiles(above).transpose(1, 2), tiling.tiles(x))
        return (
            None,
            tiling.kernels_back(by_kernel),
            above.sum((0, 2, 3)) if ctx.needs_input_grad[2] else None,
            None,
            None,
        )


class Tiling:
    """The tiles of an image: linear maps to them and back; `..._back` are the maps of the derivatives."""

    def __init__(self, x: torch.Size, weight: torch.Size, padding: int) -> None:
        self.n, self.inputs, self.height, self.width = x
        self.outputs, self.kernel, self.padding = weight[0], weight[-1], padding
        self.tile = STEP + self.kernel - 1
        self.sides = (self.height + 2 * padding + 1 - self.kernel, self.width + 2 * padding + 1 - self.kernel)
        self.rows, self.columns = (-(-side // STEP) for side in self.sides)

    def tiles(self, x: Tensor) -> Tensor:
        """(N, in, H, W) -> (points, tiles, in)."""
        lines, across = (STEP * k + self.kernel - 1 for k in (self.rows, self.columns))
        padded = x.new_zeros(self.n, lines, across, self.inputs)
        inside = padded[:, self.padding : self.padding + self.height, self.padding : self.padding + self.width]
        inside.copy_(x.permute(0, 2, 3, 1))
        tiles = padded.unfold(1, self.tile, STEP).unfold(2, self.tile, STEP).permute(4, 5, 0, 1, 2, 3)
        return (self.maps(x).tile @ tiles.reshape(self.tile**2, -1)).view(self.tile**2, -1, self.inputs)

    def tiles_back(self, above: Tensor) -> Tensor:
        """(points, tiles, in) -> (N, in, H, W): the sum where tiles overlap."""
        over = self.kernel - 1
        pixels = self.maps(above).tile.T @ above.flatten(1)
        tiles = pixels.view(self.tile, self.tile, self.n, self.rows, self.columns, -1).permute(2, 3, 0, 4, 1, 5)
        summed = above.new_zeros(self.n, self.rows + 1, STEP, self.columns + 1, STEP, self.inputs)
        for row, lines in ((0, slice(0, STEP)), (1, slice(STEP, self.tile))):
            for column, across in ((0, slice(0, STEP)), (1, slice(STEP, self.tile))):
                there = summed[:, row : row + self.rows, : over if row else None]
                there = there[:, :, :, column : column + self.columns, : over if column else None]
                there += tiles[:, :, lines, :, across]
        whole = summed.view(self.n, (self.rows + 1) * STEP, (self.columns + 1) * STEP, self.inputs)
        inside = whole[:, self.padding : self.padding + self.height, self.padding : self.padding + self.width]
        return inside.permute(0, 3, 1, 2)

    def kernels(self, weight: Tensor) -> Tensor:
        """(out, in, k, k) -> (points, out, in)."""
        rows = weight.reshape(-1, self.kernel**2)
        return (self.maps(weight).kernel @ rows.T).view(self.tile**2, self.outputs, self.inputs)

    def kernels_back(self, above: Tensor) -> Tensor:
        """(points, out, in) -> (out, in, k, k)."""
        numbers = self.kernel**2
        wide = F.pad(
            self.maps(above).kernel, (0, 16 - numbers)
        )  # a product with nine columns takes longer than one with 16
        rows = above.flatten(1).T @ wide
        return rows[:, :numbers].reshape(self.outputs, self.inputs, self.kernel, self.kernel)

    def join_tiles(self, results: Tensor) -> Tensor:
        """(points, tiles, out) -> (N, out, H', W')."""
        h, w = self.sides
        parts = (self.maps(results).result @ results.flatten(1)).view(STEP, STEP, self.n, self.rows, self.columns, -1)
        whole = parts.permute(2, 5, 3, 0, 4, 1).reshape(self.n, self.outputs, self.rows * STEP, self.columns * STEP)
        return whole[:, :, :h, :w]

    def split_tiles(self, above: Tensor) -> Tensor:
        """(N, out, H', W') -> (points, tiles, out): the derivative of `join_tiles`."""
        h, w = self.sides
        whole = F.pad(above.permute(0, 2, 3, 1), (0, 0, 0, self.columns * STEP - w, 0, self.rows * STEP - h))
        parts = whole.view(self.n, self.rows, STEP, self.columns, STEP, -1).permute(2, 4, 0, 1, 3, 5)
        return (self.maps(above).result.T @ parts.reshape(STEP**2, -1)).view(self.tile**2, -1, self.outputs)

    def maps(self, tensor: Tensor) -> "Maps":
        return maps(self.kernel, tensor.dtype)


class Maps(NamedTuple):
    """Matrices from pixels and weights to points, and from products to outputs, for both image axes at once."""

    tile: Tensor
    """(points, pixels)"""
    kernel: Tensor
    """(points, k * k)"""
    result: Tensor
    """(16, points)"""


@lru_cache
def maps(kernel: int, dtype: torch.dtype) -> Maps:
    """The maps of k x k kernels, equal along both axes.

    Polynomials of 4 and k coefficients have a product of 3 + k, determined by its values at as many points (Toom and
    Cook).  This is linear in the first one; the transposed map takes 3 + k pixels to 4 outputs of the kernel.
    """
    with torch.inference_mode(False):  # the first call may be in inference mode, and later training needs plain tensors
        whole, left, right = (powers(n, POINTS[kernel]) for n in (STEP + kernel - 1, STEP, kernel))
        tile = torch.linalg.inv(whole).T
        return Maps(*(torch.kron(part, part).to(dtype).contiguous() for part in (tile, right, left.T)))


def powers(n: int, points: Sequence[float]) -> Tensor:
    """(points + 1, n) in float64: evaluates n coefficients, lowest first, at each point and at infinity."""
    at = torch.tensor(points, dtype=torch.float64)[:, None] ** torch.arange(n)
    return torch.cat([at, F.one_hot(torch.tensor([n - 1]), n)])
