"""Distances between features, a block of rows at a time: never a matrix of all pairs."""

from collections.abc import Iterator

import torch
from torch import Tensor

ROWS = 256  # per block: enough for full matrix-multiplication speed


def blocks(x: Tensor, y: Tensor) -> Iterator[tuple[int, Tensor]]:
    """(index of the first row, squared distances (rows, M)) of features (N, D) to (M, D), in float64.

    Where y is x itself, a row's distance to itself is exactly zero.  Each block reuses the memory
    of the one before, because allocators do not reuse freed blocks of this size well: copy what must outlive it.
    """
    centre = y.new_zeros(y.shape[1], dtype=torch.float64)  # a large common offset would cancel, at a loss of precision
    for part in y.split(ROWS):
        centre += part.double().sum(0) / len(y)
    y_wide = torch.empty(y.shape, dtype=torch.float64)
    lengths = torch.empty(len(y), dtype=torch.float64)
    for part, wide, length in zip(y.split(ROWS), y_wide.split(ROWS), lengths.split(ROWS), strict=True):
        torch.sum(wide.copy_(part).sub_(centre).square(), 1, out=length)
    block = torch.empty(min(ROWS, len(x)), len(y), dtype=torch.float64)
    for start in range(0, len(x), ROWS):
        part = x[start : start + ROWS].double() - centre
        squares = torch.addmm(lengths[None], part, y_wide.T, alpha=-2, out=block[: len(part)])
        squares.add_(part.square().sum(1)[:, None]).clamp_(min=0)
        if x is y:
            squares.diagonal(start).zero_()
        yield start, squares


def nearest(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """For each row of x (N, D) the nearest row of y: its index (N,), and its distance (N,)."""
    found = [squares.min(1) for _, squares in blocks(x, y)]
    return torch.cat([f.indices for f in found]), torch.cat([f.values for f in found]).sqrt()


def radii(x: Tensor, k: int) -> Tensor:
    """The squared distance (N,) of each row of x to its k-th neighbour."""
    least = torch.empty(len(x), dtype=torch.float64)
    for start, squares in blocks(x, x):  # its own distance of zero is the first
        least[start : start + len(squares)] = squares.topk(k + 1, 1, largest=False).values[:, k]
    return least
