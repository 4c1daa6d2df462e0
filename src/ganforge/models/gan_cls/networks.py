"""The networks of GAN-CLS: DCGAN's, with the text projected and joined to the noise, and to the last features.

Reed et al. 2016, section 4.1 and figure 2; the residual blocks are those of the authors' code (main_cls.lua).
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from ganforge.nn.conditions import tile
from ganforge.nn.cpu.convolutions import UpConv2d
from ganforge.nn.init import normal_weights
from ganforge.nn.strided import StridedFeatures


def project_text(inputs: int, outputs: int, norm: bool) -> nn.Sequential:
    """Text (N, inputs) -> (N, outputs), a layer and a leaky ReLU (section 4.1), with a norm between where asked."""
    return nn.Sequential(nn.Linear(inputs, outputs), *([nn.BatchNorm1d(outputs)] if norm else []), nn.LeakyReLU(0.2))


class Residual(nn.Module):
    """x (N, C, H, W) -> the same shape: three convolutions of a quarter of the channels, added to x."""

    def __init__(self, channels: int, activation: nn.Module, bias: bool) -> None:
        super().__init__()
        inner = max(1, channels // 4)
        self.body = nn.Sequential(
            nn.Conv2d(channels, inner, 1, bias=bias),
            nn.BatchNorm2d(inner),
            activation,
            nn.Conv2d(inner, inner, 3, 1, 1, bias=bias),
            nn.BatchNorm2d(inner),
            activation,
            nn.Conv2d(inner, channels, 3, 1, 1, bias=bias),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class Generator(nn.Module):
    """noise (N, latent), text (N, K) -> images (N, C, H, W) in [-1, 1], from `base` (h, w) by `doublings`.

    `residual` blocks follow each of the first two maps.  `smooth`: nearest up-sampling and 3 x 3 kernels instead of
    transposed ones, and a last layer at full size.
    """

    def __init__(
        self,
        text_width: int,
        projected: int,
        latent: int,
        width: int,
        channels: int,
        base: tuple[int, int],
        doublings: int,
        residual: int = 1,
        text_norm: bool = False,
        bias: bool = False,
        smooth: bool = False,
    ) -> None:
        super().__init__()

        def double(a: int, b: int) -> nn.Module:
            return UpConv2d(a, b, bias=bias) if smooth else nn.ConvTranspose2d(a, b, 4, 2, 1, bias=bias)

        self.project = project_text(text_width, projected, text_norm)
        widths = [width * 2**i for i in reversed(range(doublings))]
        layers: list[nn.Module] = [
            nn.Unflatten(1, (latent + projected, 1, 1)),
            nn.ConvTranspose2d(latent + projected, widths[0], base, bias=bias),
        ]
        for number, (a, b) in enumerate(zip(widths, [*widths[1:], width if smooth else channels], strict=True)):
            blocks = [Residual(a, nn.ReLU(), bias) for _ in range(residual if number < 2 else 0)]
            layers += [nn.BatchNorm2d(a), *blocks, nn.ReLU(), double(a, b)]
        if smooth:
            layers += [nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, channels, 3, 1, 1, bias=bias)]
        self.body = nn.Sequential(*layers, nn.Tanh())
        self.apply(normal_weights)

    def forward(self, noise: Tensor, text: Tensor) -> Tensor:
        return self.body(torch.cat([noise, self.project(text)], 1))


class Discriminator(nn.Module):
    """images (N, C, H, W), text (M N, K) -> logits (M N,), for images whose last features are `base` (h, w).

    M sentences an image: row m N + i is of image i.  `residual`: a block behind the last features.  `joint`: a 1 x 1
    convolution behind features and text.  `product`: the features are joined to their product with the projected text;
    no batch norm follows an image, first weights are torch's own, and `projected`, `text_norm` and `bias` say nothing.
    """

    def __init__(
        self,
        text_width: int,
        projected: int,
        width: int,
        channels: int,
        base: tuple[int, int],
        halvings: int,
        residual: bool = True,
        joint: bool = True,
        product: bool = False,
        text_norm: bool = False,
        bias: bool = False,
    ) -> None:
        super().__init__()
        self.product = product
        widths = [width * 2**i for i in range(halvings)]
        last, leaky, bias = widths[-1], nn.LeakyReLU(0.2), bias or product

        def norm(channels: int) -> list[nn.Module]:
            return [] if product else [nn.BatchNorm2d(channels)]

        layers: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1, bias=bias)]
        for a, b in pairwise(widths):
            layers += [leaky, nn.Conv2d(a, b, 4, 2, 1, bias=bias), *norm(b)]
        self.features = nn.Sequential(*layers, *([Residual(last, leaky, bias)] if residual else []), leaky)
        project = project_text(text_width, last if product else projected, text_norm or product)
        self.project = project[:-1] if product else project  # factors of both signs
        seen = 2 * last if product else last + projected
        both = [nn.Conv2d(seen, last, 1, bias=bias), *norm(last), leaky] if joint else []
        self.judge = nn.Sequential(*both, nn.Conv2d(last if joint else seen, 1, base, bias=bias), nn.Flatten(0))
        if not product:
            self.apply(normal_weights)

    def forward(self, images: Tensor, text: Tensor) -> Tensor:
        features, sentences = self.features(images), len(text) // len(images)
        features = features.repeat(sentences, 1, 1, 1) if sentences > 1 else features
        tiled = tile(self.project(text), features)
        return self.judge(torch.cat([features, features * tiled if self.product else tiled], 1))


class StyleEncoder(nn.Sequential):
    """images (N, C, H, W) -> the noise z (N, latent) that they seem to be made of (section 4.4)."""

    def __init__(self, latent: int, width: int, channels: int, base: tuple[int, int], halvings: int) -> None:
        body = StridedFeatures(width, channels, halvings)
        super().__init__(body, nn.Conv2d(body.features, latent, base), nn.Flatten())
