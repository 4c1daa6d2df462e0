"""Many small networks as one: the weights of all seeds are stacked, and one batched product moves them all.

Nothing is shared between the seeds: each has weights, batches and chance of its own, a loss is the sum of theirs,
and Adam works element by element.  So a crowd of S equals S trainings one after another, in a fraction of the time.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

Weights = list[Tensor]  # W (S, inputs, outputs), b (S, 1, outputs), W, b, ...


def born(sizes: Sequence[int], sources: Sequence[torch.Generator]) -> Weights:
    """Weights of perceptrons with those layer sizes, one for each source of chance; ranges as in torch's Linear."""
    weights = []
    for inputs, outputs in pairwise(sizes):
        reach = 1 / math.sqrt(inputs)
        for rows in (inputs, 1):
            drawn = [torch.rand(rows, outputs, generator=source) for source in sources]
            weights.append(((2 * torch.stack(drawn) - 1) * reach).requires_grad_())
    return weights


def through(weights: Weights, x: Tensor) -> Tensor:
    """(S, N, inputs) -> (S, N, outputs), ReLU between the layers."""
    for k in range(0, len(weights), 2):
        x = torch.baddbmm(weights[k + 1], x, weights[k])
        if k + 2 < len(weights):
            x = x.relu()
    return x


class Crowd:
    """Sources of chance of some seeds; every draw has the seeds first."""

    def __init__(self, seeds: Sequence[int]) -> None:
        self.seeds, self.sources = tuple(seeds), [torch.Generator().manual_seed(seed) for seed in seeds]

    def __len__(self) -> int:
        return len(self.seeds)

    def normal(self, *shape: int) -> Tensor:
        """(S, *shape) from the standard normal distribution."""
        return torch.stack([torch.randn(*shape, generator=source) for source in self.sources])

    def uniform(self, *shape: int) -> Tensor:
        """(S, *shape), uniform in [0, 1)."""
        return torch.stack([torch.rand(*shape, generator=source) for source in self.sources])
