"""Layouts as users write them: `layout:star 0.1 0.2 0.5 0.6; disc 0.5 0.5 0.9 0.9`, or a JSON file."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganforge.batches import Facts
from ganforge.errors import DataError, OptionError, RunError
from ganforge.files import reason
from ganforge.runs.reading import read_bytes

PREFIX = "layout:"
LARGEST = 2**20  # bytes of a JSON file
Box = tuple[str, float, float, float, float]
"""The name of an object, and the corners of its box: x and y of the upper left and of the lower right one."""


def read_layout(given: Any, facts: Facts) -> list[Box]:
    """The boxes of a layout: a text that begins with `layout:`, the path of a JSON file, or a sequence of boxes.

    A JSON file holds a list of {"object": "star", "box": [0.1, 0.2, 0.5, 0.6]}, or that list under "objects".  An entry
    without an object, an empty one in a text and null in a file, keeps its place: the objects after it keep theirs, and
    with them what a seed gave them.

    Raises OptionError for names that the run does not know, for boxes outside of 0 ... 1, and for too many of them;
    DataError for a file that cannot be read.
    """
    if isinstance(given, str) and given.startswith(PREFIX):
        boxes = parse_text(given.removeprefix(PREFIX))
    elif isinstance(given, str | Path):
        boxes = parse_file(Path(given).expanduser())
    else:
        boxes = [box_of(entry, repr(entry)) for entry in given]
    check_boxes(boxes, facts)
    return boxes


def parse_text(text: str) -> list[Box]:
    """The boxes of `star 0.1 0.2 0.5 0.6; disc 0.5 0.5 0.9 0.9`; numbers may be parted by commas as well."""
    boxes = []
    for entry in text.rstrip("; ").split(";"):
        words = entry.replace(",", " ").split()
        boxes.append(box_of([" ".join(words[:-4]), *words[-4:]] if words else None, entry.strip()))
    return boxes


def parse_file(path: Path) -> list[Box]:
    """The boxes of a JSON file.  Raises DataError where it cannot be read, or is no layout."""
    try:
        content = json.loads(read_bytes(path, LARGEST).decode("utf-8-sig"))
    except (RunError, ValueError, RecursionError) as error:
        why = reason(error).rstrip(".")
        raise DataError(f"{path} is no layout ({why}): that is JSON, a list of objects with boxes.") from error
    entries = content.get("objects") if isinstance(content, dict) else content
    if not isinstance(entries, list):
        raise DataError(f'{path} is no layout: it holds a list of {{"object": "star", "box": [0.1, 0.2, 0.5, 0.6]}}.')
    return [
        box_of((entry.get("object"), entry.get("box")) if isinstance(entry, dict) else entry, str(path))
        for entry in entries
    ]


def box_of(entry: Any, where: str) -> Box:
    """An object and its box, of a name and four numbers; no object where there is no entry."""
    if entry is None:
        return "", 0.0, 0.0, 0.0, 0.0
    try:
        name, *corners = entry
        corners = corners[0] if len(corners) == 1 else corners
        x0, y0, x1, y1 = map(float, corners)
    except (TypeError, ValueError) as error:
        raise OptionError(
            f"{where} is no box: write a name and the corners, x and y from 0 to 1, as in star 0.1 0.2 0.5 0.6."
        ) from error
    return str(name), x0, y0, x1, y1


def check_boxes(boxes: Sequence[Box], facts: Facts) -> None:
    """Raise OptionError for unknown names, boxes outside of 0 ... 1 or without area, and too many boxes."""
    known = ", ".join(facts.objects[1:])
    for name, x0, y0, x1, y1 in boxes:
        if name and name not in facts.objects:
            raise OptionError(f"There is no object {name!r}; this run knows {known}.")
        inside = all(math.isfinite(value) and 0 <= value <= 1 for value in (x0, y0, x1, y1))
        if name and not (inside and x0 < x1 and y0 < y1):
            raise OptionError(
                f"The box of {name}, {x0:g} {y0:g} {x1:g} {y1:g}, is none: left, top, right and bottom lie between 0 "
                "and 1, left before right and top before bottom."
            )
    if not any(name for name, *_ in boxes):
        raise OptionError(f"The layout has no object; this run knows {known}.")
    if len(boxes) > facts.most:
        raise OptionError(f"The layout has {len(boxes)} boxes, and images of this run have at most {facts.most}.")


def to_tensors(layouts: Sequence[Sequence[Box]], facts: Facts) -> tuple[Tensor, Tensor]:
    """Layouts as boxes float (N, M, 4) and labels int64 (N, M), M the most of the run; 0 is no object."""
    boxes, labels = torch.zeros(len(layouts), facts.most, 4), torch.zeros(len(layouts), facts.most, dtype=torch.int64)
    for row, layout in enumerate(layouts):
        for slot, (name, *corners) in enumerate(layout):
            if name:
                boxes[row, slot], labels[row, slot] = torch.tensor(corners), facts.objects.index(name)
    return boxes, labels


def to_boxes(boxes: Tensor, labels: Tensor, facts: Facts) -> list[Box]:
    """One layout, boxes (M, 4) and labels (M,), as names and corners."""
    return [
        (facts.objects[label], corners[0], corners[1], corners[2], corners[3])
        for corners, label in zip(boxes.tolist(), labels.tolist(), strict=True)
    ]
