"""Read annotation files that lie beside the images and give their labels.

dataset.json                                   StyleGAN: {"labels": [["a/1.png", 3], ...]}, classes or vectors
metadata.jsonl, .csv, .tsv, .parquet           Hugging Face: file_name, and label, labels or class
labels.csv, labels.tsv                         a name and a label a row, with or without names of the columns
list_attr_celeba.txt or .csv, attributes.csv   CelebA: a name a row, then 1 and -1, or 1 and 0, for each attribute

StyleGAN's file must name every image; the others determine which images belong to the data set.
"""

import json
import posixpath
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from ganforge.console import count
from ganforge.data.layouts.arrays import labels_from_numbers
from ganforge.data.layouts.files import ENDINGS, Files, read_bytes
from ganforge.data.layouts.names import clean_name, decode_text, shorten
from ganforge.data.layouts.tables import (
    LABEL,
    MORE_NAMES,
    NAME,
    Rows,
    known_name,
    name_column,
    read_file_names,
    read_json_rows,
    read_rows,
)
from ganforge.data.source import Labels
from ganforge.errors import DataError

YIELDING = ("labels.csv", "labels.tsv")  # lists that are not read where the folders are classes


@dataclass(frozen=True)
class Annotations:
    """The content of an annotation file: the images that it names, and their labels."""

    layout: str
    names: tuple[str, ...]
    labels: Labels | None
    """None: the file has no labels."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """A parsed annotation file: {file name: value}, and how the values are converted to labels."""

    values: Mapping[str, Any]
    labels: Callable[[str, list[Any]], Labels | None]
    complete: bool = False
    """Whether it must name every image."""
    unused: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def find_annotations(files: Files, root: str) -> str | None:
    """The path of the annotation file for the images below `root`: in that folder, or in one above it."""
    folders = [root, *(f"{parent}/" for parent in PurePosixPath(root).parents if parent.name), ""]
    spelled = {
        f"{folder}{slash}{name.lower()}": path
        for path in files.marks
        for folder, slash, name in [path.rpartition("/")]
        if name.lower() in READERS
    }
    return next((spelled[top + name] for top in folders for name in READERS if top + name in spelled), None)


def read_annotations(files: Files, path: str, names: Sequence[str]) -> Annotations | None:
    """Read the annotation file at `path` for the images `names`; None if it is another kind of file.

    Raises:
        DataError: it cannot be read, or its content is invalid.
    """
    kind = path.rpartition("/")[2]
    where = f"{kind} of {files.where}"
    table = READERS[kind.lower()](where, read_bytes(files, path))
    if table is None:
        return None
    if table.complete and not table.values:  # in StyleGAN's format: no labels
        return Annotations(kind, tuple(names), Labels())
    matches = match_names(path.removesuffix(kind), list(table.values), names)
    unlisted = [name for name in names if name not in matches]
    if table.complete and unlisted:
        first = shorten(unlisted[0])
        raise DataError(f"{where} has no label for {len(unlisted)} of {len(names)} images, the first {first}.")
    if not matches:
        begins = shorten(next(iter(table.values), ""))
        raise DataError(f"{where} names none of the {len(names)} images; it begins with {begins}.")
    kept = tuple(name for name in names if name in matches)
    notes = [*table.notes, *([f"Not used of {kind}: {shorten(', '.join(table.unused))}."] if table.unused else [])]
    if unlisted:
        notes.append(
            f"Not taken: {count(len(unlisted), 'image')} which {kind} does not name, the first {shorten(unlisted[0])}."
        )
    return Annotations(kind, kept, table.labels(where, [table.values[matches[name]] for name in kept]), tuple(notes))


def match_names(folder: str, listed: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """{image: its name in the file}: by path relative to the file, else by file name, else by stem.  All are clean.

    The last two only if they are unambiguous: CelebA's lists say 000001.jpg wherever the image lies.
    """
    by_path = {posixpath.normpath(folder + word) if ".." in word else folder + word: word for word in listed}
    matches = {name: by_path[name] for name in names if name in by_path}
    for part in (lambda name: name.rpartition("/")[2], lambda name: PurePosixPath(name).stem):
        if len(matches) == len(names) or len(matches) == len(listed):
            break
        ours, theirs = Counter(map(part, names)), Counter(map(part, listed))
        words = {part(word): word for word in listed if theirs[part(word)] == 1}
        used = set(matches.values())
        for name in names:
            word = words.get(part(name)) if ours[part(name)] == 1 and name not in matches else None
            if word is not None and word not in used:
                matches[name] = word
    return matches


# -- the three kinds of annotation files ------------------------------------------------------------


def _parse_stylegan(where: str, data: bytes) -> Table | None:
    form = f'{where} is not of the form {{"labels": [["a/1.png", 3], ...]}}.'
    try:
        about = json.loads(decode_text(data)[0])
    except (ValueError, RecursionError) as error:
        raise DataError(form) from error
    if isinstance(about, dict) and "labels" not in about:  # another kind of file of that name
        return None
    rows = about["labels"] if isinstance(about, dict) else about
    if rows is None and isinstance(about, dict):
        return Table({}, _labels_from_list, complete=True)
    if not isinstance(about, dict) or not isinstance(rows, list):
        raise DataError(form)
    values: dict[str, Any] = {}
    for row in rows:
        if not isinstance(row, list) or len(row) != 2 or not isinstance(row[0], str):
            raise DataError(form)
        name = clean_name(row[0])
        if name in values and values[name] != row[1]:
            raise DataError(f"{where} names {shorten(name)} twice, with different labels.")
        values[name] = row[1]
    return Table(values, _labels_from_list, complete=True)


def _parse_jsonl(where: str, data: bytes) -> Table:
    rows = [row for _, row in read_json_rows(where, data)]
    return _build_table(where, rows, name_column({key for row in rows for key in row}) or "file_name")


def _parse_csv(where: str, data: bytes) -> Table:
    table = read_rows(where, data)
    return _build_table(where, table.rows, name_column(table.columns) or "file_name", table.notes)


def _parse_labels_csv(where: str, data: bytes) -> Table:
    """A name and a label a row: the columns are named as in metadata.csv, or there are two, names first."""
    table = read_rows(where, data)
    columns: tuple[str, ...] = table.columns
    rows: Sequence[Mapping[str, Any]] = table.rows
    if len(columns) == 2 and columns[0].lower().endswith(ENDINGS):  # the first line is a row
        values = [columns, *(tuple(row.values()) for row in rows)]
        columns = ("file_name", "label")
        rows = [{columns[0]: file, columns[1]: label} for file, label in values]
    name = name_column(columns) or next(iter(columns), "file_name")
    label = next((column for column in LABEL if column in columns), None)
    if label is None and len(columns) == 2:
        label = next(column for column in columns if column != name)
    if label is None:
        raise DataError(f"{where} has no column called label; it has {shorten(', '.join(columns))}.")
    return _build_table(where, rows, name, table.notes, label)


def _parse_parquet(where: str, data: bytes) -> Table:
    try:
        from pyarrow import ArrowException, BufferReader, parquet  # pyright: ignore[reportMissingImports]
    except (ImportError, RuntimeError) as error:
        raise DataError(f"{where} needs pyarrow to be read: pip install 'ganforge[hub]'.") from error
    try:
        file = parquet.ParquetFile(BufferReader(data))
        columns = [name for name in file.schema_arrow.names if known_name(name) in (*NAME, *MORE_NAMES, *LABEL)]
        rows = [{known_name(key): cell for key, cell in row.items()} for row in file.read(columns=columns).to_pylist()]
    except (ArrowException, OSError, ValueError, RuntimeError) as error:
        raise DataError(f"{where} cannot be read: {shorten(str(error).rstrip('.'))}.") from error
    return _build_table(where, rows, name_column([*map(known_name, columns)]) or "file_name")


def _build_table(
    where: str, rows: Sequence[Mapping[str, Any]], name: str = "file_name", notes: tuple[str, ...] = (), label: str = ""
) -> Table:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    names = read_file_names(where, rows, name)
    label = label or next((known for known in LABEL if known in columns), "")
    values = {clean: row.get(label) if label else None for clean, row in zip(names, rows, strict=True)}
    return Table(values, parse_labels, False, tuple(str(key) for key in columns if key not in (name, label)), notes)


def _parse_celeba(where: str, data: bytes) -> Table:
    """The original format: a count, a line of attributes, then one line an image: its name and numbers."""
    try:
        lines = [line.split() for line in decode_text(data)[0].rstrip().splitlines() if line.strip()]
    except ValueError as error:
        raise DataError(f"{where} is not text.") from error
    lines = lines[1:] if lines and len(lines[0]) == 1 and lines[0][0].isdigit() else lines
    if len(lines) < 2:
        raise DataError(f"{where} lists no images.")
    return _build_attribute_table(where, lines[0], {row[0]: row[1:] for row in lines[1:]})


def _parse_celeba_csv(where: str, data: bytes) -> Table | None:
    table: Rows = read_rows(where, data)
    first = next(iter(table.columns), "")
    if first not in NAME:  # another kind of file of that name
        return None
    attributes = table.columns[1:]
    return _build_attribute_table(
        where, attributes, {str(row[first]): [row[key] for key in attributes] for row in table.rows}
    )


def _build_attribute_table(where: str, names: Sequence[str], table: Mapping[str, Sequence[str | None]]) -> Table:
    low = -1 if any(_number(cell) == -1 for row in table.values() for cell in row) else 0
    for file, row in table.items():
        if len(row) != len(names):
            raise DataError(f"{where}: {shorten(file)} has {len(row)} values for {len(names)} attributes.")
        for name, value in zip(names, row, strict=True):
            if _number(value) not in (1, low):
                raise DataError(
                    f"{where}: {shorten(file)} has {shorten(repr(value))} for {shorten(name)}; "
                    f"attributes are 1 or {low} in this list."
                )
    values = {clean_name(file): [float(_number(value) == 1) for value in row] for file, row in table.items()}
    return Table(values, lambda _, rows: Labels(np.array(rows, np.float32), attributes=tuple(names)))


def _number(cell: str | None) -> float | None:
    cell = {"yes": "1", "true": "1", "no": "0", "false": "0"}.get((cell or "").lower(), cell)
    try:
        return None if cell is None else float(cell)
    except ValueError:
        return None


READERS: dict[str, Callable[[str, bytes], Table | None]] = {
    "dataset.json": _parse_stylegan,
    "metadata.jsonl": _parse_jsonl,
    "metadata.csv": _parse_csv,
    "metadata.tsv": _parse_csv,
    "metadata.parquet": _parse_parquet,
    "list_attr_celeba.txt": _parse_celeba,
    "list_attr_celeba.csv": _parse_celeba_csv,
    "attributes.csv": _parse_celeba_csv,
    "labels.csv": _parse_labels_csv,
    "labels.tsv": _parse_labels_csv,
}


# -- from values to labels --------------------------------------------------------------------------


def _labels_from_list(where: str, values: list[Any]) -> Labels:
    for value in values:
        if isinstance(value, dict) or (
            isinstance(value, list) and any(isinstance(part, (list, dict)) for part in value)
        ):
            raise DataError(f"{where}: its labels are nested lists; a label is a class, or one flat list of numbers.")
    try:
        column = np.array(values)
    except ValueError as error:
        raise DataError(f"{where}: its labels have different lengths.") from error
    return labels_from_numbers(where, column)


def parse_labels(where: str, values: list[Any]) -> Labels | None:
    """Convert words, numbers, or lists of either to labels; None if all values are None.

    Words are classes in alphabetical order, lists of words are attributes, lists of numbers are vectors.

    Raises:
        DataError: only some rows have a label, or they are of different kinds.
    """
    missing = sum(value is None for value in values)
    if missing == len(values):
        return None
    if missing:
        raise DataError(f"{where} has no label for {missing} of {len(values)} images: give every row one, or none.")
    if all(isinstance(value, list) and all(isinstance(word, str) for word in value) for value in values):
        if not any(values):
            raise DataError(f"{where}: its labels are empty lists.")
        words = tuple(sorted({word for value in values for word in value}))
        return Labels(np.array([[word in value for word in words] for value in values], np.float32), attributes=words)
    if all(isinstance(value, str) for value in values):
        try:
            return labels_from_numbers(where, np.array([float(value) for value in values]))
        except ValueError:  # words
            values = [unicodedata.normalize("NFC", value) for value in values]
            words = tuple(sorted(set(values)))
            place = {word: number for number, word in enumerate(words)}
            return Labels(np.array([place[value] for value in values], np.int64), words)
    if all(isinstance(value, (int, float, list)) for value in values):
        return _labels_from_list(where, values)
    raise DataError(f"{where}: its labels are neither all words, nor all numbers, nor all lists.")
