"""stargan: one generator for every pair of domains, with a target label as input.

Choi, Choi, Kim, Ha, Kim, Choo, 2017.  https://arxiv.org/abs/1711.09020

    L_D = -L_adv + lambda_cls L_cls(real)                                                          (equation 5)
    L_G =  L_adv + lambda_cls L_cls(fake) + lambda_rec |x - G(G(x, c), c')|                        (equation 6)

The label is concatenated to the image as constant planes.  The discriminator says whether an image is real and
predicts its label, so the generator must show the requested one; a translation back, with the image's own label c',
must reconstruct the image, so everything else is kept.  Where labels come from two data sets, a mask says which of
them are known (section 3.2): unknown ones are NaN in the data.
`ganforge translate RUN in out --to blond,smiling` adds attributes, `smiling=0` removes one.  Others stay as predicted
by the discriminator; those in `exclusive` replace each other.

Departures: 1. other sides than 128, with fewer halvings; 2. in evaluation each image's own statistics, as in the
authors' code, whose rate ends at 99.9 % (`decay`), the paper's (`paper`) at zero; 3. `small`: faster, 5 lambda_rec.

Train it small: `ganforge train stargan --data shapes-attributes`.  After 2,000 steps every held-out image gets the
requested colour and keeps 90 % or more of its other attributes; half of the shapes, not an attribute, deform.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from ganforge.batches import Facts, Labelled
from ganforge.capabilities import Change
from ganforge.errors import ModelError
from ganforge.game import Clock, Game, Move
from ganforge.nn.conditions import tile
from ganforge.nn.cpu.winograd import WinogradConv2d
from ganforge.nn.losses import mean_where
from ganforge.nn.norms import LiveInstanceNorm2d
from ganforge.nn.penalties import slope_penalty
from ganforge.nn.resnet import LEAST, check_sides
from ganforge.run import Preset, Run

HAIR = ("Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair")
COLOURS = ("red", "orange", "yellow", "green", "teal", "blue", "purple", "pink")  # of the embedded shapes


@dataclass(frozen=True)
class Config:
    """Section 3 and appendix of the paper."""

    attributes: tuple[str, ...] = ()
    """Attributes to edit, by name.  Empty: all that the data has."""
    exclusive: tuple[str, ...] = HAIR
    """Attributes of which an image has at most one: to request one removes the others."""
    second: int = 0
    """The last so many attributes are the classes of a second data set (section 3.2)."""
    width: int = 64
    """Channels of the layer next to the image, in both networks (table 4)."""
    blocks: int = 6
    """The generator's residual blocks."""
    layers: int = 6
    """The discriminator's halvings; fewer for images smaller than 128."""
    classify: float = 1.0
    """lambda_cls (section 3.1)."""
    reconstruct: float = 10.0
    """lambda_rec."""
    penalty: float = 10.0
    """lambda_gp (equation 8)."""
    critic_moves: int = 5
    """Moves of the discriminator per move of the generator (section 5.2)."""
    lr: float = 1e-4
    """Adam, for both."""
    decay: tuple[int, int] = (0, 1_000)
    """In the last decay[0] iterations the rate falls by 1/decay[0] every decay[1] of them, as in the authors' code."""


Norm = Callable[..., nn.Module]  # takes a number of channels


def with_norm(conv: nn.Conv2d | nn.ConvTranspose2d, norm: Norm) -> list[nn.Module]:
    """A convolution and its instance norm, which has weights and running statistics."""
    return [conv, norm(conv.out_channels, affine=True, track_running_stats=True)]


class ResidualBlock(nn.Module):
    """x (N, C, H, W) -> x + F(x)."""

    def __init__(self, width: int, norm: Norm) -> None:
        super().__init__()
        one, other = (with_norm(WinogradConv2d(width, width, 3, 1, bias=False), norm) for _ in range(2))
        self.layers = nn.Sequential(*one, nn.ReLU(), *other)

    def forward(self, input: Tensor) -> Tensor:
        return input + self.layers(input)


class Generator(nn.Module):
    """images (N, C, H, W), labels (N, k) -> images (N, C, H, W) in [-1, 1]; both sides multiples of 4 (table 4)."""

    def __init__(self, width: int, k: int, blocks: int, channels: int = 3, norm: Norm = LiveInstanceNorm2d) -> None:
        super().__init__()
        layers = [*with_norm(nn.Conv2d(channels + k, width, 7, 1, 3, bias=False), norm), nn.ReLU()]
        for w in (width, 2 * width):
            layers += [*with_norm(nn.Conv2d(w, 2 * w, 4, 2, 1, bias=False), norm), nn.ReLU()]
        layers += [ResidualBlock(4 * width, norm) for _ in range(blocks)]
        for w in (4 * width, 2 * width):
            layers += [*with_norm(nn.ConvTranspose2d(w, w // 2, 4, 2, 1, bias=False), norm), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, channels, 7, 1, 3, bias=False), nn.Tanh())

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        return self.layers(torch.cat([images, tile(labels, images)], 1))


class Discriminator(nn.Module):
    """images (N, C, H, W) -> scores of patches (N, 1, h, w), logits of the label (N, k) (table 5)."""

    def __init__(self, size: tuple[int, int], width: int, k: int, layers: int, channels: int = 3) -> None:
        super().__init__()
        widths, body = [channels, *(width * 2**i for i in range(layers))], []
        for a, b in pairwise(widths):
            body += [nn.Conv2d(a, b, 4, 2, 1), nn.LeakyReLU(0.01)]
        self.body = nn.Sequential(*body)
        self.judge = nn.Conv2d(widths[-1], 1, 3, 1, 1, bias=False)
        self.read = nn.Conv2d(widths[-1], k, (size[0] >> layers, size[1] >> layers), bias=False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.body(images)
        return self.judge(features), self.read(features).flatten(1)


class StarGAN(Game[Config, Labelled]):
    """WGAN-GP with a label classifier and a reconstruction loss."""

    augmented = ("discriminator",)
    discriminator_output = "scores"
    penalised = ("discriminator",)
    multiple, least = 4, LEAST

    def __init__(self, config: Config, facts: Facts) -> None:
        """Raises ModelError for data without labels, for unknown attributes, and for sides not multiples of 4."""
        super().__init__(config, facts)
        c, names = config, facts.attributes
        if unknown := [name for name in c.attributes if name not in names]:
            raise ModelError(f"The data has no attribute {unknown[0]!r}; it has {', '.join(names) or 'none'}.")
        check_sides(facts.height, facts.width)
        self.editable, self.chosen = c.attributes, [*map(names.index, c.attributes)] or [*range(len(names))]
        self.k = len(self.chosen) or len(facts.labels)
        if self.k < 2 and not names:
            raise ModelError("stargan needs data with classes (one folder a class) or attributes; this has neither.")
        self.first = len(self.chosen) - c.second if names else 0  # number of attributes; all others are classes
        if self.first < 0:
            raise ModelError(f"Of {self.k} attributes {c.second} cannot belong to a second data set.")
        layers = min(c.layers, min(facts.height, facts.width).bit_length() - 1)  # at least one pixel is left
        self.generator = Generator(c.width, self.k + (2 if c.second else 0), c.blocks, facts.channels)
        self.discriminator = Discriminator((facts.height, facts.width), c.width, self.k, layers, facts.channels)

    def players(self) -> dict[str, Optimizer]:
        networks = {"discriminator": self.discriminator, "generator": self.generator}
        return {name: Adam(net.parameters(), self.config.lr, (0.5, 0.999)) for name, net in networks.items()}

    def tune(self, players: Mapping[str, Optimizer], now: Clock) -> None:
        (last, every), done = self.config.decay, now.step * self.config.critic_moves
        if last and done:
            falls = max(0, done // every - (round(done / now.progress) - last) // every)
            for group in (group for optimiser in players.values() for group in optimiser.param_groups):
                group["lr"] *= 1 - falls / last

    def play(self, batches: Iterator[Labelled], now: Clock) -> Iterator[Move]:
        c = self.config
        for i in range(c.critic_moves):
            for _ in range(2 if c.second else 1):  # a batch of each data set
                batch = next(batches)
                real, own = batch.images, self.labels(batch.condition)
                target = own[self.draw.permutation(len(own))]
                with torch.no_grad():
                    fake = self.generator(real, self.label_input(target)).to(real.dtype)
                between = torch.lerp(fake, real, self.draw.uniform(len(real), 1, 1, 1))
                (on_real, logits), (on_fake, _) = self.discriminator(real), self.discriminator(fake)
                yield Move(
                    "discriminator",
                    real=-on_real.mean(),  # equation 8
                    fake=on_fake.mean(),
                    classify=c.classify * self.label_loss(logits, own),  # equation 2
                    penalty=c.penalty * slope_penalty(lambda x: self.discriminator(x)[0], between),
                    says_real=on_real.detach().mean(),
                    says_fake=on_fake.detach().mean(),
                )
                if i == c.critic_moves - 1:
                    fake = self.generator(real, self.label_input(target))
                    back = self.generator(fake, self.label_input(own))
                    scores, logits = self.discriminator(fake)
                    yield Move(
                        "generator",
                        fool=-scores.mean(),
                        reconstruct=c.reconstruct * F.l1_loss(back, real),  # equation 4
                        classify=c.classify * self.label_loss(logits, target),  # equation 3
                    )

    def labels(self, condition: Tensor) -> Tensor:
        """The condition as float (N, k): one-hot for classes, for attributes those that this game edits."""
        return condition[:, self.chosen] if condition.ndim == 2 else F.one_hot(condition, self.k).float()

    def label_input(self, labels: Tensor) -> Tensor:
        """The generator's label input: labels, unknown ones as 0, and which data set's are known (equation 7)."""
        parts = labels.tensor_split([self.first], 1) if self.config.second else ()
        return torch.cat([labels.nan_to_num(), *(~part.isnan().all(1, keepdim=True) for part in parts)], 1)

    def label_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """-log of the labels' probability (equations 2 and 3), the mean over images with known labels."""
        loss, first, known, labels = logits.new_zeros(()), self.first, ~labels.isnan(), labels.nan_to_num()
        if first:
            each = F.binary_cross_entropy_with_logits(logits[:, :first], labels[:, :first], reduction="none")
            loss = (each * known[:, :first]).sum() / known[:, :first].any(1).sum().clamp(min=1)
        if first < self.k:
            each = F.cross_entropy(logits[:, first:], labels[:, first:].argmax(1), reduction="none")
            loss = loss + mean_where(each, known[:, -1])
        return loss

    def translate(self, images: Tensor, to: Change) -> Tensor:
        """Translate images (n, C, H, W) to a class or attributes.  Raises ModelError for one that cannot be edited."""
        for i, name in enumerate(self.facts.attributes):
            if i not in self.chosen and (to[:, i] > 0).any():
                raise ModelError(f"This run edits {', '.join(self.config.attributes)}, not {name}.")
        labels = self.labels(to)
        return self.generator(images, self.label_input(self.complete_labels(images, labels) if self.first else labels))

    def complete_labels(self, images: Tensor, labels: Tensor) -> Tensor:
        """Fill in the NaN in labels (n, k) by the discriminator's predictions for the images."""
        first = self.first
        resized = F.interpolate(images, (self.facts.height, self.facts.width), mode="bilinear", antialias=True)
        predicted = (self.discriminator(resized)[1][:, :first] > 0).float()
        attributes, classes = labels.tensor_split([first], 1)
        rivals = labels.new_tensor([self.facts.attributes[i] in self.config.exclusive for i in self.chosen[:first]]) > 0
        predicted.masked_fill_(rivals & ((attributes > 0.5) & rivals).any(1, keepdim=True), 0)
        attributes, in_second = attributes.where(~attributes.isnan(), predicted), (classes > 0.5).any(1, keepdim=True)
        completed = torch.cat([attributes, classes.nan_to_num()], 1)  # of which one data set's are known
        return completed.masked_fill((torch.arange(self.k, device=labels.device) >= first) != in_second, torch.nan)


presets = {
    "tiny": Preset(Config(width=4, blocks=1, critic_moves=2), Run(steps=6, batch=8, size=(16,), log_every=2)),
    "small": Preset(
        Config(width=24, blocks=3, layers=4, exclusive=(*HAIR, *COLOURS), critic_moves=1, lr=1.5e-3, reconstruct=50.0),
        Run(steps=2_000, batch=16, size=(32,), schedule="linear", flip=True),
    ),
    "paper": Preset(  # 200,000 iterations, 5 per step
        Config(attributes=("Black_Hair", "Blond_Hair", "Brown_Hair", "Male", "Young")),
        Run(steps=40_000, batch=16, size=(128,), flip=True, schedule="linear", save_every=2_000),
    ),
}
