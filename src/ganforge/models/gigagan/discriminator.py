"""The discriminator: images of every size enter, and scores leave, at every stage below (section 3.3, figure 5)."""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.models.gigagan.adaptive import AdaptiveConv2d, Modulations
from ganforge.models.gigagan.attention import TextNetwork, self_attention
from ganforge.models.gigagan.generator import list_sides
from ganforge.models.gigagan.resampling import Double, Excite, Halve

HALF = 0.5**0.5


class Head(nn.Module):
    """Features (N, C, h, w), styles of the sentences -> scores (N, 1, h, w).

    A path of modulated convolutions, which knows the sentence, and beside it one that does not; their sum is scored.
    So the score is that of the image with the sentence, psi(x, t), plus that of the image alone, conv(x).
    """

    def __init__(self, channels: int, kernel: int, depth: int, bank: int, texts: bool) -> None:
        super().__init__()
        self.alone = nn.Conv2d(channels, channels, 1)

        def conv() -> nn.Module:
            if texts:
                return AdaptiveConv2d(channels, channels, kernel, bank)
            return nn.Conv2d(channels, channels, kernel, padding=kernel // 2)

        self.layers = nn.ModuleList(nn.ModuleList([conv(), conv()]) for _ in range(depth))
        self.score = nn.Conv2d(channels, 1, 1)

    def forward(self, x: Tensor, *styles: Tensor | None) -> Tensor:
        alone = self.alone(x)
        for pair in self.layers:
            inner = x
            for conv in pair:  # pyright: ignore
                inner = F.leaky_relu(conv(inner, *styles), 0.2)
            x = (inner + x) * HALF
        return self.score(x + alone)


class Decoder(nn.Sequential):
    """Features (N, C, h, w) -> images of the discriminator's size, of which they should suffice to draw them."""

    def __init__(self, channels: int, widths: Sequence[int], dropout: float = 0.5) -> None:
        layers = [nn.Conv2d(channels, channels, 3, padding=1)]
        steps = [
            nn.Sequential(Double(), nn.Conv2d(a, b, 3, padding=1), nn.LeakyReLU(0.2))
            for a, b in pairwise([channels, *widths])
        ]
        super().__init__(nn.Dropout(dropout), *layers, *steps)


class JudgeStage(nn.Module):
    """Features of one size to those of half of it."""

    def __init__(self, inputs: int, outputs: int, channels: int, halves: bool, kernel: int) -> None:
        """`kernel`: of the convolution by which images enter."""
        super().__init__()
        self.enter = nn.Conv2d(channels, inputs, kernel, padding=kernel // 2)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.short = nn.Conv2d(inputs, outputs, 1, stride=2 if halves else 1)
        self.places: nn.Module | None = None
        self.head: Head | None = None
        self.decoder: Decoder | None = None
        self.halve = Halve(outputs) if halves else None
        self.excite: Excite | None = None

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (N, in, s, s) -> the features that are scored (N, out, s, s), and those of the next stage."""
        inner = F.leaky_relu(self.conv2(F.leaky_relu(self.conv1(x), 0.2)), 0.2)
        inner = inner if self.places is None else self.places(inner)
        below = inner if self.halve is None else self.halve(inner)
        return inner, (below + self.short(x)) * HALF


class Discriminator(nn.Module):
    """Images of several sizes and a sentence -> scores of every size at every stage below it; high for real ones.

    The images of a size enter where the features have it, and are judged independently of the larger ones
    (`added` False); their features go on beside those of the larger ones, as more rows of the batch.

    Features do not depend on the sentence, so `read` computes them once, and `score` compares them with several
    sentences: the right ones, and wrong ones.
    """

    def __init__(
        self,
        text: TextNetwork | None,
        channels: int,
        side: int,
        capacity: int,
        widest: int,
        enter: Sequence[int],
        places: Sequence[int],
        head: tuple[int, int],
        times: int,
        distance: bool,
        *,
        judged: Sequence[int] = (),
        kernel: int = 1,
        depth: int = 1,
        bank: int = 1,
        added: bool = False,
        last: bool = False,
        decoders: Sequence[int] = (),
        skips: int = 0,
        unit: bool = False,
    ) -> None:
        """`enter` and `judged`: the sides at which images enter, and are scored; `last`: a score of all of the image.

        Raises ModelError for a side that is no power of two from 8 on.
        """
        super().__init__()
        sides = list_sides(side)[::-1]
        self.text, self.sides, self.enter = text, sides, tuple(s for s in enter if s < side)
        self.added, self.skips, self.unit = added, skips, unit
        widths = [
            channels if added else min(2 * capacity, widest),
            *(min(capacity * 2 ** (i + 1), widest) for i in range(len(sides))),
        ]
        self.stages, styles = nn.ModuleList(), []
        for i, ((a, b), s) in enumerate(zip(pairwise(widths), sides, strict=True)):
            stage = JudgeStage(a, b, channels, i < len(sides) - 1, 7 if added else 3)
            if s in places:
                stage.places = self_attention(b, *head, times, distance, twice=True)
            if s in judged:
                stage.head = Head(b, kernel, depth, bank, text is not None)
                styles.append((b, bank))
            if s in decoders:
                stage.decoder = Decoder(b, widths[i::-1])
            if skips and i and i + skips < len(sides):
                stage.excite = Excite(a, widths[i + skips])
            self.stages.append(stage)
        self.last: nn.Sequential | None = None
        if last:
            b = widths[-1]
            self.last = nn.Sequential(nn.Conv2d(b, b, 3, padding=1), nn.Flatten(), nn.Linear(16 * b, 1))
        self.modulations = Modulations(text.width, styles) if text is not None else None
        if not added:
            self.keep_variance()

    def keep_variance(self) -> None:
        """First weights by which features keep their deviation (He et al. 2015).

        By torch's own they lose some in every layer, and the last scores are the same for all images at first.
        """
        for stage in self.stages:
            assert isinstance(stage, JudgeStage)
            linear = [stage.enter, stage.short, *([stage.halve.conv] if stage.halve is not None else [])]
            linear += [stage.head.alone, stage.head.score] if stage.head is not None else []
            for slope, layers in ((1.0, linear), (0.2, [stage.conv1, stage.conv2])):
                for layer in layers:
                    nn.init.kaiming_normal_(layer.weight, slope)
                    nn.init.zeros_(layer.bias)  # pyright: ignore

    def read(self, images: Tensor, smaller: Sequence[Tensor] = ()) -> tuple[list[Tensor], list[Tensor]]:
        """Images (N, C, side, side) and those of smaller sizes -> features (k N, C', s, s) in front of every score,
        the row of k sizes after one another, and reconstructions of the images.

        A size that is not given is made of the images.
        """
        pyramid = {each.shape[-1]: each for each in smaller}
        x, features, drawn = self.to_input(images), [], []
        excitations: list[Tensor | None] = [None] * (self.skips + 1)
        for stage, side in zip(self.stages, self.sides, strict=True):
            assert isinstance(stage, JudgeStage)
            rows = len(x)
            if stage.excite is not None:
                excitations.append(stage.excite(x))
            if excitations and (factors := excitations.pop(0)) is not None:
                x = x * factors.repeat(len(x) // len(factors), 1, 1, 1)
            if side in self.enter:
                own = pyramid[side] if side in pyramid else resize(images, side)
                entered = stage.enter(self.to_input(own))
                if self.added:
                    entered = entered.repeat(len(x) // len(own), 1, 1, 1)
                    x = x + entered
                x = torch.cat([x, entered])
            elif side == self.sides[0] and not self.added:
                x = stage.enter(x)
            scored, x = stage(x)
            if stage.head is not None:
                features.append(scored[:rows] if self.added else scored)
            if stage.decoder is not None:
                drawn.append(stage.decoder(x[: len(images)]))
        return [*features, *([x] if self.last is not None else [])], drawn

    def score(self, features: Sequence[Tensor], sentence: Tensor | None = None) -> list[Tensor]:
        """Features from `read`, sentences (N, width) -> scores (k N, 1, s, s) of the stages, and of all of an image."""
        heads = [s.head for s in self.stages if isinstance(s, JudgeStage) and s.head is not None]
        styles = iter(self.modulations(sentence) if self.modulations is not None and sentence is not None else ())
        scores = [head(x, *next(styles, ())) for head, x in zip(heads, features, strict=False)]
        return scores if self.last is None else [*scores, self.last(features[-1])]

    def read_sentence(self, features: Tensor | None, mask: Tensor | None, pooled: Tensor | None) -> Tensor | None:
        """The vectors (N, width) that T makes of sentences, as the encoder gives them; None without T."""
        if self.text is None or features is None:
            return None
        assert mask is not None
        return self.text(features, mask, pooled)[0]

    def forward(self, images: Tensor, smaller: Sequence[Tensor] = (), sentence: Tensor | None = None) -> list[Tensor]:
        return self.score(self.read(images, smaller)[0], sentence)

    def to_input(self, images: Tensor) -> Tensor:
        """Images in the range that the weights were trained for."""
        return (images + 1) / 2 if self.unit else images


def resize(images: Tensor, side: int) -> Tensor:
    """Images (N, C, H, W) -> (N, C, side, side), bilinear without averaging, as the discriminator's inputs are made."""
    return F.interpolate(images, (side, side), mode="bilinear", align_corners=False)
