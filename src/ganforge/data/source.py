"""From pictures that were found to a data set: what every reader of files ends with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ganforge.batches import Facts
from ganforge.data.cache import decoded, fingerprint
from ganforge.data.dataset import DataSet
from ganforge.data.decode import DecodeOptions, Picture, decode, outdated
from ganforge.errors import DataError


@dataclass(frozen=True)
class Labels:
    """What is known about each picture before any is decoded."""

    column: np.ndarray | None = None
    """int64 (N,) counting into `names`, or float32 (N, K) with one of `attributes` a column."""
    names: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ImageSource:
    """Pictures that were found, before any is decoded."""

    where: str
    layout: str
    """What was recognised, in a person's words."""
    source: object
    """Differs wherever the pictures do: names and marks of files."""
    pictures: Sequence[Picture]
    labels: Labels = Labels()
    notes: tuple[str, ...] = ()
    splits: Mapping[str, int] = field(default_factory=dict)
    """{split: its pictures}, the one that was taken included."""
    trouble: DataError | None = None
    """What is wrong with the labels, where they cannot be used."""
    sides: tuple["ImageSource", ...] = ()
    """Side a and side b, where there are two; `pictures` are those of both."""
    keys: tuple[str, ...] = ()
    """Of a side: the name that each picture shares with its partner on the other."""
    masks: tuple[tuple[Picture, ...], ...] = ()
    """Of a side: the masks of each picture, where there are any."""

    @property
    def mixed(self) -> tuple[str, ...]:
        """What to know for a model of single pictures, which takes both sides where there are two."""
        alone = [
            f"A model of single pictures takes both sides; one alone is --data {side.where}." for side in self.sides
        ]
        return tuple(alone[:1])


def assemble(found: ImageSource, wanted: DecodeOptions) -> DataSet:
    """The data set of the pictures, out of the cache if they were decoded before.

    Raises:
        DataError: the labels make no sense, or the pictures make no data set (see decode.py).
    """
    if found.trouble:
        raise found.trouble
    key = fingerprint(found.source, *wanted.key())
    made = decoded(key, lambda: decode(found.where, found.pictures, wanted), outdated)
    images, notes = wanted.dealt(made, [picture.name for picture in found.pictures])
    _, height, width, channels = images.shape
    if wanted.size:
        height, width = wanted.size
    columns, labels = {"images": images}, found.labels
    if labels.column is not None:
        columns["condition"] = labels.column[list(made.story.kept)]
        key = fingerprint(key, labels.names, labels.attributes, labels.column.tobytes().hex())
    facts = Facts(channels, height, width, labels.names, labels.attributes)
    key = fingerprint(key, wanted.size) if wanted.native else key
    return DataSet(found.where, facts, columns, key, (*found.notes, *found.mixed, *notes))
