"""`compare`: several runs or sets of pictures against the same data, by the same eyes; a leaderboard and one page."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from ganforge import distributed, system
from ganforge.callbacks.log import rows
from ganforge.callbacks.loss_curves import draw
from ganforge.console import Say, silent
from ganforge.errors import OptionError
from ganforge.evaluation.compare_page import Entry, page
from ganforge.evaluation.evaluate import judged
from ganforge.evaluation.gallery import enlarged, first_look
from ganforge.evaluation.inputs import EvalInputs, EvalOptions, case
from ganforge.evaluation.report import Report, in_order, interval, number
from ganforge.evaluation.selection import better
from ganforge.files import replacing
from ganforge.game import parameters
from ganforge.images import grid
from ganforge.inference.load import address
from ganforge.runs.folder import RunConfig, RunFolder, run_of

SHOWN, COLUMNS = 24, 8


def compare(
    subjects: Sequence[str | Path],
    against: str | Path | None = None,
    metrics: Sequence[str] = (),
    *,
    out: str | Path = "comparison.html",
    data_home: str | Path | None = None,
    say: Say = silent,
    **options: object,
) -> tuple[Report, ...]:
    """Judge several against the same data; returns their reports, the best first by the first figure.

    `against` is by default the data of the first run among them; `options` are the fields of `Terms`.  `out` names
    the page, one file that needs no other: figures with intervals, the same latents or inputs side by side, curves
    over training, cost.
    Raises OptionError where figures would not compare, and whatever `evaluate` raises.
    """
    if len(subjects) < 2:
        raise OptionError("A comparison needs two or more runs or sets of pictures.")
    against = against if against is not None else data_of_the_first(subjects)
    terms = EvalOptions(metrics=tuple(metrics), **options)  # pyright: ignore[reportArgumentType]
    home = Path(data_home) if data_home is not None else None
    with distributed.joined(system.pick_device(terms.device)) as own:
        say, terms = say if distributed.rank() == 0 else silent, replace(terms, device=str(own))
        with distributed.one_prepares():
            found = [case(subject, against, terms, home) for subject in subjects]
            if (fewest := min(one.fake.count for one in found)) < max(one.fake.count for one in found):
                say(f"The fewest pictures are {fewest}, so that many are taken of each: figures compare only at one n.")
                found = [case(subject, against, replace(terms, n=fewest), home) for subject in subjects]
        said: set[str] = set()
        reports = [judged(one, terms, partial(once, said, say))[0] for one in found]
        first = distributed.rank() == 0
    comparable(reports)
    order = in_order(reports, reports[0].figures[0].name)
    if not first:
        return tuple(order)
    say(leaderboard(order))
    entries = [entry(found[reports.index(report)], report) for report in order]
    with replacing(Path(out)) as file:
        file.write(page(entries, against=str(order[0].against)).encode())
    say(f"Wrote {out}")
    return tuple(order)


def once(said: set[str], say: Say, sentence: str) -> None:
    """Say what was not said before: the eyes are the same for all."""
    if sentence not in said:
        said.add(sentence)
        say(sentence)


def data_of_the_first(subjects: Sequence[str | Path]) -> str:
    """The data that the first run among them was trained on.  Raises OptionError where there is no run."""
    for subject in subjects:
        path, _ = address(subject)
        if (path / "config.yaml").is_file():
            return RunFolder.open(path).card.data["asked"]
    raise OptionError("None of these is a run, so say what to hold the pictures against with --against DATA.")


def comparable(reports: Sequence[Report]) -> None:
    """Raise OptionError where two reports did not look at the same data with the same eyes."""
    first = reports[0]
    for other in reports[1:]:
        if (first.key, first.data_fingerprint) != (other.key, other.data_fingerprint):
            raise OptionError(
                f"{first.subject} is judged at {first.size[0]}x{first.size[1]} with {first.channels} channels and "
                f"{other.subject} at {other.size[0]}x{other.size[1]} with {other.channels}: figures compare only when "
                "all are judged alike, so give --size (and --channels)."
            )


def leaderboard(reports: Sequence[Report]) -> str:
    """Reports in order as a table for a terminal."""
    names = [f.name for f in reports[0].figures if all(f.name in [g.name for g in r.figures] for r in reports)]
    cells = [["", *names]]
    for place, report in enumerate(reports, 1):
        figures = [report[name] for name in names]
        cells.append([f"{place}. {report.subject}", *(f"{number(f.value)} {interval(f)}".strip() for f in figures)])
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells)


def entry(found: EvalInputs, report: Report) -> Entry:
    """One of the compared, as the page shows it."""
    pictures, columns = first_look(found, min(SHOWN, found.fake.count))
    shown = grid(enlarged(pictures), columns or COLUMNS)
    if found.run is None:
        return Entry(report, shown)
    log, scores = (
        [row for row in rows(found.run.path / name) if row["step"] <= found.run.step]
        for name in ("log.jsonl", "scores.jsonl")
    )
    seconds, seen = sum(row["seconds"] for row in log), log[-1]["seen"] if log else 0.0
    cost = {
        "parameters": f"{sum(parameters(found.run.game).values()):,}",
        "steps": f"{found.run.step:,}",
        "images/s": f"{seen / seconds:,.0f}" if seconds else "",
        "hours": number(seconds / 3600) if seconds else "",
    }
    curves = draw(log, found.run.game.discriminator_output) if log else None
    return Entry(report, shown, cost, curves, scores, scored(RunFolder.open(found.run.path).card))


def scored(card: RunConfig) -> str:
    """How a run's checkpoints were measured, in words."""
    run = run_of(card)
    if not run.select:
        return ""
    return f"{run.select}, {better(run.select)} is better; {run.judged:,} pictures against {card.data['asked']}"
