"""instagan: things of one kind into another, each with its own mask, and the background left alone.

Mo, Cho, Shin, 2019.  https://arxiv.org/abs/1812.10889

    L = L_LSGAN + lambda_cyc L_cyc + lambda_idt L_idt + lambda_ctx L_ctx                               (equation 6)

CycleGAN's game about pairs of a picture and the set of its instances' masks.  What is learnt about the set is summed,
so the order of the masks does not matter and there may be any number of them (section 2.1); empty ones are left out.
Where neither a mask nor its translation is, L_ctx asks the picture to stay (equation 5).  Memory does not grow with the
number of instances: they are translated a few at a time, the next few in the picture that has become of it, and each
pass has moves of its own (section 2.3).

Departures: 1. all generators move at once, then both discriminators, as in the authors' code; its spectral norm
takes a step of the power iteration at every call, in evaluation mode, too; 2. in batches of several, a picture without
a mask left in a pass sits it out; 3. the learning rate falls from round to round; 4. a picture without any mask is
translated into itself.

Train it small: `ganforge train instagan --data shapes-instances` (discs into stars on the same ground).
"""

from collections.abc import Iterator
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

Things = tuple[Tensor, Tensor]  # pictures and their masks


@dataclass(frozen=True)
class Config:
    """Section 3 and appendix of the paper, and the authors' code."""

    instances: int = 4
    """Masks of a picture that are looked at while it learns: the largest."""
    together: int = 2
    """Masks translated in one pass (section 2.3)."""
    order: Literal["decreasing", "random"] = "decreasing"
    """Of the masks looked at: the largest first, or any."""
    cycle_a: float = 10.0
    """lambda_cyc of the way from a to b and back."""
    cycle_b: float = 10.0
    """lambda_cyc of the way from b to a and back."""
    identity: float = 1.0
    """lambda_idt, as a share of lambda_cyc."""
    context: float = 1.0
    """lambda_ctx, as a share of lambda_cyc."""
    pool: int = 50
    """Past translations that discriminators may be shown."""
    gan: Objective = "lsgan"
    """Least squares, cross entropy, or scores without a scale."""
    norm: Norm = "instance"
    """After nearly every convolution."""
    blocks: int = 9
    """Residual blocks of each encoder."""
    width: int = 64
    """Channels of the generators' layer next to the picture."""
    judge_width: int = 64
    """The discriminators'."""
    judge_layers: int = 3
    """Halvings of a discriminator; fewer where the picture is small."""
    lr: float = 2e-4
    """Adam; constant for half of the run, then falling to zero."""
    beta1: float = 0.5
    """Adam's first momentum."""


def union(masks: Tensor) -> Tensor:
    """(N, 1, H, W) in [0, 1]: where any of the masks (N, M, H, W), in [-1, 1], is."""
    return ((masks + 1) / 2).sum(1, keepdim=True).clamp(0, 1)


@dataclass
class Side:
    """Pictures of one kind on their way to the other."""

    images: Tensor
    """As earlier passes left them."""
    masks: Tensor
    """(N, M, H, W) in {-1, 1}, in the order of their translation."""
    made: Tensor
    """Their translations, -1 where there is none yet."""
    fake: Tensor
    """What a discriminator shall see of the last pass: (n, C + M, H, W), of pictures that had masks left in it."""


class InstaGAN(Game[Config, Instances]):
    """CycleGAN's two games about pictures with instances."""

    averaged = ("to_b", "to_a")
    augmented = ("is_a", "is_b")
    discriminator_output = "scores"
    multiple = 4
    """Both sides of pictures are multiples of it."""
    least = LEAST

    def __init__(self, config: Config, facts: Facts) -> None:
        """Raises ModelError for sides that are no multiples of 4, or below 8."""
        super().__init__(config, facts)
        c, channels = config, facts.channels
        check_sides(facts.height, facts.width)
        layers = max(1, min(c.judge_layers, min(facts.height, facts.width).bit_length() - 3))
        self.to_b, self.to_a = (SetGenerator(channels, c.width, c.blocks, c.norm) for _ in range(2))
        self.is_a, self.is_b = (SetDiscriminator(channels, c.judge_width, layers, c.norm) for _ in range(2))
        picture = (channels + c.instances, facts.height, facts.width)
        self.past_a, self.past_b = ImagePool(c.pool, picture), ImagePool(c.pool, picture)

    def players(self) -> dict[str, Optimizer]:
        betas = (self.config.beta1, 0.999)
        generators = [*self.to_b.parameters(), *self.to_a.parameters()]
        discriminators = [*self.is_a.parameters(), *self.is_b.parameters()]
        return {
            "generators": Adam(generators, self.config.lr, betas),
            "discriminators": Adam(discriminators, self.config.lr, betas),
        }

    def play(self, batches: Iterator[Instances], now: Clock) -> Iterator[Move]:
        c, batch = self.config, next(batches)
        a, b = self.side(batch.a, batch.a_masks, c.instances), self.side(batch.b, batch.b_masks, c.instances)
        real_a, real_b = torch.cat([a.images, a.masks], 1), torch.cat([b.images, b.masks], 1)
        for first in range(0, c.instances, c.together):
            terms = self.there_and_back("a", a, first, self.to_b, self.to_a, self.is_b, c.cycle_a)
            terms |= self.there_and_back("b", b, first, self.to_a, self.to_b, self.is_a, c.cycle_b)
            idle = not (len(a.fake) or len(b.fake))  # no picture has masks left
            terms["fool_a"] = still(self.to_b) if idle else terms["fool_a"]
            yield Move("generators", **terms)
            terms = self.verdicts_on("b", self.is_b, real_b, a.fake, self.past_b)
            terms |= self.verdicts_on("a", self.is_a, real_a, b.fake, self.past_a)
            terms["fake_b"] = still(self.is_b) if idle else terms["fake_b"]
            says = {name: (terms.pop(f"{name}_a") + terms.pop(f"{name}_b")) / 2 for name in ("says_real", "says_fake")}
            yield Move("discriminators", **terms, **says)

    def side(self, images: Tensor, masks: Tensor, most: int) -> Side:
        """Pictures with their `most` largest masks {0, 1}, filled up with empty ones, none translated yet."""
        sizes, more = masks.mean((2, 3)), most - masks.shape[1]
        masks, sizes = F.pad(masks, (0, 0, 0, 0, 0, max(0, more))), F.pad(sizes, (0, max(0, more)))
        order = sizes.sort(dim=1, descending=True, stable=True).indices[:, :most]
        if self.training and self.config.order == "random":
            left = sizes.gather(1, order) > 0
            order = order.gather(1, (self.draw.uniform(*order.shape) + ~left).argsort(1))  # empty ones stay last
        chosen = masks.gather(1, order[:, :, None, None].expand(-1, -1, *masks.shape[2:])) * 2 - 1
        return Side(images, chosen, torch.full_like(chosen, -1), torch.cat([images, chosen], 1)[:0])

    def there_and_back(
        self, name: str, side: Side, first: int, there: nn.Module, back: nn.Module, judge: nn.Module, weight: float
    ) -> dict[str, Tensor]:
        """The generators' terms of a pass; `side` is then as the pass leaves it."""
        c, masks = self.config, side.masks[:, first : first + self.config.together]
        rows = (masks.amax((1, 2, 3)) > -1).nonzero()[:, 0]
        image, masks, share = side.images[rows], masks[rows], len(rows) / len(masks)
        if not len(rows):
            side.fake = side.fake[:0]
            return {f"{term}_{name}": masks.new_zeros(()) for term in ("fool", "cycle", "identity", "context")}
        fake, fake_masks = there(image, masks)
        made = torch.cat([side.made[rows, :first], fake_masks, side.made[rows, first + c.together :]], 1)
        outside = 1 - union(torch.cat([masks, fake_masks], 1))  # of things before and things after
        again, same = self.each(back, (fake, fake_masks), (image, masks))
        terms = {
            "fool": gan_loss(judge(fake, made), True, c.gan),
            "cycle": weight * distance(again, (image, masks)),
            "identity": weight * c.identity * distance(same, (image, masks)),
            "context": weight * c.context * (outside * (image - fake)).abs().mean(),  # equation 5
        }
        side.fake = torch.cat([fake, made], 1).detach()
        side.images = side.images.index_copy(0, rows, fake.detach())
        side.made = side.made.index_copy(0, rows, made.detach())
        return {f"{term}_{name}": share * value for term, value in terms.items()}

    def each(self, network: nn.Module, one: Things, other: Things) -> tuple[Things, Things]:
        """What `network` makes of two batches: in one call, which is quicker, where its norm knows no batch."""
        if self.config.norm == "batch":
            return network(*one), network(*other)
        (image, image2), (masks, masks2) = (t.chunk(2) for t in network(*map(torch.cat, zip(one, other, strict=True))))
        return (image, masks), (image2, masks2)

    def verdicts_on(
        self, name: str, judge: nn.Module, real: Tensor, fake: Tensor, past: nn.Module
    ) -> dict[str, Tensor]:
        """A discriminator's terms about real pictures with masks (N, C + M, H, W) and the pass's fakes (n, ...)."""
        if not len(fake):
            return {f"{term}_{name}": real.new_zeros(()) for term in ("real", "fake", "says_real", "says_fake")}
        channels, share = self.facts.channels, len(fake) / len(real)
        on_real = judge(real[:, :channels], real[:, channels:])
        fake = past(fake, self.draw)
        on_fake = judge(fake[:, :channels], fake[:, channels:])
        return {
            f"real_{name}": share * gan_loss(on_real, True, self.config.gan) / 2,
            f"fake_{name}": share * gan_loss(on_fake, False, self.config.gan) / 2,
            f"says_real_{name}": on_real.detach().mean(),
            f"says_fake_{name}": on_fake.detach().mean(),
        }

    def translate(self, images: Tensor, masks: Tensor, reverse: bool = False) -> Tensor:
        """Pictures of kind a as b, or with `reverse` of kind b as a: (n, C, H, W), sides multiples of 4.

        Their masks (n, M, H, W) in {0, 1} may be any number: they are translated a few at a time.
        """
        return self.translated(images, masks, reverse)[0]

    def translated(self, images: Tensor, masks: Tensor, reverse: bool = False) -> tuple[Tensor, Tensor]:
        """The same, with the translated masks (n, M, H, W) in [-1, 1], the largest first."""
        there, side = self.to_a if reverse else self.to_b, self.side(images, masks, masks.shape[1])
        for first in range(0, masks.shape[1], self.config.together):
            few = side.masks[:, first : first + self.config.together]
            rows = (few.amax((1, 2, 3)) > -1).nonzero()[:, 0]
            if len(rows):
                fake, made = there(side.images[rows], few[rows])
                side.images = side.images.index_copy(0, rows, fake)
                side.made[rows, first : first + self.config.together] = made
        return side.images, side.made


def distance(made: Things, given: Things) -> Tensor:
    """The mean absolute difference of pictures and masks, each channel counting alike."""
    return F.l1_loss(torch.cat(made, 1), torch.cat(given, 1))


def still(network: nn.Module) -> Tensor:
    """0, with a gradient of 0 for one bias: whoever has a move must have a gradient."""
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
    "paper": Preset(  # jeans2skirt: 600 epochs of about 1,000 pictures
        Config(),
        Run(steps=600_000, batch=1, size=(300, 200), flip=True, crop=True, schedule="linear", save_every=5_000),
    ),
}
