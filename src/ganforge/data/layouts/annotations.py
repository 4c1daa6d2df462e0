"""Read annotation files that lie beside the images and give their labels.

dataset.json                                   StyleGAN: {"labels": [["a/1.png", 3], ...]}, classes or vectors
metadata.jsonl, metadata.csv, metadata.parquet Hugging Face: file_name, and label, labels or class
list_attr_celeba.txt or .csv, attributes.csv   CelebA: a name a row, then 1 and -1, or 1 and 0, for each attribute

StyleGAN's file must name every image; the others determine which images belong to the data set.
"""

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from ganforge.data.layouts.arrays import labels_from_numbers
from ganforge.data.layouts.files import Files
from ganforge.data.source import Labels
from ganforge.errors import DataError

LABEL = ("label", "labels", "class")  # names of a column of classes, the likeliest first
NAME = ("file_name", "image_id", "filename", "image", "name")  # names of a column of files


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


def find_annotations(files: Files, root: str) -> str | None:
    """The path of the annotation file for the images below `root`: in that folder, or in one above it."""
    folders = [root, *(f"{parent}/" for parent in PurePosixPath(root).parents if parent.name), ""]
    return next((top + name for top in folders for name in READERS if top + name in files.marks), None)


def read_annotations(files: Files, path: str, names: Sequence[str]) -> Annotations | None:
    """Read the annotation file at `path` for the images `names`; None if it is another kind of file.

    Raises:
        DataError: it cannot be read, or its content is invalid.
    """
    kind = path.rpartition("/")[2]
    where = f"{kind} of {files.where}"
    source = files.open(path)
    try:
        table = READERS[kind](where, source.read_bytes() if isinstance(source, Path) else source.read())
    except OSError as error:
        raise DataError(f"{where} cannot be read: {error.strerror or error}.") from error
    if table is None:
        return None
    if table.complete and not table.values:  # in StyleGAN's format: no labels
        return Annotations(kind, tuple(names), Labels())
    matches = match_names(path.removesuffix(kind), list(table.values), names)
    unlisted = [name for name in names if name not in matches]
    if table.complete and unlisted:
        raise DataError(f"{where} has no label for {len(unlisted)} of {len(names)} images, the first {unlisted[0]}.")
    if not matches:
        raise DataError(
            f"{where} names none of the {len(names)} images; it begins with {next(iter(table.values), '')}."
        )
    kept = tuple(name for name in names if name in matches)
    notes = [f"Not used of {kind}: {', '.join(table.unused)}."] if table.unused else []
    if unlisted:
        notes.append(f"Not taken: {len(unlisted)} images which {kind} does not name, the first {unlisted[0]}.")
    return Annotations(kind, kept, table.labels(where, [table.values[matches[name]] for name in kept]), tuple(notes))


def match_names(folder: str, listed: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """{image: its name in the file}: by path relative to the file, else by file name, else by stem.

    The last two only if they are unambiguous: CelebA's lists say 000001.jpg wherever the image lies.
    """
    by_path = {folder + word: word for word in listed}
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
    try:
        about = json.loads(data)
        if isinstance(about, dict) and "labels" not in about:  # another kind of file of that name
            return None
        rows = about["labels"]
        values = {} if rows is None else {str(name): label for name, label in rows}
    except (ValueError, TypeError, RecursionError) as error:
        raise DataError(f'{where} is not of the form {{"labels": [["a/1.png", 3], ...]}}.') from error
    return Table(values, _labels_from_list, complete=True)


def _parse_jsonl(where: str, data: bytes) -> Table:
    rows = []
    for number, line in enumerate(data.splitlines(), 1):
        try:
            row = json.loads(line) if line.strip() else {}
        except (ValueError, RecursionError) as error:
            raise DataError(f"{where}: line {number} is not JSON.") from error
        if not isinstance(row, dict):
            raise DataError(f'{where}: line {number} is not of the form {{"file_name": "1.png", "label": "cat"}}.')
        rows += [row] if row else []
    return _build_table(where, rows)


def _parse_csv(where: str, data: bytes) -> Table:
    return _build_table(where, _read_csv_rows(where, data))


def _read_csv_rows(where: str, data: bytes) -> list[dict[str, Any]]:
    try:
        table = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True))
    except (ValueError, csv.Error) as error:
        raise DataError(f"{where} cannot be read as comma-separated text: {error}.") from error
    for number, row in enumerate(table, 1):
        if None in row or None in row.values():
            raise DataError(f"{where}: row {number} has another number of fields than the first line.")
    return [{key: value or None for key, value in row.items()} for row in table]


def _parse_parquet(where: str, data: bytes) -> Table:
    try:
        from pyarrow import ArrowException, BufferReader, parquet  # pyright: ignore[reportMissingImports]
    except (ImportError, RuntimeError) as error:
        raise DataError(f"{where} needs pyarrow to be read: pip install 'ganforge[hub]'.") from error
    try:
        file = parquet.ParquetFile(BufferReader(data))
        columns = [name for name in file.schema_arrow.names if name in (*NAME, *LABEL)]
        rows = file.read(columns=columns).to_pylist()
    except (ArrowException, OSError, ValueError, RuntimeError) as error:
        raise DataError(f"{where} cannot be read: {str(error).rstrip('.')}.") from error
    return _build_table(where, rows)


def _build_table(where: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    if any(not isinstance(row.get("file_name"), str) for row in rows) or not rows:
        known = f"; it has {', '.join(map(str, columns))}" if columns else ""
        raise DataError(f"{where} must give a file_name in every row{known}.")
    label = next((name for name in LABEL if name in columns), None)
    values = {str(PurePosixPath(row["file_name"])): row.get(label) if label else None for row in rows}
    if len(values) < len(rows):
        name, count = Counter(str(PurePosixPath(row["file_name"])) for row in rows).most_common(1)[0]
        raise DataError(f"{where} names {name} {count} times.")
    return Table(values, parse_labels, unused=tuple(str(key) for key in columns if key not in ("file_name", label)))


def _parse_celeba(where: str, data: bytes) -> Table:
    """The original format: a count, a line of attributes, then one line an image: its name and numbers."""
    try:
        lines = [line.split() for line in data.decode("utf-8-sig").splitlines() if line.strip()]
    except ValueError as error:
        raise DataError(f"{where} is not text.") from error
    lines = lines[1:] if lines and len(lines[0]) == 1 and lines[0][0].isdigit() else lines
    if len(lines) < 2:
        raise DataError(f"{where} lists no images.")
    return _build_attribute_table(where, lines[0], {row[0]: row[1:] for row in lines[1:]})


def _parse_celeba_csv(where: str, data: bytes) -> Table | None:
    rows = _read_csv_rows(where, data)
    first = next(iter(rows[0]), "") if rows else ""
    if first not in NAME:  # another kind of file of that name
        return None
    attributes = [key for key in rows[0] if key != first]
    return _build_attribute_table(
        where, attributes, {str(row[first]): [row[key] for key in attributes] for row in rows}
    )


def _build_attribute_table(where: str, names: Sequence[str], table: Mapping[str, Sequence[str | None]]) -> Table:
    low = -1 if any("-1" in row for row in table.values()) else 0
    for file, row in table.items():
        if len(row) != len(names):
            raise DataError(f"{where}: {file} has {len(row)} values for {len(names)} attributes.")
        for name, value in zip(names, row, strict=True):
            if value not in ("1", str(low)):
                raise DataError(f"{where}: {file} has {value!r} for {name}; attributes are 1 or {low} in this list.")
    values = {file: [float(value == "1") for value in row] for file, row in table.items()}
    return Table(values, lambda _, rows: Labels(np.array(rows, np.float32), attributes=tuple(names)))


READERS: dict[str, Callable[[str, bytes], Table | None]] = {
    "dataset.json": _parse_stylegan,
    "metadata.jsonl": _parse_jsonl,
    "metadata.csv": _parse_csv,
    "metadata.parquet": _parse_parquet,
    "list_attr_celeba.txt": _parse_celeba,
    "list_attr_celeba.csv": _parse_celeba_csv,
    "attributes.csv": _parse_celeba_csv,
}


# -- from values to labels --------------------------------------------------------------------------


def _labels_from_list(where: str, values: list[Any]) -> Labels:
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
        words = tuple(sorted({word for value in values for word in value}))
        return Labels(np.array([[word in value for word in words] for value in values], np.float32), attributes=words)
    if all(isinstance(value, str) for value in values):
        try:
            return labels_from_numbers(where, np.array([float(value) for value in values]))
        except ValueError:
            words = tuple(sorted(set(values)))
            place = {word: number for number, word in enumerate(words)}
            return Labels(np.array([place[value] for value in values], np.int64), words)
    if all(isinstance(value, (int, float, list)) for value in values):
        return _labels_from_list(where, values)
    raise DataError(f"{where}: its labels are neither all words, nor all numbers, nor all lists.")
