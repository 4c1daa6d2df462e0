"""DCGAN's networks as every repository has them."""

from torch import nn


def generator(inputs: int, width: int, channels: int, side: int) -> nn.Sequential:
    """z (N, inputs, 1, 1) -> images (N, C, side, side), from 4 x 4 by doubling."""
    widths = [width]
    while 4 * 2 ** len(widths) < side:
        widths.insert(0, 2 * widths[0])
    layers = [nn.ConvTranspose2d(inputs, widths[0], 4, bias=False)]
    for a, b in zip(widths, [*widths[1:], channels], strict=True):
        layers += [nn.BatchNorm2d(a), nn.ReLU(True), nn.ConvTranspose2d(a, b, 4, 2, 1, bias=False)]
    return nn.Sequential(*layers, nn.Tanh())


def discriminator(width: int, channels: int, side: int, norm: bool = True) -> nn.Sequential:
    """images (N, C, side, side) -> logits (N, 1, 1, 1)."""
    layers: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1, bias=not norm), nn.LeakyReLU(0.2, True)]
    while (side := side // 2) > 4:
        layers.append(nn.Conv2d(width, 2 * width, 4, 2, 1, bias=not norm))
        layers += [nn.BatchNorm2d(2 * width)] if norm else []
        layers.append(nn.LeakyReLU(0.2, True))
        width *= 2
    return nn.Sequential(*layers, nn.Conv2d(width, 1, 4, bias=not norm))
