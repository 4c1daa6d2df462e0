"""One cell of the mode contest: an objective learns a plane, all seeds at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganforge.lab.batched_mlp import Crowd, Weights, born, through
from ganforge.lab.gaussian_mixtures import SAMPLES, Plane
from ganforge.lab.objectives import Objective


@dataclass(frozen=True)
class Rules:
    """What all objectives have in common: the networks of Metz et al. 2017, with smaller batches and larger steps."""

    steps: int = 3_500
    """Moves of the generator."""
    batch: int = 64
    latent: int = 2
    """Length of z (Srivastava et al. 2017)."""
    width: int = 128
    """Units of each of the two hidden layers of either network."""
    lr: float = 1e-3
    """Of both players; from the half of the run on it falls linearly to 0."""
    shrink: float = 0.25
    """The judge scales points by this first (Metz et al. 2017)."""
    seeds: int = 5


class Cell:
    """The two networks of every seed, and how they move."""

    def __init__(self, plane: Plane, objective: Objective, rules: Rules, seeds: Sequence[int]) -> None:
        self.plane, self.objective, self.rules, self.crowd = plane, objective, rules, Crowd(seeds)
        width, sources = rules.width, self.crowd.sources
        self.generator = born((rules.latent, width, width, 2), sources)
        self.judge = born((2 * objective.pack, width, width, 1), sources)
        self.movers = {"generator": self.mover(self.generator), "judge": self.mover(self.judge)}

    def mover(self, weights: Weights) -> torch.optim.Optimizer:
        """The optimiser of one player."""
        if self.objective.method == "rmsprop":
            return torch.optim.RMSprop(weights, self.rules.lr, foreach=True)
        return torch.optim.Adam(weights, self.rules.lr, self.objective.betas, foreach=True)

    def play(self, told: Callable[[int], None] = lambda step: None) -> np.ndarray:
        """All steps; returns (S, SAMPLES, 2) points of the trained generators.  `told` hears of every step."""
        for step in range(self.rules.steps):
            rate = self.rules.lr * min(1.0, 2 * (1 - step / self.rules.steps))
            for mover in self.movers.values():
                mover.param_groups[0]["lr"] = rate
            for _ in range(self.objective.moves):
                self.judge_moves()
            self.generator_moves()
            told(step + 1)
        with torch.no_grad():
            return self.fake(SAMPLES).numpy()

    def judge_moves(self) -> None:
        """One step of the judge of every seed."""
        real, objective = self.real(), self.objective
        with torch.no_grad():
            fake = self.fake(self.rules.batch)
        loss = objective.judge(self.scores(self.judge, real), self.scores(self.judge, fake))
        if objective.penalty is not None:
            chance = self.crowd.uniform(self.rules.batch, 1)
            loss = loss + objective.weight * objective.penalty(lambda x: self.scores(self.judge, x), real, fake, chance)
        self.step("judge", self.judge, loss)
        if objective.clip:
            with torch.no_grad():
                for weight in self.judge:
                    weight.clamp_(-objective.clip, objective.clip)

    def generator_moves(self) -> None:
        """One step of the generator of every seed, against the judge as it is or as it will be."""
        real, fake, judge = self.real(), self.fake(self.rules.batch), self.judge
        if self.objective.unroll:
            judge = self.ahead(real, fake)
        on_fake = self.scores(judge, fake)
        on_real = self.scores(judge, real) if self.objective.compares else on_fake
        loss = self.objective.generator(on_real, on_fake)
        self.step("generator", self.generator, loss)

    def ahead(self, real: Tensor, fake: Tensor) -> Weights:
        """The judge after its next steps of Adam, as a function of the fakes (Metz et al. 2017, equation 8)."""
        group, weights = self.movers["judge"].param_groups[0], self.judge
        (low, high), states = group["betas"], [self.movers["judge"].state[w] for w in self.judge]
        first, second = [s["exp_avg"] for s in states], [s["exp_avg_sq"] for s in states]
        done = int(states[0]["step"])
        for k in range(1, self.objective.unroll + 1):
            loss = self.objective.judge(self.scores(weights, real), self.scores(weights, fake))
            slopes = torch.autograd.grad(loss.sum(), weights, create_graph=True)
            first = [low * m + (1 - low) * g for m, g in zip(first, slopes, strict=True)]
            second = [high * v + (1 - high) * g * g for v, g in zip(second, slopes, strict=True)]
            size = group["lr"] * (1 - high ** (done + k)) ** 0.5 / (1 - low ** (done + k))
            moved = zip(weights, first, second, strict=True)
            # The root of 0 has no slope: weights that nothing ever reached would turn it into NaN.
            weights = [w - size * m / ((v + 1e-16).sqrt() + 1e-8) for w, m, v in moved]
        return weights

    def scores(self, judge: Weights, points: Tensor) -> Tensor:
        """(S, N, 2) -> (S, N / pack)."""
        packed = points.reshape(len(points), -1, 2 * self.objective.pack)
        return through(judge, self.rules.shrink * packed).squeeze(2)

    def real(self) -> Tensor:
        """(S, batch, 2) from the plane."""
        return torch.stack([self.plane.sample(self.rules.batch, source) for source in self.crowd.sources])

    def fake(self, n: int) -> Tensor:
        """(S, n, 2) from the generators."""
        return through(self.generator, self.crowd.normal(n, self.rules.latent))

    def step(self, player: str, weights: Weights, loss: Tensor) -> None:
        """Descend the sum over the seeds."""
        slopes = torch.autograd.grad(loss.sum(), weights)
        for weight, slope in zip(weights, slopes, strict=True):
            weight.grad = slope
        self.movers[player].step()
