"""Read label maps: one number or one colour at every pixel says what is there."""

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ganforge.errors import DataError
from ganforge.images.convert import as_image, narrow_integers
from ganforge.images.high_bit_depth import EncodedImage
from ganforge.images.reading import open_with

HIGHEST = 65_535  # of the numbers of a map


@dataclass(frozen=True)
class LabelMap:
    """A map as it was stored: numbers, colours, or numbers with the colours of a palette."""

    pixels: np.ndarray
    """uint8 or uint16 (H, W) of numbers, or uint8 (H, W, 3) of colours."""
    palette: np.ndarray | None = None
    """uint8 (n, 3): the colour of each number, of an image with a palette."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.pixels.shape[0], self.pixels.shape[1]

    def colours(self) -> np.ndarray:
        """uint8 (H, W, 3): the pixels as colours; black for numbers beyond the palette, grey without a palette."""
        if self.pixels.ndim == 3:
            return self.pixels
        if self.palette is None:
            return self.pixels.clip(0, 255).astype(np.uint8)[..., None].repeat(3, 2)
        palette = np.zeros((HIGHEST + 1, 3), np.uint8)
        palette[: len(self.palette)] = self.palette
        return palette[self.pixels]


def read_label_map(source: Path | BinaryIO, name: str = "") -> LabelMap:
    """Read a label map: a PNG with a palette or of grey numbers (8, 16 or 32 bits), a NPY of integers, or colours.

    A palette is not applied; black-and-white is 0 and 1; alpha is left out.

    Raises:
        DataError: naming the file (or `name`): it cannot be read, or its numbers are no whole numbers in 0 ... 65535.
    """
    return open_with(source, name, _decode_map)


def _decode_map(encoded: EncodedImage) -> LabelMap:
    if encoded.indices:
        return LabelMap(*encoded.indices())
    array = as_image(narrow_integers(encoded.array()))
    if array.shape[2] > 4:
        raise DataError(f"it has {array.shape[2]} channels, and a label map has one number or one colour a pixel")
    if array.shape[2] >= 3:
        if array.dtype != np.uint8:
            raise DataError("it has colours of more than 8 bits, and is no label map")
        return LabelMap(array[..., :3])
    plane = array[..., 0]
    if plane.dtype == np.float32:
        whole = np.isfinite(plane).all() and (plane == np.rint(plane)).all()
        if not whole or plane.min() < 0 or plane.max() > HIGHEST:
            raise DataError(f"its numbers are not all whole and from 0 to {HIGHEST}, so it is no label map")
        plane = plane.astype(np.uint16)
    return LabelMap(plane // 255 if encoded.bits == 1 else plane)
