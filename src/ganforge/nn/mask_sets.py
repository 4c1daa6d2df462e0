"""Networks of an image and a set of instance masks.  The features of the masks are summed.

So the order of the masks does not matter, and there may be any number of them (Mo et al. 2019, section 2.1).
"""

import torch
from torch import Tensor, nn

from ganforge.nn.norms import Norm, make_norm, needs_bias
from ganforge.nn.resnet import Padding, ResNetDecoder, ResNetEncoder
from ganforge.nn.spectral_norm import SpectralConv2d


def nonempty_masks(masks: Tensor) -> Tensor:
    """bool (N, M): which masks (N, M, H, W) are not empty; if all masks of an image are, its first one counts."""
    some = masks.amax((2, 3)) > -1
    some[:, 0] |= ~some.any(1)
    return some


class SetGenerator(nn.Module):
    """images (N, C, H, W), masks (N, M, H, W) in [-1, 1] -> translated images and masks; empty masks stay empty.

    Both sides are multiples of 4.  Equation 1: every mask is decoded from its own features, the image's, and the sum.
    """

    def __init__(
        self,
        channels: int,
        width: int,
        blocks: int,
        norm: Norm = "instance",
        dropout: bool = False,
        padding: Padding = "reflect",
        outputs: int = 0,
    ) -> None:
        super().__init__()
        self.image_encoder = ResNetEncoder(channels, width, blocks, norm, dropout, padding)
        self.mask_encoder = ResNetEncoder(1, width, blocks, norm, dropout, padding)
        self.image_decoder = ResNetDecoder(8 * width, outputs or channels, norm)
        self.mask_decoder = ResNetDecoder(12 * width, 1, norm)
        self.alone = norm == "batch"  # each mask has its own statistics

    def forward(self, images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        if torch.compiler.is_exporting():  # an exported graph may not depend on the values of the masks
            return self.forward_all(images, masks)
        row, place = nonempty_masks(masks).nonzero(as_tuple=True)
        of_images, of_masks = self.image_encoder(images), self.each(self.mask_encoder, masks[row, place][:, None])
        total = torch.zeros_like(of_images).index_add(0, row, of_masks.to(of_images.dtype))
        made = self.each(self.mask_decoder, torch.cat([of_masks, of_images[row], total[row]], 1))
        images = self.image_decoder(torch.cat([of_images, total], 1))
        return images, masks.index_put((row, place), made[:, 0].to(masks.dtype))

    def forward_all(self, images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        """The same, but empty masks are computed too, and discarded."""
        held, rows = nonempty_masks(masks)[:, :, None, None, None], (-1, masks.shape[1])
        of_images, of_masks = self.image_encoder(images), self.mask_encoder(masks.flatten(0, 1)[:, None])
        total = (of_masks.unflatten(0, rows) * held).sum(1)
        beside = torch.cat([of_images, total], 1)[:, None].expand(-1, masks.shape[1], -1, -1, -1).flatten(0, 1)
        made = self.mask_decoder(torch.cat([of_masks, beside], 1)).unflatten(0, rows)
        images = self.image_decoder(torch.cat([of_images, total], 1))
        return images, torch.where(held, made, masks[:, :, None])[:, :, 0]

    def each(self, network: nn.Module, given: Tensor) -> Tensor:
        return torch.cat([network(one) for one in given.split(1)]) if self.alone else network(given)


def build_features(inputs: int, width: int, layers: int, norm: Norm) -> nn.Sequential:
    """PatchGAN's halvings: (N, inputs, H, W) -> (N, width * 2 ** (layers - 1), h, w)."""
    body: list[nn.Module] = [SpectralConv2d(inputs, width, 4, 2, 1), nn.LeakyReLU(0.2)]
    for i in range(1, layers):
        a, b = (width * min(2**k, 8) for k in (i - 1, i))
        body += [SpectralConv2d(a, b, 4, 2, 1, needs_bias(norm)), make_norm(norm, b), nn.LeakyReLU(0.2)]
    return nn.Sequential(*body)


class SetDiscriminator(nn.Module):
    """images (N, C, H, W), masks (N, M, H, W) in [-1, 1] -> scores (N, 1, h, w) (equation 2).

    `held`, bool (N, M), says which masks count; without it those that are not empty.
    """

    def __init__(self, channels: int, width: int, layers: int = 3, norm: Norm = "instance") -> None:
        super().__init__()
        self.image_features, self.mask_features = (build_features(n, width, layers, norm) for n in (channels, 1))
        a, b = (2 * width * min(2**k, 8) for k in (layers - 1, layers))
        self.verdict = nn.Sequential(
            SpectralConv2d(a, b, 4, 1, 1), make_norm(norm, b), nn.LeakyReLU(0.2), SpectralConv2d(b, 1, 4, 1, 1)
        )

    def forward(self, images: Tensor, masks: Tensor, held: Tensor | None = None) -> Tensor:
        held, of_images = nonempty_masks(masks) if held is None else held, self.image_features(images)
        total = torch.zeros_like(of_images)
        for i in range(masks.shape[1]):
            if held[:, i].any():
                total = total + self.mask_features(masks[:, i : i + 1]) * held[:, i, None, None, None]
        return self.verdict(torch.cat([of_images, total], 1))
