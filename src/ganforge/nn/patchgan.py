"""Discriminators of patches, with one score per patch (Isola et al. 2017, sections 3.2 and 4.4)."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.errors import ModelError
from ganforge.nn.cpu.winograd import WinogradConv2d
from ganforge.nn.init import initial_weights
from ganforge.nn.norms import Norm, make_norm, needs_bias


class PatchGAN(nn.Sequential):
    """images (N, inputs, H, W) -> scores (N, 1, h, w), each of a patch of `receptive_field(...)` pixels a side.

    `layers` halvings give patches of 16 (1), 34 (2), 70 (3), 142 (4) and 286 (5) pixels; 0 is the PixelGAN, whose
    patches are single pixels.  `bias`: whether convolutions followed by a norm have one.
    """

    def __init__(
        self, inputs: int, width: int = 64, layers: int = 3, norm: Norm = "batch", bias: bool | None = None
    ) -> None:
        bias = needs_bias(norm) if bias is None else bias
        if layers == 0:
            super().__init__(
                nn.Conv2d(inputs, width, 1), nn.LeakyReLU(0.2),
                nn.Conv2d(width, 2 * width, 1, bias=bias), make_norm(norm, 2 * width), nn.LeakyReLU(0.2),
                nn.Conv2d(2 * width, 1, 1, bias=bias),
            )  # fmt: skip
        else:
            widths = [width * min(2**i, 8) for i in range(layers + 1)]
            body: list[nn.Module] = [nn.Conv2d(inputs, width, 4, 2, 1), nn.LeakyReLU(0.2)]
            for i, (a, b) in enumerate(pairwise(widths), 1):
                halving = i < layers
                conv = nn.Conv2d(a, b, 4, 2, 1, bias=bias) if halving else WinogradConv2d(a, b, 4, 1, bias)
                body += [conv, make_norm(norm, b), nn.LeakyReLU(0.2)]
            super().__init__(*body, nn.Conv2d(widths[-1], 1, 4, 1, 1))
        self.apply(initial_weights())


class ScaledPatchGAN(nn.Module):
    """images (N, inputs, H, W) -> scores (N, 1, h, w), a list: of the image, of half of it ... (Wang et al. 2017)."""

    def __init__(self, inputs: int, width: int, layers: int, norm: Norm, scales: int) -> None:
        super().__init__()
        self.scales = nn.ModuleList(
            PatchGAN(inputs, round(width / 2**i), layers, norm, bias=True) for i in range(scales)
        ).apply(initial_weights("xavier"))

    def forward(self, images: Tensor) -> list[Tensor]:
        return at_scales(self.scales, images)


def at_scales(networks: Iterable[nn.Module], images: Tensor) -> list[Any]:
    """What the first network makes of images (N, C, H, W), the next of images half as large, and so on."""
    outputs = []
    for i, network in enumerate(networks):
        images = F.avg_pool2d(images, 3, 2, 1, count_include_pad=False) if i else images
        outputs.append(network(images))
    return outputs


def fit_layers(most: int, side: int, scales: int) -> int:
    """The largest number of layers, up to `most`, for which every scale of a ScaledPatchGAN has a score.

    Raises ModelError, naming the least side in multiples of 8, where one layer is too many.
    """
    smallest = -(-side // 2 ** (scales - 1))
    fit = [layers for layers in range(1, max(1, most) + 1) if smallest >> layers > 2]
    if not fit:
        least = -(-(5 * 2 ** (scales - 1) + 1) // 8) * 8
        raise ModelError(
            f"A side of {side} is too small for a discriminator at {scales} scales: the least is --size {least}."
        )
    return fit[-1]


def receptive_field(network: nn.Module) -> int:
    """Side, in pixels, of the receptive field of one output of a chain of convolutions."""
    field, stride = 1, 1  # receptive field, and pixels between two neighbouring outputs
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            field += (layer.kernel_size[0] - 1) * stride
            stride *= layer.stride[0]
    return field


PATCHES = {1: 0, 16: 1, 34: 2, 70: 3, 142: 4, 286: 5}  # {receptive field: layers}


def layers_for_patch(patch: int, height: int, width: int) -> int:
    """The `layers` of a PatchGAN for patches of `patch` pixels a side.

    Raises ModelError, naming the possible patches, for others and for those too large for the image.
    """
    fit = [size for size, layers in PATCHES.items() if layers == 0 or min(height, width) >> layers > 2]
    if patch not in fit:
        raise ModelError(
            f"There is no PatchGAN with patches of {patch} pixels for images of {height} x {width}: "
            f"possible are {', '.join(map(str, fit))}."
        )
    return PATCHES[patch]
