"""What a batch of data can be, and the facts that data decides.

A batch is a frozen dataclass of tensors only; words live at the edge.  The name of a field
says what it holds, the same in every batch:

    images, source, target, a, b    float (N, C, H, W) in [-1, 1]
    condition                       int64 (N,), or float (N, K)
"""

from dataclasses import dataclass, fields, replace
from typing import Self

import torch
from torch import Tensor

PIXELS = frozenset({"images", "source", "target", "a", "b"})  # the fields that are pictures


@dataclass(frozen=True)
class Facts:
    """What the data decides about a game: enough, with the Config, to rebuild it without the data."""

    channels: int = 3
    height: int = 64
    width: int = 64
    labels: tuple[str, ...] = ()
    """Names of the classes; `condition` counts into them."""
    attributes: tuple[str, ...] = ()
    """Names of the columns of a vector `condition`."""


@dataclass(frozen=True)
class Batch:
    """Base of all batches; a subclass only lists its tensors."""

    def __len__(self) -> int:
        return len(getattr(self, fields(self)[0].name))

    def to(self, device: torch.device | str) -> Self:
        """The same batch on `device`."""
        return replace(self, **{f.name: getattr(self, f.name).to(device, non_blocking=True) for f in fields(self)})

    @classmethod
    def columns(cls) -> tuple[str, ...]:
        """Names of the columns that a data set must provide."""
        return tuple(f.name for f in fields(cls))

    @classmethod
    def example(cls, n: int, facts: Facts, seed: int = 0) -> Self:
        """A random batch of the right shapes: for tests and for tracing a round without data."""
        source = torch.Generator().manual_seed(seed)
        return cls(**{name: _example(name, n, facts, source) for name in cls.columns()})


def _example(column: str, n: int, facts: Facts, source: torch.Generator) -> Tensor:
    if column in PIXELS:
        return torch.rand(n, facts.channels, facts.height, facts.width, generator=source) * 2 - 1
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
