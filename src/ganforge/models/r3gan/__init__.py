"""r3gan: a relativistic loss with two gradient penalties, and a plain residual network.

Huang, Gokaslan, Kuleshov, Tompkin, 2024, "The GAN is dead; long live the GAN! A modern baseline GAN".
https://arxiv.org/abs/2501.05441

    D descends  E[f(D(G(z)) - D(x))] + gamma/2 (E|grad D(x)|^2 + E|grad D(G(z))|^2),  f = softplus      (section 2)
    G descends  E[f(D(x) - D(G(z)))]

A fake is compared with a real image of the batch instead of with a fixed boundary, so a generator that covers few of
the modes gains by covering more.  That game alone does not converge; with penalties on real images (R1) and on fakes
(R2) in every step it does, locally (proposition 3).  With such a loss the tricks of StyleGAN2 are not needed
(section 3): no style, no norm, no noise inputs, no minibatch statistics, but blocks of 1 x 1, grouped 3 x 3 and 1 x 1
convolutions whose last layer starts at zero (fix-up), with bilinear resampling between them.

Learning rate, Adam's second momentum, gamma, the half-life of the averages and the probability of augmentation follow
half a cosine from their first to their last value (appendix, hyperparameters).  As in the authors' code
(brownvc/R3GAN) D and G each draw a batch of their own, and one batch a step is counted.

Departures: 1. a run ends with the schedules, the authors' goes on until it is stopped; 2. with bf16 all stages use it,
theirs those of the highest resolutions; 3. sides other than 4 times a power of two start from a base of 4 to 7 pixels;
4. fakes are not bounded, as in the paper, and clamped to [-1, 1] in samples alone; 5. `small` is narrow, has one block
a stage, a rate twenty times as large, schedules that end with the run, no augmentation, and a large gamma that stays:
with 0.5, falling to 0.05, and a rate of 1e-3, D runs away, and the Frechet distance after 900 steps is 38, not 17.

Train it small: `ganforge train r3gan --data shapes-attributes` (about thirteen minutes on two cores).  After 3,500
steps, twenty minutes of one core, the Frechet distances of three seeds are 3.9, 3.6 and 4.2 by a classifier of the data
and 120, 147 and 121 by `lite0`; those of dcgan with averaged weights, 11,400 steps, 5.2, 6.4 and 7.1, and 198, 194 and
197.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from ganforge.batches import Facts, PerhapsLabelled
from ganforge.capabilities import Label, MixedLabel, Range
from ganforge.errors import ModelError
from ganforge.game import Clock, Game, Move
from ganforge.models.r3gan.networks import Discriminator, Generator, Stage
from ganforge.nn.conditions import as_vectors, draw_labels
from ganforge.nn.limits import limit
from ganforge.nn.penalties import squared_slope
from ganforge.nn.sizes import halve_sides
from ganforge.run import Preset, Run


@dataclass(frozen=True)
class Config:
    """FFHQ at 256 pixels: the authors' train.py."""

    latent: int = 64
    """Length of z, and of the embedded class."""
    width: int = 768
    """Channels of the stages of low resolution."""
    full: int = 32
    """Largest side with that width, counted from a base of 4; each doubling beyond halves it."""
    group: Annotated[int, Range(1, 65_536)] = 16
    """Channels in a group of the 3 x 3 convolutions."""
    blocks: int = 2
    """Residual blocks at each resolution."""
    expansion: int = 2
    """Channels inside a block, as a multiple of those outside."""
    conditional: bool = False
    """Whether both networks receive the class or the attributes of the data."""
    decay: Annotated[int | None, Range(1, 1e12)] = 20_000_000
    """Images in which all of the following go from their first to their last value.  None: those of the run."""
    lr: float = 2e-4
    """Adam's learning rate."""
    final_lr: float = 5e-5
    beta2: Annotated[float, Range(0, 1)] = 0.9
    """Adam's second momentum; the first is 0."""
    final_beta2: Annotated[float, Range(0, 1)] = 0.99
    gamma: float = 150.0
    """Weight of both penalties, halved."""
    final_gamma: float = 15.0
    final_half_life: float = 500_000.0
    """Half-life, in images, of the averages; the first is 0."""
    final_augment_p: Annotated[float, Range(0, 1)] = 0.3
    """Probability of --augment ada --augment-p game; the first is 0."""


def plan_stages(config: Config, doublings: int) -> list[Stage]:
    """The stages from the base, side 4, to side 4 * 2^doublings."""
    stages = []
    for doubling in range(doublings + 1):
        width = config.width // max(1, (4 << doubling) // config.full)
        inner = width * config.expansion
        if not width or inner % config.group:
            raise ModelError(f"r3gan: {inner} channels cannot be split into groups of {config.group}: change --config.")
        stages.append(Stage(width, inner // config.group, config.blocks))
    return stages


class R3GAN(Game[Config, PerhapsLabelled]):
    """The relativistic GAN with R1 and R2."""

    augmented = ("discriminator",)
    discriminator_output = "scores"
    penalised = ("discriminator",)
    pipe = ("blit", "geom", "color=0.5", "cutout")

    def __init__(self, config: Config, facts: Facts) -> None:
        """Raises ModelError for widths that groups do not divide, sides that halving does not reach, and conditional
        networks for data without classes and attributes."""
        super().__init__(config, facts)
        c, self.k = config, len(facts.attributes or facts.labels) if config.conditional else 0
        if c.conditional and not self.k:
            raise ModelError("r3gan: --config.conditional needs data with classes or attributes; this has neither.")
        self.labelled = c.conditional
        base, doublings = halve_sides(facts.height, facts.width)
        stages, form = plan_stages(c, doublings), (facts.channels, base, c.expansion, self.k)
        self.generator = Generator(c.latent, stages, *form, c.latent)
        self.discriminator = Discriminator(stages[::-1], *form, stages[-1].width)

    def players(self) -> dict[str, Optimizer]:
        def adam(network: nn.Module) -> Optimizer:
            return Adam(network.parameters(), self.config.lr, (0.0, self.config.beta2))

        return {"discriminator": adam(self.discriminator), "generator": adam(self.generator)}

    def anneal(self, first: float, last: float, now: Clock) -> float:
        """Half a cosine from `first` to `last`, in the images of one player: each draws half of those seen."""
        decay = self.config.decay
        done = now.progress if decay is None else min(1.0, now.seen / 2 / decay)
        return last + (first - last) * (1 + math.cos(math.pi * done)) / 2

    def tune(self, players: Mapping[str, Optimizer], now: Clock) -> None:
        c = self.config
        for group in (group for player in players.values() for group in player.param_groups):
            group["lr"] *= self.anneal(c.lr, c.final_lr, now) / c.lr
            group["betas"] = (0.0, self.anneal(c.beta2, c.final_beta2, now))

    def ema(self, now: Clock) -> float:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The half-life in images of the averages after a step."""
        return self.anneal(0.0, self.config.final_half_life, now)

    def augment_p(self, now: Clock) -> float:
        """The probability of each augmentation in a step."""
        return self.anneal(0.0, self.config.final_augment_p, now)

    def play(self, batches: Iterator[PerhapsLabelled], now: Clock) -> Iterator[Move]:
        batch = next(batches)
        y, real = self.vector(batch.condition), batch.images.detach().requires_grad_()
        with torch.no_grad():
            fake = self.generator(self.noise(len(real)), y).float()
        fake.requires_grad_()
        on_real, on_fake = self.discriminator(real, y), self.discriminator(fake, y)
        half = self.anneal(self.config.gamma, self.config.final_gamma, now) / 2
        yield Move(
            "discriminator",
            apart=F.softplus(on_fake - on_real).mean(),
            r1=half * squared_slope(on_real, real).mean(),
            r2=half * squared_slope(on_fake, fake).mean(),
            says_real=on_real.detach().mean(),
            says_fake=on_fake.detach().mean(),
        )

        batch = next(batches)
        y = self.vector(batch.condition)
        with torch.no_grad():
            on_real = self.discriminator(batch.images, y)
        on_fake = self.discriminator(self.generator(self.noise(len(batch)), y), y)
        yield Move("generator", fool=F.softplus(on_real - on_fake).mean())

    def vector(self, condition: Tensor | None) -> Tensor | None:
        """The condition as float (N, K): one-hot for classes (N,); None where the networks take none."""
        return as_vectors(condition, self.k) if self.k and condition is not None else None

    def noise(self, n: int) -> Tensor:
        """Latents z (n, latent)."""
        return self.draw.normal(n, self.config.latent)

    def generate(self, noise: Tensor, label: MixedLabel = None) -> Tensor:
        """Images (n, C, H, W) in [-1, 1] of latents z (n, latent) with the condition `label`.

        None: a random class for each image, or each attribute present or absent at random.  Raises ModelError for a
        label where the networks take none.
        """
        if label is not None and not self.k:
            raise ModelError("This r3gan takes no label: train one with --config.conditional True.")
        if label is None and self.k:
            label = draw_labels(self.draw, len(noise), self.k, bool(self.facts.attributes))
        return limit(self.generator(noise, self.vector(label)))

    def sample(self, n: int, label: Label = None) -> Tensor:
        """`n` images with the condition `label`."""
        return self.generate(self.noise(n), label)


def imagenet(side: int, gamma: float, augment_p: float) -> Preset:
    """ImageNet at `side` pixels."""
    images = 200_000_000
    config = Config(width=1536, full=64, group=32, conditional=True, decay=images, final_half_life=5e7)
    config = replace(config, gamma=gamma, final_gamma=gamma / 10, final_augment_p=augment_p)
    return Preset(config, official_run(images, 4096, side))


def official_run(images: int, batch: int, side: int) -> Run:
    """As long as the schedules, mirrored and augmented, without StyleGAN2's limit of the half-life."""
    run = Run(steps=images // batch, batch=batch, size=(side,), flip=True, augment="ada", augment_p="game")
    return replace(run, precision="bf16", ema_rampup=None, save_every=2_000, sample_every=2_000)


TINY = Config(latent=8, width=8, group=8, blocks=1, decay=48, gamma=1.0, final_gamma=0.1, final_half_life=50.0)
SMALL = Config(width=64, full=8, blocks=1, decay=None, lr=4e-3, final_lr=4e-4, gamma=20.0, final_gamma=20.0)
CIFAR = Config(conditional=True, gamma=0.05, final_gamma=0.005, final_half_life=5e6, final_augment_p=0.55)
FFHQ256 = Preset(Config(), official_run(20_000_000, 256, 256))

presets = {
    "tiny": Preset(TINY, Run(steps=6, batch=8, size=(16,), log_every=2, ema_rampup=None)),
    "small": Preset(
        replace(SMALL, final_half_life=5_000.0, final_augment_p=0.0),
        Run(steps=3_700, batch=32, size=(32,), ema_rampup=None),
    ),
    "paper": FFHQ256,
    "cifar": Preset(CIFAR, official_run(20_000_000, 512, 32)),
    "ffhq64": Preset(Config(gamma=2.0, final_gamma=0.2), official_run(20_000_000, 256, 64)),
    "ffhq256": FFHQ256,
    "imagenet32": imagenet(32, 0.5, 0.5),
    "imagenet64": imagenet(64, 1.0, 0.4),
}
