"""spade: images from label maps, which normalise every layer of the generator (GauGAN).

Park, Liu, Wang, Zhu, 2019.  https://arxiv.org/abs/1903.07291

    gamma(m) * (h - mean) / deviation + beta(m)    (equation 1)

A norm makes the features of a uniform region 0, whatever its name, so that a map which is read at the input alone has
little effect.  SPADE normalises features without parameters, then scales and shifts every place by what two
convolutions make of the map m.  The discriminator sees map and image at two scales.  Its features of real and generated
images are matched, and so are those of VGG-19.  With `use_vae` an encoder makes a style code of an image, near the
normal distribution, and the generator starts from the code: one map, many images (section 3, multi-modal synthesis).
Without it there is no noise, and a map has one image.

Departures: 1. batch norm takes the statistics of one process, which the authors synchronise; 2. maps may have other
sides than those of the data: the grid that the style code makes is resized; 3. the encoder halves images until four
pixels a side are left, from the largest power of two in their sides: from 256 pixels on as in the paper; 4. the style
of a reference image is its mean code, without noise; 5. `--config.content classifier`, for want of VGG's weights,
matches the features of a small network that learns to name the regions of the data's own images, together with the
game; 6. learning rates fall every step, the authors' every epoch; 7. `small` is narrow, without VGG, and its
encoder's divergence weighs a fifth; G and D have one learning rate, 4e-4, which falls linearly, and a beta2 of 0.9.

Train it small: `ganforge train spade` (minutes on two cores), then `ganforge translate RUN map.png out -n 4`.
"""

from collections.abc import Iterator
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from ganforge.batches import Facts, Segmented
from ganforge.capabilities import Picture, Range
from ganforge.errors import ModelError
from ganforge.game import Clock, Game, Move
from ganforge.models.spade.generator import DOUBLINGS, Generator, find_boundaries, first_weights, one_hot
from ganforge.models.spade.losses import Outputs, average_loss, match_features
from ganforge.models.spade.others import Discriminator, RegionReader, StyleEncoder, encoder_side
from ganforge.models.spade.settings import Config
from ganforge.models.spade.settings import presets as presets
from ganforge.nn.losses import normal_divergence
from ganforge.nn.spectral_norm import resting
from ganforge.nn.vgg import CONTENT, LazyVGG, compare_features, compare_images


class GauGAN(Game[Config, Segmented]):
    """A conditional GAN of label maps."""

    discriminator_output = "scores"

    def __init__(self, config: Config, facts: Facts) -> None:
        """Raises ModelError for data without regions, and for sides that the generator cannot double up to."""
        super().__init__(config, facts)
        c, sides = config, (facts.height, facts.width)
        self.multiple = self.least = 2 ** DOUBLINGS[c.layers]
        self.regions, self.bounded = len(facts.regions), c.boundaries and facts.instance_maps
        other = "match a network that learns the data's own regions with --config.content classifier"
        self.extractor = LazyVGG(c.vgg, tuple(CONTENT), other)
        self.check_facts()
        grid = (sides[0] // self.multiple, sides[1] // self.multiple)
        planes, latent = self.regions + self.bounded, c.latent if c.use_vae else 0
        self.generator = Generator(planes, facts.channels, c.width, c.layers, c.norm, c.hidden, latent, grid)
        seen = planes + facts.channels
        self.discriminator = Discriminator(seen, c.judge_width, c.judge_layers, c.scales, c.judge_norm)
        if c.use_vae:
            self.averaged = ("generator", "encoder")
            self.encoder = StyleEncoder(facts.channels, c.latent, c.width, encoder_side(*sides))
        self.apply(first_weights)
        if c.content == "classifier":
            self.reader = RegionReader(facts.channels, self.regions, c.reader_width)

    def check_facts(self) -> None:
        """Raise ModelError for facts that do not suit the networks."""
        facts, least = self.facts, self.multiple
        if not facts.regions:
            raise ModelError("spade needs data with label maps, whose regions have names: see docs/data.md.")
        sides = (facts.height, facts.width)
        if any(side % least for side in sides):
            near = " ".join(str(max(least, round(side / least) * least)) for side in dict.fromkeys(sides))
            raise ModelError(
                f"This generator doubles its sides to multiples of {least}, not to {sides[0]} x {sides[1]}: near is "
                f"--size {near}."
            )
        if self.config.norm == "instance" and sides == (least, least):
            raise ModelError(f"An instance norm of one pixel has no variance: the least is --size {2 * least}.")

    def players(self) -> dict[str, Optimizer]:
        """Raises WeightsError where VGG's weights are needed and missing."""
        c, speed = self.config, 2.0 if self.config.ttur else 1.0
        if c.content == "vgg":
            self.extractor.load()

        def adam(rate: float, *networks: nn.Module) -> Optimizer:
            return Adam([p for network in networks for p in network.parameters()], rate, (c.beta1, c.beta2))

        encoder = [self.encoder] if c.use_vae else []
        players = {"generator": adam(c.lr / speed, self.generator, *encoder)}
        players["discriminator"] = adam(c.lr * speed, self.discriminator)
        if c.content == "classifier":
            players["reader"] = Adam(self.reader.parameters(), 1e-3)
        return players

    def play(self, batches: Iterator[Segmented], now: Clock) -> Iterator[Move]:
        c, batch = self.config, next(batches)
        if len(batch) == 1 and c.norm == "batch" and self.generator.grid == (1, 1):
            raise ModelError(
                "A batch norm of one pixel of one image has no variance: use a larger --batch, or images of --size "
                f"{2 * self.least}."
            )
        real, maps = batch.images, self.make_planes(batch.label_map, batch.instance_map)
        z, kl = self.encode(real)
        fake = self.generator(maps, z)
        on_fake, on_real = self.discriminate(maps, fake, real)
        terms = {"fool": average_loss(on_fake, True, c.gan, judging=False)}
        if c.features:
            terms["features"] = c.features * match_features(on_fake, on_real)
        if c.content != "none":
            terms["content"] = c.content_weight * self.compare_content(fake, real)
        yield Move("generator", **terms, **({"kl": c.kl * kl} if c.use_vae else {}))
        with torch.no_grad():  # another fake, with a code and norms of its own, as in the authors' code
            fake = self.generator(maps, self.encode(real)[0])
        on_fake, on_real = self.discriminate(maps, fake, real)
        yield Move(
            "discriminator",
            fake=average_loss(on_fake, False, c.gan),
            real=average_loss(on_real, True, c.gan),
            says_real=torch.stack([scale[-1].detach().mean() for scale in on_real]).mean(),
            says_fake=torch.stack([scale[-1].detach().mean() for scale in on_fake]).mean(),
        )
        if c.content == "classifier":
            yield Move("reader", regions=F.cross_entropy(self.reader(real), batch.label_map))

    def make_planes(self, label_map: Tensor, instance_map: Tensor | None) -> Tensor:
        """The map as the networks see it: a plane a region, and the boundaries of instances.

        Without an instance map every region is one instance.
        """
        planes = one_hot(label_map, self.regions)
        if not self.bounded:
            return planes
        edges = find_boundaries(label_map if instance_map is None else instance_map)
        return torch.cat([planes, edges.to(planes.dtype)], 1)

    def encode(self, images: Tensor) -> tuple[Tensor | None, Tensor]:
        """A style code drawn for each image, and its divergence from the normal distribution, summed; None, 0."""
        if not self.config.use_vae:
            return None, images.new_zeros(())
        mean, log_variance = self.encoder(images)
        kl = normal_divergence(mean, log_variance).sum()
        return mean + self.draw.normal(*mean.shape) * (log_variance / 2).exp(), kl

    def discriminate(self, maps: Tensor, fake: Tensor, real: Tensor) -> tuple[Outputs, Outputs]:
        """The discriminator's outputs for both, which it sees in one batch.

        In the generator's move no gradient passes the real half, which then goes alone, under the same weights; a batch
        norm would tell the two apart.
        """
        if fake.requires_grad and self.config.judge_norm != "batch":
            on_fake = self.discriminator(maps, fake)
            with torch.no_grad(), resting(self.discriminator):
                return on_fake, self.discriminator(maps, real)
        both = self.discriminator(torch.cat([maps, maps]), torch.cat([fake, real]))
        parts = [[each.chunk(2) for each in scale] for scale in both]
        return [[a for a, _ in scale] for scale in parts], [[b for _, b in scale] for scale in parts]

    def compare_content(self, fake: Tensor, real: Tensor) -> Tensor:
        """The weighted differences of VGG's features, of images in [-1, 1], or of the reader's."""
        if self.config.content == "vgg":
            return compare_images(self.extractor.load().to(real.device), fake, real)
        on_fake = self.reader.find_features(fake)  # first: autocast would keep casts without gradients
        with torch.no_grad():
            on_real = self.reader.find_features(real)
        return compare_features(on_fake, on_real, (1 / 4, 1 / 2, 1.0))

    def translate(
        self,
        label_map: Tensor,
        instance_map: Tensor | None = None,
        style: Picture = None,
        to_style: Picture = None,
        amount: Annotated[float, Range(0, 1)] = 0.5,
    ) -> Tensor:
        """Maps int64 (N, H, W), sides multiples of `multiple` -> images (N, C, H, W) in [-1, 1].

        With `use_vae` styles are drawn, or taken from the images `style` (N or 1, C, h, w) in [-1, 1]; with `to_style`
        they lie between those of both, at `amount`.  Raises ModelError for `style` without `use_vae`, and for
        `to_style` without `style`.
        """
        maps, n = self.make_planes(label_map, instance_map), len(label_map)
        if style is None and to_style is not None:
            raise ModelError("A style to go to needs one to come from: give --style as well as --to-style.")
        if style is None:
            return self.generator(maps, self.draw.normal(n, self.config.latent) if self.config.use_vae else None)
        styles = self.find_styles(style)
        if to_style is not None:
            styles = torch.lerp(styles, self.find_styles(to_style), amount)
        return self.generator(maps, styles.expand(n, -1))

    def find_styles(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] of any size -> codes (N, latent): the mean of each style."""
        if not self.config.use_vae:
            raise ModelError("This run has no style encoder: train one with --config.use-vae, or leave the style out.")
        return self.encoder(images)[0]
