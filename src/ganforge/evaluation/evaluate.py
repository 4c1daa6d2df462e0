"""`evaluate`: images against data by several metrics with intervals; each side is run through the extractor once."""

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from ganforge import distributed, system
from ganforge.console import Say, silent
from ganforge.errors import DataError, OptionError
from ganforge.evaluation.feature_metrics import (
    agreement,
    choose_features,
    compute_feature_metrics,
    compute_per_class,
    extract_pair,
    find_duplicates,
    merge_per_class,
)
from ganforge.evaluation.inputs import EvalInputs, EvalOptions, open_inputs
from ganforge.evaluation.report import Report, format_report
from ganforge.evaluation.truncation import check_truncations, measure_truncations, write_truncations
from ganforge.inference.input_columns import input_columns
from ganforge.inference.load import RunLike, parse_run_address
from ganforge.metrics import catalogue
from ganforge.metrics.estimate import Estimate, normal_estimate
from ganforge.metrics.extractors.base import Extractor
from ganforge.metrics.metric import FeaturePair, Metric
from ganforge.metrics.sharded import compute_on_first, compute_sharded
from ganforge.runs.folder import versions


def evaluate(
    run: RunLike,
    against: str | Path | None = None,
    metrics: Sequence[str] = (),
    *,
    out: str | Path = "",
    pictures: bool = False,
    truncations: Sequence[float] = (),
    data_home: str | Path | None = None,
    say: Say = silent,
    **options: object,
) -> Report:
    """Evaluate a run, `RUN@best`, or images in a folder, zip or array, against data: by default, the run's own.

    `options` are the fields of `EvalOptions`.  The report is written to `out`: by default `report.json` in the run
    folder, or NAME-report.json here.  `pictures` writes grids beside it (see gallery.py), `truncations` a table and a
    plot of precision and recall against truncation (see truncation.py).
    Processes started by torchrun share the work; the first one writes and prints.
    Raises OptionError, DataError, RunError or WeightsError; the message says what to change.
    """
    eval_options = EvalOptions(metrics=tuple(metrics), **options)  # pyright: ignore[reportArgumentType]
    with distributed.join_processes(system.pick_device(eval_options.device)) as device:
        eval_options = replace(eval_options, device=str(device))
        with distributed.main_process_first():
            inputs = open_inputs(run, against, eval_options, Path(data_home) if data_home is not None else None)
        target = choose_report_path(run, inputs, eval_options.held_out, out)
        if truncations:
            check_truncations(inputs, truncations)
        report, sides = evaluate_inputs(inputs, eval_options, say if distributed.rank() == 0 else silent)
        curve = measure_truncations(inputs, eval_options, truncations) if truncations else None
        if distributed.rank():
            return report
    if curve:
        written = write_truncations(curve, target.with_suffix(""))
        report = replace(report, pictures=tuple(str(path) for path in written))
    if pictures:
        from ganforge.evaluation.gallery import write_gallery

        grids = write_gallery(inputs, sides, target.with_suffix(""))
        report = replace(report, pictures=(*report.pictures, *(str(path) for path in grids)))
    report.save(target)
    say(f"{format_report(report)}\nWrote {target}")
    return report


def evaluate_inputs(inputs: EvalInputs, options: EvalOptions, say: Say = silent) -> tuple[Report, FeaturePair | None]:
    """The report on opened inputs, and both sides' features.  Raises as `evaluate` does."""
    began = time.perf_counter()
    system.keep_memory()
    metrics = {name: catalogue.find(name) for name in options.metrics} or find_default_metrics(inputs)
    if inputs.embed and (wrong := [name for name, metric in metrics.items() if metric.needs != "captions"]):
        raise OptionError(f"--metrics {wrong[0]} compares images, and a text encoder makes none: ask for retrieval.")

    # metrics of images
    figures = compute_target_metrics(inputs, select_by_need(metrics, "target"), options)
    for metric in (*select_by_need(metrics, "inputs").values(), *select_by_need(metrics, "captions").values()):
        figures += compute_on_first(partial(metric.compute, inputs, options, say))
    rows = {}
    for metric in select_by_need(metrics, "labels").values():
        edited, of_labels = metric.compute(inputs, options, say)
        figures, rows = figures + edited, merge_per_class(rows, of_labels)
    report = Report(
        subject=inputs.fake.name,
        against=name_data(inputs, options.held_out),
        figures=figures,
        n_fake=inputs.fake.count,
        n_real=inputs.real.count,
        per_class=rows,
        warnings=(*inputs.notes, *dict.fromkeys(note for figure in figures for note in figure.notes)),
        seed=options.seed,
        size=(inputs.data.facts.height, inputs.data.facts.width),
        channels=inputs.data.facts.channels,
        data_fingerprint=inputs.data.fingerprint,
        versions=versions(),
    )

    # metrics of features
    sides = None
    if any(metric.of_features for metric in metrics.values()):
        with distributed.main_process_first():
            extractor, reason = choose_features(inputs, options)
        say(f"Features: {extractor.about} ({reason}).")
        sides = extract_pair(inputs, extractor, options)
        if not options.metrics and sides.fake.logits is None:
            metrics = select_by_need(metrics, "features")
        others = len(report.figures)
        report = add_feature_metrics(report, inputs, sides, extractor, metrics, options.per_class)
        if extractor.name in UNUSUAL and (options.features == "auto" or extractor.name == "lite0"):
            report = name_extractor(report, extractor.name, others)
    return replace(report, seconds=round(time.perf_counter() - began, 2)), sides


UNUSUAL = ("pixels", "lite0")
"""Extractors whose rows bear their name: as the choice of auto, for want of a better one, or always."""


def name_extractor(report: Report, extractor: str, first: int) -> Report:
    """The report with `fid (pixels)` in the place of `fid` from figure `first` on, for it is not the usual figure."""
    figures = [replace(figure, name=f"{figure.name} ({extractor})") for figure in report.figures[first:]]
    return replace(report, figures=(*report.figures[:first], *figures))


def find_default_metrics(inputs: EvalInputs) -> dict[str, Metric]:
    """The metrics that are computed without --metrics: against the targets where there are some, else the edits of a
    label-conditioned translator, else the retrieval of a text encoder, else those of features.

    A label map or a layout has many right answers: those of features, although there are targets.
    """
    if inputs.embed:
        return {name: metric for name, metric in catalogue.find_all().items() if metric.needs == "captions"}
    translates = inputs.run is not None and hasattr(inputs.run.game, "translate")
    of_images = not translates or "images" in input_columns(inputs.run.game)  # pyright: ignore[reportOptionalMemberAccess]
    needs = ("features", "logits")
    if of_images and (inputs.paired or inputs.label_targets):
        needs = ("target",) if inputs.paired else ("labels",)
    return {name: metric for name, metric in catalogue.find_all().items() if metric.default and metric.needs in needs}


def select_by_need(metrics: Mapping[str, Metric], need: str) -> dict[str, Metric]:
    """The metrics that need `need`."""
    return {name: metric for name, metric in metrics.items() if metric.needs == need}


def choose_report_path(run: RunLike, inputs: EvalInputs, held_out: bool, out: str | Path) -> Path:
    """Where the report is written: never over one on other data.

    Raises OptionError where `out` names such a report.
    """
    if str(out):
        if is_of_other_data(Path(out), inputs, name_data(inputs, held_out)):
            raise OptionError(f"{out} is a report on other data, and is kept: name another file with -o.")
        return Path(out)
    target = default_report_path(run, inputs)
    name = re.sub(r"[^\w.-]+", "-", Path(inputs.data.name).name).strip("-") + "-held-out" * held_out
    names = (f"{target.stem}-{name}{number}.json" for number in ("", *(f"-{k}" for k in range(2, 1000))))
    paths = (target, *(target.with_name(own) for own in names))
    return next(path for path in paths if not is_of_other_data(path, inputs, name_data(inputs, held_out)))


def is_of_other_data(path: Path, inputs: EvalInputs, against: str) -> bool:
    """Whether `path` holds a report on other data than these; the same data at another size are not other data."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        key, name, shape = stored["data_fingerprint"], stored["against"], [*stored["size"], stored["channels"]]
    except (OSError, ValueError, KeyError, TypeError):  # no file, or none of ours
        return False
    facts = inputs.data.facts
    return key != inputs.data.fingerprint and (name != against or shape == [facts.height, facts.width, facts.channels])


def name_data(inputs: EvalInputs, held_out: bool) -> str:
    """The name of the data in a report."""
    return inputs.data.name + (" (held out)" if held_out else "")


def default_report_path(run: RunLike, inputs: EvalInputs) -> Path:
    """Where a report is written unless `out` names a file."""
    _, checkpoint = parse_run_address(run)
    if inputs.run is not None:
        return inputs.run.path / ("report.json" if checkpoint == "latest" else f"report-{checkpoint}.json")
    return Path(f"{Path(run).stem or 'pictures'}-report.json")


def add_feature_metrics(
    report: Report,
    inputs: EvalInputs,
    sides: FeaturePair,
    extractor: Extractor,
    metrics: Mapping[str, Metric],
    per_class: bool,
) -> Report:
    """The report with the feature metrics among `metrics`, over all images and class by class."""
    figures = compute_feature_metrics(sides, metrics)
    if sides.fake_labels is not None and extractor.name == "classifier":
        figures += (agreement(sides),)
    rows = compute_per_class(inputs, sides, metrics) if per_class else {}
    return replace(
        report,
        figures=(*report.figures, *figures),
        features=extractor.about,
        key=extractor.key,
        per_class=merge_per_class(report.per_class, rows),
        warnings=(
            *report.warnings,
            *find_duplicates(sides),
            *dict.fromkeys(note for figure in figures for note in figure.notes),
        ),
    )


def compute_target_metrics(
    inputs: EvalInputs, metrics: Mapping[str, Metric], options: EvalOptions
) -> tuple[Estimate, ...]:
    """Each image against its own target, as the mean over images.  Raises OptionError where there is none."""
    if metrics and not inputs.paired:
        raise OptionError(
            f"--metrics {next(iter(metrics))} needs a translator and paired data: these images have no known targets."
        )
    if not metrics:
        return ()
    if inputs.fake.count < 2:
        raise DataError(f"One pair has no interval: {inputs.data.name} needs 2 or more.")

    def compute(start: int, stop: int) -> torch.Tensor:
        parts = []
        for first in range(start, stop, options.batch):
            last = min(first + options.batch, stop)
            made, true = inputs.fake.rows(first, last), inputs.real.rows(first, last)
            parts.append(torch.stack([metric.compute(made, true) for metric in metrics.values()], 1))
        return torch.cat(parts)

    values, figures = compute_sharded(inputs.fake.count, compute), []
    for (name, metric), each in zip(metrics.items(), values.unbind(1), strict=True):
        figures.append(normal_estimate(name, float(each.mean()), float(each.std()) / len(each) ** 0.5, metric.better))
    return tuple(figures)
