"""MLPs of several random seeds trained as one: weights are stacked over seeds, and one batched product computes all.

Nothing is shared between seeds: each has its own weights, batches and random stream, a loss is the sum over seeds,
and Adam works element by element.  So S stacked trainings give the result of S separate ones, in a fraction of the
time.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

Weights = list[Tensor]  # W (S, inputs, outputs), b (S, 1, outputs), W, b, ...


def init_mlp(sizes: Sequence[int], rngs: Sequence[torch.Generator]) -> Weights:
    """Weights of MLPs with these layer sizes, one MLP for each random stream; ranges as in torch's Linear."""
    weights = []
    for inputs, outputs in pairwise(sizes):
        bound = 1 / math.sqrt(inputs)
        for rows in (inputs, 1):
            uniform = [torch.rand(rows, outputs, generator=rng) for rng in rngs]
            weights.append(((2 * torch.stack(uniform) - 1) * bound).requires_grad_())
    return weights


def apply_mlp(weights: Weights, x: Tensor) -> Tensor:
    """(S, N, inputs) -> (S, N, outputs), ReLU between the layers."""
    for k in range(0, len(weights), 2):
        x = torch.baddbmm(weights[k + 1], x, weights[k])
        if k + 2 < len(weights):
            x = x.relu()
    return x


class RandomStreams:
    """One random stream for each of S seeds; every draw has the seeds as its first dimension."""

    def __init__(self, seeds: Sequence[int]) -> None:
        self.seeds, self.rngs = tuple(seeds), [torch.Generator().manual_seed(seed) for seed in seeds]

    def __len__(self) -> int:
        return len(self.seeds)

    def normal(self, *shape: int) -> Tensor:
        """(S, *shape) from the standard normal distribution."""
        return torch.stack([torch.randn(*shape, generator=rng) for rng in self.rngs])

    def uniform(self, *shape: int) -> Tensor:
        """(S, *shape), uniform in [0, 1)."""
        return torch.stack([torch.rand(*shape, generator=rng) for rng in self.rngs])
