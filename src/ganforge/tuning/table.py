"""The result of a search: as text, as CSV, and as a plot."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from ganforge.console import align_columns
from ganforge.files import write_atomic
from ganforge.images.figure import COLOURS, new_figure, save, style_axes
from ganforge.tuning.space import Setting


@dataclass(frozen=True)
class Trial:
    """The outcome of one trial."""

    number: int
    state: str
    """complete, pruned (cut short), or failed."""
    value: float | None
    """The best value of its metric; None where it failed."""
    settings: Mapping[str, Any]
    run: str
    """Its run folder."""
    why: str = ""
    """Why it failed."""


@dataclass(frozen=True)
class Sweep:
    """The result of a search."""

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


def write_csv(sweep: Sweep, names: Sequence[str]) -> Path:
    """Write trials.csv, best first; returns its path."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["trial", "state", sweep.metric, *names, "run", "why"])
    for t in sweep.trials:
        value = "" if t.value is None else repr(t.value)
        table.writerow([t.number, t.state, value, *(t.settings.get(name, "") for name in names), t.run, t.why])
    write_atomic(sweep.path / "trials.csv", text.getvalue())
    return sweep.path / "trials.csv"


def format_table(sweep: Sweep, most: int = 10) -> str:
    """The best trials as a text table."""
    names = [*sweep.best.settings]
    lines = [["trial", sweep.metric, *names, ""]]
    for t in sweep.trials[:most]:
        value = "" if t.value is None else f"{t.value:.4g}"
        lines.append([str(t.number), value, *(format_value(t.settings.get(n, "")) for n in names), t.state])
    text, more = align_columns(lines, right=True), len(sweep.trials) - most
    return "\n".join(text + ([f"and {more} more in {sweep.path / 'trials.csv'}"] if more > 0 else []))


def format_value(value: Any) -> str:
    """A setting's value with three significant digits."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def plot_trials(sweep: Sweep, space: Sequence[Setting]) -> Path:
    """Write trials.png: the best value so far, and each setting against the metric; crosses at the top are failures."""
    panels = len(space) + 1
    columns = min(3, panels)
    lines = -(-panels // columns)
    figure = new_figure(4.2 * columns, 3.4 * lines, dpi=120)
    axes = figure.subplots(lines, columns, squeeze=False).flatten()
    measured = sorted((t for t in sweep.trials if t.value is not None), key=lambda t: t.number)
    running_best = list(accumulate((t.value or 0.0 for t in measured), min if sweep.better == "lower" else max))
    plot_points(axes[0], sweep, measured, [t.number for t in measured])
    axes[0].step([t.number for t in measured], running_best, where="post", color=COLOURS[0], linewidth=1.8)
    style_axes(axes[0], "The best so far", x="trial", y=sweep.metric)
    for ax, setting in zip(axes[1:panels], space, strict=True):
        kinds = [str(choice) for choice in setting.choices]
        positions = {t.number: t.settings[setting.name] for t in sweep.trials if setting.name in t.settings}
        if kinds:
            positions = {number: kinds.index(str(value)) for number, value in positions.items()}
        plot_points(ax, sweep, measured, [positions[t.number] for t in measured])
        failed = [positions[t.number] for t in sweep.trials if t.value is None and t.number in positions]
        ax.plot(failed, [0.97] * len(failed), "x", color=COLOURS[1], transform=ax.get_xaxis_transform())
        if kinds:
            ax.set_xticks(range(len(kinds)), kinds)
            ax.set_xlim(-0.5, len(kinds) - 0.5)
        elif setting.logarithmic:
            ax.set_xscale("log")
        style_axes(ax, setting.name, x=setting.name)
    for ax in axes[panels:]:
        ax.set_visible(False)
    return save(figure, sweep.path / "trials.png")


def plot_points(ax: Axes, sweep: Sweep, measured: Sequence[Trial], positions: Sequence[float]) -> None:
    """One dot per trial: filled where it was completed, hollow where it was pruned, ringed if it is the best."""
    for trial, position in zip(measured, positions, strict=True):
        height = trial.value or 0.0
        full = trial.state == "complete"
        ax.plot(position, height, "o", color=COLOURS[0], fillstyle="full" if full else "none", alpha=0.8)
        if trial.number == sweep.best.number:
            ax.plot(position, height, "o", color=COLOURS[1], fillstyle="none", markersize=12, markeredgewidth=1.8)
