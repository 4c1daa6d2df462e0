"""Maxout units."""

from torch import Tensor, nn


class Maxout(nn.Module):
    """(N, inputs) -> (N, units): each unit the largest of `pieces` linear functions (Goodfellow et al. 2013)."""

    def __init__(self, inputs: int, units: int, pieces: int) -> None:
        super().__init__()
        self.linear, self.units = nn.Linear(inputs, units * pieces), units

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x).unflatten(1, (self.units, -1)).amax(2)
