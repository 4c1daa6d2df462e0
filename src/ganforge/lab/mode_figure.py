"""The picture of the mode contest: what the first seed of every cell draws, and how many modes all seeds found."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ganforge.lab.gaussian_mixtures import plane
from ganforge.lab.mode_result import ContestResult, Result
from ganforge.lab.objectives import OBJECTIVES
from ganforge.lab.style import BLUE, GREEN, INK, PALE, RED, SOFT, canvas, dress

COLUMNS = 5


def figure(contest: ContestResult) -> Figure:
    """Points of every cell above, modes and quality of all seeds below."""
    planes = list(dict.fromkeys(r.plane for r in contest.results))
    cells = {name: [r for r in contest.results if r.plane == name] for name in planes}
    columns = min(COLUMNS, max(len(row) for row in cells.values()))
    rows = [cells[name][k : k + columns] for name in planes for k in range(0, len(cells[name]), columns)]
    bars = 0.34 * max(len(row) for row in cells.values()) + 0.9
    seeds = f"{contest.rules.seeds} seeds" if contest.rules.seeds > 1 else "one seed"
    whole = canvas(max(2.4 * columns, 9), 2.75 * len(rows) + bars, f"Which objectives find every mode  ({seeds})")
    above, below = whole.subfigures(2, 1, squeeze=False, height_ratios=(2.75 * len(rows), bars))[:, 0]
    tiles = above.subplots(len(rows), columns, squeeze=False)
    for row, axes in zip(rows, tiles, strict=True):
        for k, ax in enumerate(axes):
            tile(ax, row[k]) if k < len(row) else ax.set_axis_off()
    panels = below.subplots(1, 2 * len(planes), squeeze=False)[0]
    for k, name in enumerate(planes):
        measured(panels[2 * k], cells[name], "modes", names=k == 0)
        measured(panels[2 * k + 1], cells[name], "quality", names=False)
    return whole


def tile(ax: Axes, result: Result) -> None:
    """The points of the first seed on the modes they should find."""
    where, first = plane(result.plane), result.seeds[0]
    dress(ax, grid=False)
    reach = 1.22 * float(np.abs(where.means).max())
    ax.set_xlim(-reach, reach)
    ax.set_ylim(-reach, reach)
    ax.set_aspect("equal")
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_facecolor("#f6f7f9")
    ax.plot(*where.means.T, "o", markersize=9, markerfacecolor="none", markeredgecolor="#9ca3af", markeredgewidth=0.9)
    ax.scatter(*result.points.T, s=3, color=BLUE, alpha=0.35, linewidths=0)
    ax.set_title(OBJECTIVES[result.objective].title, loc="left", color=INK, fontsize=9.5, fontweight="bold")
    said = f"{first.modes} of {len(where.means)} modes, {first.quality:.0%} near"
    ax.set_xlabel(said if first.finite else "diverged", color=SOFT if first.finite else RED, fontsize=9, loc="left")


def measured(ax: Axes, results: list[Result], what: str, names: bool) -> None:
    """Means over the seeds with their intervals, and every seed as a dot."""
    where = plane(results[0].plane)
    total = len(where.means) if what == "modes" else 100
    dress(ax, f"{where.name}: " + ("modes found" if what == "modes" else "% within 3 spreads"))
    for k, result in enumerate(results):
        mean, low, high = result.mean(lambda c: c.modes if what == "modes" else 100 * c.quality)
        ax.barh(k, mean, color=GREEN if what == "modes" else BLUE, alpha=0.75, height=0.62)
        if not np.isnan(low):
            ax.plot([max(low, 0), min(high, total)], [k, k], color=INK, linewidth=1.6, solid_capstyle="butt")
        values = [c.modes if what == "modes" else 100 * c.quality for c in result.seeds]
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
