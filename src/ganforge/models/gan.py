"""gan: a generator and a discriminator, trained against each other.

Goodfellow, Pouget-Abadie, Mirza, Xu, Warde-Farley, Ozair, Courville, Bengio, 2014.
https://arxiv.org/abs/1406.2661

    min_G max_D V(D, G) = E_x[log D(x)] + E_z[log(1 - D(G(z)))]                      (equation 1)

For a given generator the best discriminator is D*(x) = p_data / (p_data + p_g); the equilibrium
is p_g = p_data, where D = 1/2 everywhere and V = -log 4 (theorem 1).

Departures: 1. the noise is Gaussian, which the paper leaves open; 2. images are in [-1, 1] and the generator
ends in tanh instead of a sigmoid; 3. the column-norm limit and the growing momentum of the released code are left
out; 4. `small` uses Adam, which was published half a year later and needs no schedule.

Train it small: `ganforge train gan` (2 minutes on two cores: soft but recognisable shapes, some speckle).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from ganforge.batches import Facts, Images
from ganforge.game import Clock, Game, Move
from ganforge.nn.losses import fake_loss, real_loss
from ganforge.nn.maxout import Maxout
from ganforge.run import Preset, Run


@dataclass(frozen=True)
class Config:
    """Section 5 and the released settings for MNIST."""

    latent: int = 100
    """Length of z."""
    width: int = 1200
    """Units of each of the generator's two hidden layers."""
    units: int = 240
    """Maxout units of each of the discriminator's two hidden layers."""
    pieces: int = 5
    """Linear pieces of a maxout unit."""
    dropout: float = 0.5
    """Share of hidden units the discriminator drops (a fifth of the pixels, too, when it is not 0)."""
    objective: Literal["non-saturating", "minimax"] = "non-saturating"
    """What G descends: -log D(G(z)), or log(1 - D(G(z))), whose gradient vanishes early in training (section 3)."""
    discriminator_moves: int = 1
    """k of algorithm 1."""
    optimiser: Literal["sgd", "adam"] = "sgd"
    """The paper's momentum method, or Adam."""
    lr: float = 0.1
    """Learning rate; for Adam 2e-4 is usual."""
    momentum: float = 0.5
    """Momentum, or Adam's beta1."""


class Generator(nn.Sequential):
    """z (N, latent) -> images (N, C, H, W) in [-1, 1]."""

    def __init__(self, latent: int, width: int, image_shape: tuple[int, int, int]) -> None:
        channels, height, side = image_shape
        super().__init__(
            nn.Linear(latent, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, channels * height * side),
            nn.Tanh(),
            nn.Unflatten(1, image_shape),
        )


class Discriminator(nn.Sequential):
    """images (N, C, H, W) -> logits (N,) of being real."""

    def __init__(self, units: int, pieces: int, dropout: float, image_shape: tuple[int, int, int]) -> None:
        channels, height, side = image_shape
        super().__init__(
            nn.Flatten(),
            nn.Dropout(0.2 if dropout else 0.0),
            Maxout(channels * height * side, units, pieces),
            nn.Dropout(dropout),
            Maxout(units, units, pieces),
            nn.Dropout(dropout),
            nn.Linear(units, 1),
            nn.Flatten(0),
        )


class GAN(Game[Config, Images]):
    """The original GAN."""

    augmented = ("discriminator",)

    def __init__(self, config: Config, facts: Facts) -> None:
        super().__init__(config, facts)
        c, image_shape = config, (facts.channels, facts.height, facts.width)
        self.generator = Generator(c.latent, c.width, image_shape)
        self.discriminator = Discriminator(c.units, c.pieces, c.dropout, image_shape)

    def players(self) -> dict[str, Optimizer]:
        def optimiser(net: nn.Module) -> Optimizer:
            c = self.config
            if c.optimiser == "adam":
                return Adam(net.parameters(), c.lr, (c.momentum, 0.999))
            return SGD(net.parameters(), c.lr, c.momentum)

        return {"discriminator": optimiser(self.discriminator), "generator": optimiser(self.generator)}

    def play(self, batches: Iterator[Images], now: Clock) -> Iterator[Move]:
        reals = [next(batches).images for _ in range(self.config.discriminator_moves)]
        for real in reals:
            on_real, on_fake = self.discriminator(real), self.discriminator(self.sample(len(real)).detach())
            yield Move(
                "discriminator",
                real=real_loss(on_real),  # algorithm 1, the ascent of D
                fake=fake_loss(on_fake),
                says_real=on_real.detach().mean(),
                says_fake=on_fake.detach().mean(),
            )
        logits = self.discriminator(self.sample(len(reals[0])))  # algorithm 1 draws new noise here
        if self.config.objective == "minimax":
            yield Move("generator", fool=-fake_loss(logits))  # algorithm 1, the descent of G
        else:
            yield Move("generator", fool=real_loss(logits))  # the end of section 3

    def noise(self, n: int) -> Tensor:
        """Latents z (n, latent)."""
        return self.draw.normal(n, self.config.latent)

    def generate(self, noise: Tensor) -> Tensor:
        """Images (n, C, H, W) in [-1, 1] of latents z (n, latent)."""
        return self.generator(noise)

    def sample(self, n: int) -> Tensor:
        """`n` images."""
        return self.generate(self.noise(n))


presets = {
    "tiny": Preset(Config(latent=8, width=32, units=8, pieces=2), Run(steps=6, batch=8, size=(8,), log_every=2)),
    "small": Preset(
        Config(latent=64, width=512, optimiser="adam", lr=2e-4, dropout=0.3),
        Run(steps=6_000, batch=64, size=(28,), channels=1, ema=10_000.0),
    ),
    "paper": Preset(Config(), Run(steps=300_000, batch=100, size=(28,), channels=1, save_every=10_000)),
}
