"""Super-resolution networks without batch norm: ESRGAN's, and SRResNet as the authors of ESRGAN modified it.

Wang, Yu, Wu, Gu, Liu, Dong, Loy, Qiao, Tang, 2018.  https://arxiv.org/abs/1809.00219
They map (N, C, H, W) in [0, 1] to (N, C, scale * H, scale * W), unbounded.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.errors import ModelError
from ganforge.nn.cpu.convolutions import UpConv2d


def check_scale(sides: tuple[int, int], scale: int, given: int = 0) -> None:
    """Raise ModelError for sides that are not multiples of the scale, and for pairs `given` at another scale."""
    height, width = sides
    if given not in (0, scale):
        raise ModelError(
            f"The data enlarges {height // given} x {width // given} to {height} x {width}, {given} times, and the "
            f"model {scale} times: set --config.scale {given}, or use pairs of the model's scale."
        )
    if height % scale or width % scale:
        raise ModelError(f"Images of {height} x {width} cannot be reduced by {scale}: choose another --size.")


def upscale_factors(scale: int) -> list[int]:
    """The factors of the successive upsampling layers: twos, or a three."""
    factors = {2: [2], 3: [3], 4: [2, 2], 8: [2, 2, 2]}
    if scale not in factors:
        raise ModelError(f"Images are enlarged by 2, 3, 4 or 8, not by {scale}.")
    return factors[scale]


class DenseBlock(nn.Module):
    """Five convolutions, each of all earlier outputs; a fifth of the last one is added to the input (figure 4)."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        outputs = [growth] * 4 + [width]
        self.layers = nn.ModuleList(nn.Conv2d(width + i * growth, out, 3, 1, 1) for i, out in enumerate(outputs))

    def forward(self, x: Tensor) -> Tensor:
        outputs = [x]
        for layer in self.layers[:4]:
            outputs.append(F.leaky_relu(layer(torch.cat(outputs, 1)), 0.2))
        return self.layers[4](torch.cat(outputs, 1)) * 0.2 + x


class RRDB(nn.Sequential):
    """Residual-in-residual dense block: three dense blocks, a fifth of their output added to the input."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__(*(DenseBlock(width, growth) for _ in range(3)))

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) * 0.2 + input


class RRDBNet(nn.Module):
    """ESRGAN's generator (section 3.1).  Raises ModelError for a scale that is not a power of two."""

    def __init__(self, channels: int, scale: int, width: int, blocks: int, growth: int, out_channels: int = 0) -> None:
        super().__init__()
        if scale == 3:
            raise ModelError("RRDB networks double: they enlarge by 2, 4 or 8, not by 3.")
        self.first = nn.Conv2d(channels, width, 3, 1, 1)
        self.trunk = nn.Sequential(*(RRDB(width, growth) for _ in range(blocks)), nn.Conv2d(width, width, 3, 1, 1))
        for block in self.trunk[:-1]:
            block.apply(tenth_of_kaiming)
        self.up = nn.ModuleList(UpConv2d(width, width) for _ in upscale_factors(scale))
        self.fine = nn.Conv2d(width, width, 3, 1, 1)
        self.last = nn.Conv2d(width, out_channels or channels, 3, 1, 1)

    def forward(self, low: Tensor) -> Tensor:
        x = self.first(low)
        x = x + self.trunk(x)
        for layer in self.up:
            x = F.leaky_relu(layer(x), 0.2)
        return self.last(F.leaky_relu(self.fine(x), 0.2))


class PlainResidual(nn.Sequential):
    """Two convolutions with a skip connection."""

    def __init__(self, width: int) -> None:
        super().__init__(nn.Conv2d(width, width, 3, 1, 1), nn.ReLU(), nn.Conv2d(width, width, 3, 1, 1))
        self.apply(tenth_of_kaiming)

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) + input


class MSRResNet(nn.Module):
    """SRResNet without batch norms, which adds what it learns to a bilinear enlargement."""

    def __init__(self, channels: int, scale: int, width: int, blocks: int, out_channels: int = 0) -> None:
        super().__init__()
        self.scale = scale
        self.first = nn.Conv2d(channels, width, 3, 1, 1)
        self.trunk = nn.Sequential(*(PlainResidual(width) for _ in range(blocks)))
        self.up = nn.ModuleList(nn.Conv2d(width, width * s * s, 3, 1, 1) for s in upscale_factors(scale))
        self.fine = nn.Conv2d(width, width, 3, 1, 1)
        self.last = nn.Conv2d(width, out_channels or channels, 3, 1, 1)
        tenth_of_kaiming(self.last)  # so that it starts near the bilinear enlargement

    def forward(self, low: Tensor) -> Tensor:
        x = self.trunk(F.leaky_relu(self.first(low), 0.1))
        for layer, factor in zip(self.up, upscale_factors(self.scale), strict=True):
            x = F.leaky_relu(F.pixel_shuffle(layer(x), factor), 0.1)
        x = self.last(F.leaky_relu(self.fine(x), 0.1))
        return x + F.interpolate(low, scale_factor=float(self.scale), mode="bilinear")


class VGGStyleDiscriminator(nn.Sequential):
    """ESRGAN's discriminator: images (N, C, H, W) -> logits (N,); sides are multiples of 32, 128 in the paper."""

    def __init__(self, channels: int, width: int, height: int, wide: int) -> None:
        if height % 32 or wide % 32:
            raise ModelError(f"This discriminator halves five times: {height} x {wide} must be multiples of 32.")
        widths = [width * k for k in (1, 2, 4, 8, 8)]
        layers: list[nn.Module] = [
            nn.Conv2d(channels, width, 3, 1, 1),
            nn.LeakyReLU(0.2),
            *downsampling_block(width, width),
        ]
        for a, b in pairwise(widths):
            layers += [
                nn.Conv2d(a, b, 3, 1, 1, bias=False),
                nn.BatchNorm2d(b),
                nn.LeakyReLU(0.2),
                *downsampling_block(b, b),
            ]
        layers += [nn.Flatten(), nn.Linear(widths[-1] * (height // 32) * (wide // 32), 100), nn.LeakyReLU(0.2)]
        super().__init__(*layers, nn.Linear(100, 1), nn.Flatten(0))


def downsampling_block(a: int, b: int) -> list[nn.Module]:
    """A strided convolution, its norm and its activation."""
    return [nn.Conv2d(a, b, 4, 2, 1, bias=False), nn.BatchNorm2d(b), nn.LeakyReLU(0.2)]


def tenth_of_kaiming(layer: nn.Module) -> None:
    """Kaiming initialisation scaled by 0.1, and zero bias (section 4.1)."""
    if isinstance(layer, nn.Conv2d):
        nn.init.kaiming_normal_(layer.weight)
        layer.weight.data *= 0.1
        nn.init.zeros_(layer.bias)  # pyright: ignore[reportArgumentType]
