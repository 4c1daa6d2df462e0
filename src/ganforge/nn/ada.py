"""The augmentation pipeline of StyleGAN2-ADA (Karras, Aittala, Hellsten, Laine, Lehtinen, Aila 2020).

https://arxiv.org/abs/2006.06676, appendix B.  Every transformation is applied to an image with probability p.  As
long as p stays well below 1 the generator learns the distribution without augmentation: the augmentation does not
leak.  All geometric transformations of an image become one matrix and one resampling; all colour transformations
become one affine map.

Resampling along one side of an image is a matrix too: for images as small as a GAN's one product is
several times faster on a CPU than a convolution over a single channel.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ganforge.nn.diffaug import Chance
from ganforge.nn.grid_sampling import sample_bilinear

# Low-pass filter of the sym6 wavelet (Daubechies 1992, table 6.3), scaled to a sum of 1.
SYM6 = torch.tensor(
    [
        *(0.0154041093, 0.0034907121, -0.1179901111, -0.0483117426, 0.4910559419, 0.7876411410),
        *(0.3379294217, -0.0726374728, -0.0210602925, 0.0447249018, 0.0017677119, -0.0078007083),
    ]
) / math.sqrt(2)
REACH = 3  # pixels of the image that half of the filter covers at twice the resolution
SPECTRUM = (10 / 13, 1 / 13, 1 / 13, 1 / 13)  # power of natural images in the filter's four bands


@dataclass(frozen=True)
class Pipe:
    """The probability of each transformation, as a multiple of p; 0: never, and no random number is drawn for it."""

    xflip: float = 0
    """Mirror left to right."""
    rotate90: float = 0
    """Turn by 0, 90, 180 or 270 degrees."""
    xint: float = 0
    """Move by whole pixels, up to an eighth of each side."""
    scale: float = 0
    """Scale by 2^(0.2 N)."""
    rotate: float = 0
    """Turn by any angle."""
    aniso: float = 0
    """Stretch one way and squeeze the other by 2^(0.2 N)."""
    xfrac: float = 0
    """Move by N / 8 of each side."""
    brightness: float = 0
    """Add 0.2 N."""
    contrast: float = 0
    """Scale by 2^(0.5 N)."""
    lumaflip: float = 0
    """Turn light into dark and keep the hue."""
    hue: float = 0
    """Turn the colours about the grey axis by any angle; only for colour images."""
    saturation: float = 0
    """Scale the distance from grey by 2^N."""
    imgfilter: float = 0
    """Amplify or dampen each of four frequency bands by 2^N."""
    noise: float = 0
    """Add noise of strength 0.1 |N|."""
    cutout: float = 0
    """Set a rectangle of half the image's sides to 0."""


BLIT = {"xflip": 1, "rotate90": 1, "xint": 1}
GEOM = {"scale": 1, "rotate": 1, "aniso": 1, "xfrac": 1}
COLOR = {"brightness": 1, "contrast": 1, "lumaflip": 1, "hue": 1, "saturation": 1}
BGC = Pipe(**BLIT, **GEOM, **COLOR)
"""What training uses (section 3.1): pixel blits, geometry and colour."""


def ada(images: Tensor, p: float, chance: Chance, pipe: Pipe = BGC) -> Tensor:
    """Each transformation of `pipe` on each image with probability p times its share.

    images (N, C, H, W) of any size and number of channels -> the same shape, in images' precision but at
    least fp32; with p = 0 they come back as they are and nothing is drawn.  Of four channels the last is
    taken for opacity, whose values no colour transformation touches.  May be differentiated twice.
    """
    if p <= 0:
        return images
    images = images if images.dtype == torch.float64 else images.float()
    lots = MaskedDraws(chance, len(images), p)
    with torch.autocast(images.device.type, enabled=False):
        if any(getattr(pipe, name) for name in (*BLIT, *GEOM)):
            images = warp(images, draw_geometry(pipe, lots, *images.shape[2:]))
        if any(getattr(pipe, name) for name in COLOR):
            images = apply_colour(images, draw_colour(pipe, lots, colour_channels(images.shape[1])))
        if pipe.imgfilter:
            images = filter_bands(images, draw_gains(pipe, lots))
        if pipe.noise:
            strength = 0.1 * lots.normal(pipe.noise, 1, 1, 1).abs()
            images = images + (strength * chance.normal(*images.shape)).to(images)
        if pipe.cutout:
            images = images * cutout_mask(pipe, lots, *images.shape[2:]).to(images)
    return images


class MaskedDraws:
    """Random numbers for the images that a transformation is applied to, 0 for the others.

    A value is drawn first, then whether it is used: the order of the official code.
    """

    def __init__(self, chance: Chance, n: int, p: float) -> None:
        self.chance, self.n, self.p = chance, n, p

    def mask(self, values: Tensor, probability: float) -> Tensor:
        """`values` (n, ...) of images chosen with `probability`; 0 for the others."""
        chosen = self.chance.uniform(self.n, *[1] * (values.ndim - 1)) < probability
        return torch.where(chosen, values, torch.zeros_like(values))

    def normal(self, share: float, *shape: int) -> Tensor:
        """From the standard normal distribution."""
        return self.mask(self.chance.normal(self.n, *shape), share * self.p)

    def even(self, share: float, *shape: int) -> Tensor:
        """Uniform in [-1, 1)."""
        return self.mask(2 * self.chance.uniform(self.n, *shape) - 1, share * self.p)

    def pick(self, share: float, options: int) -> Tensor:
        """One of 0 ... options - 1."""
        return self.mask((options * self.chance.uniform(self.n)).floor(), share * self.p)

    def half_turn(self, share: float) -> Tensor:
        """An angle in [-pi, pi) that, drawn twice, turns an image with probability share * p in all."""
        return math.pi * self.mask(2 * self.chance.uniform(self.n) - 1, 1 - math.sqrt(max(0.0, 1 - share * self.p)))


# Movements --------------------------------------------------------------------------------------


def draw_geometry(pipe: Pipe, lots: MaskedDraws, height: int, width: int) -> Tensor:
    """(N, 3, 3): from a position in the result, in pixels from the image's centre, to its source position."""
    back, sides = torch.eye(3).expand(lots.n, 3, 3), torch.tensor([width, height])
    if pipe.xflip:
        back = back @ scaling(1 - 2 * lots.pick(pipe.xflip, 2))
    if pipe.rotate90:
        back = back @ rotation(math.pi / 2 * lots.pick(pipe.rotate90, 4))
    if pipe.xint:
        back = back @ shift(-(lots.even(pipe.xint, 2) / 8 * sides).round())
    if pipe.scale:
        factor = 2 ** (-0.2 * lots.normal(pipe.scale))
        back = back @ scaling(factor, factor)
    if pipe.rotate:
        back = back @ rotation(lots.half_turn(pipe.rotate))
    if pipe.aniso:
        factor = 2 ** (-0.2 * lots.normal(pipe.aniso))
        back = back @ scaling(factor, 1 / factor)
    if pipe.rotate:  # again, so that the stretching has any direction
        back = back @ rotation(lots.half_turn(pipe.rotate))
    if pipe.xfrac:
        back = back @ shift(-lots.normal(pipe.xfrac, 2) / 8 * sides)
    return back


def matrices(*rows: tuple[Tensor | float, ...]) -> Tensor:
    """(..., rows, columns) from entries that are numbers or tensors (...)."""
    entries = torch.broadcast_tensors(*(torch.as_tensor(entry) for row in rows for entry in row))
    return torch.stack(entries, -1).unflatten(-1, (len(rows), -1))


def scaling(x: Tensor | float, y: Tensor | float = 1.0) -> Tensor:
    """(..., 3, 3) that scales the plane's two axes."""
    return matrices((x, 0.0, 0.0), (0.0, y, 0.0), (0.0, 0.0, 1.0))


def rotation(angle: Tensor) -> Tensor:
    """(N, 3, 3) that turns the plane by (N,) radians."""
    c, s = angle.cos(), angle.sin()
    return matrices((c, -s, 0.0), (s, c, 0.0), (0.0, 0.0, 1.0))


def shift(by: Tensor) -> Tensor:
    """(..., 3, 3) that moves the plane by (..., 2)."""
    return matrices((1.0, 0.0, by[..., 0]), (0.0, 1.0, by[..., 1]), (0.0, 0.0, 1.0))


def warp(images: Tensor, back: Tensor) -> Tensor:
    """Warp `images` (N, C, H, W); `back` (N, 3, 3) maps positions in the result to their sources.

    Images are padded by reflection as far as the warp reaches, resampled at twice the resolution, and
    downsampled with the same low-pass filter: no aliasing (appendix B, figure 19).
    """
    height, width = images.shape[2:]
    left, top, right, bottom = padding_of(back, width, height)
    images = resample(
        images, upsampling_matrix(height, top, bottom, images), upsampling_matrix(width, left, right, images)
    )

    fine = 2 * torch.tensor([width + 2 * REACH, height + 2 * REACH])
    source = torch.tensor([images.shape[3], images.shape[2]])
    centre = torch.tensor([left - right, top - bottom]) / 2  # of the image, within its padding
    half = torch.tensor([0.5, 0.5])  # a pixel's two successors lie half a fine pixel to either side of it
    into, out_of = scaling(*(fine / 2)), scaling(*(2 / source))  # grid_sample counts sides from -1 to 1
    coarse_to_fine, fine_to_coarse = shift(-half) @ scaling(2.0, 2.0), scaling(0.5, 0.5) @ shift(half)
    back = out_of @ coarse_to_fine @ shift(centre) @ back @ fine_to_coarse @ into
    size = [*images.shape[:2], int(fine[1]), int(fine[0])]
    images = sample_bilinear(images, F.affine_grid(back[:, :2].to(images), size, False))
    return resample(images, downsampling_matrix(height, images), downsampling_matrix(width, images))


def padding_of(back: Tensor, width: int, height: int) -> list[int]:
    """Pixels to pad left, top, right and bottom so that every warp stays inside, at most a whole reflection."""
    middle = torch.tensor([(width - 1) / 2, (height - 1) / 2])
    corners = torch.cartesian_prod(torch.tensor([-1.0, 1.0]), torch.tensor([-1.0, 1.0])) * middle
    seen = back[:, :2, :2] @ corners.T + back[:, :2, 2:]  # (N, 2, 4)
    beyond = torch.cat([(-seen).amax((0, 2)), seen.amax((0, 2))]) - middle.repeat(2) + 2 * REACH
    most = torch.tensor([width - 1, height - 1]).repeat(2)
    return beyond.ceil().long().clamp(torch.zeros_like(most), most).tolist()


def resample(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, C, h, w) by matrices (H, h) and (W, w), the same for all images or (N, 1, ...)."""
    return rows.mT @ (images @ columns)


def mirror_matrix(size: int, before: int, after: int, like: Tensor) -> Tensor:
    """(size, before + size + after): pads a row by reflection, repeated as often as needed."""
    last = size - 1
    places = torch.arange(-before, size + after, device=like.device) % max(1, 2 * last)
    return torch.eye(size, dtype=like.dtype, device=like.device)[:, last - (places - last).abs()]


def upsampling_matrix(size: int, before: int, after: int, like: Tensor) -> Tensor:
    """(size, 2 (before + size + after)): pads a row by reflection and doubles its resolution."""
    filter_ = 2 * SYM6.to(like)[None, None]
    return F.conv_transpose1d(mirror_matrix(size, before, after, like)[:, None], filter_, stride=2, padding=5)[:, 0]


def downsampling_matrix(size: int, like: Tensor) -> Tensor:
    """(2 (size + 2 REACH), size): halves the resolution of a row and removes the margin that the filter needs."""
    fine = torch.eye(2 * (size + 2 * REACH), dtype=like.dtype, device=like.device)
    return F.conv1d(fine[:, None, 1:-1], SYM6.to(like)[None, None], stride=2)[:, 0]


# Colours ----------------------------------------------------------------------------------------


def colour_channels(channels: int) -> int:
    """How many of the channels are colours: of four the last is opacity."""
    return 3 if channels == 4 else channels


def draw_colour(pipe: Pipe, lots: MaskedDraws, depth: int) -> Tensor:
    """(N, depth, depth + 1): an affine map of the colours.

    The grey axis is the diagonal of their space, whatever its dimension; a turn about it is only one in three.
    """
    change = torch.eye(depth, depth + 1).repeat(lots.n, 1, 1)
    grey = torch.full((depth, depth), 1 / depth)  # projects on the grey axis
    if pipe.brightness:
        change[:, :, -1] += 0.2 * lots.normal(pipe.brightness, 1)
    if pipe.contrast:
        change = change * 2 ** (0.5 * lots.normal(pipe.contrast, 1, 1))
    if pipe.lumaflip:
        change = change - 2 * lots.pick(pipe.lumaflip, 2)[:, None, None] * (grey @ change)
    if pipe.hue:
        angle = math.pi * lots.even(pipe.hue, 1, 1)
        if depth == 3:
            across = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / math.sqrt(3)
            turn = angle.cos() * (torch.eye(3) - grey) + angle.sin() * across + grey  # Rodrigues' formula
            change = turn @ change
    if pipe.saturation:
        along = grey @ change
        change = along + (change - along) * 2 ** lots.normal(pipe.saturation, 1, 1)
    return change


def apply_colour(images: Tensor, change: Tensor) -> Tensor:
    """Apply the affine map (N, C, C + 1) to each pixel of `images` (N, C, H, W); further channels stay."""
    depth, change = change.shape[1], change.to(images)
    pixels = change[:, :, :-1] @ images[:, :depth].flatten(2) + change[:, :, -1:]
    changed = pixels.unflatten(2, images.shape[2:])
    return changed if depth == images.shape[1] else torch.cat([changed, images[:, depth:]], 1)


# Corruptions ------------------------------------------------------------------------------------


def draw_gains(pipe: Pipe, lots: MaskedDraws) -> Tensor:
    """(N, 4): factors of the frequency bands, normalised so that a natural image keeps its power."""
    spectrum, product = torch.tensor(SPECTRUM), torch.ones(lots.n, 4)
    for band in range(4):
        own = torch.ones(lots.n, 4)
        own[:, band] = 2 ** lots.normal(pipe.imgfilter)
        product = product * own / (spectrum * own.square()).sum(1, keepdim=True).sqrt()
    return product


def bands() -> Tensor:
    """(4, 43): symmetric filters for four bands of frequencies, from low to high; their sum is the identity.

    Made from the sym2 wavelet: each iteration stretches the filters so far to half the frequency, keeps the
    lower half, and gives the upper half to the next filter.
    """
    low = torch.tensor([1 - math.sqrt(3), 3 - math.sqrt(3), 3 + math.sqrt(3), 1 + math.sqrt(3)]) / (4 * math.sqrt(2))
    pair = convolve(low[None], low.flip(0))[0] / 2
    low_pass, high_pass = pair, pair * torch.tensor([-1.0, 1.0] * 4)[:7]
    filters = torch.eye(4, 1)
    for band in range(1, 4):
        spread = torch.stack([filters, torch.zeros_like(filters)], 2).flatten(1)[:, :-1]
        filters = convolve(spread, low_pass)
        middle = filters.shape[1] // 2
        filters[band, middle - 3 : middle + 4] += high_pass
    return filters


def convolve(rows: Tensor, kernel: Tensor) -> Tensor:
    """Full convolution of each row with `kernel`."""
    return F.conv1d(rows[:, None], kernel.flip(0)[None, None], padding=len(kernel) - 1)[:, 0]


def filter_bands(images: Tensor, gain: Tensor) -> Tensor:
    """Scale the frequency bands of `images` by `gain` (N, 4); padded by reflection."""
    kernels = (gain @ bands()).to(images)
    reach = kernels.shape[1] // 2
    rows, columns = (
        (mirror_matrix(size, reach, reach, images).unfold(1, len(kernels[0]), 1) @ kernels.T).permute(2, 0, 1)[:, None]
        for size in images.shape[2:]
    )
    return resample(images, rows, columns)


def cutout_mask(pipe: Pipe, lots: MaskedDraws, height: int, width: int) -> Tensor:
    """(N, 1, H, W) bool: True outside a rectangle of half the sides at a random position; all True without one."""
    side = 0.5 * lots.mask(torch.ones(lots.n, 1, 1, 1), pipe.cutout * lots.p)
    centre = lots.chance.uniform(lots.n, 2, 1, 1)
    x = ((torch.arange(width) + 0.5) / width - centre[:, :1]).abs() >= side / 2
    y = ((torch.arange(height) + 0.5) / height - centre[:, 1:]).abs().mT >= side / 2
    return x | y
