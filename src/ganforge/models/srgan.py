"""srgan: super-resolution with an adversarial loss.

Ledig, Theis, Huszar, Caballero, Cunningham, Acosta, Aitken, Tejani, Totz, Wang, Shi, 2017.
https://arxiv.org/abs/1609.04802

    min_G  l_content(G(low), high) - 1e-3 log D(G(low))    (equations 3 and 6)

The low-resolution image is made by bicubic reduction of crops at their own scale (section 3.2), unless the data has
both.  In the first stage G is trained alone with the squared error, which blurs uncertain details (SRResNet).  In the
second stage the discriminator is added, and the content is compared by VGG-19's features, which leave texture open.

The preset `esrgan` is that of Wang et al. 2018 (https://arxiv.org/abs/1809.00219): dense blocks without batch
norm, and a discriminator that says which of two is more realistic.

Departures: 1. the generators' range is [0, 1]; 2. `small` has no batch norm and no VGG: it adds a residual to a
bilinear enlargement and compares pixels in both stages, as SRGAN-MSE does; 3. in `esrgan` the weight of D's loss
is 0.5, as in its code.

Train it small: `ganforge train srgan --data path/to/photos`, then `ganforge translate RUN small.png large.png`.
After 800 steps on crops of the usual 91 images, SRResNet is 2.1 dB above bicubic enlargement on Set5 (x4).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from ganforge.batches import Enlarged, Facts
from ganforge.game import Clock, Game, Move
from ganforge.nn.bicubic import bicubic
from ganforge.nn.losses import fake_loss, real_loss
from ganforge.nn.superresolution import MSRResNet, RRDBNet, VGGStyleDiscriminator, check_scale, upscale_factors
from ganforge.nn.vgg import LazyVGG
from ganforge.run import Preset, Run


@dataclass(frozen=True)
class Config:
    """Sections 2 and 3.2."""

    scale: Literal[2, 3, 4, 8] = 4
    """Factor of the enlargement."""
    generator: Literal["srresnet", "msrresnet", "rrdb"] = "srresnet"
    """The paper's; the same without batch norm, added to a bilinear enlargement; ESRGAN's."""
    width: int = 64
    """Channels of the generator's maps."""
    blocks: int = 16
    """Residual blocks (section 3.2): 23 in ESRGAN."""
    growth: int = 32
    """Channels that a layer of rrdb adds (ESRGAN)."""
    bounded: bool = False
    """srresnet ends in (tanh + 1) / 2 and has biases before its norms, as in a well-known port."""
    judge: Literal["srgan", "esrgan"] = "srgan"
    """Figure 4, or ESRGAN's discriminator."""
    judge_width: int = 64
    """Channels of the discriminator's first layer; the last has eight times as many (figure 4)."""
    relativistic: bool = False
    """D compares each image with the mean of the other kind (ESRGAN, section 3.2)."""
    pretraining: int = 1_000_000
    """Steps of the first stage: G alone with a pixel loss.  All steps of the run: no GAN at all."""
    content: Literal["vgg", "pixel"] = "vgg"
    """What G compares in the second stage (section 2.2.1)."""
    vgg: str = ""
    """torchvision's file of VGG-19's weights, vgg19-dcbb9e9d.pth; needed for training, not for translating."""
    vgg_layer: Literal["relu2_2", "relu5_4", "conv5_4"] = "relu5_4"
    """VGG22 or VGG54; conv5_4 is before the activation, as ESRGAN has it."""
    vgg_weight: float = 0.006
    """Weight of the VGG loss (section 3.2: features are divided by 12.75)."""
    pixel_weight: float = 0.0
    """Weight of the pixel loss beside VGG in the second stage (ESRGAN, equation 3)."""
    fool_weight: float = 1e-3
    """Weight of the adversarial loss (equation 3)."""
    discriminator_weight: float = 0.5
    """Weight of D's loss: 1 in the paper (equation 2), 0.5 in ESRGAN's code."""
    error: Literal["squared", "absolute"] = "squared"
    """How pixels and features are compared (equations 4 and 5); absolute in ESRGAN."""
    lr: float = 1e-4
    """Adam's learning rate."""
    beta1: float = 0.9
    """Adam's first momentum."""
    drops: tuple[int, ...] = (1_100_000,)
    """Steps at which the learning rate is multiplied by `drop`."""
    drop: float = 0.1
    """The factor: 1e-4, then 1e-5."""
    restart: bool = False
    """The second stage forgets the drops of the first (ESRGAN, section 4.1)."""


class Residual(nn.Sequential):
    """Two convolutions with norms and a skip connection (figure 4)."""

    def __init__(self, width: int, bias: bool) -> None:
        one, two = (nn.Conv2d(width, width, 3, 1, 1, bias=bias) for _ in range(2))
        super().__init__(one, nn.BatchNorm2d(width), nn.PReLU(), two, nn.BatchNorm2d(width))

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) + input


class SRResNet(nn.Module):
    """Images (N, C, H, W) in [0, 1] -> (N, C, scale * H, scale * W), unbounded unless `bounded` (figure 4)."""

    def __init__(
        self, channels: int, scale: int, width: int, blocks: int, bounded: bool = False, out_channels: int = 0
    ) -> None:
        super().__init__()
        self.bounded = bounded
        self.first = nn.Sequential(nn.Conv2d(channels, width, 9, 1, 4), nn.PReLU())
        self.trunk = nn.Sequential(*(Residual(width, bounded) for _ in range(blocks)))
        self.merge = nn.Sequential(nn.Conv2d(width, width, 3, 1, 1, bias=bounded), nn.BatchNorm2d(width))
        factors = upscale_factors(scale)
        shuffles = ((nn.Conv2d(width, width * s * s, 3, 1, 1), nn.PixelShuffle(s), nn.PReLU()) for s in factors)
        self.up = nn.Sequential(*(nn.Sequential(*layers) for layers in shuffles))
        self.last = nn.Conv2d(width, out_channels or channels, 9, 1, 4)

    def forward(self, low: Tensor) -> Tensor:
        x = self.first(low)
        high = self.last(self.up(x + self.merge(self.trunk(x))))
        return (high.tanh() + 1) / 2 if self.bounded else high


class Discriminator(nn.Sequential):
    """images (N, C, H, W) -> logits (N,): eight convolutions, every other halves the sides (figure 4)."""

    def __init__(self, channels: int, width: int, height: int, wide: int) -> None:
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, 1, 1), nn.LeakyReLU(0.2)]
        widths = [width * k for k in (1, 1, 2, 2, 4, 4, 8, 8)]
        for i, (a, b) in enumerate(pairwise(widths)):
            layers += [nn.Conv2d(a, b, 3, 2 - i % 2, 1, bias=False), nn.BatchNorm2d(b), nn.LeakyReLU(0.2)]
        places = -(-height // 16) * -(-wide // 16)
        layers += [nn.Flatten(), nn.Linear(widths[-1] * places, 1024), nn.LeakyReLU(0.2)]
        super().__init__(*layers, nn.Linear(1024, 1), nn.Flatten(0))


class SRGAN(Game[Config, Enlarged]):
    """A pixel loss first, then content and adversarial losses."""

    augmented = ("discriminator",)

    def __init__(self, config: Config, facts: Facts) -> None:
        """Raises ModelError for sides that are not multiples of the scale, and pairs of another scale."""
        super().__init__(config, facts)
        c, sides = config, (facts.height, facts.width)
        self.extractor = LazyVGG(c.vgg, (c.vgg_layer,), "compare pixels with --config.content pixel")
        check_scale(sides, c.scale, facts.smaller)
        if c.generator == "srresnet":
            self.generator = SRResNet(facts.channels, c.scale, c.width, c.blocks, c.bounded)
        elif c.generator == "msrresnet":
            self.generator = MSRResNet(facts.channels, c.scale, c.width, c.blocks)
        else:
            self.generator = RRDBNet(facts.channels, c.scale, c.width, c.blocks, c.growth)
        kind = Discriminator if c.judge == "srgan" else VGGStyleDiscriminator
        self.discriminator = kind(facts.channels, c.judge_width, *sides)

    def players(self) -> dict[str, Optimizer]:
        """Raises WeightsError where VGG's weights are needed and missing."""
        betas = (self.config.beta1, 0.999)
        if self.config.content == "vgg":
            self.extractor.load()
        return {n: Adam(getattr(self, n).parameters(), self.config.lr, betas) for n in ("discriminator", "generator")}

    def tune(self, players: Mapping[str, Optimizer], now: Clock) -> None:
        c = self.config
        first = c.pretraining if c.restart and now.step >= c.pretraining else 0  # drops before it do not count
        dropped = c.drop ** sum(first <= step <= now.step for step in c.drops)
        for group in (group for optimiser in players.values() for group in optimiser.param_groups):
            group["lr"] *= dropped

    def play(self, batches: Iterator[Enlarged], now: Clock) -> Iterator[Move]:
        c, batch = self.config, next(batches)
        high, given = batch.images, batch.low
        low = bicubic((high + 1) / 2, 1 / c.scale) if given is None else (given + 1) / 2
        fake = self.generator(low) * 2 - 1
        if now.step < c.pretraining:  # SRResNet: equation 4
            yield Move("generator", pixel=self.differ(fake, high))
            return
        on_real, on_fake = self.discriminator(high), self.discriminator(fake.detach())
        real, generated = on_real, on_fake
        if c.relativistic:  # ESRGAN, equation 1, each half by itself
            real, generated = on_real - on_fake.detach().mean(), on_fake - on_real.detach().mean()
        yield Move(
            "discriminator",
            real=c.discriminator_weight * real_loss(real),
            fake=c.discriminator_weight * fake_loss(generated),
            says_real=on_real.detach().mean(),
            says_fake=on_fake.detach().mean(),
        )
        logits = self.discriminator(fake)
        if c.relativistic:  # ESRGAN, equation 2
            others = self.discriminator(high).detach()
            fool = (real_loss(logits - others.mean()) + fake_loss(others - logits.mean())) / 2
        else:
            fool = real_loss(logits)  # equation 6
        yield Move("generator", **self.content(fake, high), fool=c.fool_weight * fool)

    def content(self, fake: Tensor, high: Tensor) -> dict[str, Tensor]:
        """The content loss, of pixels or of VGG's features (equations 4 and 5)."""
        c = self.config
        if c.content == "pixel":
            return {"pixel": self.differ(fake, high)}
        (features,), (target,) = (self.extractor.load().to(high.device)((images + 1) / 2) for images in (fake, high))
        terms = {"vgg": c.vgg_weight * self.differ(features, target)}
        return terms | ({"pixel": c.pixel_weight * self.differ(fake, high)} if c.pixel_weight else {})

    def differ(self, one: Tensor, other: Tensor) -> Tensor:
        return F.mse_loss(one, other) if self.config.error == "squared" else F.l1_loss(one, other)

    def translate(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) of any size -> (N, C, scale * H, scale * W), both in [-1, 1]."""
        return self.generator((images + 1) / 2).clamp(0, 1) * 2 - 1


WINDOWS = Run(batch=16, native=True, crop=True, flip=True, save_every=5_000)  # of photographs (section 3.2)
presets = {
    "tiny": Preset(
        Config(scale=2, width=4, blocks=1, judge_width=2, pretraining=2, content="pixel"),
        Run(steps=6, batch=8, size=(16,), native=True, crop=True, log_every=2),
    ),
    "small": Preset(
        Config(generator="msrresnet", width=24, blocks=4, judge_width=16, pretraining=1_600, content="pixel", lr=1e-3,
               drops=()),
        replace(WINDOWS, steps=2_000, size=(64,), schedule="linear", precision="auto", save_every=1_000),
    ),
    "paper": Preset(Config(discriminator_weight=1.0), replace(WINDOWS, steps=1_200_000, size=(96,))),
    "esrgan": Preset(
        Config(
            generator="rrdb", blocks=23, judge="esrgan", relativistic=True, vgg_layer="conv5_4", vgg_weight=1.0,
            pixel_weight=0.005, fool_weight=5e-3, error="absolute", lr=2e-4, drop=0.5, restart=True,
            drops=(200_000, 400_000, 600_000, 800_000, 1_000_000, 1_050_000, 1_100_000, 1_200_000, 1_300_000),
        ),
        replace(WINDOWS, steps=1_400_000, size=(128,)),
    ),
}  # fmt: skip
