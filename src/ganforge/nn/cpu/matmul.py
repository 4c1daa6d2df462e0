"""Matrix products on a CPU: their precision, their library, and whether a cheaper form may replace them.

In full precision torch's `@` calls MKL.  For few rows and millions of weights oneDNN, which torch uses for
convolutions, takes half of the time, and for square matrices a tenth less.
"""

from functools import cache
from typing import Any

import torch
from torch import Tensor


def product(left: Tensor, right: Tensor) -> Tensor:
    """(m, k), (n, k) -> (m, n), `left @ right.T`, for any strides."""
    if use_plain_formula(left) or compute_dtype(left) != torch.float32 or not has_onednn():
        return left @ right.T
    return Product.apply(left, right)


class Product(torch.autograd.Function):
    """`left @ right.T` by oneDNN, and its derivatives of any order."""

    @staticmethod
    def forward(ctx: Any, left: Tensor, right: Tensor) -> Tensor:  # pyright: ignore
        ctx.save_for_backward(left, right)
        return torch.ops.mkldnn._linear_pointwise(left, right, None, "none", [], "")

    @staticmethod
    def backward(ctx: Any, above: Tensor) -> tuple[Tensor | None, Tensor | None]:  # pyright: ignore
        left, right = ctx.saved_tensors
        to_left = product(above, right.T) if ctx.needs_input_grad[0] else None
        if not ctx.needs_input_grad[1]:
            return to_left, None
        if right.is_contiguous():
            return to_left, product(above.T, left.T)
        return to_left, product(left.T, above.T).T  # in the layout of `right`: optimisers would copy it


@cache
def has_onednn() -> bool:
    """Whether this build of torch has oneDNN and its operator (also called by torch.compile), and it works."""
    if not (torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")):
        return False
    left, right = torch.arange(6.0).view(2, 3), torch.arange(12.0).view(3, 4).T
    try:
        return torch.equal(Product.apply(left, right), left @ right.T)
    except (RuntimeError, TypeError):  # another signature, or an operator that is not implemented
        return False


def uses_amx(input: Tensor) -> bool:
    """Whether products with `input` are computed in bf16 on a CPU with matrix units (AMX)."""
    return input.device.type == "cpu" and compute_dtype(input) == torch.bfloat16 and torch.cpu._is_amx_tile_supported()


def compute_dtype(input: Tensor) -> torch.dtype:
    """The dtype in which a product with `input` is computed on a CPU."""
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else input.dtype


def use_plain_formula(input: Tensor) -> bool:
    """Whether to compute the plain formula: on other devices, and in exports, which take any number of rows."""
    return input.device.type != "cpu" or torch.compiler.is_exporting()
