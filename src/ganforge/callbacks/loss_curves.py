"""losses.png: what the players lost and what the judges said, round by round."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ganforge.callbacks.log import losses, rows, says
from ganforge.callbacks.progress_bar import probability
from ganforge.engine import Callback, Engine, Row
from ganforge.files import replacing

if TYPE_CHECKING:  # a training begins without matplotlib, 0.2 s and 25 MB
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#2563eb", "#ea580c", "#059669", "#9333ea", "#b45309", "#0891b2")
INK, PALE = "#374151", "#e5e7eb"
Curve = tuple[str, list[float], list[float]]  # (name, rounds, values)


class Curves(Callback):
    """Draws the curves of a log when the run ends."""

    def __init__(self, log: Path, picture: Path) -> None:
        self.log_path, self.picture = log, picture

    def end(self, engine: Engine) -> None:
        """Draw what the log holds, if it holds anything."""
        if whole := rows(self.log_path):
            figure = draw(whole, engine.game.discriminator_output)
            with replacing(self.picture) as file:
                figure.savefig(file, format="png")


def draw(whole: Sequence[Row], verdicts: str) -> "Figure":
    """The figure: losses above; below, where judges report them, D(x) and D(G(z)) or a critic's scores."""
    players = list(dict.fromkeys(player for row in whole for player in losses(row)))
    lost = [curve(player, whole, [losses(row).get(player) for row in whole]) for player in players]
    said = [(about, [says(row, about) for row in whole]) for about in ("real", "fake")]
    names = {"real": "D(x)", "fake": "D(G(z))"} if verdicts == "logits" else {"real": "real", "fake": "fake"}
    if verdicts == "logits":
        said = [(about, [None if v is None else probability(v) for v in values]) for about, values in said]
    judged = [curve(names[about], whole, values) for about, values in said if set(values) != {None}]

    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((9, 6.2 if judged else 3.6), dpi=150)
    FigureCanvasAgg(figure)
    figure.set_layout_engine("constrained", w_pad=0.15, h_pad=0.1)
    axes = figure.subplots(1 + bool(judged), sharex=True, squeeze=False)[:, 0]
    panel(axes[0], "Loss of each player", lost)
    if judged and verdicts == "logits":
        axes[1].set_ylim(-0.02, 1.02)
        panel(axes[1], "What the discriminator believes: the probability of being real", judged, theory=0.5)
    elif judged:
        panel(axes[1], "Scores of the critic", judged)
    axes[-1].set_xlabel("step", color=INK)
    return figure


def curve(name: str, whole: Sequence[Row], values: Sequence[float | None]) -> Curve:
    """The rows that have a value."""
    points = [(row["step"], value) for row, value in zip(whole, values, strict=True) if value is not None]
    return name, [step for step, _ in points], [value for _, value in points]


def panel(ax: "Axes", title: str, curves: Sequence[Curve], theory: float | None = None) -> None:
    """Curves on a light grid: pale as logged, and in full colour their running mean."""
    ax.set_title(title, loc="left", color=INK, fontsize=11, fontweight="bold")
    ax.grid(color=PALE, linewidth=0.8)
    ax.set_axisbelow(True)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0, colors=INK, labelsize=9)
    ax.margins(x=0)
    ends = []
    for k, (name, steps, values) in enumerate(curves):
        colour, means = COLOURS[k % len(COLOURS)], smooth(values)
        dot = "o" if len(steps) == 1 else ""  # one row alone makes no line
        ax.plot(steps, values, color=colour, linewidth=1, alpha=0.3, marker=dot)
        ax.plot(steps, means, color=colour, linewidth=1.8, solid_capstyle="round")
        ends.append((float(means[-1]), f"{name}  {short(float(means[-1]))}", colour))
    ax.set_xlim(left=0)
    if theory is not None:
        ax.axhline(theory, color=INK, linewidth=1, linestyle=(0, (4, 4)), zorder=1)
        ends.append((theory, f"theory  {theory}", INK))
    label(ax, ends)


def short(value: float) -> str:
    """Two digits behind the point, or two that count where those would be noughts."""
    return f"{value:.2f}" if abs(value) >= 0.095 or not value else f"{value:.2g}"


def smooth(values: Sequence[float]) -> np.ndarray:
    """Centred running mean over about a fortieth of the values; a short curve stays as it is."""
    reach = len(values) // 80
    sums = np.cumsum([0.0, *values])
    ends = np.arange(len(values))
    low, high = np.maximum(ends - reach, 0), np.minimum(ends + reach + 1, len(values))
    return (sums[high] - sums[low]) / (high - low)


def label(ax: "Axes", ends: Sequence[tuple[float, str, str]]) -> None:
    """Write (height, text, colour) to the right of the panel, one above the other where heights meet."""
    bottom, top = ax.get_ylim()
    lowest = bottom
    for height, text, colour in sorted(ends):
        place = max(height, lowest)
        lowest = place + 0.08 * (top - bottom)
        ax.annotate(
            text,
            (1, place),
            (8, 0),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            color=colour,
            fontsize=9,
            va="center",
        )
