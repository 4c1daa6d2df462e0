"""infogan: part of the noise must be recoverable from the image, and so becomes interpretable.

Chen, Duan, Houthooft, Schulman, Sutskever, Abbeel, 2016.  https://arxiv.org/abs/1606.03657

    min_G,Q max_D  V(D, G) - lambda L_I(G, Q),   L_I = E[log Q(c | G(z, c))] + H(c) <= I(c; G(z, c))    (equation 6)

The noise consists of z and codes c: categories, and numbers in [-1, 1].  Q shares all but its last layers with
the discriminator and recovers the codes from the fakes.  L_I is a lower bound of the mutual information of image
and codes (equation 5): 0 when Q guesses, H(c) when it is certain.  The meaning of a code is not supervised;
classes, slants and widths appear because they are the easiest to recover.

Departures: 1. images are in [-1, 1] and the generator ends in tanh; 2. sizes other than 28 x 28; 3. `paper` is the
authors' code for digits, whose leak is 0.01 and whose continuous codes have weight 1; appendix C has a leak of 0.1, and
section 6 a smaller weight, as in `small`; 4. `small` samples from averaged weights.

Train it small: `ganforge train infogan --data shapes-digits`, then `ganforge traverse RUN`: one row per code.
The category predicts the class of 91 % of held-out digits, and of 60 % on Fashion-MNIST; a guess is right in 10 %.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from ganforge.batches import Facts, Images
from ganforge.errors import ModelError
from ganforge.game import Clock, Game, Move
from ganforge.nn.init import normal_weights
from ganforge.nn.losses import fake_loss, real_loss
from ganforge.nn.sizes import halve_sides
from ganforge.run import Preset, Run

LOG_2PI = math.log(2 * math.pi)


@dataclass(frozen=True)
class Config:
    """Section 6, appendix C.1 and the authors' code for digits."""

    latent: int = 62
    """Length of z, the noise besides the codes."""
    categories: tuple[int, ...] = (10,)
    """Choices of each categorical code."""
    continuous: int = 2
    """Continuous codes."""
    width: int = 64
    """Channels of the layer next to the image; they double at every halving."""
    hidden: int = 1024
    """Units of the fully connected layer of both networks."""
    leak: float = 0.1
    """Slope of the discriminator's leaky ReLUs: 0.1 in appendix C, 0.01 in the authors' code."""
    categorical_weight: float = 1.0
    """lambda for categorical codes."""
    continuous_weight: float = 0.1
    """lambda for continuous codes."""
    deviation: Literal["fixed", "learned"] = "fixed"
    """Standard deviation of Q's Gaussian for a continuous code: 1, or predicted by Q."""
    lr_discriminator: float = 2e-4
    """Adam, for D and Q together."""
    lr_generator: float = 1e-3
    """Adam."""
    beta1: float = 0.5
    """Adam's first momentum."""


class Generator(nn.Sequential):
    """noise (N, inputs) -> images (N, C, H, W) in [-1, 1], from `base` (h, w) by `doublings`."""

    def __init__(
        self, inputs: int, hidden: int, width: int, channels: int, base: tuple[int, int], doublings: int
    ) -> None:
        widths = [width * 2**i for i in reversed(range(doublings))]
        layers: list[nn.Module] = [
            nn.Unflatten(1, (inputs, 1, 1)),
            nn.ConvTranspose2d(inputs, hidden, 1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU(),
            nn.ConvTranspose2d(hidden, widths[0], base, bias=False),
        ]
        for a, b in zip(widths, [*widths[1:], channels], strict=True):
            layers += [nn.BatchNorm2d(a), nn.ReLU(), nn.ConvTranspose2d(a, b, 4, 2, 1, bias=False)]
        super().__init__(*layers, nn.Tanh())
        self.apply(normal_weights)


class Trunk(nn.Sequential):
    """images (N, C, H, W) -> features (N, hidden, 1, 1), which D and Q share."""

    def __init__(
        self, width: int, hidden: int, channels: int, base: tuple[int, int], halvings: int, leak: float = 0.1
    ) -> None:
        widths = [width * 2**i for i in range(halvings)]
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(leak)]
        for a, b in pairwise(widths):
            layers += [nn.Conv2d(a, b, 4, 2, 1, bias=False), nn.BatchNorm2d(b), nn.LeakyReLU(leak)]
        layers += [nn.Conv2d(widths[-1], hidden, base, bias=False), nn.BatchNorm2d(hidden), nn.LeakyReLU(leak)]
        super().__init__(*layers)


class Reader(nn.Sequential):
    """features (N, F, h, w) of side `base` -> Q's outputs about the codes (N, outputs)."""

    def __init__(self, features: int, outputs: int, base: tuple[int, int] = (1, 1), leak: float = 0.1) -> None:
        super().__init__(
            nn.Conv2d(features, 128, base, bias=False),
            nn.BatchNorm2d(128),
            nn.LeakyReLU(leak),
            nn.Conv2d(128, outputs, 1),
            nn.Flatten(),
        )


class Discriminator(nn.Module):
    """images (N, C, H, W) -> logits (N,) of being real, and Q's outputs about the codes (N, outputs)."""

    def __init__(self, trunk: Trunk, hidden: int, outputs: int, leak: float) -> None:
        super().__init__()
        self.trunk = trunk
        self.verdict = nn.Sequential(nn.Conv2d(hidden, 1, 1), nn.Flatten(0))
        self.reader = Reader(hidden, outputs, leak=leak)
        self.apply(normal_weights)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.trunk(images)
        return self.verdict(features), self.reader(features)


class InfoGAN(Game[Config, Images]):
    """A GAN whose discriminator also recovers the generator's codes (Q)."""

    averaged = ("generator", "discriminator")
    augmented = ("discriminator",)

    def __init__(self, config: Config, facts: Facts) -> None:
        """Raises ModelError without a code, and for sides that halving does not reach."""
        super().__init__(config, facts)
        c = config
        self.kinds = (*c.categories, c.continuous)  # columns of each category, and of all continuous codes
        codes = sum(self.kinds)
        if not codes:
            raise ModelError("infogan needs a code to read: set --config.categories or --config.continuous.")
        base, halvings = halve_sides(facts.height, facts.width)
        outputs = codes + (c.continuous if c.deviation == "learned" else 0)
        self.generator = Generator(c.latent + codes, c.hidden, c.width, facts.channels, base, halvings)
        trunk = Trunk(c.width, c.hidden, facts.channels, base, halvings, c.leak)
        self.discriminator = Discriminator(trunk, c.hidden, outputs, c.leak)

    def players(self) -> dict[str, Optimizer]:
        c, betas = self.config, (self.config.beta1, 0.999)
        return {
            "discriminator": Adam(self.discriminator.parameters(), c.lr_discriminator, betas),
            "generator": Adam(self.generator.parameters(), c.lr_generator, betas),
        }

    def play(self, batches: Iterator[Images], now: Clock) -> Iterator[Move]:
        real = next(batches).images
        noise = self.noise(len(real))
        fake = self.generator(noise)

        (on_real, _), (on_fake, codes) = self.discriminator(real), self.discriminator(fake.detach())
        yield Move(
            "discriminator",
            real=real_loss(on_real),
            fake=fake_loss(on_fake),
            **self.information(noise, codes),  # equation 6: the term of Q
            says_real=on_real.detach().mean(),
            says_fake=on_fake.detach().mean(),
        )
        logits, codes = self.discriminator(fake)
        yield Move("generator", fool=real_loss(logits), **self.information(noise, codes))

    def information(self, noise: Tensor, codes: Tensor) -> dict[str, Tensor]:
        """The loss -lambda L_I for both kinds of codes, of noise (n, latent + codes) and Q's outputs."""
        c, kinds = self.config, self.kinds
        *categories, numbers = noise[:, c.latent :].split(kinds, 1)
        *logits, mean, spread = codes.split((*kinds, codes.shape[1] - sum(kinds)), 1)
        log_variance = spread if c.deviation == "learned" else torch.zeros_like(mean)
        bounds = [category_bound(*pair) for pair in zip(categories, logits, strict=True)]
        return {
            "categorical": -c.categorical_weight * sum(bounds, codes.new_zeros(())),
            "continuous": -c.continuous_weight * number_bound(numbers, mean, log_variance),
        }

    def noise(self, n: int) -> Tensor:
        """(n, latent + codes): z in [-1, 1], then each category one-hot, then the continuous codes in [-1, 1]."""
        c = self.config
        z = self.draw.uniform(n, c.latent) * 2 - 1
        categories = [F.one_hot(self.draw.choice(n, k), k).float() for k in c.categories]
        return torch.cat([z, *categories, self.draw.uniform(n, c.continuous) * 2 - 1], 1)

    def generate(self, noise: Tensor) -> Tensor:
        """Images (n, C, H, W) in [-1, 1] of noise (n, latent + codes)."""
        return self.generator(noise)

    def sample(self, n: int) -> Tensor:
        """`n` images."""
        return self.generate(self.noise(n))

    def traverse(self, noise: Tensor, steps: int) -> dict[str, Tensor]:
        """{code: (n, its values, C, H, W)}: images of noise (n, latent + codes) with one code varied at a time.

        A category takes each of its values, a continuous code `steps` values from -2 to 2, twice its training range.
        """
        c, at, rows = self.config, self.config.latent, {}
        for i, k in enumerate(c.categories):
            rows[f"category {i + 1}"] = self.vary(noise, at, torch.eye(k))
            at += k
        for i in range(c.continuous):
            rows[f"number {i + 1}"] = self.vary(noise, at + i, torch.linspace(-2, 2, steps)[:, None])
        return rows

    def vary(self, noise: Tensor, at: int, values: Tensor) -> Tensor:
        """Images (n, V, C, H, W) of noise with the columns from `at` on set to each of `values` (V, columns)."""
        many = noise.repeat_interleave(len(values), 0)
        many[:, at : at + values.shape[1]] = values.to(noise).repeat(len(noise), 1)
        return self.generate(many).unflatten(0, (len(noise), len(values)))

    def recognise(self, images: Tensor) -> Tensor:
        """Recover (n, codes) from images (n, C, H, W): each category's probabilities, then the continuous codes."""
        *logits, mean = self.discriminator(images)[1][:, : sum(self.kinds)].split(self.kinds, 1)
        return torch.cat([*(part.softmax(1) for part in logits), mean], 1)


def category_bound(one_hot: Tensor, logits: Tensor) -> Tensor:
    """L_I in nats, at most log K, of a category (n, K) under Q's logits (n, K) (equation 5)."""
    return math.log(logits.shape[1]) - F.cross_entropy(logits, one_hot)


def number_bound(codes: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """L_I in nats of continuous codes (n, K) in [-1, 1] under Q's Gaussians, summed over the codes (equation 5)."""
    negative_log_likelihood = (LOG_2PI + log_variance + (codes - mean).square() * (-log_variance).exp()) / 2
    return codes.shape[1] * math.log(2) - negative_log_likelihood.sum(1).mean()


presets = {
    "tiny": Preset(
        Config(latent=6, categories=(3, 2), width=4, hidden=16), Run(steps=6, batch=8, size=(16,), log_every=2)
    ),
    "small": Preset(Config(width=32, hidden=256), Run(steps=2_500, batch=64, size=(28,), channels=1, ema=5_000.0)),
    "paper": Preset(  # the authors' code for digits: 50 epochs of 100 updates
        Config(leak=0.01, continuous_weight=1.0), Run(steps=5_000, batch=128, size=(28,), channels=1)
    ),
}
