"""The images of one class alone, of data in classes: what a model of sound images learns from."""

import difflib
from dataclasses import replace
from pathlib import PurePath

import numpy as np

from ganforge.data.cache import fingerprint
from ganforge.data.dataset import DataSet
from ganforge.data.read_options import ReadOptions
from ganforge.data.source import ImageSource, Labels, take_rows
from ganforge.data.tokens import TokenColumn, pack_captions
from ganforge.errors import DataError, OptionError
from ganforge.serialize import shorten

HINT = "to learn it alone, for `score`: --only"
"""Of the note on data in classes, one of which is sound."""


def select_source(source: ImageSource, name: str) -> ImageSource:
    """The images of class `name`, not decoded yet, without labels.

    Data that lie in a folder of that name alone are of that class.  Raises:
        OptionError: the data have two sides.
        DataError: the labels cannot be used, or there is no such class, or it has no image in this split.
    """
    if source.sides:
        raise OptionError(f"--only {name} is for single images in classes, and {source.where} has two sides.")
    if source.label_error:
        raise source.label_error
    folders = [PurePath(source.where, image.name).parent.parts for image in source.images]
    if source.labels.column is None and all(name in parts for parts in folders):
        return source
    rows = find_rows(source.where, source.labels.column, source.labels.names, name)
    kept = f"{len(rows):,} of {len(source.images):,} images are taken, those of class {name}."
    notes = tuple(note for note in source.notes if HINT not in note)
    return replace(take_rows(source, rows.tolist(), "only"), labels=Labels(), notes=(*notes, kept))


def drop_unknown_class(reading: ReadOptions, source: ImageSource) -> ReadOptions:
    """How other data than a run's are read: whole, where they have no class of the name that the run takes alone."""
    return reading if reading.only in source.labels.names else replace(reading, only="")


def select_rows(data: DataSet, name: str) -> DataSet:
    """The rows of class `name` of a named set, without labels.

    Raises DataError where there is no such class, or it has no image in this split.
    """
    rows = find_rows(data.name, data.columns.get("condition"), data.facts.labels, name)
    columns = {
        key: pack_captions(map(column.captions, rows)) if isinstance(column, TokenColumn) else np.asarray(column[rows])
        for key, column in data.columns.items()
        if key != "condition"
    }
    return replace(
        data,
        facts=replace(data.facts, labels=()),
        columns=columns,
        fingerprint=fingerprint(data.fingerprint, "only", name),
        notes=(*data.notes, f"{len(rows):,} of {len(data):,} images are taken, those of class {name}."),
    )


def find_rows(where: str, column: np.ndarray | None, classes: tuple[str, ...], name: str) -> np.ndarray:
    """The rows of class `name`.  Raises DataError where there are none."""
    if column is None or not classes:
        raise DataError(
            f"{where} has no classes, and {name} alone is asked for: leave that out, or give a folder for each class."
        )
    if name not in classes:
        near = difflib.get_close_matches(name, classes, 1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise DataError(f"{where} has no class {shorten(name)}: its classes are {', '.join(classes[:20])}.{hint}")
    rows = np.flatnonzero(column == classes.index(name))
    if not len(rows):
        raise DataError(f"No image of {where} is of class {name} in this split: choose another class, or add images.")
    return rows
