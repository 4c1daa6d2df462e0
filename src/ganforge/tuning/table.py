"""What a search found: as a table for people, a table for programs, and a picture."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ganforge.callbacks.loss_curves import COLOURS, INK, PALE
from ganforge.files import replacing, write_whole
from ganforge.tuning.space import Setting


@dataclass(frozen=True)
class Trial:
    """What became of one trial."""

    number: int
    state: str
    """complete, pruned (cut short), or failed."""
    value: float | None
    """The best that its measure was; None where it failed."""
    settings: Mapping[str, Any]
    run: str
    """Its run folder."""
    why: str = ""
    """Why it failed."""


@dataclass(frozen=True)
class Sweep:
    """What a search found."""

    path: Path
    metric: str
    better: str
    """lower or higher."""
    trials: tuple[Trial, ...]
    """Best first; those that failed last."""

    @property
    def best(self) -> Trial:
        """The best of the trials."""
        return self.trials[0]


def written(sweep: Sweep, names: Sequence[str]) -> Path:
    """trials.csv, best first."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["trial", "state", sweep.metric, *names, "run", "why"])
    for t in sweep.trials:
        value = "" if t.value is None else repr(t.value)
        table.writerow([t.number, t.state, value, *(t.settings.get(name, "") for name in names), t.run, t.why])
    write_whole(sweep.path / "trials.csv", text.getvalue())
    return sweep.path / "trials.csv"


def spoken(sweep: Sweep, most: int = 10) -> str:
    """The best trials as lines of a table."""
    names = [*sweep.best.settings]
    lines = [["trial", sweep.metric, *names, ""]]
    for t in sweep.trials[:most]:
        value = "" if t.value is None else f"{t.value:.4g}"
        lines.append([str(t.number), value, *(short(t.settings.get(n, "")) for n in names), t.state])
    widths = [max(len(line[k]) for line in lines) for k in range(len(lines[0]))]
    rows = ["  ".join(word.rjust(width) for word, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    more = len(sweep.trials) - most
    return "\n".join(rows + ([f"and {more} more in {sweep.path / 'trials.csv'}"] if more > 0 else []))


def short(value: Any) -> str:
    """A setting's value as a person reads it."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def drawn(sweep: Sweep, space: Sequence[Setting]) -> Path:
    """trials.png: the best so far, trial by trial, and each setting against the measure; crosses above are failures."""
    panels = len(space) + 1
    columns = min(3, panels)
    lines = -(-panels // columns)
    figure = Figure((4.2 * columns, 3.4 * lines), dpi=120)
    FigureCanvasAgg(figure)
    figure.set_layout_engine("constrained")
    axes = figure.subplots(lines, columns, squeeze=False).flatten()
    measured = sorted((t for t in sweep.trials if t.value is not None), key=lambda t: t.number)
    so_far = list(accumulate((t.value or 0.0 for t in measured), min if sweep.better == "lower" else max))
    dots(axes[0], sweep, measured, [t.number for t in measured])
    axes[0].step([t.number for t in measured], so_far, where="post", color=COLOURS[0], linewidth=1.8)
    styled(axes[0], "The best so far", "trial", sweep.metric)
    for ax, setting in zip(axes[1:panels], space, strict=True):
        kinds = [str(choice) for choice in setting.choices]
        at = {t.number: t.settings[setting.name] for t in sweep.trials if setting.name in t.settings}
        at = {number: kinds.index(str(value)) for number, value in at.items()} if kinds else at
        dots(ax, sweep, measured, [at[t.number] for t in measured])
        failed = [at[t.number] for t in sweep.trials if t.value is None and t.number in at]
        ax.plot(failed, [0.97] * len(failed), "x", color=COLOURS[1], transform=ax.get_xaxis_transform())
        if kinds:
            ax.set_xticks(range(len(kinds)), kinds)
            ax.set_xlim(-0.5, len(kinds) - 0.5)
        elif setting.logarithmic:
            ax.set_xscale("log")
        styled(ax, setting.name, setting.name, "")
    for ax in axes[panels:]:
        ax.set_visible(False)
    with replacing(sweep.path / "trials.png") as file:
        figure.savefig(file, format="png")
    return sweep.path / "trials.png"


def dots(ax: Axes, sweep: Sweep, measured: Sequence[Trial], places: Sequence[float]) -> None:
    """A dot a trial: full where it was played to its end, hollow where it was cut short, ringed if it is the best."""
    for trial, place in zip(measured, places, strict=True):
        height = trial.value or 0.0
        full = trial.state == "complete"
        ax.plot(place, height, "o", color=COLOURS[0], fillstyle="full" if full else "none", alpha=0.8)
        if trial.number == sweep.best.number:
            ax.plot(place, height, "o", color=COLOURS[1], fillstyle="none", markersize=12, markeredgewidth=1.8)


def styled(ax: Axes, title: str, x: str, y: str) -> None:
    """Quiet axes, as in losses.png."""
    ax.set_title(title, loc="left", color=INK, fontsize=11, fontweight="bold")
    ax.set_xlabel(x, color=INK)
    ax.set_ylabel(y, color=INK)
    ax.grid(color=PALE, linewidth=0.8)
    ax.set_axisbelow(True)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0, colors=INK, labelsize=9)
