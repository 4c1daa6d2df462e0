"""Chains of convolutions that halve a map until it has one pixel: the heads of encoders (Richardson et al. 2020)."""

from itertools import pairwise

from torch import nn


def halve(side: int, times: int) -> int:
    """A side after so many halvings, rounded up."""
    return -(-side // 2**times)


def count_halvings(side: int) -> int:
    """How often a map is halved until it has one pixel, at least once."""
    return max(1, (side - 1).bit_length())


def halving_convs(inputs: int, inner: int, outputs: int, halvings: int, first: int = 2) -> nn.Sequential:
    """Convolutions that halve a map so many times, `inner` wide in between; `first` is the stride of the first.

    With `first` 1 there is a convolution more, in front.
    """
    widths = [inputs, *[inner] * (halvings - 1 if first == 2 else halvings), outputs]
    layers: list[nn.Module] = []
    for number, (a, b) in enumerate(pairwise(widths)):
        layers += [nn.Conv2d(a, b, 3, 2 if number else first, 1), nn.LeakyReLU()]
    return nn.Sequential(*layers)
