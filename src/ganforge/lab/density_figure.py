"""Figure 1 of Goodfellow et al. 2014, drawn from a training: p_data, p_g, D and D* above, the map z -> x below."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from ganforge.images import write, write_gif
from ganforge.images.figure import (
    BLUE,
    DASHES,
    GREEN,
    INK,
    PALE,
    RED,
    SOFT,
    TITLE,
    label_line_ends,
    new_figure,
    render,
    style_axes,
)  # fmt: skip
from ganforge.lab.density_result import LATTICE, DensityResult, Frame
from ganforge.lab.distributions import equally_likely_z
from ganforge.lab.exact import LOG4, probability

MARGIN = 1.7  # height of the panel, in peaks of p_data


def write_frames(study: DensityResult, folder: Path) -> list[Path]:
    """Write all frames as frames/frame-000.png ..., the last as figure-1.png, all as figure-1.gif.

    Returns the paths of the last two.
    """
    figure, png, gif = DensityFigure(study), folder / "figure-1.png", folder / "figure-1.gif"
    images = []
    for k in range(len(study.frames)):
        images.append(render(figure.show(k)))
        write(folder / "frames" / f"frame-{k:03d}.png", images[-1])
    write(png, images[-1])
    write_gif(gif, [*images, *[images[-1]] * 12], 0.12)
    return [png, gif]


@dataclass
class DensityFigure:
    """The figure of a study.  `show` updates its curves instead of drawing everything again, which animations need."""

    study: DensityResult
    figure: Figure = field(init=False)

    def __post_init__(self) -> None:
        study = self.study
        self.figure = new_figure(11.2, 6.2, " ")
        grid = self.figure.add_gridspec(5, 2, width_ratios=(1.75, 1))
        self.plot_densities(self.figure.add_subplot(grid[:4, 0]))
        self.plot_map(self.figure.add_subplot(grid[4, 0]))
        right = (
            self.plot_values(self.figure.add_subplot(grid[:2, 1])),
            self.plot_gaps(self.figure.add_subplot(grid[2:, 1])),
        )
        self.cursors = [ax.axvline(0, color=INK, linewidth=1, alpha=0.6) for ax in right]
        self.note = self.figure.text(
            0.988, 0.985, study.broke, ha="right", va="top", color=RED, fontsize=9.5, fontweight="bold"
        )
        self.show(-1)
        self.figure.canvas.draw()
        self.figure.set_layout_engine("none")  # the layout is fixed: computing it again takes most of a frame's time

    def plot_densities(self, ax: Axes) -> None:
        """The upper panel: densities on the left axis, D and D* on the right one."""
        study, peak = self.study, float(self.study.p_data.max())
        style_axes(ax, y="density", grid=False)
        ax.set_xlim(study.edges[0], study.edges[-1])
        ax.set_ylim(0, MARGIN * peak)
        ax.fill_between(study.x, study.p_data, color=PALE, linewidth=0)
        (real,) = ax.plot(study.x, study.p_data, color=INK, linewidth=1.6, linestyle=DASHES[2])
        (self.p_g,) = ax.plot(study.x, study.p_data, color=GREEN, linewidth=2.2)
        right = style_axes(ax.twinx(), y="D(x)", grid=False)
        right.set_ylim(0, 1)
        right.set_yticks([0, 0.5, 1], ["0", "1/2", "1"])
        right.axhline(0.5, color=SOFT, linewidth=0.8, linestyle=DASHES[2], zorder=0)
        (self.optimum,) = right.plot(study.x, study.x, color=RED, linewidth=1.6, linestyle=DASHES[1])
        (self.discriminator,) = right.plot(study.x, study.x, color=BLUE, linewidth=2.0)
        names = ["p_data", "p_g", "D, trained", "D* = p_data / (p_data + p_g)"]
        curves = [real, self.p_g, self.discriminator, self.optimum]
        legend = ax.legend(
            curves, names, loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=4, frameon=False, fontsize=9.5
        )
        for text in legend.get_texts():
            text.set_color(INK)

    def plot_map(self, ax: Axes) -> None:
        """The lower panel: the map x = G(z) at equally likely values of z."""
        study = self.study
        style_axes(ax, grid=False, x="x = G(z) above, z below: 41 values, equally likely")
        ax.set_xlim(study.edges[0], study.edges[-1])
        ax.set_ylim(0, 1)
        ax.set_yticks([0, 1], ["z", "x"])
        self.z = equally_likely_z()
        low, high = study.edges[0], study.edges[-1]
        self.z_positions = low + (self.z + 3) / 6 * (high - low)  # z from -3 to 3 under the whole window
        ax.set_xticks(low + (np.arange(-3, 4) + 3) / 6 * (high - low), [str(z) for z in range(-3, 4)])
        ax.axhline(0, color=SOFT, linewidth=1)
        ax.axhline(1, color=SOFT, linewidth=1)
        self.rays = LineCollection([], colors=GREEN, linewidths=1.0, alpha=0.75)
        ax.add_collection(self.rays)

    def plot_values(self, ax: Axes) -> Axes:
        """V of the trained D, V of D*, and theorem 1, over the training."""
        frames = self.study.frames
        steps = [f.step for f in frames]
        style_axes(ax, "The value of the game")
        ax.axhline(-LOG4, color=SOFT, linewidth=1)
        ax.plot(steps, [f.criterion for f in frames], color=INK, linewidth=3.6, alpha=0.25)
        ax.plot(steps, [f.best for f in frames], color=RED, linewidth=1.5, linestyle=DASHES[1])
        ax.plot(steps, [f.value for f in frames], color=BLUE, linewidth=1.6)
        highest, last = max(f.best for f in frames), frames[-1]
        ax.set_ylim(min(-LOG4, min(f.value for f in frames)) - 0.06, highest + 0.06)
        ax.set_xlim(0, max(steps))
        names = [(last.criterion + 0.02, f"-log 4 + 2 JSD  {last.criterion:.3f}", SOFT)]
        names += [
            (last.best + 0.01, f"V(G, D*)  {last.best:.3f}", RED),
            (last.value, f"V(G, D)  {last.value:.3f}", BLUE),
        ]
        label_line_ends(ax, [*names, (-LOG4 - 0.05, f"-log 4 = {-LOG4:.3f}", SOFT)], 0.115)
        return ax

    def plot_gaps(self, ax: Axes) -> Axes:
        """D's mean on real and fake points, and its distance from D*."""
        frames = self.study.frames
        steps = [f.step for f in frames]
        style_axes(ax, "The discriminator", x="step")
        ax.axhline(0.5, color=SOFT, linewidth=1)
        curves = [
            ("E D(x)", [f.says_real for f in frames], INK, DASHES[2]),
            ("E D(G(z))", [f.says_fake for f in frames], GREEN, "-"),
            ("E |D - D*|", [f.gap for f in frames], BLUE, DASHES[1]),
            ("JSD", [f.jsd for f in frames], RED, DASHES[3]),
        ]
        for _, values, colour, dash in curves:
            ax.plot(steps, values, color=colour, linewidth=1.7, linestyle=dash)
        ax.set_ylim(0, 1)
        ax.set_xlim(0, max(steps))
        label_line_ends(ax, [(v[-1], f"{name}  {v[-1]:.3f}", colour) for name, v, colour, _ in curves], 0.06)
        return ax

    def show(self, frame: int = -1) -> Figure:
        """The figure with its curves at that frame."""
        now: Frame = self.study.frames[frame]
        self.figure.suptitle(f"A GAN learns {self.study.name}: step {now.step}", **TITLE)
        self.p_g.set_ydata(now.p_g)
        self.discriminator.set_ydata(probability(now.logit))
        self.optimum.set_ydata(probability(now.optimum))
        ends = np.interp(self.z, LATTICE, now.outputs)
        self.rays.set_segments([[(z, 0), (x, 1)] for z, x in zip(self.z_positions, ends, strict=True)])
        for cursor in self.cursors:
            cursor.set_xdata([now.step, now.step])
        return self.figure
