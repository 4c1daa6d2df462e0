"""instagan: translates the instances of an image, each with its own mask, and keeps the background.

Mo, Cho, Shin, 2019.  https://arxiv.org/abs/1812.10889

    L = L_LSGAN + lambda_cyc L_cyc + lambda_idt L_idt + lambda_ctx L_ctx                               (equation 6)

CycleGAN for pairs of an image and the set of its instances' masks.  The features of the masks are summed, so their
order does not matter and there may be any number of them (section 2.1); empty ones are left out.  Outside of all masks
and their translations, L_ctx keeps the image unchanged (equation 5).  Memory does not grow with the number of
instances: a few are translated at a time, the next in the resulting image, each pass with its own moves (section 2.3).

Departures: 1. all generators move at once, then both discriminators, as in the authors' code; its spectral norm
takes a step of the power iteration at every call, in evaluation mode, too; 2. in larger batches, an image without
a mask left skips the pass; 3. the learning rate decays every step; 4. an image without masks is returned unchanged; 5.
random windows of 300 x 200 are cut from images of 335 x 223 pixels, the authors' from 330 x 220.

Train it small: `ganforge train instagan --data shapes-instances` (discs into stars on the same background).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from ganforge.batches import Facts, Instances
from ganforge.game import Clock, Game, Move
from ganforge.nn.losses import Objective, gan_loss
from ganforge.nn.mask_sets import SetDiscriminator, SetGenerator
from ganforge.nn.norms import Norm
from ganforge.nn.pool import ImagePool
from ganforge.nn.resnet import LEAST, check_sides
from ganforge.run import Preset, Run

Masked = tuple[Tensor, Tensor]  # images and their masks


@dataclass(frozen=True)
class Config:
    """Section 3 and appendix of the paper, and the authors' code."""

    instances: int = 4
    """Number of masks of an image used in training: the largest."""
    together: int = 2
    """Masks translated in one pass (section 2.3)."""
    order: Literal["decreasing", "random"] = "decreasing"
    """Of these masks: the largest first, or random."""
    cycle_a: float = 10.0
    """lambda_cyc of the cycle a to b to a."""
    cycle_b: float = 10.0
    """lambda_cyc of the cycle b to a to b."""
    identity: float = 1.0
    """lambda_idt, as a share of lambda_cyc."""
    context: float = 1.0
    """lambda_ctx, as a share of lambda_cyc."""
    pool: int = 50
    """Size of the pool of past translations for the discriminators."""
    gan: Objective = "lsgan"
    """Least squares, cross entropy, or scores without a scale."""
    norm: Norm = "instance"
    """After nearly every convolution."""
    blocks: int = 9
    """Residual blocks of each encoder."""
    width: int = 64
    """Channels of the generators' layer next to the image."""
    judge_width: int = 64
    """The same for the discriminators."""
    judge_layers: int = 3
    """Halvings of a discriminator; fewer for small images."""
    lr: float = 2e-4
    """Adam."""
    falling: float = 0.0
    """Share of the run, at its end, in which the rate falls to zero: a third for jeans2skirt.  0: --schedule alone."""
    beta1: float = 0.5
    """Adam's first momentum."""


def union(masks: Tensor) -> Tensor:
    """(N, 1, H, W) in [0, 1]: the union of the masks (N, M, H, W) in [-1, 1]."""
    return ((masks + 1) / 2).sum(1, keepdim=True).clamp(0, 1)


@dataclass
class Side:
    """Images of one domain and their translation so far."""

    images: Tensor
    """After the earlier passes."""
    masks: Tensor
    """(N, M, H, W) in {-1, 1}, in the order of their translation."""
    translated: Tensor
    """Their translations, -1 where there is none yet."""
    fake: Tensor
    """The last pass's results for the discriminator: (n, C + M, H, W), of images with masks left in it."""


class InstaGAN(Game[Config, Instances]):
    """CycleGAN for images with instances."""

    averaged = ("to_b", "to_a")
    augmented = ("is_a", "is_b")
    discriminator_output = "scores"
    multiple = 4
    least = LEAST

    def __init__(self, config: Config, facts: Facts) -> None:
        """Raises ModelError for sides that are not multiples of 4, or below 8."""
        super().__init__(config, facts)
        c, channels = config, facts.channels
        check_sides(facts.height, facts.width)
        layers = max(1, min(c.judge_layers, min(facts.height, facts.width).bit_length() - 3))
        self.to_b, self.to_a = (SetGenerator(channels, c.width, c.blocks, c.norm) for _ in range(2))
        self.is_a, self.is_b = (SetDiscriminator(channels, c.judge_width, layers, c.norm) for _ in range(2))
        image_shape = (channels + c.instances, facts.height, facts.width)
        self.past_a, self.past_b = ImagePool(c.pool, image_shape), ImagePool(c.pool, image_shape)

    def players(self) -> dict[str, Optimizer]:
        def adam(*networks: nn.Module) -> Optimizer:
            return Adam([p for n in networks for p in n.parameters()], self.config.lr, (self.config.beta1, 0.999))

        return {"generators": adam(self.to_b, self.to_a), "discriminators": adam(self.is_a, self.is_b)}

    def tune(self, players: Mapping[str, Optimizer], now: Clock) -> None:
        fall = (1 - now.progress) / self.config.falling if self.config.falling else 1.0
        for group in (group for optimiser in players.values() for group in optimiser.param_groups):
            group["lr"] *= min(1.0, fall)

    def play(self, batches: Iterator[Instances], now: Clock) -> Iterator[Move]:
        c, batch = self.config, next(batches)
        a, b = self.side(batch.a, batch.a_masks, c.instances), self.side(batch.b, batch.b_masks, c.instances)
        real_a, real_b = torch.cat([a.images, a.masks], 1), torch.cat([b.images, b.masks], 1)
        for first in range(0, c.instances, c.together):
            terms = self.generator_terms("a", a, first, self.to_b, self.to_a, self.is_b, c.cycle_a)
            terms |= self.generator_terms("b", b, first, self.to_a, self.to_b, self.is_a, c.cycle_b)
            idle = not (len(a.fake) or len(b.fake))  # no image has masks left
            terms["fool_a"] = zero_term(self.to_b) if idle else terms["fool_a"]
            yield Move("generators", **terms)
            terms = self.discriminator_terms("b", self.is_b, real_b, a.fake, self.past_b)
            terms |= self.discriminator_terms("a", self.is_a, real_a, b.fake, self.past_a)
            terms["fake_b"] = zero_term(self.is_b) if idle else terms["fake_b"]
            says = {name: (terms.pop(f"{name}_a") + terms.pop(f"{name}_b")) / 2 for name in ("says_real", "says_fake")}
            yield Move("discriminators", **terms, **says)

    def side(self, images: Tensor, masks: Tensor, most: int) -> Side:
        """Images with their `most` largest masks {0, 1}, padded with empty masks, none translated yet."""
        sizes, more = masks.mean((2, 3)), most - masks.shape[1]
        masks, sizes = F.pad(masks, (0, 0, 0, 0, 0, max(0, more))), F.pad(sizes, (0, max(0, more)))
        order = sizes.sort(dim=1, descending=True, stable=True).indices[:, :most]
        if self.training and self.config.order == "random":
            left = sizes.gather(1, order) > 0
            order = order.gather(1, (self.draw.uniform(*order.shape) + ~left).argsort(1))  # empty ones stay last
        chosen = masks.gather(1, order[:, :, None, None].expand(-1, -1, *masks.shape[2:])) * 2 - 1
        return Side(images, chosen, torch.full_like(chosen, -1), torch.cat([images, chosen], 1)[:0])

    def generator_terms(
        self, name: str, side: Side, first: int, there: nn.Module, back: nn.Module, critic: nn.Module, weight: float
    ) -> dict[str, Tensor]:
        """The generators' terms of a pass; updates `side`."""
        c, masks = self.config, side.masks[:, first : first + self.config.together]
        rows = (masks.amax((1, 2, 3)) > -1).nonzero()[:, 0]
        image, masks, share = side.images[rows], masks[rows], len(rows) / len(masks)
        if not len(rows):
            side.fake = side.fake[:0]
            return {f"{term}_{name}": masks.new_zeros(()) for term in ("fool", "cycle", "identity", "context")}
        fake, fake_masks = there(image, masks)
        before, after = side.translated[rows, :first], side.translated[rows, first + c.together :]
        all_masks = torch.cat([before, fake_masks, after], 1)
        outside = 1 - union(torch.cat([masks, fake_masks], 1))  # of the instances before and after
        again, same = self.each(back, (fake, fake_masks), (image, masks))
        terms = {
            "fool": gan_loss(critic(fake, all_masks), True, c.gan),
            "cycle": weight * distance(again, (image, masks)),
            "identity": weight * c.identity * distance(same, (image, masks)),
            "context": weight * c.context * (outside * (image - fake)).abs().mean(),  # equation 5
        }
        side.fake = torch.cat([fake, all_masks], 1).detach()
        side.images = side.images.index_copy(0, rows, fake.detach())
        side.translated = side.translated.index_copy(0, rows, all_masks.detach())
        return {f"{term}_{name}": share * value for term, value in terms.items()}

    def each(self, network: nn.Module, one: Masked, other: Masked) -> tuple[Masked, Masked]:
        """Apply `network` to two batches: in one call, which is faster, unless its norm is over the batch."""
        if self.config.norm == "batch":
            return network(*one), network(*other)
        (image, image2), (masks, masks2) = (t.chunk(2) for t in network(*map(torch.cat, zip(one, other, strict=True))))
        return (image, masks), (image2, masks2)

    def discriminator_terms(
        self, name: str, discriminator: nn.Module, real: Tensor, fake: Tensor, past: nn.Module
    ) -> dict[str, Tensor]:
        """A discriminator's terms of real images with masks (N, C + M, H, W) and of the pass's fakes (n, ...)."""
        if not len(fake):
            return {f"{term}_{name}": real.new_zeros(()) for term in ("real", "fake", "says_real", "says_fake")}
        channels, share = self.facts.channels, len(fake) / len(real)
        seen = (real, past(fake, self.draw))
        on_real, on_fake = (discriminator(each[:, :channels], each[:, channels:]) for each in seen)
        return {
            f"real_{name}": share * gan_loss(on_real, True, self.config.gan) / 2,
            f"fake_{name}": share * gan_loss(on_fake, False, self.config.gan) / 2,
            f"says_real_{name}": on_real.detach().mean(),
            f"says_fake_{name}": on_fake.detach().mean(),
        }

    def translate(self, images: Tensor, masks: Tensor, reverse: bool = False) -> Tensor:
        """Translate images of domain a to b, or with `reverse` of b to a: (n, C, H, W), sides multiples of 4.

        There may be any number of masks (n, M, H, W) in {0, 1}; a few are translated at a time.
        """
        return self.translate_with_masks(images, masks, reverse)[0]

    def translate_with_masks(self, images: Tensor, masks: Tensor, reverse: bool = False) -> tuple[Tensor, Tensor]:
        """As `translate`, with the translated masks (n, M, H, W) in [-1, 1], the largest first."""
        there, side = self.to_a if reverse else self.to_b, self.side(images, masks, masks.shape[1])
        for first in range(0, masks.shape[1], self.config.together):
            few = side.masks[:, first : first + self.config.together]
            rows = (few.amax((1, 2, 3)) > -1).nonzero()[:, 0]
            if len(rows):
                fake, translated = there(side.images[rows], few[rows])
                side.images = side.images.index_copy(0, rows, fake)
                side.translated[rows, first : first + self.config.together] = translated
        return side.images, side.translated


def distance(output: Masked, expected: Masked) -> Tensor:
    """The mean absolute difference of images and masks, with equal weight for every channel."""
    return F.l1_loss(torch.cat(output, 1), torch.cat(expected, 1))


def zero_term(network: nn.Module) -> Tensor:
    """0, with a gradient of 0 for one bias: a player that moves must have a gradient."""
    *_, bias = network.parameters()
    return 0 * bias.sum()


presets = {
    "tiny": Preset(
        Config(width=4, judge_width=4, blocks=1, instances=2, together=1, pool=6),
        Run(steps=6, batch=4, size=(16,), log_every=2),
    ),
    "small": Preset(
        Config(width=16, judge_width=16, blocks=2, judge_layers=2, lr=6e-4),
        Run(steps=2_500, batch=2, size=(32,), flip=True, schedule="linear"),
    ),
    "paper": Preset(  # jeans2skirt: 400 epochs of about 1,000 images, and 200 in which the rate falls
        Config(falling=1 / 3), Run(steps=600_000, batch=1, size=(300, 200), flip=True, crop=True, save_every=5_000)
    ),
}
