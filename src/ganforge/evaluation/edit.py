"""Move the codes of photographs, or of random images, along stored directions; before and after on a page."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ganforge.console import Say, silent
from ganforge.draw import RowDraw
from ganforge.errors import OptionError
from ganforge.evaluation.invert import draw_row, read_windows
from ganforge.files import render_html
from ganforge.images import encode_png, to_uint8, visible_channels, write
from ganforge.inference.codes import Photograph, split_codes
from ganforge.inference.directions import load_directions
from ganforge.inference.inference_mode import inference_mode
from ganforge.inference.load import RunLike, load
from ganforge.inference.trained import Trained
from ganforge.inference.translate import result_name
from ganforge.run import check_number

TEMPLATE = Path(__file__).with_name("edit.html")
MOST = 60
CODE = ".safetensors"


@dataclass(frozen=True)
class Edited:
    """One image before and after its edits."""

    name: str
    target: Tensor | None
    """(1, C, H, W): the photograph; None of a random image and of a stored code."""
    before: Tensor
    after: Tensor
    """(1, C, H, W): what the run draws of the code, and of the moved one."""


@dataclass
class EditReport:
    """The result of `edit`."""

    out: Path
    directions: Mapping[str, float]
    edited: list[Edited]
    notes: list[str]


def edit(
    run: RunLike,
    photos: str | Path | Sequence[str | Path] = (),
    directions: Mapping[str, float] | None = None,
    out: str | Path = "edited",
    *,
    seed: int = 0,
    n: int = 0,
    device: str = "auto",
    trust: bool = False,
    say: Say = silent,
    **how: Any,
) -> EditReport:
    """Edit photographs, codes that `invert` has stored, or without either `n` random images of a seed.

    `directions` are sizes in standard deviations, `{"smiling": 2.0}`.  `out` gets the edited images and index.html.
    Raises OptionError for an unknown direction, for a negative `n`, and for a run that has no codes.
    """
    check_number("-n", n, 0)
    trained, out = load(run, device, trust=trust), Path(out).expanduser()
    trained.require_codes()
    given = [photos] if isinstance(photos, str | Path) else [*photos]
    sizes, notes, taken = dict(directions or {}), list[str](), Counter[str]()
    if not sizes:
        raise OptionError("Say what to edit, --direction NAME=SIZE; `ganforge directions RUN` finds directions.")
    load_directions(trained.path, trained.step, sizes)
    codes: list[tuple[str, Tensor | None, Photograph]] = []
    for path in [Path(one).expanduser() for one in given if str(one).endswith(CODE)]:
        codes.append((result_name(path.name, taken), None, trained.load_code(path)))
    if files := [one for one in given if not str(one).endswith(CODE)]:
        names, windows = read_windows(trained, files, out, say, notes)
        found = trained.invert(windows, seed, **how)
        codes += [*zip([result_name(name, taken) for name in names], windows.split(1), found, strict=True)]
    if not given:
        codes += [(f"seed{seed}-{k}", None, one) for k, one in enumerate(draw_random(trained, n or 8, seed))]
    drawn = trained.decode([one for _, _, one in codes])
    moved = trained.decode([trained.edit(one, sizes) for _, _, one in codes])
    edited = [Edited(name, target, drawn[k : k + 1], moved[k : k + 1]) for k, (name, target, _) in enumerate(codes)]
    report = EditReport(out, sizes, edited, notes)
    write_edits(report, repr(trained))
    return report


def draw_random(trained: Trained, n: int, seed: int) -> list[Photograph]:
    """The codes of random images."""
    with inference_mode(trained.game, RowDraw(seed, 0, trained.device)) as game:
        codes = game.code(game.noise(n))  # pyright: ignore
    return [Photograph(one) for one in split_codes(codes)]


def write_edits(report: EditReport, run: str) -> None:
    """Write the edited images and the page."""
    report.out.mkdir(parents=True, exist_ok=True)
    for one in report.edited:
        write(report.out / f"{one.name}.png", visible_channels(to_uint8(one.after))[0])
    page = render_html(
        TEMPLATE,
        report=report,
        run=run,
        asked=", ".join(f"{name} {size:+g}" for name, size in report.directions.items()),
        shown=report.edited[:MOST],
        picture=lambda one: encode_png(draw_edit(one)),
    )
    (report.out / "index.html").write_text(page, encoding="utf-8")


def draw_edit(one: Edited) -> np.ndarray:
    """The photograph where there is one, what is drawn of its code, and the edit."""
    return draw_row([image for image in (one.target, one.before, one.after) if image is not None])
