"""cyclegan: image-to-image translation without pairs, by cycle consistency between two domains.

Zhu, Park, Isola, Efros, 2017.  https://arxiv.org/abs/1703.10593

    L(G, F) = L_GAN(G, D_Y) + L_GAN(F, D_X) + lambda E[|F(G(x)) - x| + |G(F(y)) - y|]        (equations 1 to 3)

A discriminator for each domain makes translations realistic; the cycle makes them keep their content.  Least squares
instead of logarithms, and discriminators that also see past translations from a pool of 50, stabilise training
(section 4).  The identity term asks each generator to leave images of its target domain unchanged (section 5.2).

Departures: 1. all generators move at once, then both discriminators, as in the authors' code; 2. images of both
domains pass a network in one call where its norm is per image: the results are the same; 3. the learning rate
decays every step, the authors' every epoch; 4. the pool always draws two random numbers per image.

Train it small: `ganforge train cyclegan` (minutes on two cores: the colours and textures change, the shapes stay).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from ganforge.batches import Facts, Unpaired
from ganforge.game import Clock, Game, Move
from ganforge.nn.losses import Objective, gan_loss
from ganforge.nn.norms import Norm
from ganforge.nn.patchgan import PatchGAN, layers_for_patch
from ganforge.nn.pool import ImagePool
from ganforge.nn.resnet import LEAST, ResNetGenerator, check_sides
from ganforge.run import Preset, Run


@dataclass(frozen=True)
class Config:
    """Sections 4 and 5, appendix 7 of the paper."""

    cycle_a: float = 10.0
    """Lambda of the cycle a to b to a (section 4)."""
    cycle_b: float = 10.0
    """Lambda of the cycle b to a to b (section 4)."""
    identity: float = 0.5
    """Weight of the identity term, as a share of lambda: 0.5 for paintings (section 5.2), 0, none, for other data."""
    pool: int = 50
    """Size of the pool of past translations for the discriminators (section 4)."""
    gan: Objective = "lsgan"
    """Least squares (section 4), cross entropy, or scores without a scale."""
    blocks: Literal[6, 9] = 9
    """Residual blocks: 9 for 256 pixels and more, 6 for 128 (section 4)."""
    norm: Norm = "instance"
    """After nearly every convolution (section 4)."""
    dropout: bool = False
    """In the residual blocks."""
    patch: Literal[1, 16, 34, 70, 142, 286] = 70
    """Side, in pixels, of the discriminators' patches (section 4)."""
    width: int = 64
    """Channels of the generators' layer next to the image (section 7.2)."""
    judge_width: int = 64
    """The same for the discriminators."""
    lr: float = 2e-4
    """Adam; constant for half of the run, then falling to zero (section 4)."""
    beta1: float = 0.5
    """Adam's first momentum."""


class CycleGAN(Game[Config, Unpaired]):
    """Two GANs, one per direction, coupled by cycle consistency."""

    averaged = ("to_b", "to_a")
    augmented = ("is_a", "is_b")
    multiple = 4
    """Height and width must be multiples of it."""
    least = LEAST

    def __init__(self, config: Config, facts: Facts) -> None:
        """Raises ModelError for sides that are not multiples of 4 or below 8, and for patches that do not fit."""
        super().__init__(config, facts)
        c, channels = config, facts.channels
        self.discriminator_output = "logits" if c.gan == "vanilla" else "scores"
        check_sides(facts.height, facts.width)
        layers = layers_for_patch(c.patch, facts.height, facts.width)
        image_shape = (channels, facts.height, facts.width)
        self.to_b = ResNetGenerator(channels, channels, c.width, c.blocks, c.norm, c.dropout)  # G
        self.to_a = ResNetGenerator(channels, channels, c.width, c.blocks, c.norm, c.dropout)  # F
        self.is_a = PatchGAN(channels, c.judge_width, layers, c.norm)  # D_X
        self.is_b = PatchGAN(channels, c.judge_width, layers, c.norm)  # D_Y
        self.past_a, self.past_b = ImagePool(c.pool, image_shape), ImagePool(c.pool, image_shape)

    def players(self) -> dict[str, Optimizer]:
        betas = (self.config.beta1, 0.999)
        generators = [*self.to_b.parameters(), *self.to_a.parameters()]
        discriminators = [*self.is_a.parameters(), *self.is_b.parameters()]
        return {
            "generators": Adam(generators, self.config.lr, betas),
            "discriminators": Adam(discriminators, self.config.lr, betas),
        }

    def tune(self, players: Mapping[str, Optimizer], now: Clock) -> None:
        for optimiser in players.values():
            for group in optimiser.param_groups:
                group["lr"] *= min(1.0, 2 - 2 * now.progress)

    def play(self, batches: Iterator[Unpaired], now: Clock) -> Iterator[Move]:
        c, real = self.config, next(batches)
        terms: dict[str, Tensor] = {}
        if c.identity:
            fake_b, same_b = self.each(self.to_b, real.a, real.b)
            fake_a, same_a = self.each(self.to_a, real.b, real.a)
            terms["identity_a"] = c.identity * c.cycle_a * F.l1_loss(same_a, real.a)
            terms["identity_b"] = c.identity * c.cycle_b * F.l1_loss(same_b, real.b)
        else:
            fake_b, fake_a = self.to_b(real.a), self.to_a(real.b)
        terms["cycle_a"] = c.cycle_a * F.l1_loss(self.to_a(fake_b), real.a)  # equation 2
        terms["cycle_b"] = c.cycle_b * F.l1_loss(self.to_b(fake_a), real.b)
        terms["fool_a"] = gan_loss(self.is_a(fake_a), True, c.gan)
        terms["fool_b"] = gan_loss(self.is_b(fake_b), True, c.gan)
        yield Move("generators", **terms)

        real_a, past_a = self.each(self.is_a, real.a, self.past_a(fake_a, self.draw))
        real_b, past_b = self.each(self.is_b, real.b, self.past_b(fake_b, self.draw))
        yield Move(
            "discriminators",
            real_a=gan_loss(real_a, True, c.gan) / 2,  # halved, so that D learns no faster than G (section 7.1)
            fake_a=gan_loss(past_a, False, c.gan) / 2,
            real_b=gan_loss(real_b, True, c.gan) / 2,
            fake_b=gan_loss(past_b, False, c.gan) / 2,
            says_real=(real_a.detach().mean() + real_b.detach().mean()) / 2,
            says_fake=(past_a.detach().mean() + past_b.detach().mean()) / 2,
        )

    def each(self, network: nn.Module, one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
        """Apply `network` to two batches: in one call, which is faster, unless its norm is over the batch."""
        if self.config.norm == "batch":
            return network(one), network(other)
        first, second = network(torch.cat([one, other])).chunk(2)
        return first, second

    def translate(self, images: Tensor, reverse: bool = False) -> Tensor:
        """Translate images of domain a to b, or with `reverse` of b to a: (n, C, H, W), sides multiples of 4."""
        return (self.to_a if reverse else self.to_b)(images)


presets = {
    "tiny": Preset(
        Config(width=4, judge_width=4, patch=16, blocks=6, pool=6), Run(steps=6, batch=4, size=(16,), log_every=2)
    ),
    "small": Preset(
        Config(width=16, judge_width=24, patch=34, blocks=6),
        Run(steps=3_000, batch=2, size=(64,), flip=True, crop=True, precision="auto"),
    ),
    "paper": Preset(  # horse2zebra: 1,334 images, 200 epochs, no identity term (the authors' options.lua)
        Config(identity=0.0), Run(steps=266_800, batch=1, size=(256,), flip=True, crop=True, save_every=5_000)
    ),
}
