"""Options of how data are read that neither the files nor the model determine."""

from dataclasses import dataclass
from typing import Literal

Make = Literal["none", "edges", "grey", "lowres", "blur", "mask", "noise", "halves"]


@dataclass(frozen=True)
class ReadOptions:
    """How two-sided data are read, and whether a second side is derived from plain images."""

    direction: Literal["AtoB", "BtoA"] = "AtoB"
    """Which side is translated into the other, for pairs and for two domains."""
    make: Make = "none"
    """Derive pairs from plain images: the source is their edges, grey, lowres (a quarter), blur, mask (a hole)
    or noise; for halves it is the left half of each image, and the target the right one."""


DEFAULT_READ_OPTIONS = ReadOptions()
