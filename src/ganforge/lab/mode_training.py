"""Train one objective on one plane of the mode contest, all seeds at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganforge.lab.batched_mlp import RandomStreams, Weights, apply_mlp, init_mlp
from ganforge.lab.gaussian_mixtures import SAMPLES, Plane
from ganforge.lab.objectives import Objective


@dataclass(frozen=True)
class Rules:
    """Settings that all objectives share: the networks of Metz et al. 2017, with smaller batches and larger steps."""

    steps: int = 3_500
    """Steps of the generator."""
    batch: int = 64
    latent: int = 2
    """Length of z (Srivastava et al. 2017)."""
    width: int = 128
    """Units of each of the two hidden layers of either network."""
    lr: float = 1e-3
    """Of both players; from the half of the run on it falls linearly to 0."""
    shrink: float = 0.25
    """The discriminator first scales points by this factor (Metz et al. 2017)."""
    seeds: int = 5


class ModeTrainer:
    """Generator and discriminator of every seed, and their training steps."""

    def __init__(self, plane: Plane, objective: Objective, rules: Rules, seeds: Sequence[int]) -> None:
        self.plane, self.objective, self.rules, self.random = plane, objective, rules, RandomStreams(seeds)
        width, rngs = rules.width, self.random.rngs
        self.generator = init_mlp((rules.latent, width, width, 2), rngs)
        self.discriminator = init_mlp((2 * objective.pack, width, width, 1), rngs)
        self.optimisers = {
            "generator": self.build_optimiser(self.generator),
            "discriminator": self.build_optimiser(self.discriminator),
        }

    def build_optimiser(self, weights: Weights) -> torch.optim.Optimizer:
        """The optimiser of one player."""
        if self.objective.method == "rmsprop":
            return torch.optim.RMSprop(weights, self.rules.lr, foreach=True)
        return torch.optim.Adam(weights, self.rules.lr, self.objective.betas, foreach=True)

    def train(self, on_step: Callable[[int], None] = lambda step: None) -> np.ndarray:
        """Run all steps; returns (S, SAMPLES, 2) points of the trained generators.

        `on_step` is called with the number of steps done.
        """
        for step in range(self.rules.steps):
            rate = self.rules.lr * min(1.0, 2 * (1 - step / self.rules.steps))
            for optimiser in self.optimisers.values():
                optimiser.param_groups[0]["lr"] = rate
            for _ in range(self.objective.moves):
                self.step_discriminator()
            self.step_generator()
            on_step(step + 1)
        with torch.no_grad():
            return self.sample_fake(SAMPLES).numpy()

    def step_discriminator(self) -> None:
        """One step of the discriminator of every seed."""
        real, objective = self.sample_real(), self.objective
        with torch.no_grad():
            fake = self.sample_fake(self.rules.batch)
        loss = objective.discriminator(self.score(self.discriminator, real), self.score(self.discriminator, fake))
        if objective.penalty is not None:
            uniform = self.random.uniform(self.rules.batch, 1)
            penalty = objective.penalty(lambda x: self.score(self.discriminator, x), real, fake, uniform)
            loss = loss + objective.weight * penalty
        self.descend("discriminator", self.discriminator, loss)
        if objective.clip:
            with torch.no_grad():
                for weight in self.discriminator:
                    weight.clamp_(-objective.clip, objective.clip)

    def step_generator(self) -> None:
        """One step of the generator of every seed, against the current discriminator or the unrolled one."""
        real, fake, discriminator = self.sample_real(), self.sample_fake(self.rules.batch), self.discriminator
        if self.objective.unroll:
            discriminator = self.unroll(real, fake)
        on_fake = self.score(discriminator, fake)
        on_real = self.score(discriminator, real) if self.objective.compares else on_fake
        loss = self.objective.generator(on_real, on_fake)
        self.descend("generator", self.generator, loss)

    def unroll(self, real: Tensor, fake: Tensor) -> Weights:
        """The discriminator after its next steps of Adam, differentiable in `fake` (Metz et al. 2017, equation 8)."""
        optimiser, weights = self.optimisers["discriminator"], self.discriminator
        group = optimiser.param_groups[0]
        (low, high), states = group["betas"], [optimiser.state[w] for w in self.discriminator]
        first, second = [s["exp_avg"] for s in states], [s["exp_avg_sq"] for s in states]
        done = int(states[0]["step"])
        for k in range(1, self.objective.unroll + 1):
            loss = self.objective.discriminator(self.score(weights, real), self.score(weights, fake))
            gradients = torch.autograd.grad(loss.sum(), weights, create_graph=True)
            first = [low * m + (1 - low) * g for m, g in zip(first, gradients, strict=True)]
            second = [high * v + (1 - high) * g * g for v, g in zip(second, gradients, strict=True)]
            size = group["lr"] * (1 - high ** (done + k)) ** 0.5 / (1 - low ** (done + k))
            moments = zip(weights, first, second, strict=True)
            # The root has an infinite derivative at 0: weights whose gradient was always 0 would become NaN.
            weights = [w - size * m / ((v + 1e-16).sqrt() + 1e-8) for w, m, v in moments]
        return weights

    def score(self, discriminator: Weights, points: Tensor) -> Tensor:
        """(S, N, 2) -> (S, N / pack)."""
        packed = points.reshape(len(points), -1, 2 * self.objective.pack)
        return apply_mlp(discriminator, self.rules.shrink * packed).squeeze(2)

    def sample_real(self) -> Tensor:
        """(S, batch, 2) from the plane."""
        return torch.stack([self.plane.sample(self.rules.batch, rng) for rng in self.random.rngs])

    def sample_fake(self, n: int) -> Tensor:
        """(S, n, 2) from the generators."""
        return apply_mlp(self.generator, self.random.normal(n, self.rules.latent))

    def descend(self, player: str, weights: Weights, loss: Tensor) -> None:
        """One optimiser step on the sum of the loss over the seeds."""
        gradients = torch.autograd.grad(loss.sum(), weights)
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = gradient
        self.optimisers[player].step()
