"""StyleGAN2's generator: latents to styles, and styles to images.

Karras et al. 2020, sections 2 and 4.1, figures 2 and 7.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from ganforge.models.stylegan2.layers import EqualConv2d, StyledConv, ToImage, is_recorded, normalise
from ganforge.nn.blur import Blur
from ganforge.nn.equal import EqualLinear

Form = Literal["skip", "resnet", "orig"]
"""How blocks are joined: by images that are added up, by residual connections, or one after the other (figure 7)."""
PerLayer = Sequence[Tensor | None]
HALF = 0.5**0.5
DECAY = 0.995  # of the mean style, a batch
LARGE = 1_000_000  # numbers of one image's map from which on a CPU makes each image alone


def list_widths(doublings: int, capacity: int, most: int) -> list[int]:
    """Channels of the maps of 4, 8 ... pixels a side: `capacity` divided by the side, at most `most`."""
    return [max(1, min(capacity // (4 << level), most)) for level in range(doublings + 1)]


class Mapping(nn.Module):
    """z (N, latent), condition (N, conditions) -> styles w (N, style).

    `latent` or `conditions` may be 0, and the input is then None.  `mean` is a running mean of w, to which truncation
    pulls styles.
    """

    mean: Tensor

    def __init__(self, latent: int, conditions: int, style: int, layers: int, rate: float = 0.01) -> None:
        super().__init__()
        self.latent, self.conditions = latent, conditions
        self.embed = EqualLinear(conditions, style) if conditions else None
        widths = [latent + (style if conditions else 0), *[style] * layers]
        self.layers = nn.ModuleList(EqualLinear(a, b, rate, active=True) for a, b in pairwise(widths))
        if latent:
            self.register_buffer("mean", torch.zeros(style))

    def forward(self, z: Tensor | None, condition: Tensor | None = None) -> Tensor:
        parts = [normalise(z)] if z is not None and self.latent else []
        if self.embed is not None and condition is not None:
            parts.append(normalise(self.embed(condition)))
        x = torch.cat(parts, 1)
        for layer in self.layers:
            x = layer(x)
        return x

    @torch.no_grad()
    def follow(self, styles: Tensor) -> None:
        """Move the mean towards that of styles (N, style)."""
        self.mean.lerp_(styles.detach().float().mean(0), 1 - DECAY)

    def truncate(self, styles: Tensor, psi: float, layers: int = 0) -> Tensor:
        """Styles (N, L, style) moved to the mean: psi 1 leaves them, 0 is the mean.

        `layers`: only the first so many; 0: all.
        """
        if psi == 1:
            return styles
        near = torch.lerp(self.mean.to(styles.dtype), styles, psi)
        return near if not layers else torch.cat([near[:, :layers], styles[:, layers:]], 1)


class Block(nn.Module):
    """x (N, inputs, H, W) -> (N, outputs, 2H, 2W), with two styles."""

    def __init__(
        self, inputs: int, outputs: int, style: int, sides: tuple[int, int], form: Form, noise: bool, clamp: float
    ) -> None:
        super().__init__()
        self.up = StyledConv(inputs, outputs, style, sides, True, noise, clamp)
        self.conv = StyledConv(outputs, outputs, style, sides, False, noise, clamp)
        residual = form == "resnet"
        self.short = EqualConv2d(inputs, outputs, 1, "up", active=False, gain=HALF) if residual else None

    def forward(self, x: Tensor, styles: Tensor, noise: PerLayer, changes: PerLayer) -> Tensor:
        short = None if self.short is None else self.short(x)
        x = self.up(x, styles[:, 0], noise[0], changes[0])
        x = self.conv(x, styles[:, 1], noise[1], changes[1], 1.0 if short is None else HALF)
        return x if short is None else x + short


class Synthesis(nn.Module):
    """Styles (N, L, style), L = `styles` -> images (N, C, h 2^n, w 2^n), not limited to [-1, 1].

    `base` is the size (h, w) of the learned constant, `widths` are the channels of the maps from there to the image.
    """

    def __init__(
        self,
        style: int,
        channels: int,
        base: tuple[int, int],
        widths: Sequence[int],
        form: Form = "skip",
        noise: bool = True,
        clamp: float = 0.0,
    ) -> None:
        super().__init__()
        sides = [(base[0] << level, base[1] << level) for level in range(len(widths))]
        self.styles = 2 * len(widths)
        self.sides = [sides[0], *(side for side in sides[1:] for _ in range(2))]
        """The sides of each layer's noise."""
        # the first level of large maps, or 0: none
        self.large = next((k for k, side in enumerate(sides) if widths[k] * side[0] * side[1] >= LARGE), 0)
        self.constant = nn.Parameter(torch.empty(widths[0], *base))
        nn.init.normal_(self.constant)
        self.first = StyledConv(widths[0], widths[0], style, base, False, noise, clamp)
        self.blocks = nn.ModuleList(
            Block(a, b, style, side, form, noise, clamp)
            for a, b, side in zip(widths, widths[1:], sides[1:], strict=False)
        )
        shown = widths if form == "skip" else widths[-1:]
        self.to_images = nn.ModuleList(ToImage(width, channels, style, clamp) for width in shown)
        self.blur = Blur()

    def forward(self, styles: Tensor, noise: Sequence[Tensor] | None = None, changes: PerLayer | None = None) -> Tensor:
        """`noise` has a map (N or 1, 1, h, w) for each of `sides`; None: the constant maps.

        `changes` has, for each style, the change of the weights of its layer (see `ModulatedConv2d`) or None.  They
        are in the order of the layers: the first convolution, its image, then two convolutions and an image a block.
        """
        maps = [None] * len(self.sides) if noise is None else noise
        changes = [None] * (3 * len(self.blocks) + 2) if changes is None else changes
        x = self.constant.expand(styles.shape[0], -1, -1, -1).contiguous(memory_format=torch.channels_last)  # faster
        x = self.first(x, styles[:, 0], maps[0], changes[0])
        return self.finish(0, x, [], styles, maps, changes)

    def finish(
        self,
        start: int,
        x: Tensor,
        images: Sequence[Tensor],
        styles: Tensor,
        maps: PerLayer,
        changes: PerLayer,
    ) -> Tensor:
        """The image, from the map x of the level before `start` and the images of all levels before.

        Without gradients the last blocks of large images come image by image: weights are then scaled in the place of
        maps, and the maps of one image stay in the cache.  A core is 1.27 times as fast with 256 x 256 pixels.
        """
        images, last = [*images], len(self.blocks)
        for level in range(start, last + 1):
            if level:
                if level == self.large and x.device.type == "cpu" and not is_recorded() and len(x) > 1:
                    parts = (
                        (x[i], [image[i] for image in images], styles[i], pick(maps, i), pick(changes, i))
                        for i in (slice(n, n + 1) for n in range(len(x)))
                    )
                    return torch.cat([self.finish(level, *part) for part in parts])
                x = self.blocks[level - 1](
                    x, styles[:, 2 * level - 1 :], maps[2 * level - 1 :], changes[3 * level - 1 :]
                )
            if level == last or len(self.to_images) > 1:
                to_image = self.to_images[min(level, len(self.to_images) - 1)]
                images.append(to_image(x, styles[:, 2 * level + 1], changes[3 * level + 1]))
        return self.add_up(images)

    def add_up(self, images: Sequence[Tensor]) -> Tensor:
        """The sum of images, each of twice the sides of the one before; in full precision, as its many bits need."""
        whole = images[0].float()
        with torch.autocast(whole.device.type, enabled=False):
            for image in images[1:]:
                whole = self.blur.enlarge(whole) + image.float()
        return whole


def pick(given: PerLayer, image: slice) -> PerLayer:
    """One image's part of tensors (N, ...), or (1, ...) for all images, or None."""
    return [part if part is None or len(part) == 1 else part[image] for part in given]


class Generator(nn.Module):
    """z (N, latent), condition (N, conditions) -> images (N, C, H, W), with the constant noise."""

    def __init__(self, mapping: Mapping, synthesis: Synthesis) -> None:
        super().__init__()
        self.mapping, self.synthesis = mapping, synthesis

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        return self.synthesis(self.mapping(z, condition)[:, None].expand(-1, self.synthesis.styles, -1))
