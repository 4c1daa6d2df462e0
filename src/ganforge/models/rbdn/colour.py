"""Colour for grey images by classification, the third experiment of RBDN (section 4.3).

Zhang, Isola, Efros, 2016: Colorful Image Colorization.  https://arxiv.org/abs/1603.08511

The plane of a and b in CIE Lab is cut into cells of side 10, and the network predicts the cell of every fourth pixel
from its lightness.  A true colour is spread over the cells nearest to it (equation 2), rare cells weigh more in the
cross entropy (equations 3 and 4), and the colour drawn is the mean over the cells of a sharpened distribution
(equation 5).
"""

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CELL = 10.0  # side of a cell
NEAREST, WIDTH = 10, 5.0  # a true colour is spread over so many cells, by a Gaussian of this deviation
SHARPER = 2.606  # times the logits where an image is drawn: a temperature of 0.38
UNIFORM = 0.5  # lambda of equation 4: the share of the uniform distribution in the frequencies of cells
GREY = 5.0  # an image whose a and b never go beyond this has no colour to learn from
MEMORY = 0.99  # of the frequencies of cells, from step to step
STRIDE = 4  # pixels a side for one prediction

WHITE = (0.950456, 1.0, 1.088754)  # X, Y and Z of white, D65
FROM_RGB = ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))
EPSILON, KAPPA = 216 / 24389, 24389 / 27  # where CIE's cube root becomes a line, and its slope


def rgb_to_lab(images: Tensor) -> Tensor:
    """sRGB (N, 3, ...) in [-1, 1] -> CIE Lab (N, 3, ...): L from 0 to 100, a and b from about -110 to 110."""
    rgb = (images.float() + 1) / 2
    linear = torch.where(rgb > 0.04045, ((rgb + 0.055) / 1.055).clamp(min=0) ** 2.4, rgb / 12.92)
    matrix = linear.new_tensor(FROM_RGB) / linear.new_tensor(WHITE)[:, None]
    x = torch.einsum("ic,nc...->ni...", matrix, linear)
    f = torch.where(x > EPSILON, x.clamp(min=EPSILON) ** (1 / 3), (KAPPA * x + 16) / 116)
    return torch.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], 1)


def lab_to_rgb(lab: Tensor) -> Tensor:
    """CIE Lab (N, 3, ...) -> sRGB (N, 3, ...) in [-1, 1]; colours that sRGB lacks are cut off."""
    y = (lab[:, 0] + 16) / 116
    f = torch.stack([y + lab[:, 1] / 500, y, y - lab[:, 2] / 200], 1)
    x = torch.where(f**3 > EPSILON, f**3, (116 * f - 16) / KAPPA)
    matrix = torch.linalg.inv(torch.tensor(FROM_RGB, dtype=torch.float64) / torch.tensor(WHITE)[:, None].double())
    linear = torch.einsum("ic,nc...->ni...", matrix.to(lab), x).clamp(0, 1)
    rgb = torch.where(linear > 0.0031308, 1.055 * linear.clamp(min=1e-8) ** (1 / 2.4) - 0.055, linear * 12.92)
    return rgb * 2 - 1


def lightness(images: Tensor) -> Tensor:
    """L - 50 (N, 1, H, W) of grey or colour images (N, 1 or 3, H, W) in [-1, 1]."""
    return rgb_to_lab(images.expand(-1, 3, -1, -1))[:, :1] - 50


@cache
def cells() -> Tensor:
    """a and b (Q, 2) of the centres of all cells that a colour of sRGB lies in: 261 of them."""
    levels = torch.linspace(-1, 1, 86)  # every third of 256: finer levels meet no further cell
    rgb = torch.cartesian_prod(levels, levels, levels)
    return (rgb_to_lab(rgb)[:, 1:] / CELL).round().unique(dim=0) * CELL


def encode(ab: Tensor, centres: Tensor) -> Tensor:
    """True colours ab (N, 2, h, w) as distributions (N, Q, h, w) over the cells (equation 2)."""
    flat = ab.permute(0, 2, 3, 1).reshape(-1, 2)
    near, index = torch.cdist(flat, centres).topk(NEAREST, largest=False)
    spread = (-near.square() / (2 * WIDTH**2)).softmax(1)
    shares = flat.new_zeros(len(flat), len(centres)).scatter_(1, index, spread)
    return shares.view(len(ab), *ab.shape[2:], -1).permute(0, 3, 1, 2)


def decode(logits: Tensor, centres: Tensor) -> Tensor:
    """Logits (N, Q, h, w) -> a and b (N, 2, h, w): the mean over the sharpened distribution (equation 5)."""
    return torch.einsum("nqhw,qc->nchw", (logits.float() * SHARPER).softmax(1), centres)


def weigh(frequencies: Tensor) -> Tensor:
    """The weight (Q,) of every cell from its frequency (Q,); the mean weight of a pixel is 1 (equation 4)."""
    rarity = 1 / ((1 - UNIFORM) * frequencies + UNIFORM / len(frequencies))
    return rarity / (frequencies * rarity).sum()


class ColourNet(nn.Module):
    """L - 50 (N, 1, H, W) -> logits (N, Q, H / 4, W / 4).

    `trunk` and `back` are layers of RBDN, `last` gives the logits.
    """

    frequencies: Tensor
    centres: Tensor

    def __init__(self, trunk: nn.Module, back: nn.Module, width: int) -> None:
        super().__init__()
        self.trunk, self.back = trunk, back
        self.last = nn.Conv2d(width, len(cells()), 4, 2, 1)
        self.register_buffer("centres", cells().clone())
        self.register_buffer("frequencies", torch.full((len(cells()),), 1 / len(cells())))

    def forward(self, source: Tensor) -> Tensor:
        return self.last(self.back(self.trunk(source)[0]))

    def error(self, logits: Tensor, target: Tensor) -> Tensor:
        """The rebalanced cross entropy (equations 3 and 4) with targets (N, 3, H, W), but for images without colour.

        The frequencies of cells are a running mean over the batches.
        """
        ab = rgb_to_lab(target)[:, 1:, ::STRIDE, ::STRIDE]
        truth = encode(ab, self.centres)
        with torch.no_grad():
            self.frequencies.lerp_(truth.mean((0, 2, 3)), 1 - MEMORY)
            weights = weigh(self.frequencies)[truth.argmax(1)]
            weights = weights * (ab.abs().amax((1, 2, 3)) > GREY)[:, None, None]
        return (F.cross_entropy(logits.float(), truth, reduction="none") * weights).mean()

    def draw(self, source: Tensor) -> Tensor:
        """Grey or colour images (N, 1 or 3, H, W) in [-1, 1] -> the same in the predicted colours (N, 3, H, W)."""
        light = lightness(source)
        ab = F.interpolate(decode(self(light), self.centres), scale_factor=STRIDE, mode="bilinear", align_corners=False)
        return lab_to_rgb(torch.cat([light + 50, ab], 1))
