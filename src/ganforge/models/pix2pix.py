"""pix2pix: image-to-image translation from pairs, with a learnt loss.

Isola, Zhu, Zhou, Efros, 2016.  https://arxiv.org/abs/1611.07004

    min_G max_D  E[log D(x, y)] + E[log(1 - D(x, G(x, z)))]  +  lambda E[|y - G(x, z)|]        (equations 1, 3 and 4)

L1 alone gives correct colours but blurs uncertain details; a discriminator that sees source and output makes the
output sharp.  It scores patches (section 3.2.2), and the generator has skip connections from its early to its
late layers (section 3.2.1).  The only noise is dropout, also at test time, when each image is normalised by its
own statistics, as in training with batches of one (section 3.3).

Departures: 1. sides other than 256: as many halvings as both sides allow, at most 8; 2. dropout in as many layers as
the authors' code has, depth - 5, but in at least one; 3. cross entropy on logits; `--config.gan` has the authors'
other two; 4. `small` has batches of four, normalised per image by instance norm, and learns
three times as fast.  The rate of `paper` is constant for all 200 epochs, as in the authors' code for Torch
(phillipi/pix2pix, train.lua); their later port to PyTorch lets it fall from epoch 100 on: `--schedule linear`.

Train it small: `ganforge train pix2pix` (minutes on two cores: sharp where `regression` blurs).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from ganforge.batches import Facts, Paired
from ganforge.game import Clock, Game, Move
from ganforge.nn.losses import Objective, gan_loss
from ganforge.nn.norms import Norm
from ganforge.nn.patchgan import PatchGAN, layers_for_patch
from ganforge.nn.resnet import LEAST, ResNetGenerator, check_sides
from ganforge.nn.unet import UNet, max_depth
from ganforge.run import Preset, Run


@dataclass(frozen=True)
class Config:
    """Section 3 and appendix 6 of the paper."""

    objective: Literal["l1", "gan", "cgan", "l1+gan", "l1+cgan", "l2+cgan"] = "l1+cgan"
    """G's loss.  cgan: the discriminator sees output and source; gan: the output alone (section 4.2)."""
    networks: Literal["unet", "encoder-decoder", "resnet6", "resnet9"] = "unet"
    """The generator: with skips, without skips (section 4.3), or CycleGAN's."""
    patch: Literal[1, 16, 34, 70, 142, 286] = 70
    """Side, in pixels, of the discriminator's patches (section 4.4)."""
    weight: float = 100.0
    """Lambda of L1, or of L2 (section 6.2)."""
    gan: Objective = "vanilla"
    """Cross entropy, least squares, or scores without a scale."""
    norm: Norm = "batch"
    """After nearly every convolution."""
    dropout: bool = True
    """The generator's noise."""
    width: int = 64
    """Channels of the layer next to the image (section 6.1)."""
    judge_width: int = 64
    """The same for the discriminator."""
    lr: float = 2e-4
    """Adam (section 3.3)."""
    beta1: float = 0.5
    """Adam's first momentum (section 3.3)."""


class Pix2Pix(Game[Config, Paired]):
    """A conditional GAN of paired images."""

    augmented = ("discriminator",)

    def __init__(self, config: Config, facts: Facts) -> None:
        """Raises ModelError for sides that the generator cannot halve, and for patches larger than the image."""
        super().__init__(config, facts)
        self.discriminator_output = "logits" if config.gan == "vanilla" else "scores"
        source, target = facts.source_channels or facts.channels, facts.channels
        self.generator, self.multiple = generator_of(config, facts)
        self.least = LEAST if config.networks.startswith("resnet") else 1
        layers = layers_for_patch(config.patch, facts.height, facts.width)
        seen = target + (source if "cgan" in config.objective else 0)
        self.discriminator = PatchGAN(seen, config.judge_width, layers, config.norm)

    def players(self) -> dict[str, Optimizer]:
        betas = (self.config.beta1, 0.999)
        players: dict[str, Optimizer] = {"generator": Adam(self.generator.parameters(), self.config.lr, betas)}
        if "gan" in self.config.objective:
            players["discriminator"] = Adam(self.discriminator.parameters(), self.config.lr, betas)
        return players

    def play(self, batches: Iterator[Paired], now: Clock) -> Iterator[Move]:
        c, pair = self.config, next(batches)
        fake = self.generator(pair.source)
        terms = {}
        if "gan" in c.objective:
            on_fake = self.discriminate(pair.source, fake.detach())
            on_real = self.discriminate(pair.source, pair.target)
            yield Move(
                "discriminator",
                fake=gan_loss(on_fake, False, c.gan) / 2,  # halved, so that D learns no faster than G (section 3.3)
                real=gan_loss(on_real, True, c.gan) / 2,
                says_real=on_real.detach().mean(),
                says_fake=on_fake.detach().mean(),
            )
            terms["fool"] = gan_loss(self.discriminate(pair.source, fake), True, c.gan)
        if "l1" in c.objective:
            terms["l1"] = c.weight * F.l1_loss(fake, pair.target)  # equation 3
        if "l2" in c.objective:
            terms["l2"] = c.weight * F.mse_loss(fake, pair.target)
        yield Move("generator", **terms)

    def discriminate(self, source: Tensor, image: Tensor) -> Tensor:
        """Scores (N, 1, h, w) of the patches of `image`, concatenated with the source if the objective is cgan."""
        return self.discriminator(torch.cat([source, image], 1) if "cgan" in self.config.objective else image)

    def translate(self, images: Tensor) -> Tensor:
        """Translate sources (n, C', H, W) to (n, C, H, W), sides multiples of `multiple`; dropout is random."""
        return self.generator(images, self.draw)


def generator_of(config: Config, facts: Facts) -> tuple[nn.Module, int]:
    """The generator, and the number that height and width must be multiples of."""
    source, target = facts.source_channels or facts.channels, facts.channels
    if config.networks.startswith("resnet"):
        check_sides(facts.height, facts.width)
        blocks = int(config.networks.removeprefix("resnet"))
        return ResNetGenerator(source, target, config.width, blocks, config.norm, config.dropout, live=True), 4
    depth = max_depth(facts.height, facts.width)
    dropouts = max(1, depth - 5) if config.dropout else 0
    skips = config.networks == "unet"
    return UNet(source, target, config.width, depth, config.norm, dropouts, skips), 2**depth


presets = {
    "tiny": Preset(Config(width=4, judge_width=4, patch=16), Run(steps=6, batch=4, size=(16,), log_every=2)),
    "small": Preset(
        # A patch of 34 pixels sees a whole shape, one of 16 does not; batches of four, normalised per image.
        Config(width=24, judge_width=24, patch=34, norm="instance", lr=6e-4),
        Run(steps=3_000, batch=4, size=(64,), flip=True, crop=True, schedule="linear", precision="auto"),
    ),
    "paper": Preset(  # facades: 400 pairs, 200 epochs (section 6.2)
        Config(), Run(steps=80_000, batch=1, size=(256,), flip=True, crop=True, save_every=5_000)
    ),
}
