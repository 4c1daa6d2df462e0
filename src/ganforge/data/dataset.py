"""A data set: named columns as stored, and the facts about them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from ganforge.batches import PIXELS, SIDES, Facts
from ganforge.errors import DataError

LAYOUTS = {  # what a person can do so that a column is there; docs/data.md shows every layout
    "images": "a folder, a zip or tars of pictures",
    "condition": (
        "one folder a class (path/cat/1.png, path/dog/2.png), or a list beside the pictures: "
        "metadata.jsonl, metadata.csv, dataset.json or list_attr_celeba.txt"
    ),
    "source": (
        "two folders with the same names (path/A/1.png, path/B/1.png), pictures of two squares side by side, or plain "
        "pictures with --make edges, grey, lowres, blur or mask"
    ),
    "target": "the same",
    "a": "two folders (path/trainA/1.png, path/trainB/7.png)",
    "b": "the same",
    "a_masks": "masks beside the two folders (path/trainA_masks/1_0.png, 1_1.png ..., an instance each)",
    "b_masks": "the same",
}


def lacking(needed: Iterable[str], provided: Iterable[str]) -> str:
    """The columns that are missing, and the layouts that would provide them; empty where none is."""
    missing = [column for column in needed if column not in set(provided)]
    said = {column: LAYOUTS.get(column, "see docs/data.md") for column in missing}
    return "; ".join(f"{column}: {way}" for column, way in said.items() if way != "the same" or len(said) == 1)


@dataclass(frozen=True)
class DataSet:
    """Columns by the names of batches.py, decoded and resized once.

    Pictures are (N, H, W, C) arrays of uint8, uint16 or float32 (in [-1, 1]), usually a memory map; masks are
    (N, H, W, M) of uint8, an instance where they are 128 or more; `condition` is int64 (N,) or float32 (N, K).
    Columns of one side (`a` and `a_masks`; `b` and `b_masks`; all others) are equally long and belong together.
    """

    name: str
    facts: Facts
    columns: Mapping[str, np.ndarray]
    fingerprint: str = ""
    """Changes when a source file, or what was made of it, changes."""
    notes: tuple[str, ...] = ()
    """What a person should know: files that were left out and why, conversions that were made."""

    def __len__(self) -> int:
        """Rows of the longest side: an epoch."""
        return max(map(len, self.columns.values()))

    def rows(self, side: str) -> int:
        """Rows of one side: "a", "b", or "" where there are no sides."""
        return max((len(column) for name, column in self.columns.items() if SIDES.get(name, "") == side), default=0)

    def need(self, *columns: str) -> None:
        """Raise a DataError that names the columns which are missing and the layout that would provide them."""
        if ways := lacking(columns, self.columns):
            missing = [column for column in columns if column not in self.columns]
            raise DataError(
                f"This model needs {' and '.join(missing)}, but {self.name} provides only "
                f"{', '.join(self.columns)}. What would provide it: {ways}."
            )

    @property
    def pictures(self) -> tuple[str, ...]:
        """Names of the columns that are pictures."""
        return tuple(c for c in self.columns if c in PIXELS)
