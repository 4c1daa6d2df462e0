"""Contact sheets of images with a caption under each."""

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw

from ganforge.data.contact_sheet import draw_cell, pick_evenly
from ganforge.data.source import ImageSource
from ganforge.images import grid

CELL, ACROSS, DOWN = 160, 6, 6
LINES, LINE, LETTERS = 4, 13, 25  # lines of a caption, their height, and letters of one
INK = (40, 40, 40)


def draw_captions_sheet(source: ImageSource, rows: Sequence[int], captions: Mapping[str, Sequence[str]]) -> np.ndarray:
    """A page, uint8 (H, W, 3), of images taken evenly from `rows`, those with a caption, and the first caption of each.

    The captions are {name of the image: its captions}, of at least one of the images.
    """
    own = [row for row in rows if source.images[row].name in captions]
    chosen = pick_evenly(own, ACROSS * DOWN)
    cells = [draw_captioned(source.images[row].read(), captions[source.images[row].name][0]) for row in chosen]
    across = min(ACROSS, len(cells))
    blank = np.full_like(cells[0], 255)
    return grid([*cells, *[blank] * (-len(cells) % across)], across, gap=4)


def draw_captioned(image: np.ndarray, caption: str) -> np.ndarray:
    """One image, uint8 (CELL + LINES * LINE, CELL, 3), with its caption below, cut after some lines."""
    page = Image.new("RGB", (CELL, CELL + LINES * LINE), (255, 255, 255))
    page.paste(Image.fromarray(draw_cell(image, CELL)))
    lines = textwrap.wrap(caption, LETTERS, max_lines=LINES, placeholder=" ...")
    for number, line in enumerate(lines):
        ImageDraw.Draw(page).text((2, CELL + number * LINE), line, fill=INK)
    return np.asarray(page)
