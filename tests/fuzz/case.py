"""What a case is: files below a folder, the words of the command, and what must hold."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

MARKER = "code-of-the-case-was-run"
"""The file that every piece of code in a case writes beside the case's folders: it must never appear."""


class Chance(random.Random):
    """Everything random in a case."""

    def pixels(self, *shape: int, dtype: str = "uint8") -> np.ndarray:
        """Noise over the whole range of a type of whole numbers, or in [0, 1]."""
        source = np.random.default_rng(self.getrandbits(40))
        if np.dtype(dtype).kind == "f":
            return source.random(shape).astype(dtype)
        limits = np.iinfo(dtype)
        return source.integers(limits.min, limits.max, shape, dtype, endpoint=True)

    def often(self, share: float) -> bool:
        """True in this share of the cases."""
        return self.random() < share


@dataclass
class Making:
    """What a kind has to make a case of."""

    chance: Chance
    root: Path
    """The folder of the case: in/ for its files, work/ where the command is called."""
    runs: Callable[[str], Path]
    """A genuine tiny run of a model; only to be copied."""

    @property
    def given(self) -> Path:
        """Where the files of the case belong."""
        return self.root / "in"

    @property
    def evil(self) -> str:
        """A Python statement that leaves the marker."""
        return f"open({str(self.root / MARKER)!r}, 'w').close()"


@dataclass
class Table:
    """Rows of columns that belong together, as they were written, in any order.

    A value is an array of pixels (H, W, C); a set of masks (frozenset of bytes); or a label: the name of a class, a
    tuple of numbers, or a frozenset of the names of the attributes that are 1.
    """

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


@dataclass
class Reading:
    """What must come back where data is accepted."""

    model: str
    """The model whose columns are asked for."""
    tables: list[Table] = field(default_factory=list)
    images: int | None = None
    """Pictures that can be read, as the data doctor counts them."""
    size: tuple[int, ...] = (16,)
    tolerance: float = 0.0
    never: list[np.ndarray] = field(default_factory=list)
    """Pictures of a test split, which training must not see."""
    held: list[Table] = field(default_factory=list)
    """What must come back of the test split."""
    mention: tuple[str, ...] = ()
    """Where the data does not suit the model, one of these is named, so that a person sees what to rename."""
    hint: tuple[str, ...] = ()
    """Fewer pictures are right where one of these words is told."""


Must = Literal["either", "accept", "refuse", "notice"]
"""Accepted or refused in a sentence; always the one; or refused unless what is said names what is wrong."""


@dataclass
class Case:
    """One input and what must hold."""

    what: str
    """In words, for whoever reads the failure."""
    words: list[list[str]]
    """Commands, carried out in turn as long as they succeed."""
    must: Must = "either"
    reads: Reading | None = None
    data: str = ""
    """The data that `reads` is about, as it is named on the command line."""
    names: tuple[str, ...] = ()
    """What a refusal may call by its name, besides the paths and flags of the command."""
    changes: tuple[str, ...] = ("work/out", "work/runs")
    """Paths below the case's folder that may change, besides the cache, the home and the folder for drafts."""
    gone: tuple[str, ...] = ()
    """Paths that must not be there after a refusal."""
    kept: tuple[str, ...] = ()
    """Paths that must be as they were after a refusal."""
    limit: float = 20.0
    encoding: str = "utf-8"
    client: list[dict[str, Any]] = field(default_factory=list)
    """Requests for the study that the last command serves."""
    port: int = 0
    counts: str = ""
    """A folder that must hold as many pictures as the command says that it wrote."""


Kind = Callable[[Making], Case]
