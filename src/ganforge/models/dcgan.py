"""dcgan: a generator and a discriminator made of strided convolutions.

Radford, Metz, Chintala, 2015.  https://arxiv.org/abs/1511.06434

The losses are Goodfellow's with the non-saturating objective; the paper's contribution is the architecture that
makes training stable: no pooling, no fully connected layers, batch normalisation nearly everywhere, ReLU in the
generator, leaky ReLU in the discriminator, Adam with a low momentum (section 3).

`paper` is the paper's network for bedrooms (figure 1): a first map of 1,024 channels, kernels of 5 x 5, uniform noise,
and the L2 penalty of the authors' code (Newmu/dcgan_code).  `pytorch` is PyTorch's example: half as wide, kernels of
4 x 4, normal noise, no penalty; its length is 25 epochs (`--epochs 25`).  `networks="chapter"` is the pair that
introductory books use at 28 x 28: the generator enlarges by nearest up-sampling and 3 x 3 convolutions, the
discriminator drops a quarter of its features after each layer.

Departures: 1. sides other than 64: as many halvings as leave 4 to 7 pixels on the short side; 2. D and G move in every
step, on one batch, as in PyTorch's example: in the authors' code one of them moves, in turn; 3. the first norm is over
each map, the authors' over each unit of it; 4. `small` samples from averaged weights and has one step for both halves
of D's objective, `chapter` one for each, as in Keras, whose D sees fakes of a generator at rest.

Train it small: `ganforge train dcgan` (3 minutes on two cores: clearly recognisable shapes).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from ganforge.batches import Facts, Images
from ganforge.errors import ModelError
from ganforge.game import Clock, Game, Move
from ganforge.nn.cpu.convolutions import Dropout, FlattenLast, SameConv2d, ThinConv2d, UnflattenLast, UpConv2d
from ganforge.nn.init import normal_weights
from ganforge.nn.losses import fake_loss, real_loss
from ganforge.nn.sizes import halve_sides
from ganforge.nn.strided import StridedGenerator
from ganforge.run import Preset, Run


@dataclass(frozen=True)
class Config:
    """Section 4 of the paper."""

    latent: int = 100
    """Length of z."""
    width: int = 64
    """Channels of the layer next to the image; they double at every halving."""
    networks: Literal["strided", "chapter"] = "strided"
    """The paper's, or those of the book chapter."""
    kernel: Literal[4, 5] = 4
    """Side of the strided kernels: 5 in the paper (figure 1), 4 in PyTorch's example."""
    noise: Literal["normal", "uniform"] = "normal"
    """Of z: normal, or uniform in [-1, 1] (figure 1)."""
    lr: float = 2e-4
    """Adam; the default 1e-3 was too high (section 4)."""
    beta1: float = 0.5
    """Adam's first momentum; 0.9 oscillates (section 4)."""
    weight_decay: float = 0.0
    """L2 penalty of all parameters: 1e-5 in the authors' code."""
    apart: bool = False
    """D has a step for real images and one for fakes, which a generator at rest makes: Keras's `predict`."""


class Discriminator(nn.Sequential):
    """images (N, C, H, W) -> logits (N,): the mirror image of the generator (nn/strided.py, figure 1)."""

    def __init__(self, width: int, channels: int, base: tuple[int, int], halvings: int, kernel: int = 4) -> None:
        def halve(a: int, b: int) -> nn.Module:
            return nn.Conv2d(a, b, kernel, 2, (kernel - 1) // 2, bias=False)

        widths = [width * 2**i for i in range(halvings)]
        layers: list[nn.Module] = [halve(channels, width), nn.LeakyReLU(0.2)]
        for a, b in pairwise(widths):
            layers += [halve(a, b), nn.BatchNorm2d(b), nn.LeakyReLU(0.2)]
        super().__init__(*layers, nn.Conv2d(widths[-1], 1, base, bias=False), nn.Flatten(0))
        self.apply(normal_weights)


class ChapterGenerator(nn.Sequential):
    """z (N, latent) -> images (N, C, 4h, 4w) in [-1, 1], from `base` (h, w) by nearest up-sampling."""

    def __init__(self, latent: int, channels: int, base: tuple[int, int]) -> None:
        h, w = base
        super().__init__(
            nn.Linear(latent, 128 * h * w),
            nn.ReLU(),
            UnflattenLast(128, h, w),
            UpConv2d(128, 128),
            keras_norm(128),
            nn.ReLU(),
            UpConv2d(128, 64),
            keras_norm(64),
            nn.ReLU(),
            ThinConv2d(64, channels),
            nn.Tanh(),
        )
        self.apply(glorot_weights)


class ChapterDiscriminator(nn.Sequential):
    """images (N, C, 4h, 4w) -> logits (N,), for `base` (h, w)."""

    def __init__(self, channels: int, base: tuple[int, int]) -> None:
        def block(a: int, b: int, stride: int, *norm: nn.Module) -> list[nn.Module]:
            return [SameConv2d(a, b, 3, stride), *norm, nn.LeakyReLU(0.2), Dropout(0.25)]

        h, w = base
        odd = (0, w % 2, 0, h % 2)  # the chapter's 7 x 7 becomes 8 x 8, before the norm
        super().__init__(
            *block(channels, 32, 2),
            *block(32, 64, 2, nn.ZeroPad2d(odd), keras_norm(64)),
            *block(64, 128, 2, keras_norm(128)),
            *block(128, 256, 1, keras_norm(256)),
            FlattenLast(),
            nn.Linear(256 * ((h + 1) // 2) * ((w + 1) // 2), 1),
            nn.Flatten(0),
        )
        self.apply(glorot_weights)


class DCGAN(Game[Config, Images]):
    """The GAN of convolutional networks."""

    augmented = ("discriminator",)

    def __init__(self, config: Config, facts: Facts) -> None:
        """Raises ModelError, naming the sizes it can make, for sides that halving does not reach."""
        super().__init__(config, facts)
        c, channels = config, facts.channels
        if c.networks == "chapter":
            base = chapter_base(facts.height, facts.width)
            self.generator = ChapterGenerator(c.latent, channels, base)
            self.discriminator = ChapterDiscriminator(channels, base)
        else:
            base, halvings = halve_sides(facts.height, facts.width)
            self.generator = StridedGenerator(c.latent, c.width, channels, base, halvings, c.kernel)
            self.discriminator = Discriminator(c.width, channels, base, halvings, c.kernel)

    def players(self) -> dict[str, Optimizer]:
        def adam(network: nn.Module) -> Optimizer:
            c = self.config
            return Adam(network.parameters(), c.lr, (c.beta1, 0.999), weight_decay=c.weight_decay)

        return {"discriminator": adam(self.discriminator), "generator": adam(self.generator)}

    def play(self, batches: Iterator[Images], now: Clock) -> Iterator[Move]:
        real = next(batches).images
        noise = self.noise(len(real))
        if self.config.apart:
            yield from self.play_apart(real, noise)
            return
        fake = self.generate(noise)

        on_real, on_fake = self.discriminator(real), self.discriminator(fake.detach())
        yield Move(
            "discriminator",
            real=real_loss(on_real),
            fake=fake_loss(on_fake),
            says_real=on_real.detach().mean(),
            says_fake=on_fake.detach().mean(),
        )
        yield Move("generator", fool=real_loss(self.discriminator(fake)))

    def play_apart(self, real: Tensor, noise: Tensor) -> Iterator[Move]:
        """A step of Keras: D on real images (n, C, H, W), D on fakes of a generator at rest, then G on that noise."""
        on_real = self.discriminator(real)
        yield Move("discriminator", real=real_loss(on_real), says_real=on_real.detach().mean())
        training = self.generator.training
        with torch.no_grad():
            fake = self.generator.eval()(noise)
        self.generator.train(training)
        on_fake = self.discriminator(fake)
        yield Move("discriminator", fake=fake_loss(on_fake), says_fake=on_fake.detach().mean())
        yield Move("generator", fool=real_loss(self.discriminator(self.generate(noise))))

    def noise(self, n: int) -> Tensor:
        """Latents z (n, latent)."""
        if self.config.noise == "uniform":
            return self.draw.uniform(n, self.config.latent) * 2 - 1
        return self.draw.normal(n, self.config.latent)

    def generate(self, noise: Tensor) -> Tensor:
        """Images (n, C, H, W) in [-1, 1] of latents z (n, latent)."""
        return self.generator(noise)

    def sample(self, n: int) -> Tensor:
        """`n` images."""
        return self.generate(self.noise(n))


def chapter_base(height: int, width: int) -> tuple[int, int]:
    """A quarter of each side; ModelError where that is not whole."""
    if height % 4 or width % 4 or min(height, width) < 8:
        raise ModelError(
            f"The chapter's networks cannot make images of {height} x {width}: both sides must be multiples of 4, "
            "from 8 on; theirs is 28."
        )
    return height // 4, width // 4


def keras_norm(channels: int) -> nn.BatchNorm2d:
    """BatchNormalization(momentum=0.8) of Keras, which counts momentum from the other end."""
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.2)


def glorot_weights(layer: nn.Module) -> None:
    """The initial weights of Keras."""
    if isinstance(layer, (nn.Conv2d, nn.Linear)):
        nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(layer.bias)  # pyright: ignore[reportArgumentType]


presets = {
    "tiny": Preset(Config(latent=8, width=4), Run(steps=6, batch=8, size=(16,), log_every=2, ema=100.0)),
    "small": Preset(  # the chapter's pair: its smooth up-sampling and its dropout keep the two players in balance
        Config(latent=64, networks="chapter", lr=6e-4),
        Run(steps=3_000, batch=32, size=(28,), ema=10_000.0, schedule="linear", precision="auto"),
    ),
    "chapter": Preset(
        Config(networks="chapter", apart=True),
        Run(steps=20_000, batch=32, size=(28,), channels=1, sample_every=1_000),
    ),
    "pytorch": Preset(Config(), Run(steps=100_000, batch=64, size=(64,), save_every=5_000)),
    "paper": Preset(  # bedrooms: 3,033,042 images, 5 epochs (figure 3)
        Config(width=128, kernel=5, noise="uniform", weight_decay=1e-5),
        Run(steps=118_500, batch=128, size=(64,), save_every=5_000),
    ),
}
