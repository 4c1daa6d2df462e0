"""Precision and recall against truncation: what a run's images gain in fidelity where they lose in variety.

Truncation moves codes towards their mean, by a share of the way (Karras et al. 2018, appendix B; Brock et al. 2018,
section 3.1).  Precision and recall are those of Kynkaanniemi et al. 2019, whose figure 4 this is.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from io import StringIO
from pathlib import Path

from ganforge import distributed
from ganforge.console import track
from ganforge.errors import OptionError
from ganforge.evaluation.feature_metrics import choose_features, extract_pair
from ganforge.evaluation.inputs import EvalInputs, EvalOptions
from ganforge.files import replacing
from ganforge.metrics.estimate import Estimate
from ganforge.metrics.prdc import NEIGHBOURS, prdc
from ganforge.metrics.sharded import compute_on_first

NAMES = ("precision", "recall")


@dataclass(frozen=True)
class Point:
    """A truncation, and the figures of images that were drawn with it."""

    truncation: float
    precision: Estimate
    recall: Estimate


@dataclass(frozen=True)
class Curve:
    """Points in ascending order of their truncation."""

    subject: str
    features: str
    """The extractor, in words."""
    points: tuple[Point, ...]


def measure_truncations(inputs: EvalInputs, options: EvalOptions, truncations: Sequence[float]) -> Curve:
    """Precision and recall of samples of one seed at each truncation."""
    assert inputs.truncate is not None
    with distributed.main_process_first():
        extractor, _ = choose_features(inputs, options)
    points, chosen = [], sorted({*truncations})
    for truncation in track(chosen, len(chosen), "Drawing with each truncation"):
        sides = extract_pair(replace(inputs, fake=inputs.truncate(truncation)), extractor, options)
        figures = compute_on_first(partial(prdc, sides.real.features, sides.fake.features))
        points.append(Point(truncation, *figures[:2]))
    return Curve(inputs.fake.name, extractor.about, tuple(points))


def check_truncations(inputs: EvalInputs, truncations: Sequence[float]) -> None:
    """Raise OptionError for a run whose samples have no truncation, for less than two, and for one that it refuses."""
    if inputs.truncate is None:
        what = "images alone have none" if inputs.run is None else f"{inputs.run.model} samples without one"
        raise OptionError(f"--truncations needs a run whose samples have a truncation; {what}.")
    if len({*truncations}) < 2:
        raise OptionError("--truncations draws a line between points: give two or more, as in 0.3 0.5 0.7 1.")
    if min(inputs.fake.count, inputs.real.count) <= NEIGHBOURS:
        raise OptionError(f"--truncations compares each image with its {NEIGHBOURS} nearest: take more images with -n.")
    for truncation in truncations:
        inputs.truncate(truncation).rows(0, 1)


def write_truncations(curve: Curve, stem: Path) -> tuple[Path, Path]:
    """Write STEM-truncation.csv and STEM-truncation.png; returns their paths.  Raises RunError."""
    table, picture = (stem.with_name(f"{stem.name}-truncation{suffix}") for suffix in (".csv", ".png"))
    buffer = StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["truncation", *(f"{name}{part}" for name in NAMES for part in ("", "_low", "_high"))])
    for point in curve.points:
        cells = [
            getattr(figure, part)
            for figure in (getattr(point, name) for name in NAMES)
            for part in ("value", "low", "high")
        ]
        writer.writerow([f"{point.truncation:g}", *(f"{cell:.6g}" for cell in cells)])
    with replacing(table) as file:
        file.write(buffer.getvalue().encode())
    draw_truncations(curve, picture)
    return table, picture


def draw_truncations(curve: Curve, path: Path) -> None:
    """Two panels: both figures against truncation, with their 95 % intervals, and one against the other."""
    from ganforge.images.figure import BLUE, ORANGE, SOFT, label_line_ends, new_figure, save, style_axes

    figure = new_figure(9.2, 4.2, "Precision and recall against truncation")
    left, right = figure.subplots(1, 2, width_ratios=(1.35, 1))
    points = curve.points
    across = [point.truncation for point in points]
    ends = []
    for name, colour, marker in zip(NAMES, (BLUE, ORANGE), ("o", "s"), strict=True):
        found = [getattr(point, name) for point in points]
        left.fill_between(across, [f.low for f in found], [f.high for f in found], color=colour, alpha=0.16, lw=0)
        left.plot(across, [f.value for f in found], color=colour, marker=marker, lw=1.8, ms=5)
        ends.append((found[-1].value, name, colour))
    style_axes(left, "shares of images, with 95 % intervals", x="truncation", y="share")
    left.set_ylim(-0.03, 1.03)
    label_line_ends(left, ends)
    recall, precision = ([getattr(point, name).value for point in points] for name in ("recall", "precision"))
    right.plot(recall, precision, color=SOFT, marker="o", lw=1.4, ms=5)
    for k, (point, x, y) in enumerate(zip(points, recall, precision, strict=True)):
        beside = (4, 6 if k % 2 == 0 else -14)  # above and below in turn: points are often near each other
        right.annotate(f"{point.truncation:g}", (x, y), beside, textcoords="offset points", color=SOFT, fontsize=9)
    style_axes(right, "fidelity against variety", x="recall", y="precision")
    right.set_xlim(0, max(0.1, *(1.12 * share for share in recall)))
    right.set_ylim(0, max(0.1, *(1.12 * share for share in precision)))
    right.locator_params(nbins=6)
    figure.supxlabel(f"{curve.subject}; features: {curve.features}", x=0.012, ha="left", color=SOFT, fontsize=8)
    save(figure, path)
