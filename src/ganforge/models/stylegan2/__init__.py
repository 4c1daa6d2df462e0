"""stylegan2: a mapped code modulates every convolution, with noise for details and two lazy regularisers.

Karras, Laine, Aittala, Hellsten, Lehtinen, Aila, 2020.  https://arxiv.org/abs/1912.04958
Small data sets: Karras, Aittala, Hellsten, Laine, Lehtinen, Aila, 2020 (ADA).  https://arxiv.org/abs/2006.06676

    min_G E[softplus(-D(G(w)))] + lambda E[(|J_w^T y| - a)^2],   y ~ N(0, I), a the mean of |J_w^T y|   (equation 4)
    min_D E[softplus(-D(x))] + E[softplus(D(G(w)))] + gamma/2 E[|grad D(x)|^2]                           (R1)

A mapping network takes z to a style w.  A learned constant is doubled up to the image; in each layer the style scales
the weights of the convolution, which are then normalised so that a style acts on one layer alone (weight demodulation,
equation 3).  Each layer adds noise, for what is random in an image.  Mixing two styles keeps layers independent.  Path
length regularisation asks that a step in w changes the image by the same amount everywhere; it and R1 come every few
steps only, multiplied by their interval, with Adam's constants corrected for the additional steps (appendix B).

`--augment ada` is the augmentation of the second paper, at its speed: p may rise from 0 to 1 in 500,000 images.  With
`--init-from RUN --config.freeze 10` a run continues from another, the discriminator's first layers at rest (FreezeD).

Departures: 1. other sides: a constant of 4 to 7 pixels on the short side, doubled; 2. fp32 or bf16, so `clamp` has
little to do; 3. mixing draws a cut-off for each image, the authors' code one for a batch, and R1 is always in fp32;
4. fakes have the labels of the batch's real images; 5. the averaged generator averages the mean style too, where theirs
copies it; 6. a gradient that is not finite stops the run, where theirs becomes a number; 7. ADA's p does not count the
signs of R1's step, which sees the same images; 8. images are cut to [-1, 1] and have the constant noise unless
`randomise` is given; 9. `small` is narrow, has short codes, twice the rate, and less R1,
path length and mixing.

Train it small: `ganforge train stylegan2` (minutes on two cores), then `ganforge sample RUN --truncation 0.7`.  With
`--data shapes-attributes --size 32 --steps 8500 --config.gamma 3 --config.mixing 0 --config.path-weight 0 --config.lr
0.008`, twenty minutes of one core, the Frechet distances of three seeds are 6.2, 5.2 and 5.7 by a classifier of the
data and 105, 114 and 110 by `lite0`; those of dcgan with averaged weights, 11,400 steps, 5.2, 6.4 and 7.1, and 198, 194
and 197.
"""

from collections.abc import Iterator
from typing import Annotated

import torch
from torch import Tensor
from torch.optim import Adam, Optimizer

from ganforge.batches import Facts, PerhapsLabelled
from ganforge.capabilities import Codes, Label, MixedLabel, Range
from ganforge.errors import ModelError
from ganforge.game import Clock, Game, Move
from ganforge.models.stylegan2.codes import NoisyCodes, split_noise
from ganforge.models.stylegan2.discriminator import Discriminator
from ganforge.models.stylegan2.generator import Generator, Mapping, Synthesis, list_widths
from ganforge.models.stylegan2.layers import ModulatedConv2d
from ganforge.models.stylegan2.settings import Config
from ganforge.models.stylegan2.settings import presets as presets
from ganforge.nn.conditions import as_vectors, draw_labels
from ganforge.nn.limits import limit
from ganforge.nn.losses import fake_loss, real_loss
from ganforge.nn.lpips import unit
from ganforge.nn.penalties import gradient_square
from ganforge.nn.sizes import halve_sides

Psi = Annotated[float, Range(-2, 2)]
FAST, CORRECTED = 0.0025, 0.002  # ADA's learning rates below 1,024 pixels, and from there on


class StyleGAN2(Game[Config, PerhapsLabelled]):
    """A generator whose layers follow styles, against a residual discriminator."""

    augmented = ("discriminator",)
    penalised = ("discriminator", "generator")
    path_mean: Tensor

    def __init__(self, config: Config, facts: Facts) -> None:
        """Raises ModelError for sides that doubling does not reach, and without labels where they are asked for."""
        super().__init__(config, facts)
        c, k, side = config, len(facts.attributes or facts.labels), min(facts.height, facts.width)
        if c.conditional and not k:
            raise ModelError(
                "A conditional stylegan2 needs data with classes or attributes: leave --config.conditional out."
            )
        base, doublings = halve_sides(facts.height, facts.width)
        self.conditions = k if c.conditional else 0
        self.labelled = self.conditions > 0
        capacity = c.capacity or (32_768 if side >= 512 else 16_384)
        mapping = Mapping(c.latent, self.conditions, c.style, c.mapping_layers)
        size = (facts.channels, base, list_widths(doublings, capacity, c.most))
        synthesis = Synthesis(c.style, *size, c.generator_form, c.layer_noise, c.clamp)
        self.generator = Generator(mapping, synthesis)
        self.discriminator = Discriminator(
            *size, c.discriminator_form, group=c.group, clamp=c.clamp, conditions=self.conditions
        )
        self.register_buffer("path_mean", torch.zeros(()))

    def players(self) -> dict[str, Optimizer]:
        c, side = self.config, min(self.facts.height, self.facts.width)
        lr = c.lr or (CORRECTED if side >= 1024 else FAST)

        def adam(parameters: Iterator[torch.nn.Parameter], every: int) -> Optimizer:
            share = every / (every + 1) if every else 1.0  # of the steps that are not regularisation's (appendix B)
            return Adam(parameters, lr * share, (0.0, c.beta2**share))

        return {
            "generator": adam(self.generator.parameters(), c.path_every),
            "discriminator": adam(iter(self.discriminator.trained(c.freeze)), c.r1_every),
        }

    def ema(self, now: Clock) -> float:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Half-life in images of the averaged generator."""
        return 312.5 * now.batch if self.config.half_life is None else self.config.half_life

    def is_due(self, every: int, now: Clock) -> bool:
        """Whether something that comes every so many steps, 0: never, comes in this one."""
        return every > 0 and now.step % every == 0

    def play(self, batches: Iterator[PerhapsLabelled], now: Clock) -> Iterator[Move]:
        c, batch = self.config, next(batches)
        real, condition = batch.images, self.vector(batch.condition)
        n = len(real)
        fake = self.make_images(self.draw_styles(n, condition))
        yield Move("generator", fool=real_loss(self.discriminator(fake, condition)))
        if c.path_weight and self.is_due(c.path_every, now):
            few = max(1, n // c.path_shrink)
            path = self.path_penalty(few, None if condition is None else condition[:few])
            yield Move("generator", path=c.path_weight * c.path_every * path)
        with torch.no_grad():
            fake = self.make_images(self.draw_styles(n, condition))
        on_fake, on_real = self.discriminator(fake, condition), self.discriminator(real, condition)
        yield Move(
            "discriminator",
            real=real_loss(on_real),
            fake=fake_loss(on_fake),
            says_real=on_real.detach().mean(),
            says_fake=on_fake.detach().mean(),
        )
        if self.is_due(c.r1_every, now):
            gamma = 0.0002 * real[0, 0].numel() / now.batch if c.gamma is None else c.gamma
            square = gradient_square(lambda images: self.discriminator(images, condition), real)
            yield Move("discriminator", r1=gamma / 2 * c.r1_every * square)

    def draw_styles(self, n: int, condition: Tensor | None) -> Tensor:
        """Random styles (n, L, style); in a share `mixing` of them, layers from a random one on have another w."""
        mapping, layers = self.generator.mapping, self.generator.synthesis.styles
        styles = mapping(self.noise(n), condition)
        mapping.follow(styles)
        styles = styles[:, None].expand(-1, layers, -1)
        if not self.config.mixing:
            return styles
        other = mapping(self.noise(n), condition)[:, None]
        cut = 1 + self.draw.choice(n, layers - 1)
        cut = torch.where(self.draw.uniform(n) < self.config.mixing, cut, layers)
        return torch.where((torch.arange(layers, device=cut.device) < cut[:, None])[..., None], styles, other)

    def make_images(self, styles: Tensor) -> Tensor:
        """Images (n, C, H, W) of styles (n, L, style), with random noise."""
        return self.generator.synthesis(styles, self.draw_noise(len(styles)))

    def draw_noise(self, n: int) -> list[Tensor] | None:
        """Random maps of noise for each layer."""
        sides = self.generator.synthesis.sides
        return [self.draw.normal(n, 1, *side) for side in sides] if self.config.layer_noise else None

    def path_penalty(self, n: int, condition: Tensor | None) -> Tensor:
        """The mean squared difference of `n` path lengths to their running mean, which it updates (equation 4)."""
        with torch.autocast(self.path_mean.device.type, enabled=False):
            styles = self.draw_styles(n, condition)
            images = self.make_images(styles)
            noise = self.draw.normal(*images.shape) / (images.shape[2] * images.shape[3]) ** 0.5
            (slopes,) = torch.autograd.grad((images * noise).sum(), styles, create_graph=True)
            lengths = slopes.square().sum(2).mean(1).sqrt()
            mean = self.path_mean.clone().lerp(lengths.mean(), self.config.path_decay)
            self.path_mean.copy_(mean.detach())
            return (lengths - mean).square().mean()

    def vector(self, condition: Tensor | None) -> Tensor | None:
        """The condition as float (n, K), one-hot for classes (n,); None where the networks see none."""
        return as_vectors(condition, self.conditions) if self.conditions and condition is not None else None

    def noise(self, n: int) -> Tensor:
        """Latents z (n, latent)."""
        return self.draw.normal(n, self.config.latent)

    def code(self, noise: Tensor, truncation: Psi = 1.0, label: Label = None) -> NoisyCodes:
        """Codes of latents z (n, latent), moved to the mean code: `truncation` 1 leaves them, 0 is the mean.

        `label` None: random classes, or attributes.  Raises ModelError for a label where the networks see none.
        """
        mapping, condition = self.generator.mapping, self.choose_condition(label, len(noise))
        styles = mapping(noise, condition)[:, None].expand(-1, self.generator.synthesis.styles, -1)
        return NoisyCodes(mapping.truncate(styles, truncation))

    def choose_condition(self, label: Label, n: int) -> Tensor | None:
        """The label as float (n, K), drawn where there is none; None where the networks see none."""
        if label is not None and not self.conditions:
            raise ModelError(
                "This stylegan2 sees no labels: train one with --config.conditional, or leave the label out."
            )
        if label is None and self.conditions:
            label = draw_labels(self.draw, n, self.conditions, bool(self.facts.attributes))
        return self.vector(label)

    def decode(self, codes: Codes, randomise: bool = False) -> Tensor:
        """Images (n, C, H, W) in [-1, 1] of codes, with their noise or the constant one; `randomise`: random noise.

        Gradients pass beyond these limits, for descents.
        """
        own = codes.noise if isinstance(codes, NoisyCodes) else None
        maps = self.draw_noise(len(codes)) if randomise else None if own is None else self.noise_maps(own)
        return limit(self.generator.synthesis(codes.w, maps))

    @property
    def noise_size(self) -> int:
        """The numbers of all layers' maps of noise."""
        return sum(h * w for h, w in self.generator.synthesis.sides)

    def noise_maps(self, noise: Tensor) -> list[Tensor]:
        """The maps (n, 1, h, w) of all layers, of their numbers (n, P)."""
        return split_noise(noise, self.generator.synthesis.sides)

    def features(self, images: Tensor) -> Tensor:
        """(n, K): what the discriminator's blocks find in images, each place a vector of length 1 as in LPIPS.

        No image's features depend on the others.
        """
        maps = self.discriminator.maps(images)
        return torch.cat([unit(found).flatten(1) / found[0, 0].numel() ** 0.5 for found in maps], 1)

    def style_weights(self) -> Tensor:
        """The weights (outputs of all layers, style) that read a code."""
        layers = (layer for layer in self.generator.synthesis.modules() if isinstance(layer, ModulatedConv2d))
        return torch.cat([layer.style.weight for layer in layers])

    def generate(
        self, noise: Tensor, truncation: Psi = 1.0, randomise: bool = False, label: MixedLabel = None
    ) -> Tensor:
        """Images (n, C, H, W) in [-1, 1] of latents z (n, latent): `decode(code(noise))`."""
        if truncation == 1 and not randomise:  # the whole network in one call, as an export records it
            condition = self.choose_condition(label, len(noise))
            return limit(self.generator(*(given for given in (noise, condition) if given is not None)))
        return self.decode(self.code(noise, truncation, label), randomise)

    def sample(self, n: int, truncation: Psi = 1.0, randomise: bool = False, label: Label = None) -> Tensor:
        """`n` images."""
        return self.generate(self.noise(n), truncation, randomise, label)
