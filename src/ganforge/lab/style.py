"""How the lab's figures look: one ink, pale lines, and colours that colour-blind people tell apart (Okabe and Ito)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ganforge.files import replacing

INK, PALE, SOFT = "#1f2937", "#e5e7eb", "#6b7280"
BLUE, ORANGE, GREEN, RED, PURPLE, SKY = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9"
Dash = str | tuple[int, tuple[float, ...]]
COLOURS = (BLUE, RED, GREEN, PURPLE, ORANGE, SKY)
DASHES: tuple[Dash, ...] = ("-", (0, (5, 2)), (0, (1, 1.4)), (0, (6, 2, 1, 2)), (0, (9, 3)), (0, (3, 1, 1, 1)))


def canvas(width: float, height: float, title: str = "", dpi: int = 110) -> Figure:
    """An empty figure in inches, with a title at its left; it needs no screen."""
    figure = Figure((width, height), dpi=dpi, facecolor="white")
    FigureCanvasAgg(figure)
    figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.1, wspace=0.04, hspace=0.06)
    if title:
        figure.suptitle(title, x=0.012, ha="left", color=INK, fontsize=13.5, fontweight="bold")
    return figure


def dress(ax: Axes, title: str = "", *, x: str = "", y: str = "", grid: bool = True) -> Axes:
    """A panel without a box: a title at the left, a pale grid, names of the axes."""
    ax.set_title(title, loc="left", color=INK, fontsize=10.5, fontweight="bold")
    if grid:
        ax.grid(color=PALE, linewidth=0.8)
    ax.set_axisbelow(True)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0, colors=INK, labelsize=9)
    ax.set_xlabel(x, color=INK, fontsize=9.5)
    ax.set_ylabel(y, color=INK, fontsize=9.5)
    return ax


def name_ends(ax: Axes, ends: Sequence[tuple[float, str, str]], least: float = 0.075) -> None:
    """Write (height, text, colour) to the right of the panel, moved apart where heights meet."""
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


def pixels(figure: Figure) -> np.ndarray:
    """The figure as a picture, uint8 (H, W, 3)."""
    figure.canvas.draw()
    assert isinstance(figure.canvas, FigureCanvasAgg)
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()


def save(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG, whole or not at all; returns where."""
    with replacing(path) as file:
        figure.savefig(file, format="png")
    return path
