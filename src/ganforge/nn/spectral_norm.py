"""Layers under spectral normalisation (Miyato et al. 2018).

A weight is divided by an estimate of its largest singular value, u W v.  In training every call improves u and v by one
step of the power iteration; in evaluation they rest, so that equal inputs give equal outputs (but in SpectralConv2d).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class SpectralNorm(nn.Module):
    """The weight of a layer divided by its largest singular value: a mixin in front of a layer of torch."""

    in_memory_order = True
    """Whether the products take the weight's numbers in their order in memory, which needs outputs as first axis."""
    rests = True
    """Whether the power iteration rests in evaluation."""
    weight: Tensor
    u: Tensor
    v: Tensor

    def add_vectors(self, eps: float) -> None:
        """Add the buffers u (out,) and v (in * kernel,)."""
        flat, self.eps = self.matrix().detach(), eps
        self.register_buffer("u", F.normalize(torch.ones_like(flat[:, 0]), dim=0))
        self.register_buffer("v", F.normalize(torch.ones_like(flat[0]), dim=0))
        if not flat.is_meta:
            self.settle()

    def matrix(self) -> Tensor:
        """The weight as (out, in * kernel)."""
        return self.weight.flatten(1)

    @torch.no_grad()
    def settle(self) -> None:
        """One step of the power iteration, for instance after the weight was set."""
        flat = view_matrix(self.weight) if self.in_memory_order else self.matrix()
        v = F.normalize(flat.T @ self.u, dim=0, eps=self.eps)
        self.u.copy_(F.normalize(flat @ v, dim=0, eps=self.eps))
        self.v.copy_(order_columns(v, self.weight, back=True) if self.in_memory_order else v)

    def normalised(self) -> Tensor:
        """The weight divided by u W v."""
        with torch.autocast(self.weight.device.type, enabled=False):
            if self.training or not self.rests:
                self.settle()
            u, v = self.u.clone(), self.v.clone()  # a later call replaces them, while these stay in the graph
            if not self.in_memory_order or torch.compiler.is_exporting() or torch.compiler.is_compiling():
                return self.weight / (u @ (self.matrix() @ v))
            result = DividedWeight.apply(self.weight, u, order_columns(v, self.weight))
            assert isinstance(result, Tensor)
            return result


@contextmanager
def resting(network: nn.Module) -> Iterator[None]:
    """The power iteration of all layers of a network rests: they keep the weights of their last call."""
    layers = [layer for layer in network.modules() if isinstance(layer, SpectralNorm) and layer.training]
    for layer in layers:
        layer.training = False
    try:
        yield
    finally:
        for layer in layers:
            layer.training = True


def is_last(weight: Tensor) -> bool:
    """Whether the channels of a convolution's weight lie last in memory, so that `flatten(1)` would copy it."""
    return weight.ndim == 4 and not weight.is_contiguous() and weight.is_contiguous(memory_format=torch.channels_last)


def view_matrix(weight: Tensor) -> Tensor:
    """The weight as (out, in * kernel), its columns in the order in which they lie in memory."""
    return (weight.permute(0, 2, 3, 1) if is_last(weight) else weight).flatten(1)


def order_columns(v: Tensor, weight: Tensor, back: bool = False) -> Tensor:
    """v with its numbers in the order of the columns of `view_matrix`; `back`: the inverse."""
    if not is_last(weight):
        return v
    _, channels, height, width = weight.shape
    if back:
        return v.view(height, width, channels).permute(2, 0, 1).flatten()
    return v.view(channels, height, width).permute(1, 2, 0).flatten()


class DividedWeight(torch.autograd.Function):
    """`weight / (u @ view_matrix(weight) @ v)`; the derivative reads and writes the weight half as often."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, u: Tensor, v: Tensor) -> Tensor:  # pyright: ignore
        sigma = u @ (view_matrix(weight) @ v)
        result = weight / sigma
        ctx.save_for_backward(result, u, v, sigma)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, above: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore
        result, u, v, sigma = ctx.saved_tensors
        slope = torch.div(above, sigma, out=torch.empty_like(result))
        matrix = view_matrix(slope)
        along = torch.dot(matrix.flatten(), view_matrix(result).flatten())
        matrix.addr_(u * -along, v)  # a view of `slope`
        return slope, None, None


class SpectralNormConv2d(SpectralNorm, nn.Conv2d):
    """(N, in, H, W) -> (N, out, h, w); keeps the sides unless `stride` or `padding` say otherwise."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        eps: float = 1e-12,
        stride: int = 1,
        padding: int | None = None,
        bias: bool = True,
    ) -> None:
        padding = kernel // 2 if padding is None else padding
        super().__init__(inputs, outputs, kernel, stride, padding, bias=bias)
        self.add_vectors(eps)

    def forward(self, input: Tensor) -> Tensor:
        return self._conv_forward(input, self.normalised(), self.bias)


class SpectralConv2d(SpectralNorm, nn.Conv2d):
    """A convolution whose power iteration moves at every call, in evaluation as well (InstaGAN)."""

    in_memory_order, rests, eps = False, False, 1e-12

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, padding: int, bias: bool = True) -> None:
        super().__init__(inputs, outputs, kernel, stride, padding, bias=bias)
        self.register_buffer("u", F.normalize(self.matrix().detach().sum(1), dim=0))
        self.register_buffer("v", F.normalize(self.matrix().detach().sum(0), dim=0))

    def forward(self, input: Tensor) -> Tensor:
        return self._conv_forward(input, self.normalised(), self.bias)


class SpectralNormLinear(SpectralNorm, nn.Linear):
    """(..., in) -> (..., out)."""

    def __init__(self, inputs: int, outputs: int, eps: float = 1e-12) -> None:
        super().__init__(inputs, outputs)
        self.add_vectors(eps)

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.normalised(), self.bias)


class SpectralNormEmbedding(SpectralNorm, nn.Embedding):
    """int64 (...) -> (..., width)."""

    def __init__(self, names: int, width: int, eps: float = 1e-12) -> None:
        super().__init__(names, width)
        self.add_vectors(eps)

    def forward(self, input: Tensor) -> Tensor:
        return F.embedding(input, self.normalised())
