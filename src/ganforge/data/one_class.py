"""The images of one class alone, of data in classes: what a model of sound images learns from."""

import difflib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ganforge.data.cache import fingerprint
from ganforge.data.dataset import DataSet
from ganforge.data.source import ImageSource, Labels
from ganforge.data.tokens import TokenColumn, pack_captions
from ganforge.errors import DataError, OptionError
from ganforge.serialize import shorten


def select_source(source: ImageSource, name: str) -> ImageSource:
    """The images of class `name`, not decoded yet, without labels.

    Raises:
        OptionError: the data have two sides.
        DataError: the labels cannot be used, or there is no such class, or it has no image in this split.
    """
    if source.sides:
        raise OptionError(f"--only {name} is for single images in classes, and {source.where} has two sides.")
    if source.label_error:
        raise source.label_error
    rows = find_rows(source.where, source.labels.column, source.labels.names, name)
    read = source.read_captions

    def read_rows() -> list[Sequence[Any]]:
        captions = read() if read else ()
        return [captions[row] for row in rows]

    kept = f"{len(rows):,} of {len(source.images):,} images are taken, those of class {name}."
    return replace(
        source,
        identity=(source.identity, "only", name),
        images=[source.images[row] for row in rows],
        labels=Labels(),
        notes=(*source.notes, kept),
        read_captions=read_rows if read else None,
    )


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
        raise DataError(f"{where} has no classes: leave --only {name} out, or give data with a folder for each class.")
    if name not in classes:
        near = difflib.get_close_matches(name, classes, 1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise DataError(f"{where} has no class {shorten(name)}: its classes are {', '.join(classes[:20])}.{hint}")
    rows = np.flatnonzero(column == classes.index(name))
    if not len(rows):
        raise DataError(f"No image of {where} is of class {name} in this split: choose another class, or add images.")
    return rows
