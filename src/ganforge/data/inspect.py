"""Examine a data set before training: decode every image and report facts, problems and notes.

Problems are sentences about what to repair, notes are sentences about what to know.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ganforge.console import track
from ganforge.data.cache import map_in_threads
from ganforge.data.caption_counts import CaptionCounts, count_captions
from ganforge.data.decode import LazyImage, one_image_message
from ganforge.data.layouts.captions import drop_used_columns
from ganforge.data.layouts.pairings import divide, note_on_wide_images, pair_up
from ganforge.data.layouts.pairs import check_partners, find_columns, find_mask_error
from ganforge.data.mirroring import find_side
from ganforge.data.places import Places, examine_places
from ganforge.data.read_options import UNKNOWN_VALUE
from ganforge.data.source import ImageSource
from ganforge.data.value_range import Values, join_values, note_on_bits, note_on_sides, range_note
from ganforge.errors import DataError
from ganforge.images import ImageHeader, high_bit_depth

FEW = 1_000  # images, below which a network can memorise them
UNEVEN = 10  # ratio of the largest to the smallest class above which classes are called uneven
DEPTHS = {"uint8": "8 bits", "uint16": "16 bits", "float32": "float"}


@dataclass(frozen=True)
class Sizes:
    """Heights and widths in pixels, ordered by area."""

    smallest: tuple[int, int]
    median: tuple[int, int]
    largest: tuple[int, int]
    different: int
    """Number of different sizes: 1 if all images have one size."""


@dataclass(frozen=True)
class Fit:
    """Whether a model of the catalogue can train on the data."""

    model: str
    fits: bool
    why_not: str
    """What is missing and what would provide it; empty if it fits."""
    command: str
    """The command that trains it; empty if it does not fit."""


@dataclass(frozen=True)
class Examination:
    """The result of examining a data set.  The field names are those of `--json` and must not change."""

    data: str
    layout: str
    images: int
    """Number of images that can be read."""
    sizes: Sizes | None
    """None if no image can be read."""
    channels: Mapping[int, int]
    """{channels: number of images}: 1 grey, 2 grey and alpha, 3 colour, 4 colour and alpha."""
    depths: Mapping[str, int]
    splits: Mapping[str, int]
    classes: Mapping[str, int]
    attributes: Mapping[str, float]
    """{attribute: its mean}; of attributes that are 0 or 1, the share of images that have it."""
    duplicates: tuple[tuple[str, ...], ...]
    """Groups of images with equal pixels."""
    corrupt: Mapping[str, str]
    """{image that cannot be read: why}."""
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    provides: tuple[str, ...]
    """The columns that the data can provide, under the names of batches.py."""
    models: tuple[Fit, ...] = ()
    sheet: str = ""
    """Where the contact sheet was written."""
    regions: Mapping[str, float] = field(default_factory=dict)
    """{region of the label maps: its share of all pixels}."""
    objects: Mapping[str, int] = field(default_factory=dict)
    """{object: the number of its boxes}."""
    most: int = 0
    """Largest number of boxes of one image."""
    captions: int = 0
    captioned: int = 0
    """Number of images that have captions."""
    most_captions: int = 0
    """Largest number of captions of one image."""
    caption_words: tuple[int, int, int] | None = None
    """Words of the shortest, the median and the longest caption."""
    vocabulary: int = 0
    """Number of different words in the captions."""


@dataclass
class ScanResult:
    """What decoding every image showed; rows are indices of images."""

    headers: dict[int, ImageHeader] = field(default_factory=dict)
    corrupt: dict[int, str] = field(default_factory=dict)
    flat: list[int] = field(default_factory=list)
    """Images of one single colour."""
    rows_by_digest: dict[bytes, list[int]] = field(default_factory=dict)
    """{digest of the pixels: rows of the images that have it}."""
    values: dict[int, Values] = field(default_factory=dict)
    """{row: its values}, of images of more than 8 bits."""
    places: Places = field(default_factory=Places)
    """Label maps and boxes."""
    captions: CaptionCounts = field(default_factory=CaptionCounts)


def inspect_source(source: ImageSource, unknown: int = UNKNOWN_VALUE) -> tuple[Examination, ScanResult]:
    """Decode every image of a source and summarise what was found; `unknown` is that of ReadOptions."""
    scan = scan_images(source)
    named = {source.images[row].name: header for row, header in scan.headers.items()}
    scan.places = places = examine_places(source, named, unknown)
    scan.captions = captions = count_captions(source, named)
    headers = list(scan.headers.values())
    rows = list(scan.headers)
    labels = source.labels
    classes, attributes = {}, {}
    if labels.column is not None and labels.column.ndim == 1:
        count = np.bincount(labels.column[rows], minlength=len(labels.names))
        classes = {name: int(n) for name, n in zip(labels.names, count, strict=True)}
    elif labels.column is not None and rows:
        mean = labels.column[rows].mean(0, np.float64).round(4)
        attributes = {name: float(x) for name, x in zip(labels.attributes, mean, strict=True)}
    groups = [rows for rows in scan.rows_by_digest.values() if len(rows) > 1]
    deeper = sum(header.deeper for header in headers)
    depth_notes = [f"{deeper} of {len(headers)} images {high_bit_depth.PARTLY_READ}"] if deeper else []
    depth_notes += describe_values(source, scan)
    columns = (*find_columns(source, scan.headers), *places.columns, *(["tokens"] if captions.captions else []))
    provides = tuple(dict.fromkeys(columns))
    wide = note_on_wide_images(scan.headers)
    shape_notes = [wide] if wide and "source" not in provides else []
    said = [note for note in map(drop_used_columns if captions.captions else str, source.every_note) if note]
    examination = Examination(
        data=source.where,
        layout=source.layout,
        images=len(headers),
        sizes=summarise_sizes(headers),
        channels=dict(sorted(Counter(header.channels for header in headers).items())),
        depths=dict(Counter("integers" if h.wide else DEPTHS[h.dtype.name] for h in headers)),
        splits=dict(source.splits),
        classes=classes,
        attributes=attributes,
        duplicates=tuple(tuple(source.images[row].name for row in group) for group in groups),
        corrupt={source.images[row].name: why for row, why in sorted(scan.corrupt.items())},
        problems=(
            *list_problems(source, scan, classes, attributes, groups),
            *list_pair_problems(source, scan),
            *places.problems,
            *captions.problems,
        ),
        notes=(*places.notes, *captions.notes, *said, *shape_notes, *depth_notes),
        provides=provides,
        regions=places.regions,
        objects=places.objects,
        most=places.facts.most,
        captions=captions.captions,
        captioned=len(captions.of_image),
        most_captions=captions.most,
        caption_words=captions.lengths,
        vocabulary=captions.vocabulary,
    )
    return examination, scan


def scan_images(source: ImageSource) -> ScanResult:
    """Decode every image in threads; collect headers, errors, digests and single-colour images."""
    scan = ScanResult()
    results = map_in_threads(_scan_image, source.images)
    for row, result in enumerate(track(results, len(source.images), f"Examining {source.where}")):
        if isinstance(result, str):
            scan.corrupt[row] = result
            continue
        header, digest, flat, values = result
        if values:
            scan.values[row] = values
        scan.headers[row] = header
        scan.rows_by_digest.setdefault(digest, []).append(row)
        if flat:
            scan.flat.append(row)
    return scan


def _scan_image(image: LazyImage) -> tuple[ImageHeader, bytes, bool, Values | None] | str:
    """(header, digest of the pixels, whether all are equal, values beyond 8 bits) of an image; or why it is damaged."""
    try:
        header, array = image.read_header(), image.read()
        if array.dtype == np.float32 and not np.isfinite(array).all():
            return "it holds numbers that are not finite"
    except DataError as error:
        return str(error).removeprefix(f"{image.name} cannot be read: ").rstrip(".")
    digest = hashlib.blake2b(np.ascontiguousarray(array).data, digest_size=16, person=array.dtype.name.encode())
    digest.update(str(array.shape).encode())
    values = None
    if array.dtype != np.uint8:
        whole = bool((array == np.rint(array)).all())
        values = Values(float(array.min()), float(array.max()), whole, header.wide)
    return header, digest.digest(), bool((array == array[:1, :1]).all()), values


def describe_values(source: ImageSource, scan: ScanResult) -> list[str]:
    """Notes on the values of images of more than 8 bits: bits that are not used, and the range of each side."""
    ranged = {k for k, header in scan.headers.items() if header.wide or header.dtype == np.float32}
    deep = [values.high for k, values in scan.values.items() if k not in ranged]
    notes, first, ranges = [note_on_bits(int(max(deep)))] if deep else [], 0, {}
    for side in source.sides or (source,):
        own = [scan.values[k] for k in range(first, first + len(side.images)) if k in ranged]
        first += len(side.images)
        if own:
            ranges[side.where] = join_values(own).choose_range()
            notes.append(range_note(side.where, ranges[side.where]))
    return [note for note in (*notes, *note_on_sides(ranges)) if note]


def summarise_sizes(headers: list[ImageHeader]) -> Sizes | None:
    """The smallest, the median and the largest size, by area."""
    if not headers:
        return None
    sides = sorted(((header.height, header.width) for header in headers), key=lambda side: (side[0] * side[1], side))
    return Sizes(sides[0], sides[len(sides) // 2], sides[-1], len(set(sides)))


def list_problems(
    source: ImageSource,
    scan: ScanResult,
    classes: Mapping[str, int],
    attributes: Mapping[str, float],
    groups: list[list[int]],
) -> list[str]:
    """A sentence for everything that prevents or harms training: what it is and how to repair it."""
    problems, count = [], len(scan.headers)
    if source.label_error:
        problems.append(str(source.label_error))
    if not count:
        problems.append(f"None of the {len(source.images)} images can be read.")
    elif count == 1:
        problems.append(one_image_message(source.where))
    elif count < FEW:
        side = find_side((*classes, *attributes))
        how = f"--crop; --flip would mirror {side!r}, which names a side" if side else "--flip and --crop"
        problems.append(f"{count:,} images are few: a GAN can memorise them. Add more, or train with {how}.")
    if scan.corrupt and count:
        problems.append(
            f"Files that cannot be read, and will be left out: {len(scan.corrupt):,}. Replace or delete them."
        )
    if groups:
        copies = sum(len(group) - 1 for group in groups)
        problems.append(f"Exact copies of other images, which are trained on more often: {copies:,}. Delete them.")
    column = source.labels.column
    conflicting = [group for group in groups if column is not None and len(np.unique(column[group], axis=0)) > 1]
    if conflicting:
        names = " and ".join(source.images[row].name for row in conflicting[0][:2])
        problems.append(f"Copies with another label: {len(conflicting):,}, the first {names}. One of them is wrong.")
    if scan.flat:
        first = source.images[scan.flat[0]].name
        problems.append(f"Images of one flat colour: {len(scan.flat):,}, the first {first}. Check whether they belong.")
    if empty := [name for name, n in classes.items() if not n]:
        problems.append(f"Classes without an image: {len(empty)} of {len(classes)}, the first {empty[0]}.")
    some = [n for n in classes.values() if n]
    if some and max(some) > UNEVEN * min(some):
        large, small = max(classes, key=classes.__getitem__), min((c for c in classes if classes[c]), key=classes.get)  # pyright: ignore
        problems.append(f"The classes are uneven: {large} has {max(some):,} images and {small} {min(some):,}.")
    if column is not None and column.ndim == 2 and count:
        rows = column[list(scan.headers)]
        constant = [name for name, same in zip(attributes, (rows == rows[:1]).all(0), strict=True) if same]
        if constant:
            problems.append(
                f"Attributes that are the same for all images: {len(constant)}, the first {constant[0]}. Drop them."
            )
    return problems


def list_pair_problems(source: ImageSource, scan: ScanResult) -> list[str]:
    """What prevents a model of pairs, or of masks, if the data may be meant for one."""
    problems, paired = [], pair_up(source)
    if len({key for side in paired.sides for key in side.keys}) < sum(len(side.keys) for side in paired.sides):
        try:
            check_partners(paired)
        except DataError as error:
            problems.append(str(error))
    two = divide(source)
    if two.sides and all(side.masks for side in two.sides):
        by_name = {source.images[row].name: header for row, header in scan.headers.items()}
        problems += [error for error in [find_mask_error(two, by_name)] if error]
    return problems
