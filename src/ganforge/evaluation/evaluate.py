"""`evaluate`: pictures against data, by several measures in one reading of each side, with how sure they are."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from ganforge import distributed, system
from ganforge.console import Say, silent
from ganforge.data.cache import DecodeJob, DecodeReport, decoded, fingerprint, kept
from ganforge.errors import DataError, OptionError
from ganforge.evaluation.feature_metrics import AGAINST_TRUTH, EDITS, MEASURES, WHOLE, FeaturePair, agreement, odd
from ganforge.evaluation.inputs import EvalInputs, EvalOptions, case
from ganforge.evaluation.report import Report, table
from ganforge.evaluation.sharded import by_first, seen_together, together
from ganforge.inference.load import address
from ganforge.metrics.estimate import Estimate, around
from ganforge.metrics.extractors.base import Extractor, Features, reading
from ganforge.metrics.extractors.choose import extractor
from ganforge.runs.folder import versions

PerClass = Mapping[str, tuple[Estimate, ...]]


def evaluate(
    run: str | Path,
    against: str | Path | None = None,
    metrics: Sequence[str] = (),
    *,
    out: str | Path = "",
    pictures: bool = False,
    data_home: str | Path | None = None,
    say: Say = silent,
    **options: object,
) -> Report:
    """Judge a run, `RUN@best`, or pictures in a folder, zip or array, against data: by default, the run's own.

    `options` are the fields of `Terms`.  The report is written to `out`: by default `report.json` in the run folder,
    or NAME-report.json here.  `pictures` writes grids beside it (see gallery.py).
    Several processes that torchrun started judge together; the first one writes and speaks.
    Raises OptionError, DataError, RunError or WeightsError with the sentence that says what to mend.
    """
    terms = EvalOptions(metrics=tuple(metrics), **options)  # pyright: ignore[reportArgumentType]
    with distributed.joined(system.pick_device(terms.device)) as own:
        terms = replace(terms, device=str(own))
        with distributed.one_prepares():
            found = case(run, against, terms, Path(data_home) if data_home is not None else None)
        report, sides = judged(found, terms, say if distributed.rank() == 0 else silent)
        if distributed.rank():
            return report
    target = Path(out) if str(out) else place(run, found)
    if pictures:
        from ganforge.evaluation.gallery import gallery

        grids = gallery(found, sides, target.with_suffix(""))
        report = replace(report, pictures=tuple(str(path) for path in grids))
    report.save(target)
    say(f"{table(report)}\nWrote {target}")
    return report


def judged(found: EvalInputs, terms: EvalOptions, say: Say = silent) -> tuple[Report, FeaturePair | None]:
    """The report on a case, and what the extractor saw.  Raises as `evaluate` does."""
    began = time.perf_counter()
    system.keep_memory()
    asked = terms.metrics or (tuple(AGAINST_TRUTH) if found.paired else (EDITS,) if found.asked else ())
    figures = against_truth(found, [name for name in asked if name in AGAINST_TRUTH], terms)
    figures += tuple(
        figure for name in asked if name in WHOLE for figure in by_first(partial(of_whole, name, found, terms, say))
    )
    rows = {}
    if EDITS in asked:
        edited, rows = edits(found, terms)
        figures += edited
    report = Report(
        subject=found.fake.name,
        against=found.data.name + (" (held out)" if terms.held_out else ""),
        figures=figures,
        n_fake=found.fake.count,
        n_real=found.real.count,
        per_class=rows,
        warnings=(*found.notes, *dict.fromkeys(note for figure in figures for note in figure.notes)),
        seed=terms.seed,
        size=(found.data.facts.height, found.data.facts.width),
        channels=found.data.facts.channels,
        data_fingerprint=found.data.fingerprint,
        versions=versions(),
    )
    sides = None
    if not asked or any(name in MEASURES for name in asked):
        with distributed.one_prepares():
            eyes, why = extractor(
                terms.features,
                found.data,
                weights=terms.weights,
                resize=terms.resize,
                precision=terms.precision,
                device=system.pick_device(terms.device),
            )
        say(f"Features: {eyes.about} ({why}).")
        sides = read(found, eyes, terms)
        report = measured(report, found, sides, eyes, terms)
    return replace(report, seconds=round(time.perf_counter() - began, 2)), sides


def edits(found: EvalInputs, terms: EvalOptions) -> tuple[tuple[Estimate, ...], PerClass]:
    """The figures of edits, of all and label by label."""
    from ganforge.evaluation import model_metrics

    return model_metrics.edits(found, terms)


def of_whole(name: str, found: EvalInputs, terms: EvalOptions, say: Say) -> tuple[Estimate, ...]:
    """The figures of a measure that needs more than two sets of features."""
    from ganforge.evaluation import model_metrics

    return getattr(model_metrics, name)(found, terms, say)


def place(run: str | Path, found: EvalInputs) -> Path:
    """Where a report goes when nobody says."""
    _, which = address(run)
    if found.run is not None:
        return found.run.path / ("report.json" if which == "latest" else f"report-{which}.json")
    return Path(f"{Path(run).stem or 'pictures'}-report.json")


def read(found: EvalInputs, eyes: Extractor, terms: EvalOptions) -> FeaturePair:
    """Both sides as the extractor sees them; the real one from the cache if it was read before."""
    fake = seen_together(eyes, found.fake, terms.batch)
    real = Features(real_features(found, eyes, terms))
    classes = found.real.labels if found.data.facts.labels else None
    return FeaturePair(real, fake, classes, found.fake.labels, terms.seed)


def real_features(found: EvalInputs, eyes: Extractor, terms: EvalOptions) -> torch.Tensor:
    """The features of the real side, kept under the content, the choice of pictures, and the extractor."""
    real = found.real
    key = fingerprint("features", found.data.fingerprint, real.name, real.count, found.paired, eyes.key)
    missing = distributed.agree(not kept(key))  # to one of the processes
    seen = seen_together(eyes, real, terms.batch).features if missing else None

    def begin() -> DecodeJob:
        rows = (reading(eyes, real.batches(terms.batch)).features if seen is None else seen).numpy()
        return DecodeJob(rows.shape[1:], rows.dtype, rows, lambda: DecodeReport(tuple(range(real.count))))

    return torch.from_numpy(np.array(decoded(key, begin).images))


def measured(report: Report, found: EvalInputs, sides: FeaturePair, eyes: Extractor, terms: EvalOptions) -> Report:
    """The report with every measure of features that was asked for, over all pictures and class by class."""
    asked = terms.metrics or ("fid", "kid", "prdc", *(["is"] if sides.fake.logits is not None else []))
    figures = tuple(figure for name in asked if name in MEASURES for figure in by_first(partial(MEASURES[name], sides)))
    if sides.fake_labels is not None and eyes.name == "classifier":
        figures += (agreement(sides),)
    return replace(
        report,
        figures=(*report.figures, *figures),
        features=eyes.about,
        key=eyes.key,
        per_class=beside(report.per_class, by_class(found, sides, asked)) if terms.per_class else report.per_class,
        warnings=(*report.warnings, *odd(sides), *dict.fromkeys(note for figure in figures for note in figure.notes)),
    )


def beside(
    rows: Mapping[str, tuple[Estimate, ...]], more: Mapping[str, tuple[Estimate, ...]]
) -> dict[str, tuple[Estimate, ...]]:
    """The figures of each class, of both."""
    return {name: (*rows.get(name, ()), *more.get(name, ())) for name in {**rows, **more}}


def by_class(found: EvalInputs, sides: FeaturePair, asked: Sequence[str]) -> PerClass:
    """The measures class by class.  Raises OptionError where nobody knows what the pictures show."""
    if sides.fake_labels is None or sides.real_labels is None:
        raise OptionError(
            "--per-class needs labelled data, and pictures whose classes are known: a conditional run, or one folder "
            "a class with the same names."
        )
    rows = {}
    for number, name in enumerate(found.data.facts.labels):
        one = sides.of_class(number)
        if min(len(one.real), len(one.fake)) < 2:
            continue
        of_one = [m for m in asked if m in MEASURES and m not in ("is", "modes")]
        rows[name] = tuple(figure for m in of_one for figure in by_first(partial(MEASURES[m], one)))
    return rows


def against_truth(found: EvalInputs, names: Sequence[str], terms: EvalOptions) -> tuple[Estimate, ...]:
    """Each picture against its own truth, as the mean over pictures.  Raises OptionError where there is none."""
    if names and not found.paired:
        raise OptionError(
            f"--metrics {names[0]} needs a translator and paired data: nobody knows these pictures' truth."
        )
    if not names:
        return ()
    if found.fake.count < 2:
        raise DataError(f"One pair has no interval: {found.data.name} needs 2 or more.")

    def compared(start: int, stop: int) -> torch.Tensor:
        parts = []
        for first in range(start, stop, terms.batch):
            last = min(first + terms.batch, stop)
            made, true = found.fake.rows(first, last), found.real.rows(first, last)
            parts.append(torch.stack([AGAINST_TRUTH[name][0](made, true) for name in names], 1))
        return torch.cat(parts)

    values, figures = together(found.fake.count, compared), []
    for name, each in zip(names, values.unbind(1), strict=True):
        figures.append(around(name, float(each.mean()), float(each.std()) / len(each) ** 0.5, AGAINST_TRUTH[name][1]))
    return tuple(figures)
