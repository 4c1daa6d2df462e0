"""What was found, for people and for programs: a table in the terminal, table.md, index.html, results.json."""

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from io import BytesIO

import numpy as np
from PIL import Image

from ganforge.evaluation.compare_page import STYLE, embedded
from ganforge.evaluation.gallery import enlarged
from ganforge.evaluation.report import interval, number, spelled
from ganforge.files import replacing, write_whole
from ganforge.images import fit, grid, recolour, write
from ganforge.metrics.estimate import Estimate
from ganforge.reproduction.findings import Findings, Row, Verdict
from ganforge.serialize import to_plain

OWN = """
table.seen { table-layout: fixed }
table.seen td, table.seen th { padding: .2em; border: 0; text-align: center; white-space: normal; font-weight: 400 }
table.seen img { width: 100%; min-width: 64px; display: block }
.holds { color: #047857 } .fails { color: #b91c1c } .open { color: #92400e }
td.paper { color: #6b7280 }
"""
COLOURS = {"holds": "holds", "does not hold": "fails", "within error": "open", "cannot be told": "open"}
INTERVALS = (
    "Brackets hold a figure for 95 of 100 choices of held-out pictures; what another seed of the training would "
    "change is not in them. An ordering holds where the intervals lie apart."
)


def written(found: Findings) -> None:
    """Write everything into the folder.  Raises RunError where it cannot be written."""
    folder = found.folder
    said = json.dumps(spelled(to_plain(results(found))), indent=1, ensure_ascii=False, allow_nan=False)
    write_whole(folder / "results.json", said + "\n")
    write_whole(folder / "table.md", markdown(found))
    columns = [enlarged(pictures) for pictures in shown(found).values()]
    write(folder / "pictures.png", grid(np.stack(columns, 1).reshape(-1, *columns[0].shape[1:]), len(columns)))
    with replacing(folder / "index.html") as file:
        file.write(page(found).encode())


def results(found: Findings) -> dict[str, object]:
    """What results.json holds."""
    return {
        "experiment": found.experiment.name,
        "source": found.experiment.source,
        "asked": {key: value for key, value in found.asked.items() if key != "experiment"},
        "rounds": found.rounds,
        "batch": found.batch,
        "rows": [row_of(row) for row in every(found)],
        "orderings": [{**to_plain(v.ordering), "word": v.word, "paper": v.paper} for v in found.verdicts],
        "notes": found.notes,
        "seconds": {"training": 60 * found.minutes, "judging": found.judging},
    }


def row_of(row: Row) -> dict[str, object]:
    """One of them."""
    figures = {f.name: {"value": f.value, "low": f.low, "high": f.high} for f in row.figures}
    run = row.run.name if row.run is not None else None
    return {"row": row.name, "run": run, "figures": figures, "paper": row.paper, "seconds": row.seconds, "why": row.why}


def every(found: Findings) -> tuple[Row, ...]:
    """The rows, and the true pictures below them."""
    return (*found.rows, *([found.truth] if found.truth is not None else []))


def about(found: Findings) -> list[str]:
    """How the figures came to be, in sentences."""
    asked, e = found.asked, found.experiment
    size = "x".join(map(str, (asked["size"][0], asked["size"][-1]))) if asked["size"] else "its own size"
    return [
        f"Ours: {asked['data']} ({asked['direction']}) at {size}, preset {asked['preset']}, seed {asked['seed']}.",
        f"Each of the {len(found.rows)} rows played the same {found.rounds:,} rounds of {found.batch} pairs: "
        f"{found.minutes:.1f} minutes of training in all, and {found.judging / 60:.1f} of judging.",
        f"The paper's: {e.there}.",
        "Data, length and judge differ, so the orderings compare, and the figures do not.",
        INTERVALS,
    ]


# -- text -----------------------------------------------------------------------------------------


def text(found: Findings) -> str:
    """The table and the orderings for a terminal."""
    measures = found.experiment.measures
    lines = [["", *(word for name in measures.values() for word in (name, "paper"))]]
    lines += [[row.name, *cells(row, measures)] for row in every(found)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    table = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines]
    said = [f"  {v.word + ':':<15} {sentence(found, v)}" for v in found.verdicts]
    return "\n".join([*table, "", found.summary, *said, *(f"Note: {note}" for note in notes(found))])


def cells(row: Row, measures: Mapping[str, str]) -> list[str]:
    """Ours and the paper's, measure by measure."""
    out = []
    for place, name in enumerate(measures):
        ours = row[name]
        out.append(f"{number(ours.value)} {interval(ours)}".strip() if ours is not None else "broke down")
        out.append(f"{row.paper[place]:.2f}" if row.paper else "-")
    return out


def sentence(found: Findings, verdict: Verdict) -> str:
    """An ordering with its figures."""
    one, (a, b) = verdict.ordering, (short(figure) for figure in verdict.ours)
    name = found.experiment.measures[one.measure]
    paper = "; the paper {:.2f} and {:.2f}".format(*verdict.paper) if verdict.paper else ""
    return f"{one.better} above {one.worse} in {name} ({a} and {b}{paper}). {one.says}"


def short(figure: Estimate | None) -> str:
    """Its value."""
    return "none" if figure is None else number(figure.value)


def notes(found: Findings) -> list[str]:
    """What was noticed, and what broke down."""
    return [*found.notes, *(f"{row.name}: {row.why}" for row in found.rows if row.why)]


def markdown(found: Findings) -> str:
    """table.md."""
    measures = found.experiment.measures
    heads = ["", *(word for name in measures.values() for word in (name, "paper"))]
    lines = [f"# {found.experiment.title}", "", found.experiment.source, "", bar(heads), bar(["---"] * len(heads))]
    lines += [bar([row.name, *cells(row, measures)]) for row in every(found)]
    lines += ["", found.summary, "", *(f"- **{v.word}**: {sentence(found, v)}" for v in found.verdicts), ""]
    lines += [*about(found), *(f"Note: {note}" for note in notes(found)), "", "![held-out pictures](pictures.png)", ""]
    lines += [f"From left to right: {', '.join(shown(found))}."]
    return "\n".join(lines) + "\n"


def bar(words: Sequence[str]) -> str:
    """A line of a table in Markdown."""
    return f"| {' | '.join(words)} |"


# -- the page -------------------------------------------------------------------------------------


def page(found: Findings) -> str:
    """index.html: one file that needs no other."""
    e = found.experiment
    parts = [f"<h1>{escape(e.title)}</h1><p>{escape(e.source)}</p>", f"<p><b>{escape(found.summary)}</b></p>"]
    parts += [table(found), "<h2>The paper's orderings, at this budget</h2>", orderings(found)]
    parts += ["<h2>Held-out pictures</h2>", looked_at(found)]
    parts += ["<h2>How</h2>", items([escape(line) for line in (*about(found), *notes(found))])]
    head = f'<meta charset="utf-8"><title>{escape(e.name)}: reproduced</title>'
    head += f'<meta name="viewport" content="width=device-width"><style>{STYLE}{OWN}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>\n'


def table(found: Findings) -> str:
    """Ours with their intervals, the paper's beside them; the best of each column is marked."""
    measures, rows = found.experiment.measures, []
    best = {name: top([f for row in found.rows if (f := row[name]) is not None]) for name in measures}
    for row in every(found):
        line = f"<td>{escape(row.name)}</td>"
        for place, name in enumerate(measures):
            ours = row[name]
            mark = ' class="best"' if ours is not None and row in found.rows and ours.value == best[name] else ""
            said = "broke down" if ours is None else f"{number(ours.value)}<small>{interval(ours)}</small>"
            line += f'<td{mark}>{said}</td><td class="paper">{f"{row.paper[place]:.2f}" if row.paper else ""}</td>'
        rows.append(f"<tr>{line}</tr>")
    heads = "".join(f"<th>{escape(name)}</th><th>paper</th>" for name in measures.values())
    return f'<div class="wide"><table><tr><th></th>{heads}</tr>{"".join(rows)}</table></div>'


def top(figures: Sequence[Estimate]) -> float:
    """The best value of a column; NaN where there is none."""
    if not figures:
        return float("nan")
    return (max if figures[0].better == "higher" else min)(figure.value for figure in figures)


def orderings(found: Findings) -> str:
    """A line for each."""
    return items(f'<b class="{COLOURS[v.word]}">{v.word}</b>: {escape(sentence(found, v))}' for v in found.verdicts)


def items(lines: Iterable[str]) -> str:
    """A list."""
    return f"<ul>{''.join(f'<li>{line}</li>' for line in lines)}</ul>"


def looked_at(found: Findings) -> str:
    """The input, what each row makes of it, the truth: a picture a cell."""
    columns = shown(found)
    heads = "".join(f"<th>{escape(name)}</th>" for name in columns)
    cells = ["".join(f"<td>{png(picture)}</td>" for picture in line) for line in zip(*columns.values(), strict=True)]
    lines = "".join(f"<tr>{line}</tr>" for line in cells)
    return f'<div class="wide"><table class="seen"><tr>{heads}</tr>{lines}</table></div>'


def shown(found: Findings) -> dict[str, np.ndarray]:
    """{column: pictures (n, H, W, 3)}, all in colour and of one size, that of the truth."""
    size = found.pictures["truth"].shape[1:3]
    return {
        name: np.stack([fit(recolour(picture, 3), (size[0], size[1]), 3) for picture in pictures])
        for name, pictures in found.pictures.items()
    }


def png(picture: np.ndarray) -> str:
    """A picture as part of the page."""
    buffer = BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return embedded(buffer.getvalue())
