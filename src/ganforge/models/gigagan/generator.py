"""The base generator: words and noise to a style, and a style to a pyramid of images (sections 3.1 and 3.2)."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.errors import ModelError
from ganforge.models.gigagan.adaptive import AdaptiveConv2d, Modulations
from ganforge.models.gigagan.attention import TextNetwork, cross_attention, self_attention
from ganforge.models.gigagan.resampling import AddNoise, Double, Excite, ShuffledDouble

START = 4
"""Pixels a side of the smallest map."""


class SlowLinear(nn.Linear):
    """A layer that learns at a tenth of the rate: its parameters are multiplied by it (StyleGAN2)."""

    rate = 0.1

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        nn.init.normal_(self.weight, std=(2 / inputs) ** 0.5 / self.rate)
        nn.init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight * self.rate, self.bias * self.rate)


class StyleNetwork(nn.Module):
    """M: noise (N, width), a sentence (N, text) -> a style w (N, width).

    Noise is scaled to the length 1, or (`unit_variance`) to numbers of variance 1.
    """

    def __init__(self, width: int, depth: int, text: int = 0, unit_variance: bool = True) -> None:
        super().__init__()
        self.width, self.length = width, width**0.5 if unit_variance else 1.0
        self.layers = nn.ModuleList(SlowLinear(width + (0 if i else text), width) for i in range(depth))

    def forward(self, noise: Tensor, sentence: Tensor | None = None) -> Tensor:
        x = F.normalize(noise, dim=1) * self.length
        x = x if sentence is None else torch.cat([x, sentence], 1)
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
        return x


class Guide(NamedTuple):
    """What an image is to show: a style (N, width), and the words (N, T, K) with their mask bool (N, T)."""

    style: Tensor
    words: tuple[Tensor, Tensor] | None = None


class Guided(nn.Module):
    """A network with a style network M, and learned layers T on the features of a sentence, or without T."""

    def __init__(self, style: StyleNetwork, text: TextNetwork | None) -> None:
        super().__init__()
        self.style, self.text = style, text

    def guide(self, noise: Tensor, features: Tensor | None, mask: Tensor | None, pooled: Tensor | None) -> Guide:
        """Noise (N, width), features (N, T, K), mask (N, T), pooled (N, K) of the frozen encoder -> a guide."""
        if self.text is None:
            return Guide(self.style(noise))
        assert features is not None
        assert mask is not None
        sentence, words = self.text(features, mask, pooled)
        return Guide(self.style(noise, sentence), (words, mask))


class Stage(nn.Module):
    """Maps of one size: two adaptive convolutions with noise, attention to places and to words, and an image."""

    def __init__(
        self, inputs: int, outputs: int, channels: int, bank: int, bias: bool, excited: int, gain: float
    ) -> None:
        """`gain` multiplies activations, which halve the variance: by 2 ** 0.5 features keep it (StyleGAN2)."""
        super().__init__()
        self.gain = gain
        self.conv1 = AdaptiveConv2d(inputs, outputs, 3, bank, bias=bias)
        self.noise1 = AddNoise(outputs)
        self.conv2 = AdaptiveConv2d(outputs, outputs, 3, bank, bias=bias)
        self.noise2 = AddNoise(outputs)
        self.to_image = AdaptiveConv2d(outputs, channels, 1, demodulate=False, bias=bias)
        self.places: nn.Module | None = None
        self.words: nn.Module | None = None
        self.up: nn.Module | None = None
        self.image_up: nn.Module | None = None
        self.excite = Excite(inputs, excited) if excited else None

    def forward(
        self,
        x: Tensor,
        convolutions: Sequence[tuple[Tensor, Tensor | None]],
        noise: tuple[Tensor, Tensor] | None,
        words: tuple[Tensor, Tensor] | None,
    ) -> tuple[Tensor, Tensor]:
        """x (N, in, s, s) -> features (N, out, s, s), and what they add to the image (N, C, s, s)."""
        x = self.conv1(x, *convolutions[0])
        x = self.gain * F.leaky_relu(x if noise is None else self.noise1(x, noise[0]), 0.2)
        x = self.conv2(x, *convolutions[1])
        x = self.gain * F.leaky_relu(x if noise is None else self.noise2(x, noise[1]), 0.2)
        x = x if self.places is None else self.places(x)
        if self.words is not None:
            assert words is not None
            x = self.words(x, *words)
        return x, self.to_image(x, *convolutions[2])


class Generator(Guided):
    """A guide and noise -> images of 4, 8, ... `side` pixels, the pyramid; the last is the result.

    Values lie about [-1, 1] and are not bounded; with `unit` the network computes them about [0, 1].
    """

    def __init__(
        self,
        style: StyleNetwork,
        text: TextNetwork | None,
        channels: int,
        side: int,
        capacity: int,
        widest: int,
        start: int,
        bank: int,
        places: Sequence[int],
        words: Sequence[int],
        head: tuple[int, int],
        times: int,
        distance: bool,
        *,
        word_head: tuple[int, int] | None = None,
        shuffle: bool = False,
        bias: bool = True,
        skips: int = 0,
        unit: bool = False,
    ) -> None:
        """`head` is (width, number) of an attention's heads, `places` and `words` the sides of maps that attend.

        Raises ModelError for a side that is no power of two from 8 on.
        """
        super().__init__(style, text)
        sides = list_sides(side)
        self.sides, self.unit = sides, unit
        widths = [start, *(min(capacity * 2 ** (i + 1), widest) for i in reversed(range(len(sides))))]
        self.first = nn.Parameter(nn.init.normal_(torch.empty(start, START, START), std=0.02 if unit else 1.0))
        self.conv = AdaptiveConv2d(start, start, 3, bank, bias=bias)
        self.stages, convolutions = nn.ModuleList(), [(start, bank)]
        self.skips = skips
        for i, ((a, b), s) in enumerate(zip(pairwise(widths), sides, strict=True)):
            excited = widths[i + skips] if skips and i + skips < len(sides) else 0
            stage = Stage(a, b, channels, bank, bias, excited, 1.0 if unit else 2**0.5)
            if s in places:
                stage.places = self_attention(b, *head, times, distance)
            if s in words and text is not None:
                stage.words = cross_attention(b, text.width, *(word_head or head), times)
            if i:
                stage.up = ShuffledDouble(a, a) if shuffle else Double()
            if i < len(sides) - 1:
                stage.image_up = ShuffledDouble(channels, channels) if shuffle else Double()
            self.stages.append(stage)
            convolutions += [(a, bank), (b, bank), (b, 1)]
        self.modulations = Modulations(style.width, convolutions)

    def forward(
        self,
        guide: Guide,
        noise: Sequence[Tensor] = (),
        fine: Guide | None = None,
        split: int = 0,
    ) -> list[Tensor]:
        """`noise`: two (N, 1, s, s) a stage, or none; maps of more than `split` pixels a side follow the guide `fine`.

        Style mixing: the coarse styles of one sentence, the fine ones of another.
        """
        coarse = self.modulations(guide.style)
        mixed = coarse if fine is None else self.modulations(fine.style)
        x = self.first.expand(len(guide.style), -1, -1, -1)
        x = self.conv(x, *coarse[0])
        images, image, excitations = list[Tensor](), None, [None] * self.skips
        for i, (stage, side) in enumerate(zip(self.stages, self.sides, strict=True)):
            assert isinstance(stage, Stage)
            own, styles = (guide, coarse) if fine is None or side <= split else (fine, mixed)
            x = x if stage.up is None else stage.up(x)
            if stage.excite is not None:
                excitations.append(stage.excite(x))
            if excitations and (factors := excitations.pop(0)) is not None:
                x = x * factors
            pair = (noise[2 * i], noise[2 * i + 1]) if noise else None
            x, added = stage(x, styles[1 + 3 * i : 4 + 3 * i], pair, own.words)
            image = added if image is None else image + added
            images.append(image)
            image = image if stage.image_up is None else stage.image_up(image)
        return [2 * image - 1 for image in images] if self.unit else images


def list_sides(side: int) -> list[int]:
    """4, 8, ... `side`.  Raises ModelError for a side that is no power of two from 8 on."""
    if side < 2 * START or side & (side - 1):
        raise ModelError(f"gigagan doubles from {START} pixels on: the side is 8, 16, 32 ..., not {side}; say --size.")
    return [START << i for i in range(side.bit_length() - START.bit_length() + 1)]
