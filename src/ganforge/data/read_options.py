"""Options of how data are read that neither the files nor the model determine."""

from dataclasses import dataclass
from typing import Literal

from ganforge.errors import OptionError

Make = Literal["none", "edges", "grey", "lowres", "blur", "mask", "noise", "halves", "colours", "one-hot"]
UNKNOWN_VALUE = 255  # of label maps: the number of pixels without a region, unless the user says another


@dataclass(frozen=True)
class ReadOptions:
    """How two-sided data are read, and whether a second side is derived from plain images."""

    direction: Literal["AtoB", "BtoA"] = "AtoB"
    """Which side is translated into the other, for pairs and for two domains."""
    make: Make = "none"
    """Derive pairs from plain images: the source is their edges, grey, lowres (a quarter), blur, mask (a hole)
    or noise; for halves it is the left half of each image, and the target the right one.  With label maps the source
    is the map, in its colours or one-hot."""
    unknown: int = UNKNOWN_VALUE
    """The value of pixels without a region in label maps of numbers: they become a last region, unknown."""
    only: str = ""
    """Take the images of this class alone, of data in classes; the model sees no labels then."""
    tokens: Literal["auto", "words", "characters"] = "auto"
    """What a caption is split into, where the model has no text encoder with a tokeniser of its own.  Auto: what the
    model is made for, words unless it says characters."""

    def __post_init__(self) -> None:
        if not 0 <= self.unknown <= 65_535:
            raise OptionError(f"--unknown is a value of label maps, from 0 to 65535, and not {self.unknown}.")


DEFAULT_READ_OPTIONS = ReadOptions()
