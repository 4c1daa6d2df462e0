"""Lists that lie beside pictures and say what each one shows.

dataset.json                                   StyleGAN: {"labels": [["a/1.png", 3], ...]}, classes or vectors
metadata.jsonl, metadata.csv, metadata.parquet Hugging Face: file_name, and label, labels or class
list_attr_celeba.txt or .csv, attributes.csv   CelebA: a name a row, then 1 and -1, or 1 and 0, for each attribute

StyleGAN's list must know every picture; the others decide which pictures belong to the set.
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

from ganforge.data.layouts.arrays import numbered
from ganforge.data.layouts.files import Files
from ganforge.data.source import Labels
from ganforge.errors import DataError

LABEL = ("label", "labels", "class")  # what a column of classes is called, the likeliest first
NAME = ("file_name", "image_id", "filename", "image", "name")  # and what a column of files is


@dataclass(frozen=True)
class Listed:
    """What a list says: which pictures it means, and their labels."""

    layout: str
    names: tuple[str, ...]
    labels: Labels | None
    """None: the list says nothing about classes."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """A list as it was read: {file: what is said about it}, and what becomes of the values."""

    values: Mapping[str, Any]
    labels: Callable[[str, list[Any]], Labels | None]
    whole: bool = False
    """It must know every picture."""
    unused: tuple[str, ...] = ()


def beside(files: Files, root: str) -> str | None:
    """The path of the list for the pictures below `root`: there, or in a folder above it."""
    folders = [root, *(f"{parent}/" for parent in PurePosixPath(root).parents if parent.name), ""]
    return next((top + name for top in folders for name in READERS if top + name in files.marks), None)


def listed(files: Files, path: str, names: Sequence[str]) -> Listed | None:
    """What the list at `path` says about the pictures `names`; None where it is another kind of file.

    Raises:
        DataError: it cannot be read, or what it says makes no sense.
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
    if table.whole and not table.values:  # StyleGAN's way of saying that there are no labels
        return Listed(kind, tuple(names), Labels())
    meant = matched(path.removesuffix(kind), list(table.values), names)
    unlisted = [name for name in names if name not in meant]
    if table.whole and unlisted:
        raise DataError(f"{where} has no label for {len(unlisted)} of {len(names)} images, the first {unlisted[0]}.")
    if not meant:
        raise DataError(
            f"{where} names none of the {len(names)} images; it begins with {next(iter(table.values), '')}."
        )
    kept = tuple(name for name in names if name in meant)
    notes = [f"Not used of {kind}: {', '.join(table.unused)}."] if table.unused else []
    if unlisted:
        notes.append(f"Not taken: {len(unlisted)} images which {kind} does not name, the first {unlisted[0]}.")
    return Listed(kind, kept, table.labels(where, [table.values[meant[name]] for name in kept]), tuple(notes))


def matched(folder: str, said: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """{picture: the list's word for it}: the same path from the list on; else the same file name; else its stem.

    The last two only where they leave no doubt: lists of CelebA say 000001.jpg wherever the file lies.
    """
    meant = {folder + word: word for word in said}
    found = {name: meant[name] for name in names if name in meant}
    for part in (lambda name: name.rpartition("/")[2], lambda name: PurePosixPath(name).stem):
        if len(found) == len(names) or len(found) == len(said):
            break
        ours, theirs = Counter(map(part, names)), Counter(map(part, said))
        words = {part(word): word for word in said if theirs[part(word)] == 1}
        taken = set(found.values())
        for name in names:
            word = words.get(part(name)) if ours[part(name)] == 1 and name not in found else None
            if word is not None and word not in taken:
                found[name] = word
    return found


# -- the three kinds of list ------------------------------------------------------------------------


def _stylegan(where: str, data: bytes) -> Table | None:
    try:
        about = json.loads(data)
        if isinstance(about, dict) and "labels" not in about:  # somebody else's file of that name
            return None
        rows = about["labels"]
        values = {} if rows is None else {str(name): label for name, label in rows}
    except (ValueError, TypeError, RecursionError) as error:
        raise DataError(f'{where} is not of the form {{"labels": [["a/1.png", 3], ...]}}.') from error
    return Table(values, _numbers, whole=True)


def _jsonl(where: str, data: bytes) -> Table:
    rows = []
    for number, line in enumerate(data.splitlines(), 1):
        try:
            row = json.loads(line) if line.strip() else {}
        except (ValueError, RecursionError) as error:
            raise DataError(f"{where}: line {number} is not JSON.") from error
        if not isinstance(row, dict):
            raise DataError(f'{where}: line {number} is not of the form {{"file_name": "1.png", "label": "cat"}}.')
        rows += [row] if row else []
    return _metadata(where, rows)


def _csv(where: str, data: bytes) -> Table:
    return _metadata(where, _comma_separated(where, data))


def _comma_separated(where: str, data: bytes) -> list[dict[str, Any]]:
    try:
        table = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True))
    except (ValueError, csv.Error) as error:
        raise DataError(f"{where} cannot be read as comma-separated text: {error}.") from error
    for number, row in enumerate(table, 1):
        if None in row or None in row.values():
            raise DataError(f"{where}: row {number} has another number of fields than the first line.")
    return [{key: value or None for key, value in row.items()} for row in table]


def _parquet(where: str, data: bytes) -> Table:
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
    return _metadata(where, rows)


def _metadata(where: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    if any(not isinstance(row.get("file_name"), str) for row in rows) or not rows:
        known = f"; it has {', '.join(map(str, columns))}" if columns else ""
        raise DataError(f"{where} must give a file_name in every row{known}.")
    label = next((name for name in LABEL if name in columns), None)
    values = {str(PurePosixPath(row["file_name"])): row.get(label) if label else None for row in rows}
    if len(values) < len(rows):
        name, count = Counter(str(PurePosixPath(row["file_name"])) for row in rows).most_common(1)[0]
        raise DataError(f"{where} names {name} {count} times.")
    return Table(values, spoken, unused=tuple(str(key) for key in columns if key not in ("file_name", label)))


def _celeba(where: str, data: bytes) -> Table:
    """The original: a count, a line of attributes, then a name and its numbers a line, separated by blanks."""
    try:
        lines = [line.split() for line in data.decode("utf-8-sig").splitlines() if line.strip()]
    except ValueError as error:
        raise DataError(f"{where} is not text.") from error
    lines = lines[1:] if lines and len(lines[0]) == 1 and lines[0][0].isdigit() else lines
    if len(lines) < 2:
        raise DataError(f"{where} lists no pictures.")
    return _attributes(where, lines[0], {row[0]: row[1:] for row in lines[1:]})


def _celeba_csv(where: str, data: bytes) -> Table | None:
    rows = _comma_separated(where, data)
    first = next(iter(rows[0]), "") if rows else ""
    if first not in NAME:  # somebody else's file of that name
        return None
    attributes = [key for key in rows[0] if key != first]
    return _attributes(where, attributes, {str(row[first]): [row[key] for key in attributes] for row in rows})


def _attributes(where: str, names: Sequence[str], said: Mapping[str, Sequence[str | None]]) -> Table:
    low = -1 if any("-1" in row for row in said.values()) else 0
    for file, row in said.items():
        if len(row) != len(names):
            raise DataError(f"{where}: {file} has {len(row)} values for {len(names)} attributes.")
        for name, value in zip(names, row, strict=True):
            if value not in ("1", str(low)):
                raise DataError(f"{where}: {file} has {value!r} for {name}; attributes are 1 or {low} in this list.")
    values = {file: [float(value == "1") for value in row] for file, row in said.items()}
    return Table(values, lambda _, rows: Labels(np.array(rows, np.float32), attributes=tuple(names)))


READERS: dict[str, Callable[[str, bytes], Table | None]] = {
    "dataset.json": _stylegan,
    "metadata.jsonl": _jsonl,
    "metadata.csv": _csv,
    "metadata.parquet": _parquet,
    "list_attr_celeba.txt": _celeba,
    "list_attr_celeba.csv": _celeba_csv,
    "attributes.csv": _celeba_csv,
}


# -- from values to labels --------------------------------------------------------------------------


def _numbers(where: str, values: list[Any]) -> Labels:
    try:
        column = np.array(values)
    except ValueError as error:
        raise DataError(f"{where}: its labels have different lengths.") from error
    return numbered(where, column)


def spoken(where: str, values: list[Any]) -> Labels | None:
    """Labels from words, numbers, or lists of either; None where nothing is said.

    Words are classes in the order of the alphabet, lists of words several attributes at once, lists of
    numbers vectors.

    Raises:
        DataError: only some rows have a label, or they are of different kinds.
    """
    silent = sum(value is None for value in values)
    if silent == len(values):
        return None
    if silent:
        raise DataError(f"{where} has no label for {silent} of {len(values)} images: give every row one, or none.")
    if all(isinstance(value, list) and all(isinstance(word, str) for word in value) for value in values):
        words = tuple(sorted({word for value in values for word in value}))
        return Labels(np.array([[word in value for word in words] for value in values], np.float32), attributes=words)
    if all(isinstance(value, str) for value in values):
        try:
            return numbered(where, np.array([float(value) for value in values]))
        except ValueError:
            words = tuple(sorted(set(values)))
            place = {word: number for number, word in enumerate(words)}
            return Labels(np.array([place[value] for value in values], np.int64), words)
    if all(isinstance(value, (int, float, list)) for value in values):
        return _numbers(where, values)
    raise DataError(f"{where}: its labels are neither all words, nor all numbers, nor all lists.")
