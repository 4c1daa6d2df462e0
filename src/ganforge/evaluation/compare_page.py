"""The comparison as one HTML page that needs nothing else: no script, no network, no other file."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from io import BytesIO
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from ganforge.callbacks.loss_curves import INK, curve, panel
from ganforge.engine import Row
from ganforge.evaluation.report import Report, interval, number

LONGEST = 28  # letters of a run's name that fit beside its curve
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1f2937; max-width: 1100px; margin: 2em auto; padding: 0 1em }
h1 { font-size: 1.5em } h2 { font-size: 1.15em; margin: 2em 0 .5em }
table { border-collapse: collapse; width: 100% } .wide { overflow-x: auto }
th, td { padding: .4em .7em; text-align: right; border-bottom: 1px solid #e5e7eb; white-space: nowrap }
th:first-child, td:first-child { text-align: left; white-space: normal }
td.best { font-weight: 600; background: #ecfdf5 } small { color: #6b7280; display: block }
.row { display: flex; flex-wrap: wrap; gap: 1.5em } figure { margin: 0; max-width: 480px }
img { max-width: 100%; image-rendering: pixelated } img.plot { image-rendering: auto }
ul { padding-left: 1.2em } code { background: #f3f4f6; padding: .1em .3em }
"""


@dataclass(frozen=True)
class Entry:
    """One of the compared."""

    report: Report
    pictures: np.ndarray
    """A grid of the seed's first pictures."""
    cost: Mapping[str, str] = field(default_factory=dict)
    curves: Figure | None = None
    scores: Sequence[Row] = ()
    """What was measured as it was trained, up to the checkpoint that is judged: {"step": 2000, "fid": 31.4}."""
    scored: str = ""
    """How, in words.  Only scores of one kind share a picture."""


def page(entries: Sequence[Entry], against: str) -> str:
    """The page about entries, the best first."""
    first = entries[0].report
    head = (
        f"{len(entries)} compared against {escape(against)}: {first.n_real:,} real pictures, seed {first.seed}, "
        f"{escape(first.features)}. Brackets hold the figure 95 times in 100."
    )
    parts = [f"<h1>Which one is better?</h1><p>{head}</p>", figures(entries), warnings(entries)]
    parts += ["<h2>The same latents, or the same inputs, side by side</h2>", row(map(grid_of, entries))]
    if any(entry.cost for entry in entries):
        parts += ["<h2>What it took</h2>", costs(entries)]
    if kinds := dict.fromkeys(entry.scored for entry in entries if entry.scores):
        parts += ["<h2>Measured over training</h2>", row(scores_of(entries, kind) for kind in kinds)]
    if any(entry.curves for entry in entries):
        parts += ["<h2>Losses over training</h2>", row(curves_of(entry) for entry in entries if entry.curves)]
    body = "\n".join(parts)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>GANForge: comparison</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>{body}</body></html>\n'
    )


def figures(entries: Sequence[Entry]) -> str:
    """The leaderboard."""
    names = [figure.name for figure in entries[0].report.figures]
    best: dict[str, float] = {}
    for name in names:
        there = [figure for entry in entries for figure in entry.report.figures if figure.name == name]
        values = {figure.value for figure in there}
        if len(values) > 1:
            best[name] = (min if there[0].better == "lower" else max)(values)
    rows = []
    for place, entry in enumerate(entries, 1):
        found = {figure.name: figure for figure in entry.report.figures}
        cells = [f"<td>{place}. {escape(entry.report.subject)}<small>{entry.report.n_fake:,} pictures</small></td>"]
        for name in names:
            if name not in found:
                cells.append("<td></td>")
                continue
            mark = ' class="best"' if found[name].value == best.get(name) else ""
            cells.append(f"<td{mark}>{number(found[name].value)}<small>{interval(found[name])}</small></td>")
        rows.append(f"<tr>{''.join(cells)}</tr>")
    ways = {figure.name: figure.better for figure in entries[0].report.figures}
    heads = "".join(f"<th>{escape(name)}<small>{ways[name]} is better</small></th>" for name in names)
    return f'<div class="wide"><table><tr><th></th>{heads}</tr>{"".join(rows)}</table></div>'


def warnings(entries: Sequence[Entry]) -> str:
    """What a person must know before believing a figure."""
    said: dict[str, list[str]] = {}
    for entry in entries:
        for warning in entry.report.warnings:
            said.setdefault(warning, []).append(entry.report.subject)
    lines = [
        f"<li>{escape(warning)}<small>{escape(', '.join(subjects))}</small></li>" for warning, subjects in said.items()
    ]
    return f"<ul>{''.join(lines)}</ul>" if lines else ""


def costs(entries: Sequence[Entry]) -> str:
    """Parameters, pace and hours of the runs."""
    names = list(next(entry.cost for entry in entries if entry.cost))
    rows = [
        f"<tr><td>{escape(entry.report.subject)}</td>{''.join(f'<td>{escape(entry.cost[n])}</td>' for n in names)}</tr>"
        for entry in entries
        if entry.cost
    ]
    heads = "".join(f"<th>{escape(name)}</th>" for name in names)
    return f'<div class="wide"><table><tr><th></th>{heads}</tr>{"".join(rows)}</table></div>'


def scores_of(entries: Sequence[Entry], kind: str) -> str:
    """What was measured in one way, with that way's name."""
    return f"<figure>{picture(plot(entries, kind))}<figcaption>{escape(kind)}</figcaption></figure>"


def plot(entries: Sequence[Entry], kind: str) -> Figure:
    """One measure over the steps of every run that took it; a run keeps its place on the leaderboard."""
    figure = Figure((7, 3.4), dpi=130)
    FigureCanvasAgg(figure)
    figure.set_layout_engine("constrained")
    lines = []
    for place, entry in enumerate(entries, 1):
        if entry.scores and entry.scored == kind:
            (name,) = entry.scores[0].keys() - {"step", "seen"}
            subject = Path(entry.report.subject.partition(" (step")[0]).name
            lines.append(curve(f"{place}. {subject[:LONGEST]}", entry.scores, [s.get(name) for s in entry.scores]))
    axes = figure.subplots()
    panel(axes, kind.partition(",")[0], lines)
    axes.set_xlabel("step", color=INK)
    return figure


def grid_of(entry: Entry) -> str:
    """The pictures of one, with its name."""
    image = Image.fromarray(entry.pictures[..., 0] if entry.pictures.shape[2] == 1 else entry.pictures)
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return f"<figure>{embedded(buffer.getvalue())}<figcaption>{escape(entry.report.subject)}</figcaption></figure>"


def curves_of(entry: Entry) -> str:
    """The losses of one, with its name."""
    assert entry.curves is not None
    return f"<figure>{picture(entry.curves)}<figcaption>{escape(entry.report.subject)}</figcaption></figure>"


def picture(figure: Figure) -> str:
    """A plot as part of the page."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    return embedded(buffer.getvalue(), "plot")


def embedded(png: bytes, kind: str = "pictures") -> str:
    """A PNG as part of the page."""
    return f'<img class="{kind}" alt="" src="data:image/png;base64,{base64.b64encode(png).decode()}">'


def row(parts: Iterable[str]) -> str:
    """Things side by side."""
    return f'<div class="row">{"".join(parts)}</div>'
