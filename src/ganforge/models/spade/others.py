"""The networks beside the generator: discriminator, style encoder, and a reader of regions."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.nn.norms import Norm, make_norm
from ganforge.nn.patchgan import at_scales
from ganforge.nn.spectral_norm import SpectralNormConv2d

LARGEST = 256
"""Pixels a side of the style encoder's input."""


class PatchDiscriminator(nn.ModuleList):
    """inputs (N, K, H, W) -> outputs of every stage, a list: features, and at last scores (N, 1, h, w) of patches.

    Appendix A: that of pix2pixHD, with spectral normalisation.
    """

    def __init__(self, inputs: int, width: int, layers: int = 4, norm: Norm = "instance") -> None:
        widths = [min(width * 2**i, 512) if i else width for i in range(layers)]
        stages = [nn.Sequential(nn.Conv2d(inputs, width, 4, 2, 2), nn.LeakyReLU(0.2))]
        for i, (a, b) in enumerate(pairwise(widths), 1):
            conv = SpectralNormConv2d(a, b, 4, stride=1 if i == layers - 1 else 2, padding=2, bias=norm == "none")
            stages.append(nn.Sequential(conv, make_norm(norm, b), nn.LeakyReLU(0.2)))
        super().__init__([*stages, nn.Sequential(nn.Conv2d(widths[-1], 1, 4, 1, 2))])

    def forward(self, x: Tensor) -> list[Tensor]:
        outputs = []
        for stage in self:
            x = stage(x)
            outputs.append(x)
        return outputs


class Discriminator(nn.Module):
    """maps (N, K, H, W), images (N, C, H, W) -> for each scale the outputs of a PatchDiscriminator's stages."""

    def __init__(self, inputs: int, width: int = 64, layers: int = 4, scales: int = 2, norm: Norm = "instance") -> None:
        super().__init__()
        self.scales = nn.ModuleList(PatchDiscriminator(inputs, width, layers, norm) for _ in range(scales))

    def forward(self, maps: Tensor, images: Tensor) -> list[list[Tensor]]:
        return at_scales(self.scales, torch.cat([maps, images], 1))


class StyleEncoder(nn.Module):
    """images (N, C, H, W) of any size -> mean (N, latent), log variance (N, latent) of their style (appendix A).

    Images are resized to `side` pixels a side, a power of two, and halved until 4 are left; 256 in the paper.
    """

    def __init__(self, channels: int, latent: int, width: int = 64, side: int = LARGEST) -> None:
        super().__init__()
        self.side, halvings = side, side.bit_length() - 3
        widths = [channels, *(width * min(2**i, 8) for i in range(halvings))]
        self.body = nn.Sequential()
        for a, b in pairwise(widths):
            conv = SpectralNormConv2d(a, b, 3, stride=2, padding=1, bias=False)
            self.body.append(nn.Sequential(conv, make_norm("instance", b), nn.LeakyReLU(0.2)))
        self.mean, self.log_variance = (nn.Linear(widths[-1] * 16, latent) for _ in range(2))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        sides = (self.side, self.side)
        if images.shape[2:] != sides:
            images = F.interpolate(images, sides, mode="bilinear", align_corners=False)
        features = self.body(images).flatten(1)
        return self.mean(features), self.log_variance(features)


def encoder_side(height: int, width: int) -> int:
    """The largest power of two that both sides reach, at most 256 and at least 8."""
    return max(8, min(LARGEST, 1 << (min(height, width).bit_length() - 1)))


class RegionReader(nn.Module):
    """images (N, C, H, W) -> logits (N, regions, H, W): a small segmentation network, whose features are compared."""

    def __init__(self, channels: int, regions: int, width: int = 32) -> None:
        super().__init__()
        a, b, c = width, 2 * width, 4 * width
        self.down = nn.ModuleList([nn.Conv2d(channels, a, 3, 1, 1), nn.Conv2d(a, b, 4, 2, 1), nn.Conv2d(b, c, 4, 2, 1)])
        self.up = nn.ModuleList([nn.Conv2d(c, b, 3, 1, 1), nn.Conv2d(b, a, 3, 1, 1)])
        self.last = nn.Conv2d(a, regions, 3, 1, 1)

    def find_features(self, images: Tensor) -> list[Tensor]:
        """Maps (N, k width, H / k, W / k) for k 1, 2 and 4."""
        features, x = [], images
        for layer in self.down:
            x = F.leaky_relu(layer(x), 0.2)
            features.append(x)
        return features

    def forward(self, images: Tensor) -> Tensor:
        *before, x = self.find_features(images)
        for layer, beside in zip(self.up, reversed(before), strict=True):
            x = F.leaky_relu(F.interpolate(layer(x), beside.shape[2:]) + beside, 0.2)
        return self.last(x)
