"""The data doctor: every picture of a data set decoded and looked at, before a model is.

What it finds is facts and two lists of sentences: what to mend, and what to know.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ganforge.console import watched
from ganforge.data.cache import in_threads
from ganforge.data.decode import Picture, one_image
from ganforge.data.layouts.pairs import provided
from ganforge.data.source import ImageSource
from ganforge.errors import DataError
from ganforge.images import ImageHeader, high_bit_depth

FEW = 1_000  # pictures, below which a network can learn them by heart
UNEVEN = 10  # times as many pictures in the largest class as in the smallest
DEPTHS = {"uint8": "8 bits", "uint16": "16 bits", "float32": "float"}


@dataclass(frozen=True)
class Sizes:
    """Heights and widths in pixels, ordered by area."""

    smallest: tuple[int, int]
    median: tuple[int, int]
    largest: tuple[int, int]
    different: int
    """How many sizes there are: 1 where all pictures agree."""


@dataclass(frozen=True)
class Fit:
    """Whether a model of the catalogue can train on the data."""

    model: str
    fits: bool
    why_not: str
    """What is missing and what would provide it; empty where it fits."""
    command: str
    """The command that trains it; empty where it does not fit."""


@dataclass(frozen=True)
class Examination:
    """What the doctor found.  The names of the fields are those of `--json`, and stay."""

    data: str
    layout: str
    images: int
    """Pictures that can be read."""
    sizes: Sizes | None
    """None where no picture can be read."""
    channels: Mapping[int, int]
    """{channels: how many pictures have them}: 1 grey, 2 grey and alpha, 3 colour, 4 colour and alpha."""
    depths: Mapping[str, int]
    splits: Mapping[str, int]
    classes: Mapping[str, int]
    attributes: Mapping[str, float]
    """{attribute: its mean}; of attributes that are 0 or 1, the share that has it."""
    duplicates: tuple[tuple[str, ...], ...]
    """Groups of pictures with the same pixels."""
    corrupt: Mapping[str, str]
    """{picture that cannot be read: why}."""
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    provides: tuple[str, ...]
    """Columns, by the names of batches.py."""
    models: tuple[Fit, ...] = ()
    sheet: str = ""
    """Where the contact sheet was written."""


@dataclass
class Seen:
    """What looking at every picture showed; rows are numbers of pictures."""

    looks: dict[int, ImageHeader] = field(default_factory=dict)
    corrupt: dict[int, str] = field(default_factory=dict)
    flat: list[int] = field(default_factory=list)
    """Pictures of one colour."""
    alike: dict[bytes, list[int]] = field(default_factory=dict)
    """{fingerprint of the pixels: pictures that have it}."""


def examine(found: ImageSource) -> tuple[Examination, Seen]:
    """Decode every picture that was found, and say what there is to say."""
    seen = look_through(found)
    looks = list(seen.looks.values())
    rows = list(seen.looks)
    labels = found.labels
    classes, attributes = {}, {}
    if labels.column is not None and labels.column.ndim == 1:
        count = np.bincount(labels.column[rows], minlength=len(labels.names))
        classes = {name: int(n) for name, n in zip(labels.names, count, strict=True)}
    elif labels.column is not None and rows:
        mean = labels.column[rows].mean(0, np.float64).round(4)
        attributes = {name: float(x) for name, x in zip(labels.attributes, mean, strict=True)}
    groups = [rows for rows in seen.alike.values() if len(rows) > 1]
    deeper = sum(look.deeper for look in looks)
    examination = Examination(
        data=found.where,
        layout=found.layout,
        images=len(looks),
        sizes=sizes_of(looks),
        channels=dict(sorted(Counter(look.channels for look in looks).items())),
        depths=dict(Counter(DEPTHS[look.dtype.name] for look in looks)),
        splits=dict(found.splits),
        classes=classes,
        attributes=attributes,
        duplicates=tuple(tuple(found.pictures[row].name for row in group) for group in groups),
        corrupt={found.pictures[row].name: why for row, why in sorted(seen.corrupt.items())},
        problems=tuple(problems(found, seen, classes, attributes, groups)),
        notes=(*found.notes, *found.mixed, *([f"{deeper} images {high_bit_depth.CUT}"] if deeper else [])),
        provides=provided(found, seen.looks),
    )
    return examination, seen


def look_through(found: ImageSource) -> Seen:
    """Decode every picture, a few at a time."""
    seen = Seen()
    results = in_threads(_looked_at, found.pictures)
    for row, result in enumerate(watched(results, len(found.pictures), f"Examining {found.where}")):
        if isinstance(result, str):
            seen.corrupt[row] = result
            continue
        look, digest, flat = result
        seen.looks[row] = look
        seen.alike.setdefault(digest, []).append(row)
        if flat:
            seen.flat.append(row)
    return seen


def _looked_at(picture: Picture) -> tuple[ImageHeader, bytes, bool] | str:
    """The look of a picture, a fingerprint of its pixels and whether they are all equal; or why it cannot be read."""
    try:
        look, array = picture.look(), picture.read()
        if array.dtype == np.float32 and not np.isfinite(array).all():
            return "it holds numbers that are not finite"
    except DataError as error:
        return str(error).removeprefix(f"{picture.name} cannot be read: ").rstrip(".")
    digest = hashlib.blake2b(np.ascontiguousarray(array).data, digest_size=16, person=array.dtype.name.encode())
    digest.update(str(array.shape).encode())
    return look, digest.digest(), bool((array == array[:1, :1]).all())


def sizes_of(looks: list[ImageHeader]) -> Sizes | None:
    """The least, the middle and the largest size."""
    if not looks:
        return None
    sides = sorted(((look.height, look.width) for look in looks), key=lambda side: (side[0] * side[1], side))
    return Sizes(sides[0], sides[len(sides) // 2], sides[-1], len(set(sides)))


def problems(
    found: ImageSource, seen: Seen, classes: Mapping[str, int], attributes: Mapping[str, float], groups: list[list[int]]
) -> list[str]:
    """A sentence for everything that stops training or harms it: what it is, and how to mend it."""
    said, count = [], len(seen.looks)
    if found.trouble:
        said.append(str(found.trouble))
    if not count:
        said.append(f"None of the {len(found.pictures)} images can be read.")
    elif count == 1:
        said.append(one_image(found.where))
    elif count < FEW:
        said.append(
            f"{count:,} images are few: a GAN can learn them by heart. Add more, or train with --flip and --crop."
        )
    if seen.corrupt and count:
        said.append(f"Files that cannot be read, and will be left out: {len(seen.corrupt):,}. Replace or delete them.")
    if groups:
        spare = sum(len(group) - 1 for group in groups)
        said.append(f"Exact copies of other images, which are learned more often for that: {spare:,}. Delete them.")
    column = found.labels.column
    torn = [group for group in groups if column is not None and len(np.unique(column[group], axis=0)) > 1]
    if torn:
        names = " and ".join(found.pictures[row].name for row in torn[0][:2])
        said.append(f"Copies with another label: {len(torn):,}, the first {names}. One of them is wrong.")
    if seen.flat:
        first = found.pictures[seen.flat[0]].name
        said.append(f"Images of one flat colour: {len(seen.flat):,}, the first {first}. Check whether they are meant.")
    if empty := [name for name, n in classes.items() if not n]:
        said.append(f"Classes without an image: {len(empty)} of {len(classes)}, the first {empty[0]}.")
    some = [n for n in classes.values() if n]
    if some and max(some) > UNEVEN * min(some):
        large, small = max(classes, key=classes.__getitem__), min((c for c in classes if classes[c]), key=classes.get)  # pyright: ignore
        said.append(f"The classes are uneven: {large} has {max(some):,} images and {small} {min(some):,}.")
    if column is not None and column.ndim == 2 and count:
        rows = column[list(seen.looks)]
        constant = [name for name, same in zip(attributes, (rows == rows[:1]).all(0), strict=True) if same]
        if constant:
            said.append(
                f"Attributes that are the same for all images: {len(constant)}, the first {constant[0]}. Drop them."
            )
    return said
