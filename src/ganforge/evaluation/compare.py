"""`compare`: several runs or image sets against the same data, with the same extractor; a leaderboard and one page."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ganforge import distributed, system
from ganforge.callbacks.log import read_rows
from ganforge.callbacks.loss_curves import draw_curves
from ganforge.console import Say, align_columns, silent
from ganforge.errors import OptionError
from ganforge.evaluation.compare_page import Entry, build_page
from ganforge.evaluation.evaluate import evaluate_inputs
from ganforge.evaluation.gallery import LEAST, select_first
from ganforge.evaluation.inputs import EvalInputs, EvalOptions, open_inputs
from ganforge.evaluation.report import Report, format_interval, format_number, rank_reports
from ganforge.evaluation.selection import metric_direction
from ganforge.files import replacing
from ganforge.game import parameters
from ganforge.images import enlarge, grid
from ganforge.inference.load import RunLike, config_of, model_of, parse_run_address
from ganforge.runs.folder import RunConfig, RunFolder, is_run, run_of
from ganforge.runs.run_data import check_run_data, run_data_arguments

SHOWN, COLUMNS = 24, 8


def compare(
    *subjects: Any,
    against: str | Path | None = None,
    metrics: Sequence[str] = (),
    out: str | Path = "comparison.html",
    data_home: str | Path | None = None,
    say: Say = silent,
    **options: object,
) -> tuple[Report, ...]:
    """Evaluate several against the same data; returns their reports, the best first by the first metric.

    `subjects` are runs, loaded games and sets of images, `compare(a, b)`; or one list of them, after which `against`
    and `metrics` may follow.  `against` is by default the data of the first run among them; `options` are the fields
    of `EvalOptions`.
    `out` names the HTML page, a single self-contained file: metrics with intervals, the same latents or inputs side by
    side, training curves, cost.
    Raises OptionError where the metrics would not be comparable, and whatever `evaluate` raises.
    """
    if subjects and isinstance(subjects[0], list | tuple):
        subjects, *more = subjects
        against, metrics = [*more, *(against, metrics)[len(more) :]][:2]
    if len(subjects) < 2:
        raise OptionError("A comparison needs two or more runs or image sets.")
    home = Path(data_home) if data_home is not None else None
    eval_options = EvalOptions(metrics=tuple(metrics), **options)  # pyright: ignore[reportArgumentType]
    against = against if against is not None else find_reference_data(subjects, home, eval_options.trust)
    with distributed.join_processes(system.pick_device(eval_options.device)) as device:
        say = say if distributed.rank() == 0 else silent
        eval_options = replace(eval_options, device=str(device))
        with distributed.main_process_first():
            opened = [open_inputs(subject, against, eval_options, home) for subject in subjects]
            counts = [inputs.fake.count for inputs in opened]
            if (fewest := min(counts)) < max(counts):
                say(f"The smallest set has {fewest} images, so {fewest} of each are used: metrics need equal n.")
                opened = [open_inputs(subject, against, replace(eval_options, n=fewest), home) for subject in subjects]
        messages: set[str] = set()
        reports = [evaluate_inputs(inputs, eval_options, partial(say_once, messages, say))[0] for inputs in opened]
        first = distributed.rank() == 0
    check_comparable(reports)
    order = rank_reports(reports, reports[0].figures[0].name)
    if not first:
        return tuple(order)
    say(format_leaderboard(order))
    entries = [build_entry(opened[reports.index(report)], report) for report in order]
    with replacing(Path(out)) as file:
        file.write(build_page(entries, against=str(order[0].against)).encode())
    say(f"Wrote {out}")
    return tuple(order)


def say_once(messages: set[str], say: Say, sentence: str) -> None:
    """Print a message unless it was printed before: the extractor is the same for all."""
    if sentence not in messages:
        messages.add(sentence)
        say(sentence)


def find_reference_data(subjects: Sequence[RunLike], home: Path | None = None, trust: bool = False) -> str:
    """The data that the first run among the subjects was trained on.

    Raises OptionError where there is no run, and DataError where the data are not those of the run any more.
    """
    for subject in subjects:
        path, _ = parse_run_address(subject)
        if is_run(path):
            run_config = RunFolder.open(path).run_config
            model = model_of(run_config, trust)
            batch_type = model.game.choose_batches(config_of(path, run_config, model))
            check_run_data(run_config, batch_type, home, "name the data to compare with by --against DATA")
            return run_data_arguments(run_config)["spec"]
    raise OptionError("None of these is a run: name the data to compare with by --against DATA.")


def check_comparable(reports: Sequence[Report]) -> None:
    """Raise OptionError where two reports differ in their data or their feature extractor."""
    first = reports[0]
    for other in reports[1:]:
        if (first.key, first.data_fingerprint) == (other.key, other.data_fingerprint):
            continue
        if (first.size, first.channels) == (other.size, other.channels):
            raise OptionError(
                f"{first.subject} and {other.subject} read {first.against} in different ranges of values, or by "
                "different features: metrics compare only runs whose data had one range."
            )
        raise OptionError(
            f"{first.subject} is evaluated at {first.size[0]}x{first.size[1]} with {first.channels} channels and "
            f"{other.subject} at {other.size[0]}x{other.size[1]} with {other.channels}: metrics compare only at "
            "one resolution and number of channels, so give --size (and --channels)."
        )


def format_leaderboard(reports: Sequence[Report]) -> str:
    """Reports, the best first, as a table for a terminal."""
    names = [f.name for f in reports[0].figures if all(f.name in [g.name for g in r.figures] for r in reports)]
    cells = [["", *names]]
    for place, report in enumerate(reports, 1):
        figures = [report[name] for name in names]
        cells.append(
            [f"{place}. {report.subject}", *(f"{format_number(f.value)} {format_interval(f)}".strip() for f in figures)]
        )
    return "\n".join(align_columns(cells))


def build_entry(inputs: EvalInputs, report: Report) -> Entry:
    """One entry of the comparison page."""
    images, columns = select_first(inputs, min(SHOWN, inputs.fake.count))
    image_grid = grid(enlarge(images, LEAST), columns or COLUMNS)
    if inputs.run is None:
        return Entry(report, image_grid)
    log, scores = (
        [row for row in read_rows(inputs.run.path / name, *needs) if row["step"] <= inputs.run.step]
        for name, *needs in (("log.jsonl", "seen", "seconds"), ("scores.jsonl",))
    )
    seconds, seen = sum(row["seconds"] for row in log), log[-1]["seen"] if log else 0.0
    cost = {
        "parameters": f"{sum(parameters(inputs.run.game).values()):,}",
        "steps": f"{inputs.run.step:,}",
        "images/s": f"{seen / seconds:,.0f}" if seconds else "",
        "hours": format_number(seconds / 3600) if seconds else "",
    }
    curves = draw_curves(log, inputs.run.game.discriminator_output) if log else None
    return Entry(
        report, image_grid, cost, curves, scores, describe_selection(RunFolder.open(inputs.run.path).run_config)
    )


def describe_selection(run_config: RunConfig) -> str:
    """How a run's checkpoints were scored during training, in words."""
    run = run_of(run_config)
    if not run.select:
        return ""
    direction = metric_direction(run.select)
    return f"{run.select}, {direction} is better; {run.judged:,} images against {run_config.data['asked']}"
