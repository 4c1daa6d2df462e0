"""The scores as one self-contained HTML page, the strangest image first: no script, no network, no other file."""

from pathlib import Path

import numpy as np

from ganforge.data.contact_sheet import draw_cell
from ganforge.evaluation.report import format_interval, format_number
from ganforge.evaluation.score_report import Scored, ScoreReport
from ganforge.files import render_html
from ganforge.images import encode_png, recolour
from ganforge.inference.trained import Trained

TEMPLATE = Path(__file__).with_name("score.html")
MOST, SIDE = 120, 160  # images on the page, and the side of their pictures in pixels
STOPS = np.array([[0, 0, 4], [87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]], np.float32)
"""Colours of heat from 0 to the highest, dark to bright, evenly spaced."""
ABOUT = {
    "auroc": "AUROC, per image",
    "ap": "average precision, per image",
    "auroc_pixel": "AUROC, per pixel",
    "pro": "PRO, per flaw, up to 30 % false alarms among pixels",
}


def build_page(report: ScoreReport, source: str, trained: Trained) -> str:
    """The HTML page of a report."""
    return render_html(
        TEMPLATE,
        report=report,
        source=source,
        run=repr(trained),
        shown=report.scored[:MOST],
        about=ABOUT,
        picture=lambda one: encode_png(draw_triple(one, report.highest)),
        format_number=format_number,
        format_interval=format_interval,
    )


def draw_triple(one: Scored, highest: float) -> np.ndarray:
    """(SIDE, columns, 3): an image, its heat map, and its flaws where they are known."""
    parts = [one.shown]
    if one.heat.size:
        parts.append(paint_heat(one.heat, highest, one.sides))
    if one.mask is not None:
        parts.append(enlarge_to(one.mask[..., None] * np.uint8(255), one.sides))
    return np.concatenate([recolour(draw_cell(part, SIDE), 3) for part in parts], 1)


def paint_heat(heat: np.ndarray, highest: float, sides: tuple[int, ...]) -> np.ndarray:
    """uint8 (H, W, 3): heat (h, w) in colours, from 0 to `highest`, enlarged to `sides`."""
    level = (heat / (highest or 1.0)).clip(0, 1) * (len(STOPS) - 1)
    stops = np.arange(len(STOPS))
    colours = np.stack([np.interp(level, stops, STOPS[:, k]) for k in range(3)], -1)
    return enlarge_to(np.rint(colours).astype(np.uint8), sides)


def enlarge_to(image: np.ndarray, sides: tuple[int, ...]) -> np.ndarray:
    """An image (h, w, C) at another size, each pixel as a block."""
    rows, columns = (np.arange(side) * own // side for side, own in zip(sides[:2], image.shape[:2], strict=True))
    return image[rows][:, columns]
