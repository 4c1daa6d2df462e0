"""Names and colours of regions: from a list beside the maps, the palette of the maps, or the categories of COCO.

colours.txt, colors.txt     230 25 75 circle      or circle 230 25 75, or #e6194b circle, or with commas
classes.txt, labels.txt ... a name a line, or 0 background, or 0: background; with colours or without
*.json                      {"categories": [{"id": 1, "name": "person"}, ...]}
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from ganforge.data.layouts.annotations import READERS
from ganforge.data.layouts.files import ENDINGS, Files, read_text
from ganforge.data.layouts.names import shorten
from ganforge.data.layouts.tables import MORE_NAMES, NAME, known_name
from ganforge.errors import DataError

Colour = tuple[int, int, int]
LISTS = ("colours", "colors", "classes", "labels", "names", "label_names", "class_names", "regions", "palette")
SUFFIXES = (".txt", ".csv", ".names")
MOST = 4_096  # names of a list
LARGEST_JSON = 2**30  # bytes of a COCO file
TRIPLE = re.compile(r"(?<![\w.#])(\d{1,3})[\s,;]+(\d{1,3})[\s,;]+(\d{1,3})(?![\w.])")
HEX = re.compile(r"#([0-9a-fA-F]{6})\b")
NUMBERED = re.compile(r"\s*(\d{1,5})\s*[:,;\t =]\s*(.*)", re.DOTALL)
HEADER = re.compile(r"(?i)\s*[\"']?(id|name|class|label|r)[\"']?\s*[,;\t]")


@dataclass(frozen=True)
class RegionNames:
    """What a list says: {number of a region: its name}, and its colours if it has them."""

    file: str
    names: dict[int, str]
    colours: dict[int, Colour]


def find_region_names(files: Files, folders: Sequence[str]) -> RegionNames | None:
    """Read the list of names that lies in one of `folders`, the first that has one; None if there is none.

    Raises:
        DataError: the list cannot be read.
    """
    by_name = {name.lower(): name for name in files.marks}
    for folder in folders:
        for base in LISTS:
            for ending in SUFFIXES:
                path = by_name.get(f"{folder}{base}{ending}".lower())
                if path and not lists_images(files, path, text := read_text(files, path)):
                    return parse_names(path, text)
    inside = {
        name for name in files.marks if name.lower().endswith(".json") and f"{name.rpartition('/')[0]}/" in folders
    }
    inside |= {name for name in files.marks if name.lower().endswith(".json") and "/" not in name}
    found = [own for name in sorted(inside) if (own := read_categories(files, name))]
    return merge_names(found) if found else None


def merge_names(found: Sequence[RegionNames]) -> RegionNames:
    """The names of several lists: those of one split may lack what only another has.

    Raises:
        DataError: a number has two names.
    """
    names: dict[int, str] = {}
    for own in found:
        for number, name in own.names.items():
            if names.setdefault(number, name) != name:
                raise DataError(
                    f"{own.file} calls category {number} {shorten(name)}, and {found[0].file} "
                    f"{shorten(names[number])}: one number has one name."
                )
    colours = {number: colour for own in found for number, colour in own.colours.items()}
    return RegionNames(found[0].file, names, colours if colours.keys() == names.keys() else {})


def lists_images(files: Files, path: str, text: str) -> bool:
    """Whether a list is a table of images and their labels, as in annotations.py, and not one of regions."""
    rows = [[cell.strip(" \t\"'") for cell in re.split(r"[,;\t|]", line)] for line in text.splitlines() if line.strip()]
    if any(cell.lower().endswith(ENDINGS) for row in rows for cell in row):
        return True
    if path.rpartition("/")[2].lower() not in READERS or not rows or known_name(rows[0][0]) not in (*NAME, *MORE_NAMES):
        return False
    stems = {PurePosixPath(name).stem for name in files.image_names}
    first = {row[0] for row in rows[1:]}
    is_numbers = all(cell.isdecimal() for cell in first) and known_name(rows[0][0]) not in NAME  # id,name of regions
    return not is_numbers and not stems.isdisjoint(first)


def parse_names(path: str, text: str) -> RegionNames:
    """Parse a list of names, one a line.  Raises DataError if it is no such list."""
    lines = [line.strip() for line in text.splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    lines = [line for line in lines if not re.match(r"(#(?![0-9a-fA-F]{6}\b)|//)", line)]
    if lines and HEADER.match(lines[0]):
        lines = lines[1:]
    if not any(lines):
        raise DataError(f"{path} names no region: write one name a line.")
    if len(lines) > MOST:
        raise DataError(f"{path} has {len(lines):,} lines, and a list of regions has at most {MOST:,}.")
    colours: dict[int, Colour] = {}
    rest = []
    for number, line in enumerate(lines):
        colour, left = split_colour(path, line)
        rest.append(left)
        if colour:
            colours[number] = colour
    if colours and len(colours) < len(lines):
        odd = next(line for number, line in enumerate(lines) if number not in colours)
        raise DataError(f"{path} gives a colour in some lines only; {shorten(odd) or 'an empty line'} has none.")
    numbered = [NUMBERED.fullmatch(f"{line} ") for line in rest]
    numbers = [int(match[1]) if match else -1 for match in numbered]
    if all(numbered) and len({*numbers}) == len(numbers) and max(numbers) < 65_536:
        names = {k: match[2].strip(" \t\"',;") for k, match in zip(numbers, numbered, strict=True) if match}
        return RegionNames(path, fill(names), {numbers[row]: colour for row, colour in colours.items()})
    return RegionNames(path, fill({k: line.strip(" \t\"',;") for k, line in enumerate(rest)}), colours)


def split_colour(path: str, line: str) -> tuple[Colour | None, str]:
    """The colour that a line gives, and the rest of it."""
    if found := HEX.search(line):
        code = int(found[1], 16)
        return (code >> 16, code >> 8 & 255, code & 255), (line[: found.start()] + line[found.end() :])
    found = next(iter([*TRIPLE.finditer(line)][-1:]), None)
    quad = re.search(r"(?<![\w.])(\d+)[\s,;]+(\d{1,3})[\s,;]+(\d{1,3})[\s,;]+(\d{1,3})(?![\w.])", line)
    if quad:
        colour, start, end = tuple(map(int, quad.groups()[1:])), quad.start(2), quad.end()
    elif found:
        colour, start, end = tuple(map(int, found.groups())), found.start(), found.end()
    else:
        return None, line
    if max(colour) > 255:
        raise DataError(f"{path} has {shorten(line)}; red, green and blue are numbers from 0 to 255.")
    return (colour[0], colour[1], colour[2]), line[:start] + line[end:]


def fill(names: dict[int, str]) -> dict[int, str]:
    """The same names; a region without one, or with that of another, is called by its number as well."""
    filled: dict[int, str] = {}
    for number, name in names.items():
        name = " ".join(name.split()) or str(number)
        filled[number] = f"{name} {number}" if name in filled.values() else name
    return filled


def read_categories(files: Files, path: str) -> RegionNames | None:
    """The categories of a COCO file; None if it is another kind of file."""
    try:
        about = json.loads(read_text(files, path, LARGEST_JSON))
    except (ValueError, RecursionError, DataError):
        return None
    return categories_of(path, about)


def categories_of(path: str, about: Any) -> RegionNames | None:
    """The categories of the content of a COCO file; None if it is another kind of file."""
    rows = about.get("categories") if isinstance(about, dict) else None
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        return None
    names, colours = {}, {}
    for row in rows:
        number, name, colour = row.get("id"), row.get("name"), row.get("color")
        if type(number) is not int or not 0 <= number < 65_536 or not isinstance(name, str):
            return None
        names[number] = name
        if isinstance(colour, list) and len(colour) == 3 and all(type(x) is int and 0 <= x < 256 for x in colour):
            colours[number] = (colour[0], colour[1], colour[2])
    return RegionNames(path, fill(names), colours if len(colours) == len(names) else {})


def choose_colours(taken: Sequence[Colour | None]) -> tuple[Colour, ...]:
    """A colour for each region: its own if no earlier one has it, or else one that no other has."""
    used = {colour for colour in taken if colour}
    taken = [None if colour in taken[:place] else colour for place, colour in enumerate(taken)]
    free = (colour for colour in map(palette_colour, range(1 << 16)) if colour not in used)
    return tuple(colour or next(free) for colour in taken)


def palette_colour(number: int) -> Colour:
    """Colour `number` of the palette of Pascal VOC: the bits of the number are dealt to red, green and blue in turn."""
    bits = np.array([number >> place & 1 for place in range(24)]).reshape(8, 3)
    red, green, blue = (bits * (128 >> np.arange(8))[:, None]).sum(0).tolist()
    return red, green, blue
