"""Layers and networks as the explainer sees them."""

from dataclasses import dataclass, field
from typing import Any, Literal

EVERYTHING = 0  # a receptive field that is the whole picture

Family = Literal["conv", "up", "linear", "norm", "bend", "drop", "resize", "join", "shape", "other"]


@dataclass
class Layer:
    """One layer, the first time that a tensor passed it."""

    name: str
    """Its path within the network."""
    kind: str
    """Its class."""
    family: Family
    """What it does."""
    detail: str
    """What it was made with: `4 x 4, / 2`."""
    shape: tuple[int, ...]
    """Of its result, without the rows of the batch."""
    parameters: int
    flops: int
    """For one picture, two a multiplication and addition."""
    inputs: tuple[int, ...] = ()
    """Numbers of the layers whose results it is given; -1, -2 ... are what the network itself is given."""
    field: tuple[float, float] | None = None
    """Pixels (height, width) of the given picture that one pixel of the result sees; EVERYTHING where all of them,
    None where none."""
    apart: tuple[float, float] = (1.0, 1.0)
    """Pixels of the input between two neighbours in the result."""


@dataclass
class Network:
    """One network of a game."""

    name: str
    parameters: int
    flops: int
    given: tuple[tuple[str, tuple[int, ...]], ...]
    """What it is called with: (name, shape without rows)."""
    layers: list[Layer] = field(default_factory=list)


def pair(value: Any) -> tuple[int, int]:
    """Height and width, from one number or two."""
    return (value[0], value[-1]) if isinstance(value, tuple | list) else (value, value)
