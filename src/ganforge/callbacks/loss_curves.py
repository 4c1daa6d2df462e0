"""losses.png: the players' losses and the discriminator's outputs over the steps."""

from collections.abc import Container, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ganforge.callbacks.log import losses, mean_output, read_rows
from ganforge.callbacks.progress_bar import probability
from ganforge.engine import Callback, Engine, Row

if TYPE_CHECKING:  # training starts without matplotlib, 0.2 s and 25 MB
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Curve = tuple[str, list[float], list[float]]  # (name, steps, values)


class LossCurves(Callback):
    """Draws the curves of a log at the end of the run."""

    def __init__(self, log: Path, target: Path) -> None:
        self.log_path, self.target = log, target

    def end(self, engine: Engine) -> None:
        """Draw the log, if it has any rows."""
        if log := read_rows(self.log_path):
            from ganforge.images.figure import save

            save(draw_curves(log, engine.game.discriminator_output, engine.means.logged_only), self.target)


def draw_curves(log: Sequence[Row], output_type: str, logged_only: Container[str] = ()) -> "Figure":
    """The figure: losses above; below, where they are logged, D(x) and D(G(z)), or a critic's scores.

    `output_type` is the game's `discriminator_output`: "logits" are drawn as probabilities.  `logged_only` are the
    terms that no player descends.
    """
    is_probability = output_type == "logits"
    sums = [losses(row, logged_only) for row in log]
    players = list(dict.fromkeys(player for row in sums for player in row))
    loss_curves = [select_points(player, log, [row.get(player) for row in sums]) for player in players]
    outputs = [(kind, [mean_output(row, kind) for row in log]) for kind in ("real", "fake")]
    names = {"real": "D(x)", "fake": "D(G(z))"} if is_probability else {"real": "real", "fake": "fake"}
    if is_probability:
        outputs = [(kind, [None if v is None else probability(v) for v in values]) for kind, values in outputs]
    output_curves = [select_points(names[kind], log, values) for kind, values in outputs if set(values) != {None}]

    from ganforge.images.figure import new_figure

    figure = new_figure(9, 6.2 if output_curves else 3.6, dpi=150)
    axes = figure.subplots(1 + bool(output_curves), sharex=True, squeeze=False)[:, 0]
    draw_panel(axes[0], "Loss of each player", loss_curves, x="" if output_curves else "step")
    if output_curves and is_probability:
        axes[1].set_ylim(-0.02, 1.02)
        draw_panel(
            axes[1], "Output of the discriminator: the probability of being real", output_curves, x="step", theory=0.5
        )
    elif output_curves:
        draw_panel(axes[1], "Scores of the critic", output_curves, x="step")
    return figure


def select_points(name: str, log: Sequence[Row], values: Sequence[float | None]) -> Curve:
    """A curve of the rows that have a value."""
    points = [(row["step"], value) for row, value in zip(log, values, strict=True) if value is not None]
    return name, [step for step, _ in points], [value for _, value in points]


def draw_panel(ax: "Axes", title: str, curves: Sequence[Curve], x: str = "", theory: float | None = None) -> None:
    """Draw curves on a light grid: pale as logged, and their running means in full colour."""
    from ganforge.images.figure import COLOURS, INK, label_line_ends, style_axes

    style_axes(ax, title, x=x)
    ax.margins(x=0)
    ends = []
    for k, (name, steps, values) in enumerate(curves):
        colour, means = COLOURS[k % len(COLOURS)], smooth(values)
        dot = "o" if len(steps) == 1 else ""  # a single row makes no line
        ax.plot(steps, values, color=colour, linewidth=1, alpha=0.3, marker=dot)
        ax.plot(steps, means, color=colour, linewidth=1.8, solid_capstyle="round")
        ends.append((float(means[-1]), f"{name}  {format_value(float(means[-1]))}", colour))
    ax.set_xlim(left=0)
    if theory is not None:
        ax.axhline(theory, color=INK, linewidth=1, linestyle=(0, (4, 4)), zorder=1)
        ends.append((theory, f"theory  {theory}", INK))
    label_line_ends(ax, ends, 0.08)


def format_value(value: float) -> str:
    """Two decimals, or two significant digits for smaller values."""
    return f"{value:.2f}" if abs(value) >= 0.095 or not value else f"{value:.2g}"


def smooth(values: Sequence[float]) -> np.ndarray:
    """Centred running mean over about a fortieth of the values; a short curve is unchanged."""
    reach = len(values) // 80
    sums = np.cumsum([0.0, *values])
    ends = np.arange(len(values))
    low, high = np.maximum(ends - reach, 0), np.minimum(ends + reach + 1, len(values))
    return (sums[high] - sums[low]) / (high - low)
