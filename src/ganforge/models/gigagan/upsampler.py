"""The upsampler: an asymmetric U-Net that enlarges images (section 3.4), guided by a style and by words."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.errors import ModelError
from ganforge.models.gigagan.adaptive import AdaptiveConv2d, Modulations
from ganforge.models.gigagan.attention import (
    Block,
    RMSNorm,
    TextNetwork,
    attend,
    cross_attention,
    feed_forward,
    join_heads,
    split_heads,
)
from ganforge.models.gigagan.generator import Guide, Guided, StyleNetwork
from ganforge.models.gigagan.resampling import Double, ShuffledDouble, SplitHalve

HALF = 0.5**0.5


class GlobalAttention(nn.Module):
    """x (N, C, H, W) -> (N, C, H, W): every place attends to every place."""

    def __init__(self, channels: int, head: int, heads: int) -> None:
        super().__init__()
        self.heads, self.norm = heads, RMSNorm(channels)
        self.read = nn.Conv2d(channels, 3 * head * heads, 1, bias=False)
        self.out = nn.Conv2d(head * heads, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (split_heads(part, self.heads) for part in self.read(self.norm(x)).chunk(3, 1))
        return self.out(join_heads(attend(query, key, value), x.shape[2:]))


class LinearAttention(nn.Module):
    """The same in time proportional to the places: key and value are multiplied first (Shen et al. 2021)."""

    def __init__(self, channels: int, head: int, heads: int) -> None:
        super().__init__()
        self.heads, self.head, self.norm = heads, head, RMSNorm(channels)
        self.read = nn.Conv2d(channels, 3 * head * heads, 1, bias=False)
        self.out = nn.Sequential(nn.Conv2d(head * heads, channels, 1), RMSNorm(channels))

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (split_heads(part, self.heads) for part in self.read(self.norm(x)).chunk(3, 1))
        query, key = query.softmax(3) * self.head**-0.5, key.softmax(2)
        return self.out(join_heads(query @ (key.transpose(2, 3) @ value), x.shape[2:]))


class UpBlock(nn.Module):
    """x (N, in, H, W) -> (N, out, H, W): two adaptive convolutions, and a shortcut."""

    def __init__(self, inputs: int, outputs: int, bank: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = AdaptiveConv2d(inputs, outputs, 3, bank), RMSNorm(outputs)
        self.conv2, self.norm2 = AdaptiveConv2d(outputs, outputs, 3, bank), RMSNorm(outputs)
        self.short = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        self.styles = [(inputs, bank), (outputs, bank)]

    def forward(self, x: Tensor, convolutions: list[tuple[Tensor, Tensor | None]]) -> Tensor:
        """Takes its two styles from the front of the list."""
        inner = F.silu(self.norm1(self.conv1(x, *convolutions.pop(0))))
        inner = F.silu(self.norm2(self.conv2(inner, *convolutions.pop(0))))
        return inner + self.short(x)


class Level(nn.Module):
    """The blocks and attentions of one size, on the way down or up."""

    def __init__(self, first: tuple[int, int], second: tuple[int, int], bank: int) -> None:
        super().__init__()
        self.block1, self.block2 = UpBlock(*first, bank), UpBlock(*second, bank)
        self.places: nn.Module = nn.Identity()
        self.words: nn.Module | None = None

    def attend(self, x: Tensor, guide: Guide, words_first: bool) -> Tensor:
        """Attention to places and to words."""
        x = x if words_first else self.places(x)
        if self.words is not None:
            assert guide.words is not None
            x = self.words(x, *guide.words)
        return self.places(x) if words_first else x


class Upsampler(Guided):
    """Images (N, C, H, W), a guide -> images of H, 2H, ... `scale` H pixels: the pyramid; the last is the result.

    As many of the first stages as the scale has doublings keep the size, the others halve it, and all double it on the
    way up.  What a halving blurs away goes to the stage of its size on the way up.  H and W are multiples of 2 to the
    number of halvings.  `enlarged`: the network adds to the bilinear enlargement of its input.
    """

    def __init__(
        self,
        style: StyleNetwork,
        text: TextNetwork | None,
        channels: int,
        scale: int,
        width: int,
        multiples: tuple[int, ...],
        bank: int,
        whole: tuple[bool, ...],
        words: tuple[bool, ...],
        head: tuple[int, int],
        times: int,
        *,
        up_head: tuple[int, int] | None = None,
        enlarged: bool = True,
        unit: bool = False,
    ) -> None:
        """Raises ModelError for a scale that is not 2, 4 or 8, and for too few stages."""
        super().__init__(style, text)
        if scale not in (2, 4, 8):
            raise ModelError(f"gigagan's upsampler enlarges by 2, 4 or 8, not by {scale}: set --config.scale.")
        kept = scale.bit_length() - 1
        if len(multiples) <= kept:
            raise ModelError(f"An upsampler by {scale} needs more than {kept} stages: say more --config.multiples.")
        self.scale, self.halvings, self.enlarged, self.unit = scale, len(multiples) - kept, enlarged, unit
        widths = [width, *(width * m for m in multiples)]
        stages = list(zip(pairwise(widths), whole, words, strict=True))
        self.enter = nn.Conv2d(channels, width, 7, padding=3)
        self.downs, self.halves, self.ups = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        self.doubles, self.image_doubles, self.to_images = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()

        def level(first: tuple[int, int], second: tuple[int, int], whole: bool, words: bool, up: bool) -> Level:
            made, (size, number) = Level(first, second, bank), (up_head or head) if up else head
            kind = GlobalAttention if whole else LinearAttention
            made.places = Block(kind(second[1], size, number), feed_forward(second[1], times))
            if words and text is not None:
                made.words = cross_attention(second[1], text.width, *head, times)
            return made

        for i, ((a, b), attends, reads) in enumerate(stages):
            self.downs.append(level((a, a), (a, a), attends, reads, False))
            self.halves.append(SplitHalve(a, b, i >= kept))
        middle = widths[-1]
        self.middle1, self.middle2 = UpBlock(middle, middle, bank), UpBlock(middle, middle, bank)
        self.middle = Block(GlobalAttention(middle, *head), feed_forward(middle, times))
        self.middle_image = nn.Conv2d(middle, channels, 1)
        for i, ((a, b), attends, reads) in reversed(list(enumerate(stages))):
            self.doubles.append(ShuffledDouble(b, a))
            self.image_doubles.append(Double())
            self.to_images.append(nn.Conv2d(a, channels, 1))
            details = b if i >= kept else 0
            self.ups.append(level((2 * a + details, a), (2 * a, a), attends, reads, True))
        self.last, self.last_image = UpBlock(width, width, bank), nn.Conv2d(width, channels, 1)
        used = [level_block(x, n) for x in self.downs for n in (1, 2)] + [self.middle1, self.middle2]
        used += [level_block(x, n) for x in self.ups for n in (1, 2)] + [self.last]
        self.modulations = Modulations(style.width, [each for block in used for each in block.styles])
        if enlarged:
            self.begin_enlarged()

    def begin_enlarged(self) -> None:
        """First weights with which nothing is added to the enlargement."""
        for layer in (*self.to_images, self.middle_image, self.last_image):
            assert isinstance(layer, nn.Conv2d)
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)  # pyright: ignore

    def forward(self, images: Tensor, guide: Guide) -> list[Tensor]:
        low, *pyramid, added = self.draw_stages(images, guide)
        pyramid[-1] = pyramid[-1] + added
        if self.enlarged:
            pyramid = [each + match(low, each) for each in pyramid]
        return [2 * each - 1 for each in (low, *pyramid)] if self.unit else [low, *pyramid]

    def draw_stages(self, images: Tensor, guide: Guide) -> list[Tensor]:
        """The input, the images of all larger sizes, and what the last block adds to the largest."""
        styles, low = self.modulations(guide.style), (images + 1) / 2 if self.unit else images
        x, kept, details = self.enter(low), list[Tensor](), list[Tensor]()
        for level, halve in zip(self.downs, self.halves, strict=True):
            assert isinstance(level, Level)
            kept.append(x := level.block1(x, styles))
            kept.append(x := level.attend(level.block2(x, styles), guide, words_first=False))
            x, detail = halve(x)
            details.append(detail)
        x = self.middle2(self.middle(self.middle1(x, styles)), styles)
        image, pyramid = self.middle_image(x), [low]
        for level, double, image_double, to_image in zip(
            self.ups, self.doubles, self.image_doubles, self.to_images, strict=True
        ):
            assert isinstance(level, Level)
            x, image = double(x), image_double(image)
            near, far, detail = (match(t, x) for t in (kept.pop(), kept.pop(), details.pop()))
            x = level.block1(torch.cat([x, near * HALF, detail * HALF], 1), styles)
            x = level.block2(torch.cat([x, far * HALF], 1), styles)
            x = level.attend(x, guide, words_first=True)
            image = image + to_image(x)
            if image.shape[2] > low.shape[2]:
                pyramid.append(image)
        return [*pyramid, self.last_image(self.last(x, styles))]


def level_block(level: nn.Module, number: int) -> UpBlock:
    """block1 or block2 of a level."""
    block = getattr(level, f"block{number}")
    assert isinstance(block, UpBlock)
    return block


def match(x: Tensor, like: Tensor) -> Tensor:
    """x at the height and width of `like`, bilinear."""
    if x.shape[2:] == like.shape[2:] or not x.shape[1]:
        return x if x.shape[1] else like[:, :0]
    return F.interpolate(x, like.shape[2:], mode="bilinear", align_corners=False)
