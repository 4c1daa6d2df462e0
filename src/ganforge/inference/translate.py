"""Translate files with a run: images, folders and zips of images, videos; names, folders and sizes are kept."""

from collections import Counter
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import Path
from typing import Any

from ganforge.console import Say, silent
from ganforge.data.layouts.files import Files
from ganforge.data.layouts.two_folders import stem
from ganforge.data.layouts.untaken import describe_untaken
from ganforge.errors import DataError, OptionError
from ganforge.images import write
from ganforge.inference.input_columns import input_columns
from ganforge.inference.load import RunLike, load
from ganforge.inference.place_jobs import LayoutJob, MapJob, TextFile
from ganforge.inference.translation_job import Companions, Job

JOBS: dict[str, type[Job]] = {"label_map": MapJob, "boxes": LayoutJob}
"""How files are translated, by the first column of the input; `Job` for images."""


@dataclass
class TranslationReport:
    """The result of `translate`."""

    out: Path
    """The path of the results."""
    written: int = 0
    """Number of images and videos written."""
    skipped: list[str] = field(default_factory=list)
    """A sentence about each file that could not be translated."""
    notes: list[str] = field(default_factory=list)
    """How images that differ from the run's data in channels were converted."""
    sheet: str = ""
    """The comparison sheet, if one was written."""


def translate(
    run: RunLike,
    source: str | Path,
    out: str | Path,
    *,
    n: int = 1,
    seed: int = 0,
    tile: int = 0,
    masks: str | Path = "",
    truth: str | Path = "",
    sheet: str | Path = "",
    device: str = "auto",
    trust: bool = False,
    say: Say = silent,
    **answers: Any,
) -> TranslationReport:
    """Translate an image, a folder or zip of images, or videos, into `out`, under the same names.

    A run of label maps takes files of these, with `masks` for instance maps.  A run of layouts takes a text that begins
    with `layout:`, a JSON file or a folder of these (see layouts.py).

    Results are lossless: PNG, or NPY for what PNG cannot hold; 16 bits stay 16 bits, floats stay floats.  With `n`
    above 1 an image has several results, `name-0.png` and so on; result k follows from (seed, k).  `masks` is a
    folder of masks with the images' names, `truth` one of ground truth: with it or `sheet` a page with the columns
    input | output | truth is written.  `answers` are the game's own options.

    Files that cannot be read are reported by `say`, skipped and counted; nothing is ever written among the sources.

    Raises:
        OptionError: the run does not translate, or paths or numbers are invalid.
        DataError: nothing could be translated.
    """
    out = Path(out).expanduser()
    if n < 1 or tile < 0:
        raise OptionError(f"{n} results in tiles of {tile} are not possible: the least is one result, and tile 0.")
    trained = load(run, device, trust=trust)
    trained.require("translate")
    kind = JOBS.get(next(iter(input_columns(trained.game)), "images"), Job)
    files = kind.open(source)
    if not isinstance(files, TextFile):
        check_outside_source(files.where, out)
    job = kind(trained, files, n, seed, tile, answers, Companions(masks, "masks"), Companions(truth, "truth"), say)
    job.check_masks()
    names, report, taken = job.names(), TranslationReport(out), Counter[str]()
    single = is_one(files) and out.suffix != "" and not out.is_dir()
    for name in names:
        target = out if single else out / result_name(name, taken)
        try:
            report.written += job.run(name, target, single)
        except DataError as error:
            report.skipped.append(str(error))
            say(f"Skipped: {error}")
    if not report.written:
        what = f"None of the {len(names)} files in {source} could be translated. The first: "
        raise DataError(f"{what if len(names) > 1 else ''}{report.skipped[0]}")
    report.notes = [*files.notes, *describe_untaken(files), *job.notes()]
    if job.rows and (str(sheet) or str(truth)):
        report.sheet = str(sheet) or str(out.with_name(f"{out.stem}-sheet.png"))
        write(Path(report.sheet), job.sheet())
    return report


def is_one(files: Files | TextFile) -> bool:
    """Whether these are a file or a text, not a folder or a zip of files."""
    return isinstance(files, TextFile) or not (files.where.is_dir() or files.where.suffix.lower() == ".zip")


def check_outside_source(source: Path, out: Path) -> None:
    """Raise OptionError where results would be written among the sources."""
    inside, target = source.resolve(), out.resolve()
    if target == inside or (source.is_dir() and target.is_relative_to(inside)):
        raise OptionError(f"The results would be written among the sources: choose a folder outside {source}.")


def result_name(name: str, taken: Counter[str]) -> str:
    """A name that no other source has: the source's without its suffix, else with it, else with a number behind it."""
    for candidate in chain((stem(name), name), (f"{name}-{k}" for k in count(2))):
        if not taken[candidate]:
            taken[candidate] += 1
            return candidate
    raise AssertionError("There are as many numbers as names.")
