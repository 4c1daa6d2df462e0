"""The result of a reproduction as text, table.md, index.html and results.json."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ganforge.console import align_columns
from ganforge.evaluation.compare_page import find_best
from ganforge.evaluation.gallery import LEAST
from ganforge.evaluation.report import format_interval, format_number, replace_non_finite
from ganforge.files import render_html, write_atomic
from ganforge.images import encode_png, enlarge, fit, grid, recolour, write
from ganforge.metrics.estimate import Estimate
from ganforge.reproduction.findings import Findings, Row, Verdict
from ganforge.serialize import to_plain

TEMPLATE = Path(__file__).with_name("page.html")
CLASSES = {"holds": "holds", "does not hold": "fails", "within error": "open", "cannot be told": "open"}
INTERVALS = (
    "Brackets are 95 % intervals over the choice of held-out images; the variation between training seeds is not "
    "included. An ordering holds where the intervals do not overlap."
)


def write_results(findings: Findings) -> None:
    """Write all files into the folder.  Raises RunError where that fails."""
    folder = findings.folder
    text = json.dumps(
        replace_non_finite(to_plain(build_results(findings))), indent=1, ensure_ascii=False, allow_nan=False
    )
    write_atomic(folder / "results.json", text + "\n")
    write_atomic(folder / "table.md", format_markdown(findings))
    columns = [enlarge(images, LEAST) for images in match_images(findings).values()]
    write(folder / "pictures.png", grid(np.stack(columns, 1).reshape(-1, *columns[0].shape[1:]), len(columns)))
    write_atomic(folder / "index.html", build_page(findings))


def build_results(findings: Findings) -> dict[str, object]:
    """The content of results.json."""
    return {
        "experiment": findings.experiment.name,
        "source": findings.experiment.source,
        "asked": {key: value for key, value in findings.options.items() if key != "experiment"},
        "rounds": findings.steps,
        "batch": findings.batch,
        "rows": [build_row(row) for row in all_rows(findings)],
        "orderings": [{**to_plain(v.ordering), "word": v.outcome, "paper": v.paper} for v in findings.verdicts],
        "notes": findings.notes,
        "seconds": {"training": 60 * findings.minutes, "judging": findings.evaluation_seconds},
    }


def build_row(row: Row) -> dict[str, object]:
    """One row of results.json."""
    figures = {f.name: {"value": f.value, "low": f.low, "high": f.high} for f in row.figures}
    run = row.run.name if row.run is not None else None
    return {"row": row.name, "run": run, "figures": figures, "paper": row.paper, "seconds": row.seconds, "why": row.why}


def all_rows(findings: Findings) -> tuple[Row, ...]:
    """The rows, and that of the real images below them."""
    return (*findings.rows, *([findings.truth] if findings.truth is not None else []))


def describe(findings: Findings) -> list[str]:
    """How the figures were measured, in sentences."""
    options, e, facing = findings.options, findings.experiment, findings.options["direction"]
    size = "x".join(map(str, (options["size"][0], options["size"][-1]))) if options["size"] else "its own size"
    return [
        f"Ours: {options['data']}{'' if e.reader else f' ({facing})'} at {size}, preset {options['preset']}, seed "
        f"{options['seed']}.",
        f"Each of the {len(findings.rows)} rows was trained for the same {findings.steps:,} steps of "
        f"{findings.batch} pairs: {findings.minutes:.1f} minutes of training in all, and "
        f"{findings.evaluation_seconds / 60:.1f} of evaluation.",
        f"The paper's: {e.there}.",
        "Data, training length and the network that reads images differ, so compare orderings, not figures.",
        INTERVALS,
    ]


# -- text -----------------------------------------------------------------------------------------


def format_text(findings: Findings) -> str:
    """The table and the orderings for a terminal."""
    table = align_columns(tabulate(findings))
    verdicts = [f"  {v.outcome + ':':<15} {format_ordering(findings, v)}" for v in findings.verdicts]
    return "\n".join([*table, "", findings.summary, *verdicts, *(f"Note: {note}" for note in collect_notes(findings))])


def tabulate(findings: Findings) -> list[list[str]]:
    """The table as text: its head, then a row each."""
    measures = findings.experiment.measures
    head = ["", *(word for name in measures.values() for word in (name, "paper"))]
    return [head, *([row.name, *format_cells(row, measures)] for row in all_rows(findings))]


def format_cells(row: Row, measures: Mapping[str, str]) -> list[str]:
    """Our figures and the paper's, alternating, metric by metric."""
    out = []
    for column, name in enumerate(measures):
        ours = row[name]
        out.append(f"{format_number(ours.value)} {format_interval(ours)}".strip() if ours is not None else "diverged")
        out.append(f"{row.paper[column]:.2f}" if row.paper else "-")
    return out


def format_ordering(findings: Findings, verdict: Verdict) -> str:
    """An ordering with its figures, as a sentence."""
    one, (a, b) = verdict.ordering, (format_value(figure) for figure in verdict.ours)
    name = findings.experiment.measures[one.measure]
    paper = "; the paper {:.2f} and {:.2f}".format(*verdict.paper) if verdict.paper else ""
    return f"{one.better} above {one.worse} in {name} ({a} and {b}{paper}). {one.says}"


def format_value(figure: Estimate | None) -> str:
    """The value of an estimate as text."""
    return "none" if figure is None else format_number(figure.value)


def collect_notes(findings: Findings) -> list[str]:
    """Notes, and the reasons of rows that diverged."""
    return [*findings.notes, *(f"{row.name}: {row.why}" for row in findings.rows if row.why)]


def format_markdown(findings: Findings) -> str:
    """The content of table.md."""
    head, *rows = tabulate(findings)
    lines = [
        f"# {findings.experiment.title}",
        "",
        findings.experiment.source,
        "",
        *map(markdown_row, (head, ["---"] * len(head), *rows)),
        "",
        findings.summary,
        "",
        *(f"- **{v.outcome}**: {format_ordering(findings, v)}" for v in findings.verdicts),
        "",
        *describe(findings),
        *(f"Note: {note}" for note in collect_notes(findings)),
        "",
        "![held-out images](pictures.png)",
        "",
        f"From left to right: {', '.join(match_images(findings))}.",
    ]
    return "\n".join(lines) + "\n"


def markdown_row(words: Sequence[str]) -> str:
    """A row of a Markdown table."""
    return f"| {' | '.join(words)} |"


# -- the page -------------------------------------------------------------------------------------


def build_page(findings: Findings) -> str:
    """The content of index.html, a self-contained page."""
    columns = match_images(findings)
    return render_html(
        TEMPLATE,
        findings=findings,
        experiment=findings.experiment,
        rows=all_rows(findings),
        best={name: find_best([row[name] for row in findings.rows]) for name in findings.experiment.measures},
        classes=CLASSES,
        columns=list(columns),
        images=list(zip(*columns.values(), strict=True)),
        method=[*describe(findings), *collect_notes(findings)],
        encode_png=encode_png,
        format_interval=format_interval,
        format_number=format_number,
        format_ordering=format_ordering,
    )


def match_images(findings: Findings) -> dict[str, np.ndarray]:
    """{column: images (n, H, W, 3)}, all in colour and of the real ones' size."""
    size = [*findings.images.values()][-1].shape[1:3]
    return {
        name: np.stack([fit(recolour(image, 3), (size[0], size[1]), 3) for image in images])
        for name, images in findings.images.items()
    }
