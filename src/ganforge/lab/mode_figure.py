"""The figure of the mode contest: samples of the first seed of every entry, and how many modes all seeds found."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ganforge.images.figure import BLUE, GREEN, INK, PALE, RED, SOFT, new_figure, style_axes
from ganforge.lab.gaussian_mixtures import find_plane
from ganforge.lab.mode_result import ContestResult, ModeResult
from ganforge.lab.objectives import OBJECTIVES

COLUMNS = 5


def draw_contest(contest: ContestResult) -> Figure:
    """Samples of every objective and plane above, modes and quality over all seeds below."""
    planes = list(dict.fromkeys(r.plane for r in contest.results))
    by_plane = {name: [r for r in contest.results if r.plane == name] for name in planes}
    columns = min(COLUMNS, max(len(row) for row in by_plane.values()))
    rows = [by_plane[name][k : k + columns] for name in planes for k in range(0, len(by_plane[name]), columns)]
    bars = 0.34 * max(len(row) for row in by_plane.values()) + 0.9
    seeds = f"{contest.rules.seeds} seeds" if contest.rules.seeds > 1 else "one seed"
    figure = new_figure(max(2.4 * columns, 9), 2.75 * len(rows) + bars, f"Which objectives find every mode  ({seeds})")
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=(2.75 * len(rows), bars))[:, 0]
    tiles = above.subplots(len(rows), columns, squeeze=False)
    for row, axes in zip(rows, tiles, strict=True):
        for k, ax in enumerate(axes):
            plot_samples(ax, row[k]) if k < len(row) else ax.set_axis_off()
    panels = below.subplots(1, 2 * len(planes), squeeze=False)[0]
    for k, name in enumerate(planes):
        plot_bars(panels[2 * k], by_plane[name], "modes", names=k == 0)
        plot_bars(panels[2 * k + 1], by_plane[name], "quality", names=False)
    return figure


def plot_samples(ax: Axes, result: ModeResult) -> None:
    """Generated points of the first seed over the modes of the plane."""
    plane, first = find_plane(result.plane), result.seeds[0]
    style_axes(ax, grid=False)
    reach = 1.22 * float(np.abs(plane.means).max())
    ax.set_xlim(-reach, reach)
    ax.set_ylim(-reach, reach)
    ax.set_aspect("equal")
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_facecolor("#f6f7f9")
    ax.plot(*plane.means.T, "o", markersize=9, markerfacecolor="none", markeredgecolor="#9ca3af", markeredgewidth=0.9)
    ax.scatter(*result.points.T, s=3, color=BLUE, alpha=0.35, linewidths=0)
    ax.set_title(OBJECTIVES[result.objective].title, loc="left", color=INK, fontsize=9.5, fontweight="bold")
    caption = f"{first.modes} of {len(plane.means)} modes, {first.quality:.0%} near"
    ax.set_xlabel(caption if first.finite else "diverged", color=SOFT if first.finite else RED, fontsize=9, loc="left")


def plot_bars(ax: Axes, results: list[ModeResult], quantity: str, names: bool) -> None:
    """Means over the seeds with their intervals, and every seed as a dot; `quantity` is modes or quality."""
    plane = find_plane(results[0].plane)
    total = len(plane.means) if quantity == "modes" else 100
    style_axes(ax, f"{plane.name}: " + ("modes found" if quantity == "modes" else "% within 3 spreads"))
    for k, result in enumerate(results):
        mean, low, high = result.mean(lambda c: c.modes if quantity == "modes" else 100 * c.quality)
        ax.barh(k, mean, color=GREEN if quantity == "modes" else BLUE, alpha=0.75, height=0.62)
        if not np.isnan(low):
            ax.plot([max(low, 0), min(high, total)], [k, k], color=INK, linewidth=1.6, solid_capstyle="butt")
        values = [c.modes if quantity == "modes" else 100 * c.quality for c in result.seeds]
        ax.scatter(
            values, [k] * len(values), s=11, color="white", edgecolors=INK, linewidths=0.8, zorder=3, clip_on=False
        )
    ax.set_xlim(0, total * 1.04)
    ax.axvline(total, color=SOFT, linewidth=1)
    ax.set_ylim(len(results) - 0.4, -0.6)
    ax.set_yticks(range(len(results)), [OBJECTIVES[r.objective].title for r in results] if names else [])
    ax.grid(axis="y", visible=False)
    ax.tick_params(axis="y", length=0)
    ax.set_facecolor("white")
    ax.grid(axis="x", color=PALE, linewidth=0.8)
