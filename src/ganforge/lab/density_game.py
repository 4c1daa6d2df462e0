"""The game of 2014 on the line: algorithm 1 as `models/gan.py` plays it, between players that suit the theory.

Two things differ from the paper's own networks, both so that theory and training can be laid side by side.  All
units are smooth, so the generator's density has no cusps but where the map folds; and each player has a learning
rate of its own, so the discriminator can stay near its optimum while the generator moves (proposition 2 lets it
reach the optimum at every step).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from ganforge.batches import Facts, Images
from ganforge.game import Clock, Game, Move
from ganforge.nn.losses import fake_loss, real_loss


@dataclass(frozen=True)
class Config:
    """What the game on the line may be told."""

    width: int = 32
    """Units of each of the generator's two hidden layers."""
    units: int = 64
    """Units of each of the discriminator's two hidden layers."""
    objective: Literal["non-saturating", "minimax"] = "non-saturating"
    """What G descends: -log D(G(z)), or log(1 - D(G(z))), which starves early in training (section 3)."""
    discriminator_moves: int = 5
    """k of algorithm 1."""
    generator_lr: float = 1e-3
    """Learning rate of the generator, by Adam."""
    discriminator_lr: float = 1e-2
    """Learning rate of the discriminator, by Adam."""
    momentum: float = 0.5
    """Adam's beta1."""


class Line(Game[Config, Images]):
    """z, one Gaussian number -> a picture of one pixel in [-1, 1], which is a point on the line."""

    augmented = ("discriminator",)

    def __init__(self, config: Config, facts: Facts) -> None:
        super().__init__(config, facts)
        c = config
        self.generator = nn.Sequential(
            nn.Linear(1, c.width),
            nn.Tanh(),
            nn.Linear(c.width, c.width),
            nn.Tanh(),
            nn.Linear(c.width, 1),
            nn.Tanh(),
            nn.Unflatten(1, (1, 1, 1)),
        )
        nn.init.constant_(self.generator.get_parameter("4.bias"), -0.6)  # begins at the left, and has a way to go
        self.discriminator = nn.Sequential(
            nn.Flatten(),
            Widened(4.0),
            nn.Linear(1, c.units),
            nn.SiLU(),
            nn.Linear(c.units, c.units),
            nn.SiLU(),
            nn.Linear(c.units, 1),
            nn.Flatten(0),
        )

    def players(self) -> dict[str, Optimizer]:
        c, betas = self.config, (self.config.momentum, 0.99)
        return {
            "discriminator": Adam(self.discriminator.parameters(), c.discriminator_lr, betas),
            "generator": Adam(self.generator.parameters(), c.generator_lr, betas),
        }

    def play(self, batches: Iterator[Images], now: Clock) -> Iterator[Move]:
        n = 0
        for _ in range(self.config.discriminator_moves):
            real = next(batches).images
            n = len(real)
            on_real, on_fake = self.discriminator(real), self.discriminator(self.sample(n).detach())
            yield Move(
                "discriminator",
                real=real_loss(on_real),  # algorithm 1, the ascent of D
                fake=fake_loss(on_fake),
                says_real=on_real.detach().mean(),
                says_fake=on_fake.detach().mean(),
            )
        verdict = self.discriminator(self.sample(n))
        if self.config.objective == "minimax":
            yield Move("generator", fool=-fake_loss(verdict))  # algorithm 1, the descent of G
        else:
            yield Move("generator", fool=real_loss(verdict))  # the end of section 3

    def sample(self, n: int) -> Tensor:
        """`n` points as pictures."""
        return self.generator(self.draw.normal(n, 1))


class Widened(nn.Module):
    """Multiplies by a constant: the window of x is [-1, 1], and smooth units see little of so short a stretch."""

    def __init__(self, times: float) -> None:
        super().__init__()
        self.times = times

    def forward(self, x: Tensor) -> Tensor:
        return self.times * x
