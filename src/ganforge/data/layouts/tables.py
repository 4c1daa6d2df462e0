"""Read lists of files that are text with separators, as spreadsheets and scripts write them.

Separated by commas, semicolons, tabs or bars; in any encoding of names.py; with spaces around the fields, empty rows,
and empty columns at the end.
"""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ganforge.data.layouts.names import clean_name, decode_text, shorten
from ganforge.errors import DataError

NAME = ("file_name", "filename", "image_id", "image", "name")  # names of a column of files, the likeliest first
MORE_NAMES = (
    "file",
    "file_path",
    "filepath",
    "image_path",
    "image_name",
    "img",
    "path",
    "id",
    "파일명",
    "파일",
    "이미지",
)
LABEL = ("label", "labels", "class")  # names of a column of classes, the likeliest first
SEPARATORS = ",;\t|"
LONGEST = 2**20  # letters of the first line: no table has a longer one


@dataclass(frozen=True)
class Rows:
    """The rows of a table: {column: text, None if it is empty} each."""

    rows: Sequence[dict[str, str | None]]
    columns: tuple[str, ...]
    notes: tuple[str, ...] = ()


def read_rows(where: str, data: bytes) -> Rows:
    """Read a table whose first line names the columns.

    Raises:
        DataError: it is not text, or a row has another number of fields than the first line.
    """
    try:
        text, encoding = decode_text(data)
        separator, text = find_separator(text.rstrip())
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True)
        table = [row for line in lines if line and any(row := [field.strip() for field in line])]
    except (ValueError, csv.Error) as error:
        raise DataError(f"{where} cannot be read as comma-separated text: {shorten(error)}.") from error
    if not table:
        return Rows((), ())
    columns = [known_name(name) for name in table[0]]
    while columns and not columns[-1]:
        columns.pop()
    for name in (*NAME, *LABEL):
        if columns.count(name) > 1:
            raise DataError(f"{where} has {columns.count(name)} columns called {name}: keep one.")
    for number, row in enumerate(table[1:], 1):
        if len(row) < len(columns) or any(row[len(columns) :]):
            raise DataError(f"{where}: row {number} has another number of fields than the first line.")
    rows = [{key: value or None for key, value in zip(columns, row, strict=False)} for row in table[1:]]
    kind = where.partition(" of ")[0]
    notes = (f"{kind} is not in UTF-8: it was read as {encoding}.",) if encoding.startswith("cp") else ()
    return Rows(rows, tuple(columns), notes)


def read_json_rows(where: str, data: bytes) -> list[tuple[int, dict[str, Any]]]:
    """(number of the line, row) of every line of a .jsonl file that holds something; names of columns as known_name.

    Raises:
        DataError: it is not text, or a line is no object of JSON.
    """
    try:
        text, _ = decode_text(data)
    except ValueError as error:
        raise DataError(f"{where} cannot be read: {error}.") from error
    rows = []
    for number, line in enumerate(text.rstrip().split("\n"), 1):  # words may hold other ends of lines, as U+2028
        try:
            row = json.loads(line) if line.strip() else {}
        except (ValueError, RecursionError) as error:
            raise DataError(f"{where}: line {number} is not JSON.") from error
        if not isinstance(row, dict):
            raise DataError(f'{where}: line {number} is not of the form {{"file_name": "1.png", "label": "cat"}}.')
        rows += [(number, {known_name(key): value for key, value in row.items()})] if row else []
    return rows


class RepeatedError(DataError):
    """A list names a file in two rows: no label belongs to it, but several captions may."""


def read_file_names(where: str, rows: Sequence[Mapping[str, Any]], column: str = "file_name") -> list[str]:
    """The clean name of the file that each row is about.

    Raises:
        DataError: there is no row, or a row has no name.
        RepeatedError: two rows have one name.
    """
    if any(not isinstance(row.get(column), str) for row in rows) or not rows:
        columns = list(dict.fromkeys(key for row in rows for key in row))
        known = f"; it has {shorten(', '.join(map(str, columns)))}" if columns else ""
        raise DataError(f"{where} must give a file_name in every row{known}.")
    names = [clean_name(row[column]) for row in rows]
    if len({*names}) < len(names):
        twice, count = Counter(names).most_common(1)[0]
        raise RepeatedError(f"{where} names {shorten(twice)} {count} times.")
    return names


def find_separator(text: str) -> tuple[str, str]:
    """The separator of a table, and its text without the line `sep=;` that spreadsheets may add.

    Raises:
        ValueError: the first line is too long for a table.
    """
    if stated := re.match(r"\s*sep=(.)\r?\n", text):
        return stated[1], text[stated.end() :]
    start = len(text) - len(text.lstrip("\r\n"))
    line = re.compile(r"[^\r\n]*").match(text, start, start + LONGEST + 1)
    first = line[0] if line else ""
    if len(first) > LONGEST:
        raise ValueError(f"its first line is longer than {LONGEST:,} letters")

    def fit(separator: str) -> tuple[int, int]:
        names = [known_name(name.strip().strip('"')) for name in first.split(separator)]
        return sum(name in (*NAME, *MORE_NAMES, *LABEL) for name in names), len(names)

    return max(SEPARATORS, key=fit), text


def known_name(column: str) -> str:
    """`file_name` of ` File Name`: the name of a column, as this module spells it if it is a known one."""
    spelled = re.sub(r"[\s\-]+", "_", column.strip().lower())
    return spelled if spelled in (*NAME, *MORE_NAMES, *LABEL) else column.strip()


def name_column(columns: Collection[str]) -> str | None:
    """The column that holds the names of files; None if none is called so."""
    return next((name for name in (*NAME, *MORE_NAMES) if name in columns), None)
