"""The networks of DCGAN, for all papers that use them (Radford et al. 2015, section 3 and figure 1)."""

from itertools import pairwise

from torch import nn

from ganforge.nn.init import normal_weights


class StridedGenerator(nn.Sequential):
    """codes (N, inputs) -> images (N, C, H, W) in [-1, 1], from `base` (h, w) by `doublings` with kernels of a side."""

    def __init__(
        self, inputs: int, width: int, channels: int, base: tuple[int, int], doublings: int, kernel: int = 4
    ) -> None:
        def double(a: int, b: int) -> nn.Module:
            return nn.ConvTranspose2d(a, b, kernel, 2, (kernel - 1) // 2, output_padding=kernel % 2, bias=False)

        widths = [width * 2**i for i in reversed(range(doublings))]
        layers: list[nn.Module] = [
            nn.Unflatten(1, (inputs, 1, 1)),
            nn.ConvTranspose2d(inputs, widths[0], base, bias=False),
        ]
        for a, b in zip(widths, [*widths[1:], channels], strict=True):
            layers += [nn.BatchNorm2d(a), nn.ReLU(), double(a, b)]
        super().__init__(*layers, nn.Tanh())
        self.apply(normal_weights)


class StridedFeatures(nn.Sequential):
    """images (N, C, H, W) -> features (N, F, h, w), F = `features`: the discriminator without its last layer.

    Without `norm` the features of an image do not depend on the other images of the batch.
    """

    def __init__(self, width: int, channels: int, halvings: int, norm: bool = True) -> None:
        widths = [width * 2**i for i in range(halvings)]
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1, bias=not norm), nn.LeakyReLU(0.2)]
        for a, b in pairwise(widths):
            layers += [nn.Conv2d(a, b, 4, 2, 1, bias=not norm), *([nn.BatchNorm2d(b)] if norm else [])]
            layers.append(nn.LeakyReLU(0.2))
        super().__init__(*layers)
        self.features = widths[-1]
        self.apply(normal_weights)
