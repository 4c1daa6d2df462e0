"""The comparison as one self-contained HTML page: no script, no network, no other file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ganforge.callbacks.loss_curves import draw_panel, select_points
from ganforge.engine import Row
from ganforge.evaluation.report import Report, format_interval, format_number
from ganforge.files import render_html
from ganforge.images import encode_png
from ganforge.images.figure import new_figure, to_png
from ganforge.metrics.estimate import Estimate

TEMPLATE = Path(__file__).with_name("compare_page.html")
LONGEST = 28  # characters of a run's name that fit beside its curve


@dataclass(frozen=True)
class Entry:
    """One run or image set of the comparison."""

    report: Report
    images: np.ndarray
    """A grid of the first images of the seed."""
    cost: Mapping[str, str] = field(default_factory=dict)
    curves: Figure | None = None
    scores: Sequence[Row] = ()
    """Scores during training, up to the evaluated checkpoint: {"step": 2000, "fid": 31.4}."""
    score_kind: str = ""
    """How they were measured, in words.  Only scores of one kind share a plot."""

    def select_figures(self, report: Report) -> list[Estimate | None]:
        """The figures that `report` has, in its order; None where this entry has none of that name."""
        by_name = {figure.name: figure for figure in self.report.figures}
        return [by_name.get(figure.name) for figure in report.figures]


def build_page(entries: Sequence[Entry], against: str) -> str:
    """The HTML page about entries, the best first."""
    columns = zip(*(entry.select_figures(entries[0].report) for entry in entries), strict=True)
    kinds = dict.fromkeys(entry.score_kind for entry in entries if entry.scores)
    return render_html(
        TEMPLATE,
        entries=entries,
        first=entries[0].report,
        against=against,
        best={column[0].name: find_best(column) for column in columns if column[0]},
        warnings=group_warnings(entries),
        score_plots={kind: plot_scores(entries, kind) for kind in kinds},
        encode_png=encode_png,
        to_png=to_png,
        format_number=format_number,
        format_interval=format_interval,
    )


def find_best(figures: Sequence[Estimate | None]) -> float | None:
    """The best value of one metric; None where there is none, or where all are equal."""
    present = [figure for figure in figures if figure]
    values = {figure.value for figure in present}
    if len(values) < 2:
        return None
    return (max if present[0].better == "higher" else min)(values)


def group_warnings(entries: Sequence[Entry]) -> dict[str, list[str]]:
    """{warning: the subjects that it concerns}, of all reports."""
    subjects: dict[str, list[str]] = {}
    for entry in entries:
        for warning in entry.report.warnings:
            subjects.setdefault(warning, []).append(entry.report.subject)
    return subjects


def plot_scores(entries: Sequence[Entry], kind: str) -> Figure:
    """One metric over the steps of every run that measured it; runs are numbered by their rank."""
    figure = new_figure(7, 3.4, dpi=130)
    lines = []
    for rank, entry in enumerate(entries, 1):
        if entry.scores and entry.score_kind == kind:
            (name,) = entry.scores[0].keys() - {"step", "seen"}
            subject = Path(entry.report.subject.partition(" (step")[0]).name
            lines.append(
                select_points(f"{rank}. {subject[:LONGEST]}", entry.scores, [s.get(name) for s in entry.scores])
            )
    draw_panel(figure.subplots(), kind.partition(",")[0], lines, x="step")
    return figure
