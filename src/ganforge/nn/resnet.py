"""The generator of CycleGAN: down twice, residual blocks, up twice (Johnson et al. 2016; Zhu et al. 2017, section 4).

Its two halves are networks of their own, for models that combine several of them.
"""

from torch import Tensor, nn

from ganforge.errors import ModelError
from ganforge.nn.cpu.convolutions import LiveDropout, PaddedConv2d, Padding
from ganforge.nn.cpu.winograd import WinogradConv2d
from ganforge.nn.diffaug import Chance
from ganforge.nn.init import initial_weights
from ganforge.nn.norms import Norm, make_norm, needs_bias

LEAST = 8  # pixels a side: halved twice, a side of one pixel has no variance and cannot be padded by reflection


def check_sides(height: int, width: int) -> None:
    """Raise ModelError for sides that cannot be halved twice, or that are too small."""
    if height % 4 or width % 4:
        raise ModelError(f"These networks halve both sides twice: {height} x {width} are not multiples of 4.")
    if min(height, width) < LEAST:
        raise ModelError(
            f"Images of {height} x {width} are too small to be halved twice and normalised. The least "
            f"is --size {LEAST}."
        )


class ResidualBlock(nn.Module):
    """x (N, C, H, W) -> x + F(x), nothing after the sum."""

    def __init__(self, channels: int, norm: Norm, padding: Padding, dropout: bool, live: bool) -> None:
        super().__init__()
        bias = needs_bias(norm)
        self.conv1 = WinogradConv2d(channels, channels, 3, 1, bias, padding)
        self.norm1 = make_norm(norm, channels, live)
        self.drop = LiveDropout(0.5 if dropout else 0.0)
        self.conv2 = WinogradConv2d(channels, channels, 3, 1, bias, padding)
        self.norm2 = make_norm(norm, channels, live)

    def forward(self, input: Tensor, chance: Chance | None = None) -> Tensor:
        inner = self.drop(self.norm1(self.conv1(input)).relu(), chance)
        return input + self.norm2(self.conv2(inner))


class ResNetEncoder(nn.Module):
    """images (N, inputs, 4h, 4w) -> features (N, 4 * width, h, w)."""

    def __init__(
        self,
        inputs: int,
        width: int = 64,
        blocks: int = 9,
        norm: Norm = "instance",
        dropout: bool = False,
        padding: Padding = "reflect",
        live: bool = False,
    ) -> None:
        super().__init__()
        bias = needs_bias(norm)
        self.enter = nn.Sequential(
            PaddedConv2d(inputs, width, 7, bias=bias), make_norm(norm, width, live), nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, 2, 1, bias=bias), make_norm(norm, 2 * width, live), nn.ReLU(),
            nn.Conv2d(2 * width, 4 * width, 3, 2, 1, bias=bias), make_norm(norm, 4 * width, live), nn.ReLU(),
        )  # fmt: skip
        self.blocks = nn.ModuleList(ResidualBlock(4 * width, norm, padding, dropout, live) for _ in range(blocks))
        self.apply(initial_weights())

    def forward(self, input: Tensor, chance: Chance | None = None) -> Tensor:
        x = self.enter(input)
        for block in self.blocks:
            x = block(x, chance)
        return x


class ResNetDecoder(nn.Sequential):
    """features (N, features, h, w) -> images (N, outputs, 4h, 4w) in [-1, 1]."""

    def __init__(self, features: int, outputs: int, norm: Norm = "instance", live: bool = False) -> None:
        bias, half, quarter = needs_bias(norm), features // 2, features // 4
        super().__init__(
            nn.ConvTranspose2d(features, half, 3, 2, 1, 1, bias=bias), make_norm(norm, half, live), nn.ReLU(),
            nn.ConvTranspose2d(half, quarter, 3, 2, 1, 1, bias=bias), make_norm(norm, quarter, live), nn.ReLU(),
            PaddedConv2d(quarter, outputs, 7), nn.Tanh(),
        )  # fmt: skip
        self.apply(initial_weights())


class ResNetGenerator(nn.Module):
    """images (N, inputs, H, W) -> images (N, outputs, H, W) in [-1, 1]; both sides multiples of 4.

    `live` and `chance` mean what they mean to the U-Net (nn/unet.py).
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        width: int = 64,
        blocks: int = 9,
        norm: Norm = "instance",
        dropout: bool = False,
        padding: Padding = "reflect",
        live: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = ResNetEncoder(inputs, width, blocks, norm, dropout, padding, live)
        self.decoder = ResNetDecoder(4 * width, outputs, norm, live)

    def forward(self, input: Tensor, chance: Chance | None = None) -> Tensor:
        return self.decoder(self.encoder(input, chance))
