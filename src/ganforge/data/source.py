"""Build a data set from the images that a layout found; every reader of files ends here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ganforge.batches import Facts
from ganforge.data.cache import fingerprint
from ganforge.data.dataset import DataSet
from ganforge.data.decode import DecodeOptions, LazyImage
from ganforge.data.layouts.files import Files
from ganforge.data.tokens import store_captions
from ganforge.data.value_range import decode_in_range
from ganforge.errors import DataError


@dataclass(frozen=True)
class Labels:
    """The labels of all images, known before any image is decoded."""

    column: np.ndarray | None = None
    """int64 (N,) of indices into `names`, or float32 (N, K) with one of `attributes` a column."""
    names: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ImageSource:
    """Images that were found, none of them decoded yet."""

    where: str
    layout: str
    """The layout that was recognised, in words."""
    identity: object
    """Names and marks of the files; differs whenever the images do.  Part of the cache key."""
    images: Sequence[LazyImage]
    labels: Labels = Labels()
    notes: tuple[str, ...] = ()
    splits: Mapping[str, int] = field(default_factory=dict)
    """{split: number of its images}, the chosen split included."""
    label_error: DataError | None = None
    """What is wrong with the labels, if they cannot be used."""
    sides: tuple["ImageSource", ...] = ()
    """Side a and side b, if there are two; `images` are those of both."""
    keys: tuple[str, ...] = ()
    """Of a side: the name that each image shares with its partner on the other side."""
    masks: tuple[tuple[LazyImage, ...], ...] = ()
    """Of a side: the masks of each image, if there are any."""
    files: Files | None = None
    """All files that were found, among which label maps and boxes are looked for."""
    held_out: bool = False
    """Whether the images are those of the held-out split."""
    listed: str = ""
    """The file of boxes that the user named, if they did."""
    named: DataSet | None = None
    """The data set itself, of a named set."""
    read_captions: Callable[[], Sequence[Sequence[Any]]] | None = None
    """Reads what stands as captions with each image, where they do not lie in `files`."""

    @property
    def every_note(self) -> tuple[str, ...]:
        """The notes for a model of single images that needs no labels."""
        broken = (f"No labels are used: {self.label_error}",) if self.label_error else ()
        return (*self.notes, *broken, *self.notes_on_sides)

    @property
    def notes_on_sides(self) -> tuple[str, ...]:
        """The note for a model of single images, which trains on both sides if there are two."""
        alone = [side.where for side in self.sides if Path(side.where).is_dir()]
        return tuple(f"A model of single images takes both sides; one alone is --data {where}." for where in alone[:1])


def take_rows(source: ImageSource, rows: Sequence[int], why: str) -> ImageSource:
    """The images `rows` of a source, with their labels and captions; `why` is part of their identity."""
    labels, read = source.labels, source.read_captions
    if labels.column is not None:
        labels = replace(labels, column=labels.column[list(rows)])

    def read_rows() -> list[Sequence[Any]]:
        captions = read() if read else ()
        return [captions[row] for row in rows]

    images, identity = [source.images[row] for row in rows], (why, source.identity, [*rows])
    return replace(source, images=images, labels=labels, identity=identity, read_captions=read_rows if read else None)


def build_dataset(
    source: ImageSource, options: DecodeOptions, labelled: bool = True, captions: Sequence[Sequence[str]] = ()
) -> DataSet:
    """Decode the images of a source, or load them from the cache, and return them as a data set.

    Labels that cannot be used are an error if they are needed (`labelled`), and else a note.  `captions`, one or more
    of each image, become the column `tokens`.

    Raises:
        DataError: the labels cannot be used, or the images do not make a data set (see decode.py).
    """
    if source.label_error and labelled:
        raise source.label_error
    key = fingerprint(source.identity, *options.key())
    ranged = decode_in_range(key, source.identity, source.where, source.images, options)
    decoded, key = ranged.decoded, ranged.key
    images, notes = options.build_column(decoded, [image.name for image in source.images])
    _, height, width, channels = images.shape
    if options.size:
        height, width = options.size
    columns: dict[str, Any] = {"images": images}
    labels = source.labels
    if labels.column is not None:
        columns["condition"] = labels.column[list(decoded.report.kept)]
        key = fingerprint(key, labels.names, labels.attributes, labels.column.tobytes().hex())
    if captions:
        columns["tokens"], key = store_captions(key, [captions[row] for row in decoded.report.kept])
    facts = Facts(channels, height, width, labels.names, labels.attributes)
    key = fingerprint(key, options.size) if options.native else key
    ranges = {"images": ranged.range} if ranged.range else {}
    return DataSet(source.where, facts, columns, key, (*source.every_note, *notes), ranges)
