"""Contact sheets: some images of a data set on one page, one line a class if there are classes."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from ganforge.data.source import ImageSource
from ganforge.errors import DataError
from ganforge.images import fit, grid, recolour, visible_channels

CELL, ACROSS, DOWN = 96, 10, 10  # pixels of a cell, and cells
NAMES = 120  # pixels for the name of a class
PAPER = 244


def draw_contact_sheet(source: ImageSource, rows: Sequence[int]) -> np.ndarray:
    """A page, uint8 (H, W, 3), of whole images taken evenly from `rows`, the indices of the readable images.

    Raises:
        DataError: `rows` is empty.
    """
    if not rows:
        raise DataError(f"{source.where} holds no image for a contact sheet.")
    lines = split_into_lines(source, rows)
    cells = [draw_cell(source.images[row].read()) for _, line in lines for row in line]
    blank = np.full((CELL, CELL, 3), 255, np.uint8)
    filled = iter(cells)
    page = [next(filled) if k < len(line) else blank for _, line in lines for k in range(ACROSS)]
    sheet = grid(page[: len(cells)] if len(cells) < ACROSS else page, ACROSS, gap=4)
    return add_titles(sheet, [name for name, _ in lines]) if source.labels.names else sheet


def split_into_lines(source: ImageSource, rows: Sequence[int]) -> list[tuple[str, list[int]]]:
    """(name, rows) of each line: one class a line, the first classes if there are many; else lines without names."""
    names, column = source.labels.names, source.labels.column
    if not names or column is None:
        chosen = pick_evenly(rows, ACROSS * DOWN)
        return [("", chosen[start : start + ACROSS]) for start in range(0, len(chosen), ACROSS)]
    of_class = {name: [row for row in rows if column[row] == k] for k, name in enumerate(names)}
    return [(name, pick_evenly(own, ACROSS)) for name, own in of_class.items() if own][: 2 * DOWN]


def pick_evenly(rows: Sequence[int], most: int) -> list[int]:
    """At most `most` of the rows, evenly from the first to the last."""
    return [rows[k] for k in np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(int)]


def draw_cell(image: np.ndarray, side: int = CELL) -> np.ndarray:
    """Fit the whole image into the middle of a square, uint8 (side, side, 3); small images by repeating pixels."""
    high, wide, top, left = place_in_cell(image.shape, side)
    times = max(1, high // image.shape[0])
    square = np.full((side, side, 3), PAPER, np.uint8)
    square[top : top + high, left : left + wide] = shrink(image.repeat(times, 0).repeat(times, 1), side)
    return square


def place_in_cell(shape: tuple[int, ...], side: int = CELL) -> tuple[int, int, int, int]:
    """(height, width, top, left) of an image of the shape (H, W, ...) in a square: a whole multiple, or reduced."""
    times = side / max(shape[:2])
    times = times if times < 1 else int(times)
    high, wide = (max(1, round(own * times)) for own in shape[:2])
    return high, wide, (side - high) // 2, (side - wide) // 2


def shrink(image: np.ndarray, side: int) -> np.ndarray:
    """The whole image with at most `side` pixels a side, uint8 (H, W, 3), as `draw_cell` shows it."""
    high, wide, *_ = place_in_cell(image.shape, side)
    size = (min(high, image.shape[0]), min(wide, image.shape[1]))
    return fit(recolour(to_8_bit(image), 3), size, 3, "stretch")


def read_thumbnails(source: ImageSource, rows: Sequence[int], size: int = CELL) -> np.ndarray:
    """Centre squares of images taken evenly from `rows`: uint8 (N, size, size, 3)."""
    chosen = [to_8_bit(source.images[row].read()) for row in pick_evenly(rows, ACROSS)]
    return np.stack([fit(recolour(image, 3), (size, size), 3) for image in chosen])


def to_8_bit(image: np.ndarray) -> np.ndarray:
    """Convert an image of any depth to uint8; of more than four channels the first three are kept."""
    image = visible_channels(image[None])[0]
    if image.dtype == np.uint16:
        return (image >> 8).astype(np.uint8)
    if image.dtype == np.uint8:
        return image
    low, high = float(image.min()), float(image.max())
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    elif low >= -1 and high <= 1:
        low, high = -1.0, 1.0
    return np.rint((image - low) * (255 / ((high - low) or 1))).astype(np.uint8)


def add_titles(sheet: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Add the name of a class in front of each line."""
    page = Image.fromarray(np.pad(sheet, ((0, 0), (NAMES, 0), (0, 0)), constant_values=255))
    pen = ImageDraw.Draw(page)
    for line, name in enumerate(names):
        short = name if len(name) <= 18 else f"{name[:17]}."
        pen.text((4, line * (CELL + 4) + CELL // 2 - 6), short, fill=(40, 40, 40))
    return np.asarray(page)
