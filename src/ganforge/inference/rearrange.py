"""Change the layout of an image, one object at a time: the same seed keeps the latents of all objects."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ganforge.data.contact_sheet import draw_cell
from ganforge.errors import OptionError
from ganforge.images import grid, to_depth, write
from ganforge.inference.input_columns import input_columns
from ganforge.inference.layouts import PREFIX, Box, check_boxes, read_layout, to_tensors
from ganforge.inference.load import RunLike, load
from ganforge.inference.place_jobs import draw_layout
from ganforge.inference.translation_job import SIDE


@dataclass(frozen=True)
class Rearrangement:
    """The result of `rearrange`."""

    path: Path
    """The strip: layouts above, images below; the first is the layout as given, then one after each change."""
    images: np.ndarray
    """uint8 (changes + 1, H, W, C)."""
    layouts: tuple[tuple[Box, ...], ...]
    """The layout of each image."""


def rearrange(
    run: RunLike,
    layout: str | Path | Sequence[Box],
    out: str | Path = "",
    *,
    move: Sequence[str] = (),
    resize: Sequence[str] = (),
    remove: Sequence[str] = (),
    add: Sequence[str] = (),
    seed: int = 0,
    device: str = "auto",
    trust: bool = False,
) -> Rearrangement:
    """Draw a layout, and the layout after each change, with the same latents; write a strip of them.

    `move` holds names and shifts in turn (`star 0.2,0`), `resize` names and factors (`star 1.5`), `remove` names, and
    `add` boxes (`star 0.1 0.2 0.5 0.6`).  `star:2` is the second star.  The changes are made in this order, each on top
    of the one before; boxes are cut at the image's border.

    Raises OptionError for a run that does not take layouts, and for changes that are not possible.
    """
    trained = load(run, device, trust=trust)
    trained.require("translate")
    if input_columns(trained.game)[:1] != ("boxes",):
        raise OptionError(f"{trained.model} takes no layouts, so there is nothing to rearrange.")
    given = f"{PREFIX}{layout}" if isinstance(layout, str) and is_text(layout) else layout
    steps = [tuple(read_layout(given, trained.facts))]
    for name, shift in in_pairs("--move", move, "star 0.2,0"):
        right, down = numbers(shift, 2, "--move")
        steps.append(change(steps[-1], name, partial(move_box, right=right, down=down)))
    for name, factor in in_pairs("--resize", resize, "star 1.5"):
        steps.append(change(steps[-1], name, partial(resize_box, factor=numbers(factor, 1, "--resize")[0])))
    for name in remove:
        steps.append(change(steps[-1], name, lambda _: ("", 0.0, 0.0, 0.0, 0.0)))
    for text in add:
        steps.append((*steps[-1], *read_layout(f"{PREFIX}{text}", trained.facts)))
    for step in steps:
        check_boxes(step, trained.facts)
    boxes, labels = to_tensors(steps, trained.facts)
    rows = [
        trained.translate_columns({"boxes": boxes[k : k + 1], "box_labels": labels[k : k + 1]}, seed)
        for k in range(len(steps))  # one row at a time: every row has the latents of row 0
    ]
    images = np.concatenate([to_depth(row, "8") for row in rows])
    path = Path(out).expanduser() if str(out) else trained.path / "samples" / f"rearranged-seed{seed}.png"
    tiles = [draw_layout(step, trained.facts) for step in steps] + [draw_cell(image, SIDE) for image in images]
    write(path, grid(tiles, len(steps), gap=4))
    return Rearrangement(path, images, tuple(steps))


def is_text(layout: str) -> bool:
    """Whether a word is a layout itself, without the prefix, and not the path of a file."""
    return not layout.startswith(PREFIX) and not layout.endswith(".json")


def in_pairs(flag: str, words: Sequence[str], example: str) -> list[tuple[str, str]]:
    """Words as pairs.  Raises OptionError where one is left over."""
    if len(words) % 2:
        raise OptionError(f"{flag} takes a name and a change in turn, as in {flag} {example}.")
    return [*zip(words[::2], words[1::2], strict=True)]


def numbers(text: str, count: int, flag: str) -> list[float]:
    """So many numbers in a word, parted by commas.  Raises OptionError for another word."""
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if len(found) != count or not np.isfinite(found).all():
        raise OptionError(f"{flag} cannot take {text!r}: it is {'two numbers, x,y' if count == 2 else 'a number'}.")
    return found


def change(layout: Sequence[Box], name: str, how: Callable[[Box], Box]) -> tuple[Box, ...]:
    """The layout with one box replaced: that of `star`, or of the second with `star:2`.  Raises OptionError."""
    word, colon, number = name.partition(":")
    places = [place for place, box in enumerate(layout) if box[0] == word]
    which = int(number) - 1 if number.isdecimal() else -1 if colon else 0
    if not 0 <= which < len(places):
        known = ", ".join(box[0] for box in layout if box[0])
        raise OptionError(f"The layout has no {name!r}; it has {known}.")
    return tuple(how(box) if place == places[which] else box for place, box in enumerate(layout))


def move_box(box: Box, right: float, down: float) -> Box:
    """The box moved by shares of the image, as far as it stays inside."""
    name, x0, y0, x1, y1 = box
    return cut((name, x0 + right, y0 + down, x1 + right, y1 + down))


def resize_box(box: Box, factor: float) -> Box:
    """The box enlarged about its middle."""
    name, x0, y0, x1, y1 = box
    x, y, wide, high = (x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0) / 2 * factor, (y1 - y0) / 2 * factor
    return cut((name, x - wide, y - high, x + wide, y + high))


def cut(box: Box) -> Box:
    """The part of a box inside the image."""
    name, *corners = box
    x0, y0, x1, y1 = (min(1.0, max(0.0, value)) for value in corners)
    return name, x0, y0, x1, y1
