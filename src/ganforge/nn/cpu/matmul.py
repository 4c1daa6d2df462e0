"""Products on a CPU: in which precision they are taken, whether a cheaper form of them may be, and by which library.

torch carries two for full precision, and its own `@` calls MKL.  Where few rows meet millions of weights oneDNN, which
does torch's convolutions, takes half of the time, and for square matrices a tenth less.
"""

from functools import cache
from typing import Any

import torch
from torch import Tensor


def product(left: Tensor, right: Tensor) -> Tensor:
    """(m, k), (n, k) -> (m, n), `left @ right.T`, in any strides."""
    if left_plain(left) or precision_of(left) != torch.float32 or not within_reach():
        return left @ right.T
    return Product.apply(left, right)


class Product(torch.autograd.Function):
    """`left @ right.T` by oneDNN; so are its derivatives, of any order."""

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
        return to_left, product(left.T, above.T).T  # lying as `right` does: optimisers would copy it


@cache
def within_reach() -> bool:
    """Whether this build of torch has oneDNN and the operator, which torch.compile calls too, and it multiplies."""
    if not (torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")):
        return False
    left, right = torch.arange(6.0).view(2, 3), torch.arange(12.0).view(3, 4).T
    try:
        return torch.equal(Product.apply(left, right), left @ right.T)
    except (RuntimeError, TypeError):  # another signature, or nobody at home behind the name
        return False


def multiplies_tiles(input: Tensor) -> bool:
    """Whether products with `input` run in bf16 on a CPU with matrix units (AMX)."""
    return input.device.type == "cpu" and precision_of(input) == torch.bfloat16 and torch.cpu._is_amx_tile_supported()


def precision_of(input: Tensor) -> torch.dtype:
    """In what a product with `input` is taken on a CPU."""
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else input.dtype


def left_plain(input: Tensor) -> bool:
    """Whether the plain formula is to be computed: away from CPUs, and in exports, which take any number of rows."""
    return input.device.type != "cpu" or torch.compiler.is_exporting()
