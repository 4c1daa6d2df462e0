"""StyleGAN2's discriminator (Karras et al. 2020, section 4.1 and figure 7; conditions: ADA, appendix C)."""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

from torch import Tensor, nn

from ganforge.models.stylegan2.generator import HALF, Form, Mapping
from ganforge.models.stylegan2.layers import EqualConv2d, MinibatchDeviation
from ganforge.nn.blur import Blur
from ganforge.nn.equal import EqualLinear


class Block(nn.Module):
    """x (N, inputs, H, W) -> (N, outputs, H/2, W/2); `read`: it also reads the image."""

    def __init__(self, inputs: int, outputs: int, channels: int, form: Form, read: bool, clamp: float) -> None:
        super().__init__()
        residual = form == "resnet"
        gain = HALF if residual else 1.0
        self.read = EqualConv2d(channels, inputs, 1, clamp=clamp) if read else None
        self.conv = EqualConv2d(inputs, inputs, 3, clamp=clamp)
        self.down = EqualConv2d(inputs, outputs, 3, "down", gain=gain, clamp=clamp)
        self.short = EqualConv2d(inputs, outputs, 1, "down", active=False, gain=gain) if residual else None

    def forward(self, x: Tensor) -> Tensor:
        main = self.down(self.conv(x))
        return main if self.short is None else main + self.short(x)

    def layers(self) -> Iterator[EqualConv2d]:
        """Its convolutions in the order in which FreezeD counts them."""
        yield from (layer for layer in (self.read, self.conv, self.down, self.short) if layer is not None)


class Discriminator(nn.Module):
    """Images (N, C, H, W), condition (N, conditions) -> logits (N,).

    `widths` are the channels of the maps from `base` (h, w) to the image, as the generator has them.

    A condition is mapped to a vector, and the logit is its product with the features (Miyato and Koyama 2018).
    """

    def __init__(
        self,
        channels: int,
        base: tuple[int, int],
        widths: Sequence[int],
        form: Form = "resnet",
        *,
        group: int = 4,
        planes: int = 1,
        clamp: float = 0.0,
        conditions: int = 0,
        mapping_layers: int = 8,
    ) -> None:
        super().__init__()
        widths = [*reversed(widths)]
        self.blocks = nn.ModuleList(
            Block(a, b, channels, form, form == "skip" or number == 0, clamp)
            for number, (a, b) in enumerate(pairwise(widths))
        )
        self.form, self.blur = form, Blur()
        width = widths[-1]
        self.read = EqualConv2d(channels, width, 1, clamp=clamp) if form == "skip" else None
        self.deviation = MinibatchDeviation(group, planes)
        self.conv = EqualConv2d(width + planes, width, 3, clamp=clamp)
        self.features = EqualLinear(width * base[0] * base[1], width, active=True)
        self.score = EqualLinear(width, width if conditions else 1)
        self.mapping = Mapping(0, conditions, width, mapping_layers) if conditions else None

    def forward(self, images: Tensor, condition: Tensor | None = None) -> Tensor:
        x = self.maps(images)[-1]
        scores = self.score(self.features(self.conv(self.deviation(x)).flatten(1)))
        if self.mapping is None:
            return scores[:, 0]
        return (scores * self.mapping(None, condition)).sum(1) / math.sqrt(scores.shape[1])

    def maps(self, images: Tensor) -> list[Tensor]:
        """What each block has found in images, before they are compared with each other."""
        x, found = None, []
        for block in self.blocks:
            assert isinstance(block, Block)
            if block.read is not None:
                seen = block.read(images)
                x = seen if x is None else x + seen
                if self.form == "skip":
                    images = self.blur.reduce(images)
            x = block(x)
            found.append(x)
        if self.read is not None:
            found[-1] = found[-1] + self.read(images)
        return found

    def trained(self, frozen: int = 0) -> list[nn.Parameter]:
        """The parameters without those of the first `frozen` convolutions.

        FreezeD: Mo, Cho and Shin 2020, https://arxiv.org/abs/2002.10964.
        """
        layers = [layer for block in self.blocks if isinstance(block, Block) for layer in block.layers()]
        resting = {id(p) for layer in layers[:frozen] for p in layer.parameters()}
        return [p for p in self.parameters() if id(p) not in resting]
