"""Score images by how strange they are to a run: a table, heat maps, a page, and figures where the truth is known."""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from io import StringIO
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ganforge.console import Say, silent, track
from ganforge.data.contact_sheet import shrink
from ganforge.data.layouts.components import label_parts
from ganforge.errors import DataError, OptionError, RunError
from ganforge.evaluation.score_items import NAMED, SOUND_DRAWN, SOUND_FROM, Item, list_drawn, list_items, reduce_mask
from ganforge.evaluation.score_page import SIDE, build_page, paint_heat
from ganforge.evaluation.score_report import Scored, ScoreReport
from ganforge.files import replacing
from ganforge.images import write
from ganforge.inference.load import RunLike, load
from ganforge.inference.trained import Trained
from ganforge.inference.translate import check_outside_source, result_name
from ganforge.metrics.anomaly import LIMIT, auroc, average_precision, choose_threshold, pro, rate_interval
from ganforge.metrics.estimate import Estimate

BATCH = 16  # images of one size that are scored together
SMOOTH = 1.0
COMMON = 0.99  # share of the images whose largest heat is within the common scale


def score(
    run: RunLike,
    source: str | Path,
    out: str | Path,
    *,
    truth: str | Path = "",
    sound: str | Path = "",
    false_alarms: float = 0.05,
    smooth: float = SMOOTH,
    seed: int = 0,
    device: str = "auto",
    trust: bool = False,
    say: Say = silent,
) -> ScoreReport:
    """Score an image, a folder or a zip; `out` gets scores.csv, heat/ and index.html, the strangest first.

    `truth` is a folder of masks with the images' names, or a table with a file and a label a row; without it folders
    called good, sound, normal or ok say what is sound.  A folder in MVTec's layout (train/good, test, ground_truth) is
    taken as it is, and `shapes-defects` is the embedded set.  `sound` is a folder of sound images that were not trained
    on: they set the threshold above which an expected share of `false_alarms` of sound images lies.  `smooth` is the
    deviation, in pixels of the run's images, of the Gaussian that smooths the maps; scores are not smoothed.

    Raises:
        OptionError: the run does not score, or a number is invalid.
        DataError: nothing can be scored, or the truth does not fit.
    """
    if smooth < 0 or not 0 < false_alarms < 1:
        raise OptionError(f"--smooth {smooth:g} must be 0 or more, and --false-alarms {false_alarms:g} within 0 and 1.")
    trained, out = load(run, device, trust=trust), Path(out).expanduser()
    trained.require("score")
    notes, skipped = list[str](), list[str]()
    place, truth = find_layout(str(source), truth, notes)
    if place != NAMED:
        check_outside_source(Path(place).expanduser(), out)
    items = list_items(trained, place, truth, say, notes, skipped)
    scored = sorted(score_items(trained, items, seed, smooth), key=lambda one: -one.score)
    if not scored:
        raise DataError(f"Nothing in {source} could be scored. The first: {skipped[0]}")
    report = ScoreReport(out, scored, smooth=smooth, notes=notes, skipped=skipped)
    if str(sound):
        others = list_sound(trained, str(sound), say, notes, skipped)
        values = np.array([one.score for one in score_items(trained, others, seed, smooth)])
        report.threshold = choose_threshold(values, false_alarms)
    measure(report)
    heats = [float(one.heat.max()) for one in scored if one.heat.size]
    report.highest = float(np.quantile(heats, COMMON)) if heats else 0.0
    write_report(report, str(source), trained)
    return report


def find_layout(source: str, truth: str | Path, notes: list[str]) -> tuple[str, str | Path]:
    """(what is scored, its truth): of a folder in MVTec's layout its test images and their masks."""
    path = Path(source).expanduser()
    if source != NAMED and not str(truth) and (path / "test").is_dir() and (path / "ground_truth").is_dir():
        notes.append(f"{source} is in MVTec's layout: test/ was scored, with the masks of ground_truth/.")
        return str(path / "test"), path / "ground_truth"
    return source, truth


def list_sound(trained: Trained, sound: str, say: Say, notes: list[str], skipped: list[str]) -> Iterator[Item]:
    """The sound images that set the threshold; of the embedded set others than those that are scored.

    Raises DataError for an image that is strange by its folder.
    """
    if sound == NAMED:
        yield from list_drawn(trained, SOUND_FROM, SOUND_DRAWN, only_sound=True)
        return
    for item in list_items(trained, sound, "", say, notes, skipped):
        if item.strange:
            raise DataError(
                f"--sound {sound} is to hold sound images alone, and {item.name} is strange by its folder: name the "
                "folder of the sound ones."
            )
        yield item


def score_items(trained: Trained, items: Iterable[Item], seed: int, smooth: float) -> Iterator[Scored]:
    """Score images, those of one size together."""
    for _, same in groupby(items, key=lambda item: item.image.shape):
        for group in in_groups(same):
            images = torch.cat([item.image for item in group])
            verdict, _ = trained.judge(images, seed, batch=BATCH)
            maps = smooth_maps(verdict.heat, smooth)[:, 0].numpy()
            for item, value, heat in zip(group, verdict.scores.tolist(), maps, strict=True):
                mask = None if item.mask is None or not heat.size else reduce_mask(item.mask, heat.shape)
                sides = (item.shown.shape[0], item.shown.shape[1])
                yield Scored(item.name, value, heat, shrink(item.shown, SIDE), sides, item.strange, mask)


def in_groups(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Up to BATCH items at a time."""
    group: list[Item] = []
    for item in items:
        group.append(item)
        if len(group) == BATCH:
            yield group
            group = []
    if group:
        yield group


def smooth_maps(maps: Tensor, deviation: float) -> Tensor:
    """Maps (N, 1, h, w) smoothed by a Gaussian of this deviation, in pixels; at borders they are reflected."""
    if not deviation or not maps.numel():
        return maps
    reach = min(round(3 * deviation) or 1, *(side - 1 for side in maps.shape[2:]))
    places = torch.arange(-reach, reach + 1, dtype=maps.dtype)
    weights = (-places.square() / (2 * deviation**2)).exp()
    weights /= weights.sum()
    padded = F.pad(maps, (reach,) * 4, mode="reflect")
    return F.conv2d(F.conv2d(padded, weights.view(1, 1, 1, -1)), weights.view(1, 1, -1, 1))


def measure(report: ScoreReport) -> None:
    """Add the figures for which the truth is known, and the false alarms that the threshold has raised."""
    known = [one for one in report.scored if one.strange is not None]
    scores, strange = np.array([one.score for one in known]), np.array([one.strange for one in known], bool)
    if strange.any() and not strange.all():
        report.figures |= {"auroc": auroc(scores, strange), "ap": average_precision(scores, strange)}
    if report.threshold and len(known) and not strange.all():
        count, n = int((scores[~strange] > report.threshold.value).sum()), int((~strange).sum())
        report.alarms = Estimate("false alarms", count / n, *rate_interval(count, n))
    placed = [one for one in known if one.mask is not None]
    if any(one.mask.any() for one in placed if one.mask is not None):
        masks = [one.mask for one in placed if one.mask is not None]
        heat = np.concatenate([one.heat.ravel() for one in placed])
        pixels = auroc(heat, np.concatenate([mask.ravel() for mask in masks]))
        regions = [number_flaws(mask) for mask in masks]
        report.figures["auroc_pixel"] = Estimate("auroc_pixel", pixels.value, better="higher")
        report.figures["pro"] = pro([one.heat for one in placed], regions, LIMIT)


def number_flaws(mask: np.ndarray) -> np.ndarray:
    """int (H, W): 0 where it is sound, else 1, 2 ... for the connected parts of the flaws."""
    return np.where(mask, label_parts(mask.astype(np.int64)) + 1, 0)


def write_report(report: ScoreReport, source: str, trained: Trained) -> None:
    """Write scores.csv, the heat maps and the page.  Raises RunError where they cannot be written."""
    taken, limit = Counter[str](), report.threshold
    try:
        (report.out / "heat").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{report.out} cannot be written ({error.strerror}): name another folder.") from error
    rows = []
    for one in track(report.scored, len(report.scored), "Writing heat maps"):
        over = "" if limit is None else int(one.score > limit.value)
        rows.append([one.name, f"{one.score:.6g}", over, "" if one.strange is None else int(one.strange)])
        if one.heat.size:
            target = report.out / "heat" / f"{result_name(one.name, taken)}.png"
            write(target, paint_heat(one.heat, report.highest, one.sides))
    with replacing(report.out / "scores.csv") as file:
        lines = [["file", "score", "over_threshold", "strange"], *rows]
        text = "".join(format_row(line) for line in lines)
        file.write(text.encode())
    with replacing(report.out / "index.html") as file:
        file.write(build_page(report, source, trained).encode())


def format_row(cells: list[object]) -> str:
    """A row of a CSV file."""
    buffer = StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(cells)
    return buffer.getvalue()
