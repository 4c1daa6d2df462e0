"""The regions of label maps: which number or colour of a map is which index, its name and its colour."""

from dataclasses import dataclass

import numpy as np

from ganforge.batches import Facts
from ganforge.errors import DataError
from ganforge.images import LabelMap

COLOUR = 1 << 24  # added to red, green and blue in one number: the code of a colour; other codes are numbers of a map
UNKNOWN = "unknown"
MOST = 4_096  # regions: of more the numbers are not indices, and the colours not those of a palette


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
    reading: str = ""
    """How files are read, as Facts.region_reading says it: by numbers; `palette`: by the colours of palettes, not their
    numbers; `grey`: colours whose red, green and blue are equal are numbers."""

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
        if found.pixels.ndim == 3 and self.reading == "grey" and (found.pixels == found.pixels[..., :1]).all():
            return found.pixels[..., 0].astype(np.int64)
        if found.pixels.ndim == 3 or (self.reading == "palette" and found.palette is not None):
            return encode_colours(found.colours())
        return found.pixels.astype(np.int64)


def encode_colours(colours: np.ndarray) -> np.ndarray:
    """int64 (...): the codes of colours uint8 (..., 3)."""
    return colours.astype(np.int64) @ np.array([1 << 16, 1 << 8, 1]) + COLOUR


def number_instances(found: LabelMap, name: str) -> np.ndarray:
    """uint16 (H, W): the instances of a map, numbered from 0 in the order of their values or colours.

    Raises DataError, with the `name` of its file, for more than MOST.
    """
    coded = encode_colours(found.pixels) if found.pixels.ndim == 3 else found.pixels
    values, numbers = np.unique(coded, return_inverse=True)
    if len(values) > MOST:
        raise DataError(f"{name} has {len(values):,} values, and is no map of instances.")
    return numbers.reshape(found.size).astype(np.uint16)


def decode_colour(code: int) -> tuple[int, int, int]:
    """Red, green and blue of the code of a colour."""
    return code >> 16 & 255, code >> 8 & 255, code & 255


def describe_code(code: int) -> str:
    """`the value 12`, or `the colour (230, 25, 75)`."""
    return f"the colour {decode_colour(code)}" if code >= COLOUR else f"the value {code}"


def regions_of(facts: Facts) -> Regions:
    """The regions that a run has learned, to read further maps with as those of its data were read.

    Colours are also those of the regions.  In a run without stored codes, which was imported, numbers are indices.
    """
    names, reading = facts.regions, facts.region_reading
    own = {code[0]: code[1] for code in facts.region_codes} or {index: index for index in range(len(names))}
    triples = [(colour[0], colour[1], colour[2]) for colour in facts.region_colours]
    shades = {int(encode_colours(np.array(colour))): index for index, colour in enumerate(triples)}
    return Regions(names, tuple(triples), tuple({**shades, **own}.items()), reading)
