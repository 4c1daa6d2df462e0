"""lsgan: least squares instead of cross entropy, so that fakes far from the data still have a gradient.

Mao, Li, Xie, Lau, Wang, Smolley, 2016.  https://arxiv.org/abs/1611.04076

    min_D  E[(D(x) - b)^2] / 2 + E[(D(G(z)) - a)^2] / 2        min_G  E[(D(G(z)) - c)^2] / 2     (equation 2)

With a sigmoid and cross entropy the gradient vanishes for a fake that is classified as real, however far it is
from the data; with squares it does not.  The optimal discriminator is D* = (b p_data + a p_g) / (p_data + p_g)
(equation 5).

Departures: 1. the networks are DCGAN's, which the paper's resemble; 2. `small` samples from averaged weights.

Train it small: `ganforge train lsgan`.  Expect scores that settle between a and b, nearer to each other over time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from ganforge.batches import Facts, Images
from ganforge.game import Clock, Game, Move
from ganforge.nn.sizes import halve_sides
from ganforge.nn.strided import StridedFeatures, StridedGenerator
from ganforge.run import Preset, Run

CODES = {
    "binary": (0.0, 1.0, 1.0),  # equation 9: G aims at D's target for real images
    "pearson": (-1.0, 1.0, 0.0),  # equation 8: G descends the Pearson chi-square divergence
}


@dataclass(frozen=True)
class Config:
    """Sections 3 and 4 of the paper."""

    latent: int = 1024
    """Length of z."""
    width: int = 64
    """Channels of the layer next to the image; they double at every halving."""
    code: Literal["binary", "pearson"] = "binary"
    """(a, b, c), the targets of D for fakes and for real images, and of G for fakes: (0, 1, 1) or (-1, 1, 0), which
    performed alike (section 3.3)."""
    lr: float = 1e-3
    """Adam, for scenes; 2e-4 for characters (section 4)."""
    beta1: float = 0.5
    """Adam's first momentum."""


class Discriminator(nn.Sequential):
    """images (N, C, H, W) -> scores (N,), near b for real and near a for fake."""

    def __init__(self, width: int, channels: int, base: tuple[int, int], halvings: int) -> None:
        body = StridedFeatures(width, channels, halvings)
        super().__init__(body, nn.Conv2d(body.features, 1, base), nn.Flatten(0))


class LSGAN(Game[Config, Images]):
    """The GAN with least-squares losses."""

    augmented = ("discriminator",)
    discriminator_output = "scores"

    def __init__(self, config: Config, facts: Facts) -> None:
        """Raises ModelError, naming the sizes it can make, for sides that halving does not reach."""
        super().__init__(config, facts)
        base, halvings = halve_sides(facts.height, facts.width)
        self.generator = StridedGenerator(config.latent, config.width, facts.channels, base, halvings)
        self.discriminator = Discriminator(config.width, facts.channels, base, halvings)

    def players(self) -> dict[str, Optimizer]:
        betas = (self.config.beta1, 0.999)
        return {
            "discriminator": Adam(self.discriminator.parameters(), self.config.lr, betas),
            "generator": Adam(self.generator.parameters(), self.config.lr, betas),
        }

    def play(self, batches: Iterator[Images], now: Clock) -> Iterator[Move]:
        a, b, c = CODES[self.config.code]
        real = next(batches).images
        fake = self.generator(self.noise(len(real)))

        on_real, on_fake = self.discriminator(real), self.discriminator(fake.detach())
        yield Move(
            "discriminator",
            real=half_square(on_real, b),  # equation 2, left
            fake=half_square(on_fake, a),
            says_real=on_real.detach().mean(),
            says_fake=on_fake.detach().mean(),
        )
        yield Move("generator", fool=half_square(self.discriminator(fake), c))  # equation 2, right

    def noise(self, n: int) -> Tensor:
        """Latents z (n, latent)."""
        return self.draw.normal(n, self.config.latent)

    def generate(self, noise: Tensor) -> Tensor:
        """Images (n, C, H, W) in [-1, 1] of latents z (n, latent)."""
        return self.generator(noise)

    def sample(self, n: int) -> Tensor:
        """`n` images."""
        return self.generate(self.noise(n))


def half_square(scores: Tensor, target: float) -> Tensor:
    """E[(D - target)^2] / 2 over scores of any shape."""
    return (scores - target).square().mean() / 2


presets = {
    "tiny": Preset(Config(latent=8, width=4), Run(steps=6, batch=8, size=(16,), log_every=2, ema=100.0)),
    "small": Preset(
        Config(latent=64, width=32), Run(steps=2_500, batch=64, size=(32,), ema=5_000.0, schedule="linear")
    ),  # at a fifth of the learning rate the discriminator becomes too strong, and samples are blurred
    "paper": Preset(Config(), Run(steps=300_000, batch=64, size=(112,), save_every=10_000)),
}
