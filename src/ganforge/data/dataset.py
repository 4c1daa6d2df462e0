"""A data set: named columns as stored, and their facts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from ganforge.batches import Facts, column_of, is_image
from ganforge.errors import DataError


def describe_missing_columns(needed: Iterable[str], provided: Iterable[str]) -> str:
    """The missing columns with the layouts that would provide them, as text; empty if none is missing."""
    missing = [column for column in needed if column not in set(provided)]
    layouts = {column_of(column).layout or "see docs/data.md": column for column in reversed(missing)}
    return "; ".join(f"{column}: {layout}" for layout, column in reversed(layouts.items()))


@dataclass(frozen=True)
class DataSet:
    """Columns under the names of batches.py, decoded and resized once.

    Images are arrays (N, H, W, C) of uint8, uint16 or float32 (in [-1, 1]), usually a memory map; masks are
    (N, H, W, M) of uint8, an instance where they are 128 or more; `condition` is int64 (N,) or float32 (N, K).
    Columns of one side (`a` and `a_masks`; `b` and `b_masks`; all others) have one length, and their rows belong
    together.
    """

    name: str
    facts: Facts
    columns: Mapping[str, np.ndarray]
    fingerprint: str = ""
    """Changes whenever a source file or the way it is decoded changes."""
    notes: tuple[str, ...] = ()
    """Notes for the user: files that were left out and why, conversions that were made."""
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """{column: the values of the files that -1 and 1 stand for}, of scientific images alone (value_range.py)."""

    def __len__(self) -> int:
        """Number of rows of the longest side: one epoch."""
        return max(map(len, self.columns.values()))

    def rows(self, side: str) -> int:
        """Number of rows of one side: "a", "b", or "" for data without sides."""
        return max((len(column) for name, column in self.columns.items() if column_of(name).side == side), default=0)

    def need(self, *columns: str) -> None:
        """Raise a DataError that names the missing columns and the layouts that would provide them."""
        if ways := describe_missing_columns(columns, self.columns):
            missing = [column for column in columns if column not in self.columns]
            raise DataError(
                f"This model needs {' and '.join(missing)}, but {self.name} provides only "
                f"{', '.join(self.columns)}. What would provide it: {ways}."
            )

    @property
    def image_columns(self) -> tuple[str, ...]:
        """Names of the columns that hold images."""
        return tuple(c for c in self.columns if is_image(c))
