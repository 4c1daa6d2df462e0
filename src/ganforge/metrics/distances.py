"""Distances between features, a block of rows at a time: never a matrix of all pairs."""

from collections.abc import Iterator

import torch
from torch import Tensor

ROWS = 1_024  # of a block


def blocks(x: Tensor, y: Tensor) -> Iterator[tuple[int, Tensor]]:
    """(number of the first row, squared distances (rows, M)) of features (N, D) to (M, D), in float64.

    Where y is x itself, a row's distance to itself is exactly zero.
    """
    centre = y.mean(0, dtype=torch.float64)  # large common parts would cancel, and take digits with them
    y_wide = y.double() - centre
    lengths = y_wide.square().sum(1)
    for start in range(0, len(x), ROWS):
        part = x[start : start + ROWS].double() - centre
        squares = torch.addmm(lengths[None], part, y_wide.T, alpha=-2)
        squares.add_(part.square().sum(1)[:, None]).clamp_(min=0)
        if x is y:
            squares.diagonal(start).zero_()
        yield start, squares


def nearest(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """For each row of x (N, D) the nearest row of y: its number (N,), and how far it is (N,)."""
    found = [squares.min(1) for _, squares in blocks(x, y)]
    return torch.cat([f.indices for f in found]), torch.cat([f.values for f in found]).sqrt()


def radii(x: Tensor, k: int) -> Tensor:
    """The squared distance (N,) of each row of x to its k-th neighbour."""
    return torch.cat([squares.kthvalue(k + 1, 1).values for _, squares in blocks(x, x)])
