"""Derive pairs from plain images on the fly: the target is the image, the source is computed from it.

    edges    its outlines, white on black (Canny 1986, without hysteresis)     to learn: edges to photo
    grey     its luminance                                                     colourisation
    lowres   reduced to a quarter and resized back                             super-resolution
    blur     a Gaussian blur                                                   deblurring
    mask     a rectangle of it filled with grey                                inpainting
    noise    Gaussian noise of deviation 8 to 50 (of 255) added                denoising
    colours  the label map of the image, in the colours of its regions         labels to photo
    one-hot  the same with a channel for each region

Row k of a data set always has the same source: rectangle and noise are functions of (seed, k).  In training the noise
is new every time an image is loaded: a function of the run's seed and the image's place in the run.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ganforge.data.crops import Windows, count_steps, cut_windows, place_windows
from ganforge.data.dataset import DataSet
from ganforge.data.read_options import Make
from ganforge.data.synthetic.scenes import Chance
from ganforge.draw import mix
from ganforge.errors import DataError
from ganforge.images import fit, recolour, white_value

LOWRES_FACTOR = 4  # lowres: by which factor
BLUR_DIVISOR = 64  # blur: the deviation of the Gaussian is the shorter side divided by this
NOISE_LOW, NOISE_HIGH = 8, 50  # noise: its deviation, where white is 255 (Santhanam et al. 2016)
EDGE_LOW, EDGE_HIGH = 0.04, 0.12  # edges: gradients (fractions of white per pixel) drawn as black and as white


class DerivedColumn:
    """A column of sources that are computed on access; indexed like an array (N, H, W, C)."""

    def __init__(self, images: Any, make: Make, seed: int = 0) -> None:
        self.images, self.function, self.seed = images, DERIVATIONS[make], seed
        self.dtype, self.shape = images.dtype, (len(images), *self[np.arange(1)].shape[1:])

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        return self.derive(self.images[rows], rows)

    def derive(self, images: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Compute the sources (n, H, W, C) of the images of these rows, or of windows of them."""
        return self.function(images, Chance(self.seed, rows.astype(np.uint64)))


class DerivedWindows(DerivedColumn):
    """The same for images at their own scale: the source is computed from the window."""

    images: Windows

    def cut(self, rows: np.ndarray, down: np.ndarray, across: np.ndarray) -> np.ndarray:
        """See `Windowed`."""
        return self.derive(self.images.cut(rows, down, across), rows)


class NoisyColumn:
    """A column of noisy copies of images; indexed like an array (N, H, W, C).

    Its values are float32 in units where black is -1 and white 1, and go beyond both.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, images: Any, window: tuple[int, int], seed: int = 0) -> None:
        """`window` is the height and width of the windows that `cut` cuts."""
        self.images, self.window, self.seed, self.shape = images, window, seed, tuple(images.shape)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        return self.redraw(rows, np.ravel(rows))

    def redraw(self, rows: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """See `Redrawn`."""
        return add_noise(self.images[rows], [mix(self.seed, number) for number in numbers.tolist()])

    def cut(self, rows: np.ndarray, down: np.ndarray, across: np.ndarray) -> np.ndarray:
        """See `Windowed`: the same windows as of the images, with new noise for every pair of random integers."""
        if isinstance(self.images, Windows):
            windows = self.images.cut(rows, down, across)
        else:
            images = self.images[rows]
            starts = place_windows(count_steps(images.shape[1:3], self.window), np.stack([down, across], 1))
            windows = cut_windows(images, starts, self.window)
        return add_noise(
            windows, [mix(self.seed, *place) for place in zip(down.tolist(), across.tolist(), strict=True)]
        )


class MapColumn:
    """A column of label maps as images, made from the indices on access; indexed like an array (N, H, W, C)."""

    dtype = np.dtype(np.uint8)

    def __init__(self, maps: Any, table: np.ndarray) -> None:
        """`table` uint8 (regions, C) holds the values of each region."""
        self.maps, self.table, self.shape = maps, table, (*maps.shape[:3], table.shape[1])

    def __len__(self) -> int:
        return len(self.maps)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        return self.table[self.maps[rows][..., 0]]


class MapWindows(MapColumn):
    """The same for maps at their own scale."""

    maps: Windows

    def cut(self, rows: np.ndarray, down: np.ndarray, across: np.ndarray) -> np.ndarray:
        """See `Windowed`."""
        return self.table[self.maps.cut(rows, down, across)[..., 0]]


def derive_from_maps(data: DataSet, make: Make) -> DataSet:
    """Build a data set of pairs from images with label maps: the source is the map, `colours` or `one-hot`.

    Raises:
        DataError: `data` has no label maps.
    """
    data.need("images", "label_map")
    maps, regions = data.columns["label_map"], len(data.facts.regions)
    table = np.eye(regions, dtype=np.uint8) * np.uint8(255)
    if make == "colours":
        table = np.array(data.facts.region_colours, np.uint8).reshape(regions, 3)
    source = (MapWindows if isinstance(maps, Windows) else MapColumn)(maps, table)
    facts = replace(data.facts, instance_maps=False, source_channels=table.shape[1])
    ranges = {"target": data.ranges["images"]} if "images" in data.ranges else {}
    columns = {"source": source, "target": data.columns["images"]}
    key = f"{data.fingerprint} {make}"
    return DataSet(data.name, facts, columns, key, data.notes, ranges)  # pyright: ignore


def add_noise(images: np.ndarray, seeds: Sequence[int]) -> np.ndarray:
    """Images (n, H, W, C) with Gaussian noise, whose deviation is drawn for each image, as float32: see NoisyColumn."""
    noisy = images if images.dtype == np.float32 else images.astype(np.float32) * (2 / white_value(images.dtype)) - 1
    noisy = noisy.astype(np.float32)
    for image, seed in zip(noisy, seeds, strict=True):
        chance = np.random.Generator(np.random.Philox(seed))
        deviation = chance.uniform(NOISE_LOW, NOISE_HIGH) * 2 / 255
        image += np.float32(deviation) * chance.standard_normal(image.shape, np.float32)
    return noisy


def derive_pairs(data: DataSet, make: Make, seed: int = 0) -> DataSet:
    """Build a data set of pairs from the images of `data`.

    Raises:
        DataError: its images are neither grey nor colour, or already grey for "grey".
    """
    data.need("images")
    images, channels = data.columns["images"], data.facts.channels
    if channels not in (1, 3) or (make == "grey" and channels == 1):
        has = "no colour" if channels == 1 else f"{channels} channels"
        raise DataError(f"--make {make} is not possible: the images of {data.name} have {has}.")
    if make == "noise":
        source = NoisyColumn(images, (data.facts.height, data.facts.width), seed)
    else:
        source = (DerivedWindows if isinstance(images, Windows) else DerivedColumn)(images, make, seed)
    facts = replace(data.facts, labels=(), attributes=(), source_channels=source.shape[3])
    columns = {"source": source, "target": images}
    span = data.ranges.get("images")  # edges are white on black, whatever the units of the images are
    ranges = {} if span is None else {"target": span} if make == "edges" else {"source": span, "target": span}
    key = f"{data.fingerprint} {make} of {seed}"
    return DataSet(data.name, facts, columns, key, data.notes, ranges)  # pyright: ignore


def to_grey(images: np.ndarray, _: Chance) -> np.ndarray:
    """(n, H, W, 1): the luminance."""
    return np.stack([recolour(image, 1) for image in images])


def to_lowres(images: np.ndarray, _: Chance) -> np.ndarray:
    """Reduce the images by LOWRES_FACTOR and resize them back."""
    height, width, channels = images.shape[1:]
    small = (max(1, height // LOWRES_FACTOR), max(1, width // LOWRES_FACTOR))
    return np.stack([fit(fit(p, small, channels, "stretch"), (height, width), channels, "stretch") for p in images])


def blur(images: np.ndarray, _: Chance) -> np.ndarray:
    """Blur the images with a Gaussian."""
    blurred = smooth(images.astype(np.float32), max(1.0, min(images.shape[1:3]) / BLUR_DIVISOR))
    return blurred if images.dtype == np.float32 else np.rint(blurred).astype(images.dtype)


def mask_rectangle(images: np.ndarray, chance: Chance) -> np.ndarray:
    """Fill a random rectangle, a quarter to a half of each side, with middle grey in each image."""
    masked, grey = images.copy(), 0 if images.dtype == np.float32 else white_value(images.dtype) // 2
    share = chance.uniform("share of the sides", 2, low=0.25, high=0.5)
    place = chance.uniform("place", 2)
    for image, shares, places in zip(masked, share, place, strict=True):
        tall, wide = (max(1, round(side * s)) for side, s in zip(image.shape[:2], shares.tolist(), strict=True))
        top = int(places[0] * (image.shape[0] - tall + 1))
        left = int(places[1] * (image.shape[1] - wide + 1))
        image[top : top + tall, left : left + wide] = grey
    return masked


def detect_edges(images: np.ndarray, chance: Chance) -> np.ndarray:
    """(n, H, W, 1): ridges of the gradient of the luminance, one pixel thin, white on black (Canny 1986)."""
    luminance = to_grey(images, chance) if images.shape[3] > 1 else images
    low, full = (-1, 2) if luminance.dtype == np.float32 else (0, white_value(luminance.dtype))
    plane = smooth((luminance.astype(np.float32) - low) / full, 1.0)[..., 0]
    padded = np.pad(plane, ((0, 0), (1, 1), (1, 1)), "edge")
    across, down = (padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]) / 2, (padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]) / 2
    strength = np.hypot(across, down)
    around = np.pad(strength, ((0, 0), (1, 1), (1, 1)))
    is_ridge = np.zeros(strength.shape, bool)
    octant = np.rint(np.arctan2(down, across) * (4 / np.pi)).astype(int) % 4  # direction of the gradient, by 45 degrees
    height, width = strength.shape[1:]
    for k, (y, x) in enumerate(((0, 1), (1, 1), (1, 0), (1, -1))):
        before = around[:, 1 - y : 1 - y + height, 1 - x : 1 - x + width]
        behind = around[:, 1 + y : 1 + y + height, 1 + x : 1 + x + width]
        is_ridge |= (octant == k) & (strength > before) & (strength >= behind)
    edges = np.clip((strength - EDGE_LOW) / (EDGE_HIGH - EDGE_LOW), 0, 1) * is_ridge * full + low
    return (edges if luminance.dtype == np.float32 else np.rint(edges)).astype(luminance.dtype)[..., None]


def smooth(images: np.ndarray, deviation: float) -> np.ndarray:
    """Blur images (n, H, W, C) with a Gaussian of this deviation; borders are reflected."""
    reach = min(round(3 * deviation), min(images.shape[1:3]) - 1)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    for axis in (1, 2):
        widths = [(0, 0)] * 4
        widths[axis] = (reach, reach)
        padded, length = np.pad(images, widths, "reflect"), images.shape[axis]
        parts = (w * padded.take(range(k, k + length), axis) for k, w in enumerate(weights / weights.sum()))
        images = sum(parts).astype(np.float32)  # pyright: ignore[reportAttributeAccessIssue]
    return images


DERIVATIONS: dict[str, Callable[[np.ndarray, Chance], np.ndarray]] = {
    "edges": detect_edges,
    "grey": to_grey,
    "lowres": to_lowres,
    "blur": blur,
    "mask": mask_rectangle,
}
