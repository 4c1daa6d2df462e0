"""The GAN of 2014 in one dimension: algorithm 1 as in `models/gan.py`, with networks that suit the theory.

Two things differ from the paper's own networks, both so that theory and training can be compared.  All activations are
smooth, so the generator's density has cusps only where the map folds; and each player has its own learning rate, so the
discriminator can stay near its optimum while the generator trains (proposition 2 lets it reach the optimum at every
step).
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
    """Settings of the one-dimensional GAN."""

    width: int = 32
    """Units of each of the generator's two hidden layers."""
    units: int = 64
    """Units of each of the discriminator's two hidden layers."""
    objective: Literal["non-saturating", "minimax"] = "non-saturating"
    """The generator's loss: -log D(G(z)), or log(1 - D(G(z))), which saturates early in training (section 3)."""
    discriminator_moves: int = 5
    """k of algorithm 1."""
    generator_lr: float = 1e-3
    """Learning rate of the generator, by Adam."""
    discriminator_lr: float = 1e-2
    """Learning rate of the discriminator, by Adam."""
    momentum: float = 0.5
    """Adam's beta1."""


class GAN1D(Game[Config, Images]):
    """z (N, 1), one Gaussian number -> images (N, 1, 1, 1) in [-1, 1]: one pixel, whose value is the point."""

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
        nn.init.constant_(self.generator.get_parameter("4.bias"), -0.6)  # start at the left, away from the target
        self.discriminator = nn.Sequential(
            nn.Flatten(),
            Scale(4.0),
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
        on_fake = self.discriminator(self.sample(n))
        if self.config.objective == "minimax":
            yield Move("generator", fool=-fake_loss(on_fake))  # algorithm 1, the descent of G
        else:
            yield Move("generator", fool=real_loss(on_fake))  # the end of section 3

    def sample(self, n: int) -> Tensor:
        """`n` generated points as images (n, 1, 1, 1)."""
        return self.generator(self.draw.normal(n, 1))


class Scale(nn.Module):
    """Multiply by a constant: on the short interval [-1, 1] smooth activations would be nearly linear."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x
