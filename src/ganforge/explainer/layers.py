"""Traced layers and networks."""

from dataclasses import dataclass, field
from typing import Any, Literal

WHOLE_IMAGE = 0  # a receptive field that covers the whole image

Family = Literal["conv", "up", "linear", "norm", "activation", "dropout", "resize", "join", "shape", "other"]


@dataclass
class Layer:
    """One layer, as traced in the first call of its network."""

    name: str
    """Its path within the network."""
    kind: str
    """Its class."""
    family: Family
    """What it does."""
    detail: str
    """Its settings: `4×4, stride 2`."""
    shape: tuple[int, ...]
    """Of its output, without the batch dimension."""
    parameters: int
    flops: int
    """For one image; a multiplication with its addition counts as two."""
    inputs: tuple[int, ...] = ()
    """Numbers of the layers whose outputs it takes; -1, -2 ... are the inputs of the network."""
    receptive_field: tuple[float, float] | None = None
    """Pixels (height, width) of the input image that one output pixel depends on; WHOLE_IMAGE for all of them, None
    where the input is no image."""
    jump: tuple[float, float] = (1.0, 1.0)
    """Distance in input pixels between two neighbouring output pixels."""


@dataclass
class Network:
    """One traced network of a game."""

    name: str
    parameters: int
    flops: int
    inputs: tuple[tuple[str, tuple[int, ...]], ...]
    """(argument name, shape without the batch dimension) of each."""
    layers: list[Layer] = field(default_factory=list)


def as_pair(value: Any) -> tuple[int, int]:
    """(height, width), from one number or two."""
    return (value[0], value[-1]) if isinstance(value, tuple | list) else (value, value)
