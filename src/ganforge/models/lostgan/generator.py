"""The generators of LostGAN-V1 and V2: an image from boxes, what is in them, and a code for each object.

Sun and Wu 2019 (https://arxiv.org/abs/1908.07500) and 2020 (https://arxiv.org/abs/2003.11571).
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.errors import ModelError
from ganforge.models.lostgan.layouts import LayoutNorm, MaskRegression, Version, box_masks, place_masks
from ganforge.nn.spectral_norm import SpectralNormConv2d, SpectralNormLinear

WIDTHS = {
    16: (4, 2, 1),
    32: (8, 4, 2, 1),
    64: (16, 8, 4, 2, 1),
    128: (16, 16, 8, 4, 2, 1),
    256: (16, 16, 8, 8, 4, 2, 1),
}
"""{side: channels of the maps of 4, 8, ... `side` pixels, in multiples of the width}."""
BINS = (1, 2, 3, 6)
"""Parts a side that a Pyramid averages over."""
HEAD = 100
"""Channels of the layer in front of a stage's masks."""
EPS = 1e-4


class Pyramid(nn.Module):
    """x (N, C, H, W) -> (N, HEAD, H, W): averages over 1, 4, 9 and 36 parts of the image beside the map itself.

    Zhao et al. 2017, https://arxiv.org/abs/1612.01105, figure 3.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pools = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(n), *normed(nn.Conv2d(channels, HEAD, 1, bias=False))) for n in BINS
        )
        merge = nn.Conv2d(channels + HEAD * len(BINS), HEAD, 3, padding=1, bias=False)
        self.merge = nn.Sequential(*normed(merge), nn.Dropout2d(0.1))

    def forward(self, x: Tensor) -> Tensor:
        pooled = [F.interpolate(pool(x), x.shape[2:], mode="bilinear", align_corners=True) for pool in self.pools]
        return self.merge(torch.cat([*pooled, x], 1))


def normed(conv: nn.Conv2d) -> list[nn.Module]:
    """A convolution, its batch norm and a ReLU."""
    return [conv, nn.BatchNorm2d(conv.out_channels), nn.ReLU()]


class StageMasks(nn.Module):
    """Features (N, C, H, W), labels (N, M) -> masks (N, M, H, W) in [0, 1]: where the features show an object's class.

    Only the classes that the image has are computed.
    """

    def __init__(self, channels: int, classes: int, pyramid: bool) -> None:
        super().__init__()
        plain = nn.Sequential(*normed(nn.Conv2d(channels, HEAD, 3, padding=1)))
        self.features = Pyramid(channels) if pyramid else plain
        self.read = nn.Conv2d(HEAD, classes, 1)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        weight, bias = self.read.weight.flatten(1)[labels], self.read.bias
        assert bias is not None
        return (torch.einsum("nmk,nkhw->nmhw", weight, self.features(x)) + bias[labels][..., None, None]).sigmoid()


class GeneratorBlock(nn.Module):
    """x (N, in, H, W) -> (N, out, 2 H, 2 W), with layout-aware norms."""

    def __init__(self, inputs: int, outputs: int, length: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = LayoutNorm(inputs, length), SpectralNormConv2d(inputs, outputs, 3, EPS)
        self.norm2, self.conv2 = LayoutNorm(outputs, length), SpectralNormConv2d(outputs, outputs, 3, EPS)
        self.short = SpectralNormConv2d(inputs, outputs, 1, EPS)

    def forward(self, x: Tensor, codes: Tensor, layout: Tensor) -> Tensor:
        inner = F.interpolate(self.norm1(x, codes, layout).relu(), scale_factor=2, mode="nearest")
        inner = self.conv2(self.norm2(self.conv1(inner), codes, layout).relu())
        return inner + F.interpolate(self.short(x), scale_factor=2, mode="nearest")


class LayoutGenerator(nn.Module):
    """Codes of the objects (N, M, latent) and of the image (N, latent), boxes, labels -> images (N, C, side, side).

    Boxes (N, M, 4) are x, y, width, height; labels are int64 (N, M).  Images lie in [-1, 1].

    Every object's code and the embedding of its label give its mask, which is placed in its box, and the weights of the
    norms under the mask.  In V2 each block also says where its features show the object; inside of the box that is
    mixed with the first mask, in shares that are learned for each class.
    """

    def __init__(
        self,
        classes: int,
        latent: int = 128,
        embedding: int = 180,
        width: int = 64,
        side: int = 128,
        version: Version = 2,
        channels: int = 3,
        mask_width: int = 0,
        align_corners: bool = True,
    ) -> None:
        """Raises ModelError for a side that is not 16, 32, 64, 128 or 256."""
        super().__init__()
        if side not in WIDTHS:
            raise ModelError(
                f"A generator of layouts makes images of {', '.join(map(str, WIDTHS))} pixels a side, not of {side}: "
                "choose one of them with --size."
            )
        self.layout_side, self.box_side = min(side, 64), 128 if side == 256 else min(side, 64)
        self.align_corners = align_corners
        widths = [width * times for times in WIDTHS[side]]
        length = latent + embedding
        self.embedding = nn.Embedding(classes, embedding)
        self.first = nn.Sequential(SpectralNormLinear(latent, widths[0] * 16), nn.Unflatten(1, (widths[0], 4, 4)))
        self.blocks = nn.ModuleList(GeneratorBlock(a, b, length) for a, b in pairwise(widths))
        stages = widths[1:-1] if version == 2 else []
        self.stages = nn.ModuleList(StageMasks(w, classes, side == 128 and w == stages[-1]) for w in stages)
        self.shares = nn.ParameterList(nn.Parameter(torch.zeros(1, classes, 1)) for _ in stages)
        self.last = nn.Sequential(
            nn.BatchNorm2d(widths[-1]), nn.ReLU(), SpectralNormConv2d(widths[-1], channels, 3, EPS), nn.Tanh()
        )
        self.masks = MaskRegression(length, version, mask_width)

    def forward(self, codes: Tensor, image_code: Tensor, boxes: Tensor, labels: Tensor) -> Tensor:
        objects = torch.cat([codes, self.embedding(labels)], 2)
        first = layout = place_masks(self.masks(objects), boxes, self.layout_side, self.align_corners)
        inside, x = box_masks(boxes, self.box_side), self.first(image_code)
        for number, block in enumerate(self.blocks):
            x = block(x, objects, layout)
            if number < len(self.stages):
                seen = self.stages[number](x, labels) * F.interpolate(inside, x.shape[2:], mode="nearest")
                layout = F.interpolate(first, x.shape[2:], mode="bilinear")
                share = self.shares[number][0, :, 0].sigmoid()[labels, None, None]
                layout = layout.lerp(seen.to(layout.dtype), share.to(layout.dtype))
        return self.last(x)
