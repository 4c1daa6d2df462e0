"""Find the codes of photographs, draw them again, and lay both side by side on a page."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganforge.console import Say, silent, track
from ganforge.data.contact_sheet import draw_cell
from ganforge.errors import DataError
from ganforge.evaluation.score_items import list_items
from ganforge.files import render_html
from ganforge.images import encode_png, to_uint8, visible_channels, write
from ganforge.inference.coding import fit_window
from ganforge.inference.load import RunLike, load
from ganforge.inference.trained import Trained
from ganforge.inference.translate import check_outside_source, result_name

TEMPLATE = Path(__file__).with_name("invert.html")
MOST, SIDE = 60, 160  # photographs on the page, and the side of their pictures in pixels
CODES = "codes"


@dataclass(frozen=True)
class Inverted:
    """One photograph with its code."""

    name: str
    """Of its files, without a suffix."""
    target: Tensor
    """(1, C, H, W) in [-1, 1], at the run's size."""
    made: Tensor
    """(1, C, H, W): what the run draws of the code."""
    seconds: float
    """How long the code took."""

    @property
    def error(self) -> float:
        """The mean squared difference, in units of the target's variance."""
        return relative_error(self.made, self.target)


@dataclass
class InvertReport:
    """The result of `invert`."""

    out: Path
    found: list[Inverted]
    notes: list[str] = field(default_factory=list)

    @property
    def error(self) -> float:
        """The mean squared difference of all, in units of the targets' variance."""
        return relative_error(
            *(torch.cat(rows) for rows in ([f.made for f in self.found], [f.target for f in self.found]))
        )

    @property
    def seconds(self) -> float:
        """The mean time for a photograph."""
        return float(np.mean([one.seconds for one in self.found]))


def relative_error(made: Tensor, target: Tensor) -> float:
    """The mean squared difference of images (N, C, H, W) in units of the target's variance about channels' means."""
    variance = (target - target.mean((0, 2, 3), keepdim=True)).square().mean()
    return float((made - target).square().mean() / variance.clamp_min(1e-12))


def invert(
    run: RunLike,
    photos: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    seed: int = 0,
    batch: int = 16,
    device: str = "auto",
    trust: bool = False,
    say: Say = silent,
    **how: Any,
) -> InvertReport:
    """Find the codes of images, folders and zips; `out` gets codes/, what the run draws of them, and index.html.

    The codes and images of a batch are written as soon as they are there.  Photographs are resized and cut to the run's
    size.  `how` are the fields of `Inversion`.
    Raises OptionError for a run that has no codes, and DataError where nothing can be read.
    """
    trained, out = load(run, device, trust=trust), Path(out).expanduser()
    notes = list[str]()
    names, windows = read_windows(trained, photos, out, say, notes)
    found, taken = [], Counter[str]()
    (out / CODES).mkdir(parents=True, exist_ok=True)
    for first in track(range(0, len(names), batch), -(-len(names) // batch), "inverting"):
        part = windows[first : first + batch]
        photographs = trained.invert(part, seed, batch=batch, **how)
        made = trained.decode(photographs)
        for k, one in enumerate(photographs):
            name = result_name(names[first + k], taken)
            trained.save_code(one, out / CODES / f"{name}.safetensors")
            write(out / f"{name}.png", visible_channels(to_uint8(made[k : k + 1]))[0])
            found.append(Inverted(name, part[k : k + 1], made[k : k + 1], one.seconds))
    report = InvertReport(out, found, notes)
    write_report(report, trained)
    return report


def read_windows(
    trained: Trained, photos: str | Path | Sequence[str | Path], out: Path, say: Say, notes: list[str]
) -> tuple[list[str], Tensor]:
    """The names of images of files, folders and zips, and (N, C, H, W) of the run's size; DataError without any."""
    skipped, names, windows = list[str](), list[str](), list[Tensor]()
    for photo in [photos] if isinstance(photos, str | Path) else photos:
        check_outside_source(Path(photo).expanduser(), out)
        for item in list_items(trained, str(photo), "", say, notes, skipped):
            names.append(item.name)
            windows.append(fit_window(item.image, trained.facts))
    notes += skipped
    if not names:
        raise DataError(f"No photograph could be read. The first: {skipped[0] if skipped else 'none was given'}")
    return names, torch.cat(windows)


def write_report(report: InvertReport, trained: Trained) -> None:
    """Write the page."""
    page = render_html(
        TEMPLATE,
        report=report,
        run=repr(trained),
        shown=report.found[:MOST],
        picture=lambda one: encode_png(draw_row([one.target, one.made, difference(one)])),
    )
    (report.out / "index.html").write_text(page, encoding="utf-8")


def difference(one: Inverted) -> Tensor:
    """Where the two differ: the absolute difference, white at the largest possible one."""
    return (one.made - one.target).abs() - 1


def draw_row(images: Sequence[Tensor]) -> np.ndarray:
    """(SIDE, columns, 3): images (1, C, H, W) beside each other."""
    return np.concatenate([draw_cell(visible_channels(to_uint8(image))[0], SIDE) for image in images], 1)
