"""The encoders: images to one code, or to a code of each layer as the first and deltas.

Tov et al. 2021, section 4; Richardson et al. 2020 (pSp), section 3; Alaluf et al. 2022 (HyperStyle), appendix A.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.nn.backbones import FaceBody, ResNetBody
from ganforge.nn.equal import EqualLinear
from ganforge.nn.halving import count_halvings, halve, halving_convs

MIDDLE, FINE = 3, 7  # the first layers that read the pyramid's middle and its fine map


class StyleBlock(nn.Module):
    """A map (N, inputs, side, side) -> a style (N, outputs): strided convolutions down to one pixel."""

    def __init__(self, inputs: int, outputs: int, side: int) -> None:
        super().__init__()
        self.convs = halving_convs(inputs, outputs, outputs, count_halvings(side))
        self.linear = EqualLinear(outputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.convs(x).flatten(1))


class WEncoder(nn.Module):
    """images (N, inputs, H, W) -> one code for all layers, (N, L, style)."""

    mean_code: Tensor

    def __init__(
        self, inputs: int, widths: Sequence[int], depths: Sequence[int], style: int, count: int, excite: bool = True
    ) -> None:
        super().__init__()
        self.body = FaceBody(inputs, widths, depths, excite)
        self.linear = EqualLinear(widths[-1], style)
        self.count = count
        self.register_buffer("mean_code", torch.zeros(count, style))

    def forward(self, images: Tensor, stage: int = 0) -> Tensor:
        codes = self.linear(self.body(images)[-1].mean((2, 3)))
        return codes[:, None].expand(-1, self.count, -1)


class StyleEncoder(nn.Module):
    """images (N, inputs, side, side) -> codes (N, L, style).

    Each layer has a block of its own, on the last map or on a pyramid of three.  With `relative`, e4e, the code of a
    layer is that of the first plus a delta; without, pSp, each stands for itself.
    """

    mean_code: Tensor

    def __init__(
        self,
        inputs: int,
        side: int,
        widths: Sequence[int],
        depths: Sequence[int],
        style: int,
        count: int,
        *,
        pyramid: bool = True,
        relative: bool = True,
        resnet: bool = False,
        excite: bool = True,
    ) -> None:
        super().__init__()
        body = ResNetBody(inputs, widths, depths) if resnet else FaceBody(inputs, widths, depths, excite)
        self.body, self.relative, self.pyramid = body, relative, pyramid
        sides = [halve(side, len(widths) - level) for level in range(3 if pyramid else 1)]
        self.blocks = nn.ModuleList(
            StyleBlock(style if pyramid else widths[-1], style, sides[self.level(i)]) for i in range(count)
        )
        if pyramid:
            if widths[-1] != style:
                self.enter = nn.Conv2d(widths[-1], style, 1)
            self.middle, self.fine = nn.Conv2d(widths[-2], style, 1), nn.Conv2d(widths[-3], style, 1)
        self.register_buffer("mean_code", torch.zeros(count, style))

    def level(self, number: int) -> int:
        """Which map the block of a layer reads: 0, the coarsest, to 2."""
        return (number >= MIDDLE) + (number >= FINE) if self.pyramid else 0

    def forward(self, images: Tensor, stage: int = 10**6) -> Tensor:
        """With `relative`, the layers after `stage` have no delta yet."""
        found = self.body(images)
        maps = [found] if isinstance(found, Tensor) else found
        levels = [maps[-1]]
        if self.pyramid:
            levels[0] = self.enter(levels[0]) if hasattr(self, "enter") else levels[0]
            levels.append(enlarge(levels[0], self.middle(maps[-2])))
            levels.append(enlarge(levels[1], self.fine(maps[-3])))
        first = self.blocks[0](levels[0])
        codes = [first]
        for number, block in enumerate(self.blocks):
            if number and self.relative and number > stage:
                codes.append(first)
            elif number:
                own = block(levels[self.level(number)])
                codes.append(first + own if self.relative else own)
        return torch.stack(codes, 1)


def enlarge(x: Tensor, other: Tensor) -> Tensor:
    """x at the size of `other`, plus `other`: a step of the pyramid."""
    return F.interpolate(x, other.shape[-2:], mode="bilinear", align_corners=True) + other
