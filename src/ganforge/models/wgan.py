"""wgan: a critic that measures how far apart two distributions are.

Arjovsky, Chintala, Bottou, 2017.  https://arxiv.org/abs/1701.07875

    W(real, fake) = max over 1-Lipschitz f of  E_x[f(x)] - E_z[f(G(z))]                 (equation 2)

The critic f maximises this difference, which is logged as `critic/distance`, up to a factor given by its
Lipschitz constant.  The better the critic, the better the gradient of the generator, so it makes five moves to
the generator's one.  The Lipschitz constraint is enforced crudely: every weight is clipped to [-limit, limit].

Departures: 1. the many critic moves at the start and in every 500th step, batch normalisation in the
critic, the optional layers and the multi-layer perceptrons are those of the authors' code; 2. a perceptron's
outputs, which are unbounded, are clamped to [-1, 1] in samples, not in front of the critic;
3. `small` and `tiny` give the critic fewer moves at the start.

Train it small: `ganforge train wgan`.  Expect a distance that rises at first and falls afterwards as the
samples improve.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Literal

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer, RMSprop

from ganforge.batches import Facts, Images
from ganforge.capabilities import Range
from ganforge.game import Clock, Game, Move
from ganforge.nn.init import normal_weights
from ganforge.nn.limits import limit
from ganforge.nn.mlp import PerceptronCritic, PerceptronGenerator
from ganforge.nn.sizes import halve_sides
from ganforge.run import Preset, Run


@dataclass(frozen=True)
class Config:
    """Algorithm 1, and the authors' code."""

    latent: int = 100
    """Length of z."""
    width: int = 64
    """Channels of the layer next to the image, doubled at every halving; units of a perceptron's layers."""
    networks: Literal["strided", "perceptrons"] = "strided"
    """DCGAN's pair, or four linear layers each (section 4.3)."""
    extra_layers: int = 0
    """3 x 3 convolutions at the widest resolution of both networks."""
    generator_norm: bool = True
    """Batch normalisation in the generator; section 4.3 shows that training works without."""
    critic_norm: bool = True
    """Batch normalisation in the critic."""
    clip: Literal["after", "before"] = "after"
    """When weights are clipped: after a critic's step (algorithm 1), or before its next move (the authors' code)."""
    limit: float = 0.01
    """c of algorithm 1: the largest weight of the critic, of its norms and biases too."""
    critic_moves: int = 5
    """n_critic of algorithm 1."""
    thorough_moves: int = 100
    """Critic moves in the first `thorough_start` steps and in every `thorough_every`-th."""
    thorough_start: int = 25
    thorough_every: Annotated[int, Range(1, 1e9)] = 500
    optimiser: Literal["rmsprop", "adam"] = "rmsprop"
    """The paper's, since momentum harmed the critic (section 4.2), or Adam."""
    lr: float = 5e-5
    """alpha of algorithm 1."""
    beta1: float = 0.5
    """Adam's first momentum."""


class Generator(nn.Sequential):
    """z (N, latent) -> images (N, C, H, W) in [-1, 1], from `base` (h, w) by `doublings`."""

    def __init__(
        self,
        latent: int,
        width: int,
        channels: int,
        base: tuple[int, int],
        doublings: int,
        extra_layers: int = 0,
        norm: bool = True,
    ) -> None:
        def norm_and_activation(width: int) -> list[nn.Module]:
            return [nn.BatchNorm2d(width), nn.ReLU()] if norm else [nn.ReLU()]

        widths = [width * 2**i for i in reversed(range(doublings))]
        layers = [nn.Unflatten(1, (latent, 1, 1)), nn.ConvTranspose2d(latent, widths[0], base, bias=False)]
        layers += norm_and_activation(widths[0])
        for a, b in pairwise(widths):
            layers += [nn.ConvTranspose2d(a, b, 4, 2, 1, bias=False), *norm_and_activation(b)]
        for _ in range(extra_layers):
            layers += [nn.Conv2d(width, width, 3, 1, 1, bias=False), *norm_and_activation(width)]
        super().__init__(*layers, nn.ConvTranspose2d(width, channels, 4, 2, 1, bias=False), nn.Tanh())
        self.apply(normal_weights)


class Critic(nn.Sequential):
    """images (N, C, H, W) -> scores (N,), higher for real."""

    def __init__(
        self,
        width: int,
        channels: int,
        base: tuple[int, int],
        halvings: int,
        extra_layers: int = 0,
        norm: bool = True,
    ) -> None:
        def norm_and_activation(width: int) -> list[nn.Module]:
            return [nn.BatchNorm2d(width), nn.LeakyReLU(0.2)] if norm else [nn.LeakyReLU(0.2)]

        widths = [width * 2**i for i in range(halvings)]
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1, bias=False), nn.LeakyReLU(0.2)]
        for _ in range(extra_layers):
            layers += [nn.Conv2d(width, width, 3, 1, 1, bias=False), *norm_and_activation(width)]
        for a, b in pairwise(widths):
            layers += [nn.Conv2d(a, b, 4, 2, 1, bias=False), *norm_and_activation(b)]
        super().__init__(*layers, nn.Conv2d(widths[-1], 1, base, bias=False), nn.Flatten(0))
        self.apply(normal_weights)


class WGAN(Game[Config, Images]):
    """The critic estimates the Wasserstein distance, the generator minimises it."""

    augmented = ("critic",)
    discriminator_output = "scores"

    def __init__(self, config: Config, facts: Facts) -> None:
        """Raises ModelError, naming the sizes it can make, for sides that halving does not reach."""
        super().__init__(config, facts)
        c, channels = config, facts.channels
        if c.networks == "perceptrons":
            image_shape = (channels, facts.height, facts.width)
            self.generator = PerceptronGenerator(c.latent, c.width, image_shape)
            self.critic = PerceptronCritic(c.width, image_shape)
        else:
            base, halvings = halve_sides(facts.height, facts.width)
            self.generator = Generator(c.latent, c.width, channels, base, halvings, c.extra_layers, c.generator_norm)
            self.critic = Critic(c.width, channels, base, halvings, c.extra_layers, c.critic_norm)

    def players(self) -> dict[str, Optimizer]:
        def optimiser(net: nn.Module) -> Optimizer:
            c = self.config
            if c.optimiser == "adam":
                return Adam(net.parameters(), c.lr, (c.beta1, 0.999))
            return RMSprop(net.parameters(), c.lr)

        return {"critic": optimiser(self.critic), "generator": optimiser(self.generator)}

    def play(self, batches: Iterator[Images], now: Clock) -> Iterator[Move]:
        n = 0
        for _ in range(self.critic_moves(now)):
            if self.config.clip == "before":
                self.clip_weights()
            real = next(batches).images
            n = len(real)
            on_real = self.critic(real).mean()
            with torch.no_grad():  # the generator's batch norms are still updated
                fake = self.generator(self.noise(n))
            on_fake = self.critic(fake).mean()
            yield Move(
                "critic",
                real=-on_real,  # algorithm 1, lines 5 and 6, as a descent
                fake=on_fake,
                distance=(on_real - on_fake).detach(),  # equation 2
                says_real=on_real.detach(),
                says_fake=on_fake.detach(),
            )
        yield Move("generator", fool=-self.critic(self.generator(self.noise(n))).mean())  # algorithm 1, line 10

    def after(self, player: str) -> None:
        if player == "critic" and self.config.clip == "after":
            self.clip_weights()  # algorithm 1, line 7

    @torch.no_grad()
    def clip_weights(self) -> None:
        """Clip every weight of the critic to [-limit, limit]."""
        for weight in self.critic.parameters():
            weight.clamp_(-self.config.limit, self.config.limit)

    def critic_moves(self, now: Clock) -> int:
        """Number of critic moves in this step."""
        c = self.config
        thorough = now.step < c.thorough_start or now.step % c.thorough_every == 0
        return c.thorough_moves if thorough else c.critic_moves

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
    "tiny": Preset(
        Config(latent=8, width=4, critic_moves=2, thorough_moves=3, thorough_start=1, thorough_every=4),
        Run(steps=6, batch=8, size=(16,), log_every=2),
    ),
    "small": Preset(
        Config(latent=64, width=32, lr=2e-4, thorough_moves=20, thorough_start=10),
        Run(steps=1_000, batch=64, size=(32,), ema=5_000.0, sample_every=200),
    ),
    "paper": Preset(Config(), Run(steps=100_000, batch=64, size=(64,), save_every=5_000)),
}
