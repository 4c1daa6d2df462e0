"""Discriminators that judge patches, each score its own (Isola et al. 2017, sections 3.2 and 4.4)."""

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.errors import ModelError
from ganforge.nn.cpu.winograd import WinogradConv2d
from ganforge.nn.init import initial_weights
from ganforge.nn.norms import Norm, biased, norm_of


class PatchGAN(nn.Sequential):
    """images (N, inputs, H, W) -> scores (N, 1, h, w), each of a patch of `receptive_field(...)` pixels a side.

    `layers` halvings lead to patches of 16 (1), 34 (2), 70 (3), 142 (4) and 286 (5) pixels; 0 is the PixelGAN, which
    sees one pixel at a time and has no halvings at all.  `bias`: of convolutions that a norm follows.
    """

    def __init__(
        self, inputs: int, width: int = 64, layers: int = 3, norm: Norm = "batch", bias: bool | None = None
    ) -> None:
        bias = biased(norm) if bias is None else bias
        if layers == 0:
            super().__init__(
                nn.Conv2d(inputs, width, 1), nn.LeakyReLU(0.2),
                nn.Conv2d(width, 2 * width, 1, bias=bias), norm_of(norm, 2 * width), nn.LeakyReLU(0.2),
                nn.Conv2d(2 * width, 1, 1, bias=bias),
            )  # fmt: skip
        else:
            widths = [width * min(2**i, 8) for i in range(layers + 1)]
            body: list[nn.Module] = [nn.Conv2d(inputs, width, 4, 2, 1), nn.LeakyReLU(0.2)]
            for i, (a, b) in enumerate(pairwise(widths), 1):
                halving = i < layers
                conv = nn.Conv2d(a, b, 4, 2, 1, bias=bias) if halving else WinogradConv2d(a, b, 4, 1, bias)
                body += [conv, norm_of(norm, b), nn.LeakyReLU(0.2)]
            super().__init__(*body, nn.Conv2d(widths[-1], 1, 4, 1, 1))
        self.apply(initial_weights())


class ScaledPatchGAN(nn.Module):
    """images (N, inputs, H, W) -> scores (N, 1, h, w), a list: of the picture, of half of it ... (Wang et al. 2017)."""

    def __init__(self, inputs: int, width: int, layers: int, norm: Norm, scales: int) -> None:
        super().__init__()
        self.scales = nn.ModuleList(
            PatchGAN(inputs, round(width / 2**i), layers, norm, bias=True) for i in range(scales)
        ).apply(initial_weights("xavier"))

    def forward(self, images: Tensor) -> list[Tensor]:
        scores = []
        for i, judge in enumerate(self.scales):
            images = F.avg_pool2d(images, 3, 2, 1, count_include_pad=False) if i else images
            scores.append(judge(images))
        return scores


def layers_left(most: int, side: int, scales: int) -> int:
    """As many `layers`, up to `most`, as leave scores of a picture at every scale of a ScaledPatchGAN.

    Raises ModelError, naming the least side in multiples of 8, where not even one does.
    """
    smallest = -(-side // 2 ** (scales - 1))
    fit = [layers for layers in range(1, max(1, most) + 1) if smallest >> layers > 2]
    if not fit:
        least = -(-(5 * 2 ** (scales - 1) + 1) // 8) * 8
        raise ModelError(f"A side of {side} leaves nothing to judge at {scales} scales: the least is --size {least}.")
    return fit[-1]


def receptive_field(network: nn.Module) -> int:
    """Side, in pixels, of the patch that one result of a chain of convolutions sees."""
    field, apart = 1, 1  # pixels seen, and pixels between two neighbouring results
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            field += (layer.kernel_size[0] - 1) * apart
            apart *= layer.stride[0]
    return field


PATCHES = {1: 0, 16: 1, 34: 2, 70: 3, 142: 4, 286: 5}  # {receptive field: layers}


def layers_of(patch: int, height: int, width: int) -> int:
    """The `layers` of a PatchGAN for patches of so many pixels a side.

    Raises ModelError, naming the patches that there are, for others and for those that leave no score of a picture.
    """
    fit = [size for size, layers in PATCHES.items() if layers == 0 or min(height, width) >> layers > 2]
    if patch not in fit:
        raise ModelError(
            f"No PatchGAN judges patches of {patch} pixels in pictures of {height} x {width}: "
            f"there are those of {', '.join(map(str, fit))}."
        )
    return PATCHES[patch]
