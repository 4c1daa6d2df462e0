"""What a batch of data can be, and the facts that data decides.

A batch is a frozen dataclass of tensors only; words live at the edge.  The name of a field
says what it holds, the same in every batch:

    images, source, target, a, b    float (N, C, H, W) in [-1, 1]
    low                             float (N, C, H / k, W / k): `images` from farther away, where the data has it
    a_masks, b_masks                float (N, M, H, W) in {0, 1}: one instance a mask, empty ones fill up
    condition                       int64 (N,), or float (N, K)
"""

from dataclasses import MISSING, dataclass, fields, replace
from typing import Self

import torch
from torch import Tensor

PIXELS = frozenset({"images", "low", "source", "target", "a", "b"})  # the fields that are pictures
MASKS = frozenset({"a_masks", "b_masks"})
SIDES = {"a": "a", "a_masks": "a", "b": "b", "b_masks": "b"}  # fields whose rows have nothing to do with the others'


@dataclass(frozen=True)
class Facts:
    """What the data decides about a game: enough, with the Config, to rebuild it without the data."""

    channels: int = 3
    """Of `images`, `target`, `a` and `b`."""
    height: int = 64
    width: int = 64
    labels: tuple[str, ...] = ()
    """Names of the classes; `condition` counts into them."""
    attributes: tuple[str, ...] = ()
    """Names of the columns of a vector `condition`."""
    source_channels: int = 0
    """Of `source`, where the data has one."""
    instances: int = 0
    """The most masks that one picture has, where the data has masks."""
    smaller: int = 0
    """How many times smaller `low` is than `images`, where the data has it."""


@dataclass(frozen=True)
class Batch:
    """Base of all batches; a subclass only lists its tensors.  One that may be missing has the default None."""

    def __len__(self) -> int:
        return len(getattr(self, fields(self)[0].name))

    def to(self, device: torch.device | str) -> Self:
        """The same batch on `device`."""
        held = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{k: v.to(device, non_blocking=True) for k, v in held.items() if v is not None})

    @classmethod
    def columns(cls) -> tuple[str, ...]:
        """Names of the columns that a data set must provide."""
        return tuple(f.name for f in fields(cls) if f.default is MISSING)

    @classmethod
    def welcome(cls) -> tuple[str, ...]:
        """Names of the columns that are taken where a data set has them."""
        return tuple(f.name for f in fields(cls) if f.default is not MISSING)

    @classmethod
    def example(cls, n: int, facts: Facts, seed: int = 0) -> Self:
        """A random batch of the right shapes: for tests and for tracing a round without data."""
        source = torch.Generator().manual_seed(seed)
        names = [*cls.columns(), *(name for name in cls.welcome() if name != "low" or facts.smaller)]
        return cls(**{name: _example(name, n, facts, source) for name in names})


def _example(column: str, n: int, facts: Facts, source: torch.Generator) -> Tensor:
    if column in PIXELS:
        channels = facts.source_channels or facts.channels if column == "source" else facts.channels
        times = facts.smaller if column == "low" else 1
        return torch.rand(n, channels, facts.height // times, facts.width // times, generator=source) * 2 - 1
    if column in MASKS:
        shape = (n, facts.instances or 2, facts.height, facts.width)
        return torch.rand(shape, generator=source).round()
    if column == "condition" and facts.attributes:
        return torch.rand(n, len(facts.attributes), generator=source).round()
    if column == "condition":
        return torch.randint(max(1, len(facts.labels)), (n,), generator=source)
    raise TypeError(f"batches.py does not say what a column called {column!r} holds")


@dataclass(frozen=True)
class Images(Batch):
    """Pictures and nothing else."""

    images: Tensor


@dataclass(frozen=True)
class Labelled(Batch):
    """Pictures, each with its class or its attributes."""

    images: Tensor
    condition: Tensor


@dataclass(frozen=True)
class Enlarged(Batch):
    """Pictures, and what is known of them where they are small, if the data says it."""

    images: Tensor
    low: Tensor | None = None


@dataclass(frozen=True)
class Paired(Batch):
    """Pictures, each with what it shall become."""

    source: Tensor
    target: Tensor


@dataclass(frozen=True)
class Unpaired(Batch):
    """Pictures of two domains; row k of one has nothing to do with row k of the other."""

    a: Tensor
    b: Tensor


@dataclass(frozen=True)
class Instances(Batch):
    """Pictures of two domains, each with a mask for every instance in it."""

    a: Tensor
    a_masks: Tensor
    b: Tensor
    b_masks: Tensor
