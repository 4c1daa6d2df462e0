"""How data is read, beside where it lies: what no picture says and no paper decides."""

from dataclasses import dataclass
from typing import Literal

Make = Literal["none", "edges", "grey", "lowres", "blur", "mask"]


@dataclass(frozen=True)
class ReadOptions:
    """What becomes of data that has two sides, or shall get a second one."""

    direction: Literal["AtoB", "BtoA"] = "AtoB"
    """Of pairs and of two domains: which side is translated into the other."""
    make: Make = "none"
    """Pairs from plain photographs: the source is their edges, grey, lowres (a quarter), blur or mask (a hole)."""


AS_IT_IS = ReadOptions()
