"""wgan_gp: a critic constrained by a gradient penalty instead of weight clipping.

Gulrajani, Ahmed, Arjovsky, Dumoulin, Courville, 2017.  https://arxiv.org/abs/1704.00028

    L = E[f(G(z))] - E[f(x)] + lambda E[(|grad f(x^)| - 1)^2]                              (equation 3)

The optimal critic has gradient norm one along the straight lines between fake and real points (proposition 1),
so the penalty is taken there: x^ is a random point on a line between a real image and a fake one.  The penalty
is per image, hence no batch normalisation in the critic (section 4).

Departures: 1. the usual convolutional pair is DCGAN's with 4 x 4 kernels, one of the many that the paper trains;
`--config.networks residual` is that of the authors' code for 64 x 64, at other sizes with more or fewer halvings;
2. a perceptron's outputs, which are unbounded, are clamped to [-1, 1] in samples, not in front of the critic;
3. `small` learns faster than the paper and samples from averaged weights.

Train it small: `ganforge train wgan_gp`.  In the paper, the logged distance rises fast at first and falls from then
on as the samples improve.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from ganforge.batches import Facts, Images
from ganforge.game import Clock, Game, Move
from ganforge.nn.limits import limit
from ganforge.nn.mlp import PerceptronCritic, PerceptronGenerator
from ganforge.nn.penalties import slope_penalty
from ganforge.nn.residual import ResidualCritic, ResidualGenerator
from ganforge.nn.sizes import halve_sides
from ganforge.nn.strided import StridedFeatures, StridedGenerator
from ganforge.run import Preset, Run


@dataclass(frozen=True)
class Config:
    """Algorithm 1."""

    latent: int = 128
    """Length of z."""
    width: int = 64
    """Channels of the layer next to the image, doubled at every halving; units of a perceptron's layers."""
    networks: Literal["strided", "perceptrons", "residual"] = "strided"
    """DCGAN's pair without the critic's norms, four linear layers each (section 4, for points in the plane), or the
    residual networks of the authors' code for 64 x 64, whose critic has layer norm."""
    penalty: float = 10.0
    """lambda."""
    critic_moves: int = 5
    """n_critic."""
    lr: float = 1e-4
    """alpha, of Adam."""
    beta1: float = 0.0
    """Adam's first momentum."""
    beta2: float = 0.9
    """Adam's second."""


class Critic(nn.Sequential):
    """images (N, C, H, W) -> scores (N,), higher for real."""

    def __init__(self, width: int, channels: int, base: tuple[int, int], halvings: int) -> None:
        body = StridedFeatures(width, channels, halvings, norm=False)
        super().__init__(body, nn.Conv2d(body.features, 1, base), nn.Flatten(0))


class WGANGP(Game[Config, Images]):
    """The critic estimates the Wasserstein distance under a gradient penalty, the generator minimises it."""

    augmented = ("critic",)
    discriminator_output = "scores"
    penalised = ("critic",)

    def __init__(self, config: Config, facts: Facts) -> None:
        """Raises ModelError, naming the sizes it can make, for sides that halving does not reach."""
        super().__init__(config, facts)
        c = config
        if c.networks == "perceptrons":
            image_shape = (facts.channels, facts.height, facts.width)
            self.generator = PerceptronGenerator(c.latent, c.width, image_shape)
            self.critic = PerceptronCritic(c.width, image_shape)
        else:
            base, halvings = halve_sides(facts.height, facts.width)
            residual = c.networks == "residual"
            generator, critic = (ResidualGenerator, ResidualCritic) if residual else (StridedGenerator, Critic)
            self.generator = generator(c.latent, c.width, facts.channels, base, halvings)
            self.critic = critic(c.width, facts.channels, base, halvings)

    def players(self) -> dict[str, Optimizer]:
        lr, betas = self.config.lr, (self.config.beta1, self.config.beta2)
        return {
            "critic": Adam(self.critic.parameters(), lr, betas),
            "generator": Adam(self.generator.parameters(), lr, betas),
        }

    def play(self, batches: Iterator[Images], now: Clock) -> Iterator[Move]:
        n = 0
        for _ in range(self.config.critic_moves):
            real = next(batches).images
            n = len(real)
            with torch.no_grad():  # algorithm 1, lines 4 and 5
                fake = self.generator(self.noise(n))
            between = torch.lerp(real, fake.to(real.dtype), self.draw.uniform(n, 1, 1, 1))  # line 6
            on_real, on_fake = self.critic(real).mean(), self.critic(fake).mean()
            yield Move(
                "critic",
                real=-on_real,  # line 7
                fake=on_fake,
                penalty=self.config.penalty * slope_penalty(self.critic, between),
                distance=(on_real - on_fake).detach(),
                says_real=on_real.detach(),
                says_fake=on_fake.detach(),
            )
        yield Move("generator", fool=-self.critic(self.generator(self.noise(n))).mean())  # line 12

    def noise(self, n: int) -> Tensor:
        """Latents z (n, latent)."""
        return self.draw.normal(n, self.config.latent)

    def generate(self, noise: Tensor) -> Tensor:
        """Images (n, C, H, W) in [-1, 1] of latents z (n, latent)."""
        return limit(self.generator(noise))

    def sample(self, n: int) -> Tensor:
        """`n` images."""
        return self.generate(self.noise(n))


presets = {
    "tiny": Preset(Config(latent=8, width=4, critic_moves=2), Run(steps=6, batch=8, size=(16,), log_every=2)),
    "small": Preset(
        Config(latent=64, width=16, lr=5e-4),
        Run(steps=1_500, batch=64, size=(32,), ema=5_000.0, sample_every=250),
    ),
    "paper": Preset(Config(), Run(steps=200_000, batch=64, size=(64,), save_every=5_000)),
}
