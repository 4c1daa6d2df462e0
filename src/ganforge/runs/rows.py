"""Rows of JSON, one a line: log.jsonl, scores.jsonl, doctor.jsonl.  Appended to, cut back, and read."""

import json
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ganforge.console import note
from ganforge.files import write_atomic
from ganforge.runs.reading import check_appendable, read_lines


def read_rows(path: Path, *needs: str, texts: Iterable[str] = ()) -> list[dict[str, Any]]:
    """The rows of a file; none where there is no file.  A row has a `step`, all of `needs`, and numbers.

    `texts` are the entries that are text.  A last line without its end is what a power cut leaves, and is dropped; any
    other line that is no row is left out with a note that names it.

    Raises RunError where the file cannot be read.
    """
    rows, bad, broken_end, number = [], [], False, 0
    needed = {"step", *needs}
    for number, line in read_lines(path):
        broken_end = not line.endswith("\n")
        row = parse_row(line, needed, {*texts})
        if row is not None:
            rows.append(row)
        elif line.strip():
            bad.append(number)
    if bad and not (bad == [number] and broken_end):
        lines = ", ".join(map(str, bad[:3])) + (" ..." if len(bad) > 3 else "")
        note(f"{path} is damaged in line {lines}: {len(bad)} of {len(bad) + len(rows)} rows are left out.")
    return rows


def parse_row(line: str, needed: set[str], texts: set[str]) -> dict[str, Any] | None:
    """The row in a line; None where it is none."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict) or not needed <= set(row):
        return None
    if not all(isinstance(value, str) if name in texts else is_number(value) for name, value in row.items()):
        return None
    return row if math.isfinite(row["step"]) and row["step"] >= 0 else None


def is_number(value: Any) -> bool:
    """Whether a value of JSON is a number that a float can hold."""
    return isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63)


def append_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Append rows: all of them, or none.  Raises OSError where they cannot be written, RunError for a link or a pipe.

    Closing the file hands the lines to the operating system, so only a power cut can lose them.
    """
    check_appendable(path)
    size = path.stat().st_size if path.exists() else 0
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write("".join(json.dumps(row) + "\n" for row in rows))
    except OSError:
        if path.exists():
            os.truncate(path, size)  # half a line would spoil the next one
        raise


def cut_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Make these the rows of a file, which is not touched where it has just these.

    Raises OSError where it cannot be written, RunError for a link or a pipe.
    """
    check_appendable(path)
    kept = "".join(json.dumps(row) + "\n" for row in rows)
    if path.exists() and path.read_text(encoding="utf-8", errors="replace") != kept:
        write_atomic(path, kept)
