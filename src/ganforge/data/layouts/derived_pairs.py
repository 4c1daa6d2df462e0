"""Pairs made on the fly from plain photographs: the target is the photograph, the source what was taken from it.

    edges    its outlines, white on black (Canny 1986, without hysteresis)     to learn: edges to photo
    grey     its luminance                                                     colourisation
    lowres   a quarter of its resolution, brought back to its size             super-resolution
    blur     out of focus                                                      deblurring
    mask     with a rectangle of grey in it                                    inpainting

Row k of a set always has the same source: the rectangle follows from (seed, k).
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ganforge.data.crops import Windows
from ganforge.data.dataset import DataSet
from ganforge.data.read_options import Make
from ganforge.data.synthetic.scenes import Chance
from ganforge.errors import DataError
from ganforge.images import fit, recolour, white

SMALLER = 4  # lowres: how many times
SOFT = 64  # blur: the deviation of the Gaussian is the shorter side by this
FAINT, CLEAR = 0.04, 0.12  # edges: gradients, as shares of white a pixel, that begin to be seen and are seen fully


class Made:
    """A column of sources that are made when they are asked for: it looks like an array (N, H, W, C)."""

    def __init__(self, pictures: Any, make: Make, seed: int = 0) -> None:
        self.pictures, self.take, self.seed = pictures, TAKEN[make], seed
        self.dtype, self.shape = pictures.dtype, (len(pictures), *self[np.arange(1)].shape[1:])

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        return self.taken(self.pictures[rows], rows)

    def taken(self, pictures: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """The sources of these pictures, which are those of these rows, or windows of them."""
        return self.take(pictures, Chance(self.seed, rows.astype(np.uint64)))


class MadeOfWindows(Made):
    """The same of pictures at their own scale: what is made is made of the window that is cut."""

    pictures: Windows

    def cut(self, rows: np.ndarray, down: np.ndarray, across: np.ndarray) -> np.ndarray:
        """See `Windowed`."""
        return self.taken(self.pictures.cut(rows, down, across), rows)


def made_pairs(data: DataSet, make: Make, seed: int = 0) -> DataSet:
    """Pairs from the pictures of `data`.

    Raises:
        DataError: its pictures have no colour to take away, or more channels than grey or colour.
    """
    data.need("images")
    pictures, channels = data.columns["images"], data.facts.channels
    if channels not in (1, 3) or (make == "grey" and channels == 1):
        has = "no colour" if channels == 1 else f"{channels} channels"
        raise DataError(f"--make {make} cannot be done: the pictures of {data.name} have {has}.")
    source = (MadeOfWindows if isinstance(pictures, Windows) else Made)(pictures, make, seed)
    facts = replace(data.facts, labels=(), attributes=(), source_channels=source.shape[3])
    columns = {"source": source, "target": pictures}
    return DataSet(data.name, facts, columns, f"{data.fingerprint} {make} of {seed}", data.notes)  # pyright: ignore


def grey(pictures: np.ndarray, _: Chance) -> np.ndarray:
    """(n, H, W, 1): the luminance."""
    return np.stack([recolour(picture, 1) for picture in pictures])


def lowres(pictures: np.ndarray, _: Chance) -> np.ndarray:
    """The same pictures without their finest detail."""
    height, width, channels = pictures.shape[1:]
    small = (max(1, height // SMALLER), max(1, width // SMALLER))
    return np.stack([fit(fit(p, small, channels, "stretch"), (height, width), channels, "stretch") for p in pictures])


def blur(pictures: np.ndarray, _: Chance) -> np.ndarray:
    """The same pictures out of focus."""
    soft = smoothed(pictures.astype(np.float32), max(1.0, min(pictures.shape[1:3]) / SOFT))
    return soft if pictures.dtype == np.float32 else np.rint(soft).astype(pictures.dtype)


def mask(pictures: np.ndarray, chance: Chance) -> np.ndarray:
    """The same pictures, each with a rectangle of a quarter to a half of its sides in middle grey."""
    holed, grey = pictures.copy(), 0 if pictures.dtype == np.float32 else white(pictures.dtype) // 2
    share = chance.uniform("share of the sides", 2, low=0.25, high=0.5)
    place = chance.uniform("place", 2)
    for picture, shares, places in zip(holed, share, place, strict=True):
        tall, wide = (max(1, round(side * s)) for side, s in zip(picture.shape[:2], shares.tolist(), strict=True))
        top = int(places[0] * (picture.shape[0] - tall + 1))
        left = int(places[1] * (picture.shape[1] - wide + 1))
        picture[top : top + tall, left : left + wide] = grey
    return holed


def edges(pictures: np.ndarray, chance: Chance) -> np.ndarray:
    """(n, H, W, 1): where the luminance changes most, one pixel thin; white on black."""
    seen = grey(pictures, chance) if pictures.shape[3] > 1 else pictures
    low, full = (-1, 2) if seen.dtype == np.float32 else (0, white(seen.dtype))
    plane = smoothed((seen.astype(np.float32) - low) / full, 1.0)[..., 0]
    room = np.pad(plane, ((0, 0), (1, 1), (1, 1)), "edge")
    across, down = (room[:, 1:-1, 2:] - room[:, 1:-1, :-2]) / 2, (room[:, 2:, 1:-1] - room[:, :-2, 1:-1]) / 2
    strength = np.hypot(across, down)
    around = np.pad(strength, ((0, 0), (1, 1), (1, 1)))
    crest = np.zeros(strength.shape, bool)
    octant = np.rint(np.arctan2(down, across) * (4 / np.pi)).astype(int) % 4  # the gradient's direction, by 45 degrees
    height, width = strength.shape[1:]
    for k, (y, x) in enumerate(((0, 1), (1, 1), (1, 0), (1, -1))):
        before = around[:, 1 - y : 1 - y + height, 1 - x : 1 - x + width]
        behind = around[:, 1 + y : 1 + y + height, 1 + x : 1 + x + width]
        crest |= (octant == k) & (strength > before) & (strength >= behind)
    shown = np.clip((strength - FAINT) / (CLEAR - FAINT), 0, 1) * crest * full + low
    return (shown if seen.dtype == np.float32 else np.rint(shown)).astype(seen.dtype)[..., None]


def smoothed(pictures: np.ndarray, deviation: float) -> np.ndarray:
    """Pictures (n, H, W, C) under a Gaussian, mirrored at their borders."""
    reach = min(round(3 * deviation), min(pictures.shape[1:3]) - 1)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    for axis in (1, 2):
        room = [(0, 0)] * 4
        room[axis] = (reach, reach)
        padded, length = np.pad(pictures, room, "reflect"), pictures.shape[axis]
        parts = (w * padded.take(range(k, k + length), axis) for k, w in enumerate(weights / weights.sum()))
        pictures = sum(parts).astype(np.float32)  # pyright: ignore[reportAttributeAccessIssue]
    return pictures


TAKEN: dict[str, Callable[[np.ndarray, Chance], np.ndarray]] = {
    "edges": edges,
    "grey": grey,
    "lowres": lowres,
    "blur": blur,
    "mask": mask,
}
