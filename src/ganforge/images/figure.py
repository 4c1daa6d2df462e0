"""Figures of all rooms: one style, drawn without a display, written as PNG.

Importing this module imports matplotlib (0.2 s, 25 MB): training does it at its end only.
"""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ganforge.files import replacing

INK, PALE, SOFT = "#1f2937", "#e5e7eb", "#6b7280"  # text and axes, grids, secondary text
COLOURS = ("#2563eb", "#ea580c", "#059669", "#9333ea", "#b45309", "#0891b2")
"""Colours of curves that are told apart by their labels: losses, scores, trials."""
BLUE, ORANGE, GREEN, RED, PURPLE, SKY = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9"
"""Colours with a fixed meaning, in the lab; colour-blind readers can tell them apart (Okabe and Ito 2008)."""
Dash = str | tuple[int, tuple[float, ...]]
DASHES: tuple[Dash, ...] = ("-", (0, (5, 2)), (0, (1, 1.4)), (0, (6, 2, 1, 2)), (0, (9, 3)), (0, (3, 1, 1, 1)))
TITLE: dict[str, Any] = {"x": 0.012, "ha": "left", "color": INK, "fontsize": 13.5, "fontweight": "bold"}
"""How `suptitle` writes the title of a figure."""


def new_figure(width: float, height: float, title: str = "", dpi: int = 110) -> Figure:
    """An empty figure, size in inches, with a title at its left; it needs no display."""
    figure = Figure((width, height), dpi=dpi, facecolor="white")
    FigureCanvasAgg(figure)
    figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.1, wspace=0.04, hspace=0.06)
    if title:
        figure.suptitle(title, **TITLE)
    return figure


def style_axes(ax: Axes, title: str = "", *, x: str = "", y: str = "", grid: bool = True) -> Axes:
    """Style a panel: no frame, a title at the left, a pale grid, axis labels; returns it."""
    ax.set_title(title, loc="left", color=INK, fontsize=10.5, fontweight="bold")
    if grid:
        ax.grid(color=PALE, linewidth=0.8)
    ax.set_axisbelow(True)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0, colors=INK, labelsize=9)
    ax.set_xlabel(x, color=INK, fontsize=9.5)
    ax.set_ylabel(y, color=INK, fontsize=9.5)
    return ax


def label_line_ends(ax: Axes, ends: Sequence[tuple[float, str, str]], least: float = 0.075) -> None:
    """Write (y, text, colour) labels to the right of the panel, at least `least` of its height apart."""
    low, high = ax.get_ylim()
    flat = ax.get_yscale() == "linear"

    def share(y: float) -> float:
        return (y - low) / (high - low) if flat else np.log(y / low) / np.log(high / low)

    ordered = sorted(ends)
    places = [min(max(share(height), 0.0), 1.0) for height, _, _ in ordered]
    for k in range(1, len(places)):
        places[k] = max(places[k], places[k - 1] + least)
    ceiling = 1.0
    for k in reversed(range(len(places))):
        places[k] = min(places[k], ceiling)
        ceiling = places[k] - least
    for place, (_, text, colour) in zip(places, ordered, strict=True):
        ax.annotate(
            text,
            (1, place),
            (7, 0),
            xycoords="axes fraction",
            textcoords="offset points",
            color=colour,
            fontsize=9,
            va="center",
            annotation_clip=False,
        )


def render(figure: Figure) -> np.ndarray:
    """The figure as an image, uint8 (H, W, 3)."""
    figure.canvas.draw()
    assert isinstance(figure.canvas, FigureCanvasAgg)
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()


def to_png(figure: Figure) -> bytes:
    """The figure as a PNG file."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def save(figure: Figure, path: Path) -> Path:
    """Write the figure as PNG, atomically; returns the path.  Raises RunError where it cannot be written."""
    with replacing(path) as file:
        file.write(to_png(figure))
    return path
