"""The regions of label maps: which number or colour of a map is which index, its name and its colour."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ganforge.errors import DataError
from ganforge.images import LabelMap

COLOUR = 1 << 24  # added to red, green and blue in one number: the code of a colour; other codes are numbers of a map
UNKNOWN = "unknown"


class OutsideError(DataError):
    """A map has a number or a colour that no region has."""

    def __init__(self, code: int) -> None:
        super().__init__(f"The map has {describe_code(code)}, which no region has.")
        self.code = code


@dataclass(frozen=True)
class Regions:
    """Names and colours of regions, and the codes of maps that stand for them."""

    names: tuple[str, ...]
    colours: tuple[tuple[int, int, int], ...]
    codes: tuple[tuple[int, int], ...]
    """(code, index) of every number and colour."""
    by_palette: bool = False
    """Whether the colours of a palette count, and not its numbers."""
    grey: bool = False
    """Whether colours are numbers: red, green and blue are equal in all of them."""

    def index(self, found: LabelMap) -> np.ndarray:
        """uint8 or uint16 (H, W): the region of every pixel of a map.

        Raises:
            OutsideError: the map has a number or a colour that is not in `codes`.
        """
        coded = self.encode(found)
        codes, indices = (np.array(column, np.int64) for column in zip(*sorted(self.codes), strict=True))
        place = np.searchsorted(codes, coded).clip(0, len(codes) - 1)
        outside = codes[place] != coded
        if outside.any():
            raise OutsideError(int(coded[outside][0]))
        return indices[place].astype(np.uint8 if len(self.names) <= 256 else np.uint16)

    def encode(self, found: LabelMap) -> np.ndarray:
        """int64 (H, W): the code of every pixel."""
        if found.pixels.ndim == 3 and self.grey:
            return found.pixels[..., 0].astype(np.int64)
        if found.pixels.ndim == 3 or (self.by_palette and found.palette is not None):
            return encode_colours(found.colours())
        return found.pixels.astype(np.int64)


def encode_colours(colours: np.ndarray) -> np.ndarray:
    """int64 (...): the codes of colours uint8 (..., 3)."""
    return colours.astype(np.int64) @ np.array([1 << 16, 1 << 8, 1]) + COLOUR


def decode_colour(code: int) -> tuple[int, int, int]:
    """Red, green and blue of the code of a colour."""
    return code >> 16 & 255, code >> 8 & 255, code & 255


def describe_code(code: int) -> str:
    """`the value 12`, or `the colour (230, 25, 75)`."""
    return f"the colour {decode_colour(code)}" if code >= COLOUR else f"the value {code}"


def regions_of(names: Sequence[str], colours: Sequence[Sequence[int]], unknown: int = 255) -> Regions:
    """The regions that a run has learned (Facts.regions and region_colours), to read further maps with.

    A map of numbers has the indices themselves, or the value `unknown` for a last region of that name; where the names
    are numbers that are not the indices, it has those.  A map of colours has those of the regions.
    """
    own = {index: index for index in range(len(names))}
    if all(name.isdecimal() for name in names if name != UNKNOWN) and len(names) > 1:
        numbers = [int(name) for name in names if name != UNKNOWN]
        own = {number: index for index, number in enumerate(numbers)}
    if names and names[-1] == UNKNOWN:
        own = {number: index for number, index in own.items() if index < len(names) - 1}
        own[unknown] = len(names) - 1
    triples = [(colour[0], colour[1], colour[2]) for colour in colours]
    shades = {COLOUR + (r << 16) + (g << 8) + b: index for index, (r, g, b) in enumerate(triples)}
    return Regions(tuple(names), tuple(triples), tuple({**shades, **own}.items()))
