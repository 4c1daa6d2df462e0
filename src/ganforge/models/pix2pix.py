"""pix2pix: pictures into other pictures, learnt from pairs, with a loss that is learnt as well.

Isola, Zhu, Zhou, Efros, 2016.  https://arxiv.org/abs/1611.07004

    min_G max_D  E[log D(x, y)] + E[log(1 - D(x, G(x, z)))]  +  lambda E[|y - G(x, z)|]        (equations 1, 3 and 4)

L1 alone knows the colours and blurs whatever it is unsure of; a discriminator that sees the source beside the
answer makes the answer sharp.  It judges patches, one score each (section 3.2.2), and the generator hands its
early features across to its late ones (section 3.2.1).  The only noise is dropout, alive at test time too, and
there each picture is normalised by its own statistics, as in the training of batches of one (section 3.3).

Departures: 1. sides other than 256: as many halvings as both sides allow, at most 8; 2. dropout in as many layers as
the authors' code has, depth - 5, but in at least one; 3. cross entropy on logits; `--config.gan` has the authors'
other two; 4. `small` has batches of four and instance norm, which treats each picture as a batch of one would, and
learns three times as fast.

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
from ganforge.nn.patchgan import PatchGAN, layers_of
from ganforge.nn.resnet import LEAST, ResNetGenerator, check_sides
from ganforge.nn.unet import UNet, depth_of
from ganforge.run import Preset, Run


@dataclass(frozen=True)
class Config:
    """Section 3 and appendix 6 of the paper."""

    objective: Literal["l1", "gan", "cgan", "l1+gan", "l1+cgan", "l2+cgan"] = "l1+cgan"
    """What G descends: cgan judges the answer beside its source, gan the answer alone (section 4.2)."""
    networks: Literal["unet", "encoder-decoder", "resnet6", "resnet9"] = "unet"
    """The generator: with skips, without them (section 4.3), or CycleGAN's."""
    patch: Literal[1, 16, 34, 70, 142, 286] = 70
    """Side, in pixels, of the patches that are judged (section 4.4)."""
    weight: float = 100.0
    """Lambda of L1, or of L2 (section 6.2)."""
    gan: Objective = "vanilla"
    """Cross entropy, least squares, or scores without a scale."""
    norm: Norm = "batch"
    """After nearly every convolution."""
    dropout: bool = True
    """The generator's noise."""
    width: int = 64
    """Channels of the layer next to the picture (section 6.1)."""
    judge_width: int = 64
    """The discriminator's."""
    lr: float = 2e-4
    """Adam (section 3.3)."""
    beta1: float = 0.5
    """Adam's first momentum (section 3.3)."""


class Pix2Pix(Game[Config, Paired]):
    """A conditional game over pairs."""

    augmented = ("discriminator",)

    def __init__(self, config: Config, facts: Facts) -> None:
        """Raises ModelError for sides that the generator cannot halve, and for patches larger than the picture."""
        super().__init__(config, facts)
        self.discriminator_output = "logits" if config.gan == "vanilla" else "scores"
        source, target = facts.source_channels or facts.channels, facts.channels
        self.generator, self.multiple = generator_of(config, facts)
        self.least = LEAST if config.networks.startswith("resnet") else 1
        layers = layers_of(config.patch, facts.height, facts.width)
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
            on_fake = self.judge(pair.source, fake.detach())
            on_real = self.judge(pair.source, pair.target)
            yield Move(
                "discriminator",
                fake=gan_loss(on_fake, False, c.gan) / 2,  # halved, so that D learns no faster than G (section 3.3)
                real=gan_loss(on_real, True, c.gan) / 2,
                says_real=on_real.detach().mean(),
                says_fake=on_fake.detach().mean(),
            )
            terms["fool"] = gan_loss(self.judge(pair.source, fake), True, c.gan)
        if "l1" in c.objective:
            terms["l1"] = c.weight * F.l1_loss(fake, pair.target)  # equation 3
        if "l2" in c.objective:
            terms["l2"] = c.weight * F.mse_loss(fake, pair.target)
        yield Move("generator", **terms)

    def judge(self, source: Tensor, image: Tensor) -> Tensor:
        """Scores (N, 1, h, w) of the patches of `image`, seen beside their source if the objective says so."""
        return self.discriminator(torch.cat([source, image], 1) if "cgan" in self.config.objective else image)

    def translate(self, images: Tensor) -> Tensor:
        """Sources (n, C', H, W) as targets (n, C, H, W), sides multiples of `multiple`; the seed chooses the noise."""
        return self.generator(images, self.draw)


def generator_of(config: Config, facts: Facts) -> tuple[nn.Module, int]:
    """The generator, and what both sides of its pictures must be multiples of."""
    source, target = facts.source_channels or facts.channels, facts.channels
    if config.networks.startswith("resnet"):
        check_sides(facts.height, facts.width)
        blocks = int(config.networks.removeprefix("resnet"))
        return ResNetGenerator(source, target, config.width, blocks, config.norm, config.dropout, live=True), 4
    depth = depth_of(facts.height, facts.width)
    dropouts = max(1, depth - 5) if config.dropout else 0
    skips = config.networks == "unet"
    return UNet(source, target, config.width, depth, config.norm, dropouts, skips), 2**depth


presets = {
    "tiny": Preset(Config(width=4, judge_width=4, patch=16), Run(steps=6, batch=4, size=(16,), log_every=2)),
    "small": Preset(
        # A patch of 16 pixels sees as much of 64 as one of 70 sees of 256; four pictures, each normalised as if alone.
        Config(width=24, judge_width=24, patch=16, norm="instance", lr=6e-4),
        Run(steps=3_000, batch=4, size=(64,), flip=True, crop=True, schedule="linear", precision="auto"),
    ),
    "paper": Preset(  # facades: 400 pairs, 200 epochs (section 6.2)
        Config(), Run(steps=80_000, batch=1, size=(256,), flip=True, crop=True, schedule="linear", save_every=5_000)
    ),
}
