"""The contact sheet: some pictures of a data set on one page, a row for each class where there are classes."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from ganforge.data.source import ImageSource
from ganforge.errors import DataError
from ganforge.images import fit, grid, recolour, visible

CELL, ACROSS, DOWN = 96, 10, 10  # pixels of a cell, and cells
NAMES = 120  # pixels for the name of a class
PAPER = 244


def contact_sheet(found: ImageSource, rows: Sequence[int]) -> np.ndarray:
    """A page (H, W, 3) of uint8 with whole pictures from all over the readable ones, which are `rows`.

    Raises:
        DataError: there is none.
    """
    if not rows:
        raise DataError(f"{found.where} holds no picture for a contact sheet.")
    lines = in_lines(found, rows)
    cells = [cell(found.pictures[row].read()) for _, line in lines for row in line]
    blank = np.full((CELL, CELL, 3), 255, np.uint8)
    filled = iter(cells)
    page = [next(filled) if k < len(line) else blank for _, line in lines for k in range(ACROSS)]
    sheet = grid(page[: len(cells)] if len(cells) < ACROSS else page, ACROSS, gap=4)
    return titled(sheet, [name for name, _ in lines]) if found.labels.names else sheet


def in_lines(found: ImageSource, rows: Sequence[int]) -> list[tuple[str, list[int]]]:
    """(name, pictures) of every line: the classes, the first of them where there are many, else no names."""
    names, column = found.labels.names, found.labels.column
    if not names or column is None:
        chosen = spread(rows, ACROSS * DOWN)
        return [("", chosen[start : start + ACROSS]) for start in range(0, len(chosen), ACROSS)]
    of_class = {name: [row for row in rows if column[row] == k] for k, name in enumerate(names)}
    return [(name, spread(own, ACROSS)) for name, own in of_class.items() if own][: 2 * DOWN]


def spread(rows: Sequence[int], most: int) -> list[int]:
    """At most so many, evenly from the first to the last."""
    return [rows[k] for k in np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(int)]


def cell(picture: np.ndarray, side: int = CELL) -> np.ndarray:
    """The whole picture in the middle of a square, small ones with every pixel repeated."""
    shown = recolour(in_bytes(picture), 3)
    height, width = shown.shape[:2]
    times = side // max(height, width)
    if times > 1:
        shown = shown.repeat(times, 0).repeat(times, 1)
    elif max(height, width) > side:
        scale = side / max(height, width)
        shown = fit(shown, (max(1, round(height * scale)), max(1, round(width * scale))), 3, "stretch")
    square = np.full((side, side, 3), PAPER, np.uint8)
    top, left = (side - shown.shape[0]) // 2, (side - shown.shape[1]) // 2
    square[top : top + shown.shape[0], left : left + shown.shape[1]] = shown
    return square


def pictures_alike(found: ImageSource, rows: Sequence[int], size: int = CELL) -> np.ndarray:
    """A line of pictures (N, size, size, 3) of uint8, from all over `rows`: the middle square of each."""
    chosen = [in_bytes(found.pictures[row].read()) for row in spread(rows, ACROSS)]
    return np.stack([fit(recolour(picture, 3), (size, size), 3) for picture in chosen])


def in_bytes(picture: np.ndarray) -> np.ndarray:
    """A picture of any depth as uint8; of more than four channels, the first three."""
    picture = visible(picture[None])[0]
    if picture.dtype == np.uint16:
        return (picture >> 8).astype(np.uint8)
    if picture.dtype == np.uint8:
        return picture
    low, high = float(picture.min()), float(picture.max())
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    elif low >= -1 and high <= 1:
        low, high = -1.0, 1.0
    return np.rint((picture - low) * (255 / ((high - low) or 1))).astype(np.uint8)


def titled(sheet: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """The sheet with the name of a class before each line."""
    page = Image.fromarray(np.pad(sheet, ((0, 0), (NAMES, 0), (0, 0)), constant_values=255))
    pen = ImageDraw.Draw(page)
    for line, name in enumerate(names):
        short = name if len(name) <= 18 else f"{name[:17]}."
        pen.text((4, line * (CELL + 4) + CELL // 2 - 6), short, fill=(40, 40, 40))
    return np.asarray(page)
