"""Build the columns of two-sided data: pairs, two domains, or two domains with masks."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from ganforge.batches import Facts, column_of
from ganforge.console import track
from ganforge.data.cache import Decoded, DecodeJob, DecodeReport, fingerprint, load_or_decode, map_in_threads
from ganforge.data.dataset import DataSet
from ganforge.data.decode import DecodeOptions, LazyImage
from ganforge.data.layouts.names import shorten
from ganforge.data.layouts.pairings import are_partners, divide, is_two_squares, pair_up, split_wide
from ganforge.data.layouts.two_folders import read_instances
from ganforge.data.source import ImageSource
from ganforge.data.value_range import Range, decode_in_range, note_on_sides
from ganforge.errors import DataError
from ganforge.images import ImageHeader, fit

Ranges = Mapping[str, Range]


def build_two_sided_dataset(
    source: ImageSource, options: DecodeOptions, needed: Collection[str], ranges: Ranges = MappingProxyType({})
) -> DataSet:
    """Build the columns source and target, a and b, or a and b with masks, whichever `needed` names.

    `ranges` are those of the run, {column: (low, high)}; of other columns they are chosen from the images.

    Raises:
        DataError: the images are not pairs, have no second side or no masks; or see decode.py.
    """
    if "source" in needed:
        paired = pair_up(source)
        return build_pairs(paired if paired.sides else split_side_by_side(source), options, ranges)
    two = divide(source)
    if not two.sides:
        raise DataError(
            f"{source.where} has one side, and this model needs two. What would provide them: {column_of('a').layout}."
        )
    masked = "a_masks" in needed
    if masked and options.native:
        raise DataError("--native-crops is for images without masks: masks are only cut from images of one size.")
    if masked and not all(side.masks for side in two.sides):
        unmasked = next(side.where for side in two.sides if not side.masks)
        raise DataError(f"{unmasked} has no masks beside it. What would provide them: {column_of('a_masks').layout}.")
    each = [options_of_column(options, name, ranges) for name in ("a", "b")]
    a, b = (decode_side(side, own) for side, own in zip(two.sides, each, strict=True))
    most = max(a.images.shape[3], b.images.shape[3])
    if a.images.shape[3] != b.images.shape[3] and most <= 4:  # one side is grey: convert it to colour
        a, b = (decode_side(side, replace(own, channels=most)) for side, own in zip(two.sides, each, strict=True))
    if a.images.shape[1:] != b.images.shape[1:]:
        shapes = " and ".join("{}x{}x{}".format(*side.images.shape[1:]) for side in (a, b))
        raise DataError(f"The two sides of {two.where} differ: {shapes} (height x width x channels). Say --size.")
    columns, keys = {"a": a.images, "b": b.images}, [a.key, b.key]
    if masked:
        masks = [decode_masks(side, own, options) for side, own in zip(two.sides, (a, b), strict=True)]
        columns |= {"a_masks": masks[0].images, "b_masks": masks[1].images}
        keys += [side.key for side in masks]
        two = replace(two, notes=(*two.notes, *masks[0].report.notes, *masks[1].report.notes))
    most = max(columns[name].shape[3] for name in ("a_masks", "b_masks")) if masked else 0
    facts = build_facts(a.images, options, instances=most)
    found = ranges_of({"a": a, "b": b})
    notes = (*two.notes, *a.report.notes, *b.report.notes, *note_on_sides(found))
    return DataSet(two.where, facts, columns, fingerprint(*keys), notes, found)


def build_pairs(source: ImageSource, options: DecodeOptions, ranges: Ranges) -> DataSet:
    """Build the columns source and target, partners in one row."""
    check_partners(source)
    each = [options_of_column(options, name, ranges) for name in ("source", "target")]
    a, b, notes = decode_pairs(source, each, check_equal_sizes)
    facts = build_facts(b.images, options, source_channels=a.images.shape[3])
    columns = {"source": a.images, "target": b.images}
    found = ranges_of({"source": a, "target": b})
    notes = (*source.notes, *notes, *note_on_sides(found))
    return DataSet(source.where, facts, columns, fingerprint(a.key, b.key), notes, found)


def options_of_column(options: DecodeOptions, name: str, ranges: Ranges) -> DecodeOptions:
    """The options with the range of values that the run has for this column."""
    return replace(options, value_range=ranges.get(name))


def ranges_of(sides: Mapping[str, "DecodedSide"]) -> dict[str, Range]:
    """The ranges of values of the columns that have one."""
    return {name: side.range for name, side in sides.items() if side.range}


def decode_pairs(
    source: ImageSource,
    options: Sequence[DecodeOptions],
    check: Callable[[Sequence[ImageSource]], None] = lambda _: None,
    unit: int = 1,
) -> tuple["DecodedSide", "DecodedSide", list[str]]:
    """Decode both sides, partners in one row, and return them with notes; unreadable pairs are left out.

    Windows of the second side begin at multiples of `unit` (crops.py).
    """
    notes: list[str] = []
    kept = set(source.sides[0].keys)
    while True:
        sides = [select_in_order(side, kept) for side in source.sides]
        a, b = (
            decode_side(side, own, lambda sides=sides: check(sides), units)
            for side, own, units in zip(sides, options, (1, unit), strict=True)
        )
        notes += [note for note in (*a.report.notes, *b.report.notes) if note not in notes]
        read = [{side.keys[row] for row in decoded.report.kept} for side, decoded in zip(sides, (a, b), strict=True)]
        if read[0] == read[1]:
            return a, b, notes
        kept = read[0] & read[1]  # decode again without images that lost their partner


def build_facts(images: np.ndarray, options: DecodeOptions, **more: int) -> Facts:
    """The facts of images (N, H, W, C) as batches will hold them."""
    _, height, width, channels = images.shape
    height, width = options.size or (height, width)
    return Facts(channels, height, width, **more)  # pyright: ignore[reportArgumentType]


# -- pairs ------------------------------------------------------------------------------------------


def check_partners(source: ImageSource) -> None:
    """Raise a DataError naming the first image without a partner, if there is one."""
    a, b = source.sides
    if len(set(a.keys)) < len(a.keys) or len(set(b.keys)) < len(b.keys):
        side = a if len(set(a.keys)) < len(a.keys) else b
        key = next(key for key in side.keys if side.keys.count(key) > 1)
        one, other = [image.name for image, own in zip(side.images, side.keys, strict=True) if own == key][:2]
        raise DataError(
            f"{source.where} has two images of one name on one side, so pairs are ambiguous: {shorten(one)} and "
            f"{shorten(other)}. Remove one of each."
        )
    unpaired = sorted(set(a.keys) ^ set(b.keys))
    if unpaired:
        here, there = (a, b) if unpaired[0] in a.keys else (b, a)
        image = here.images[here.keys.index(unpaired[0])].name
        more = len(unpaired) - 1
        others = f", and so {'has' if more == 1 else 'have'} {more} more" if more else ""
        raise DataError(
            f"{len(a.keys)} images in {a.where} and {len(b.keys)} in {b.where} do not make pairs: {image} has no "
            f"partner of the same name in {there.where}{others}. Add it or remove this one, or "
            "train a model that learns without pairs."
        )


def select_in_order(side: ImageSource, kept: Collection[str]) -> ImageSource:
    """The images of a side with these keys, sorted by key."""
    rows = sorted((row for row, key in enumerate(side.keys) if key in kept), key=side.keys.__getitem__)
    images, keys = [side.images[row] for row in rows], tuple(side.keys[row] for row in rows)
    identity = side.identity if len(rows) == len(side.keys) else (side.identity, keys)
    return replace(side, images=images, keys=keys, identity=identity)


def check_equal_sizes(sides: Sequence[ImageSource]) -> None:
    """Raise a DataError about the first pair whose images differ in size."""
    a, b = sides
    pairs = zip(read_sizes(a), read_sizes(b), a.images, b.images, strict=True)
    different = [(p, q, one, other) for one, other, p, q in pairs if one and other and one[:2] != other[:2]]
    if different:
        p, q, one, other = different[0]
        raise DataError(
            f"{p.name} is {one[0]}x{one[1]} pixels and its partner {q.name} is {other[0]}x{other[1]}"
            + (f", and {len(different) - 1} more pairs differ" if len(different) > 1 else "")
            + ": both images of a pair need one size."
        )


def read_sizes(side: ImageSource) -> Iterator[tuple[int, int, str] | None]:
    """Yield (height, width, name) of every image; None for one that cannot be read."""

    def read_size(image: LazyImage) -> tuple[int, int, str] | None:
        try:
            header = image.read_header()
        except DataError:
            return None
        return header.height, header.width, image.name

    return track(map_in_threads(read_size, side.images), len(side.images), f"Reading headers of {side.where}")


def split_side_by_side(source: ImageSource) -> ImageSource:
    """Split images that are two squares wide in the middle.

    Raises:
        DataError: some images have another shape.
    """
    return split_wide(source, [size for size in read_sizes(source) if size], column_of("source").layout)


def find_columns(source: ImageSource, headers: Mapping[int, ImageHeader]) -> tuple[str, ...]:
    """The columns that a source can provide, given the headers of its readable images by their rows."""
    columns = ["images", *(["condition"] if source.labels.column is not None else [])]
    by_name = {source.images[row].name: header for row, header in headers.items()}
    two, paired = divide(source), pair_up(source)
    if two.sides and all(count_readable(side, by_name) > 1 for side in two.sides):
        columns += ["a", "b"]
    if paired.sides:
        a, b = (
            {key: by_name.get(image.name) for key, image in zip(s.keys, s.images, strict=False)} for s in paired.sides
        )
        both = [(p, q) for key, p in a.items() if p and (q := b.get(key))]
        if are_partners(paired) and len(both) > 1 and all((p.height, p.width) == (q.height, q.width) for p, q in both):
            columns += ["source", "target"]
    elif len(headers) > 1 and all(is_two_squares(header.height, header.width) for header in headers.values()):
        columns += ["source", "target"]
    if "a" in columns and all(side.masks for side in two.sides) and not find_mask_error(two, by_name):
        columns += ["a_masks", "b_masks"]
    return tuple(columns)


def count_readable(side: ImageSource, by_name: Mapping[str, ImageHeader]) -> int:
    """The number of images of a side that can be read."""
    return sum(image.name in by_name for image in side.images)


def find_mask_error(source: ImageSource, by_name: Mapping[str, ImageHeader]) -> str:
    """What is wrong with the masks of the readable images of two sides; empty if nothing is."""
    for side in source.sides:
        rows = [row for row, image in enumerate(side.images) if image.name in by_name] if side.masks else []

        def count(row: int, side: ImageSource = side) -> int:
            return len(read_instances(side.images[row], side.masks[row]))

        try:
            if rows and not any([*map_in_threads(count, rows)]):
                return empty_masks_message(side)
        except DataError as error:
            return str(error)
    return ""


def empty_masks_message(side: ImageSource) -> str:
    """The error message for masks without any instance."""
    return f"The masks of {side.where} are all empty: an instance is where a mask is not black."


# -- decoding ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DecodedSide(Decoded):
    """The decoded images of one side."""

    key: str
    """Fingerprint of the images and the options."""
    range: Range | None = None
    """The values that -1 and 1 stand for, of scientific images."""


def decode_side(
    side: ImageSource, options: DecodeOptions, check: Callable[[], None] = lambda: None, unit: int = 1
) -> DecodedSide:
    """Decode the images of one side; `check` is called only if they are not in the cache."""
    key = fingerprint("side", side.where, side.identity, *options.key())
    ranged = decode_in_range(key, side.identity, side.where, side.images, options, check)
    decoded, key = ranged.decoded, ranged.key
    images, notes = options.build_column(decoded, [image.name for image in side.images], unit)
    key = fingerprint(key, options.size) if options.native else key
    return DecodedSide(images, replace(decoded.report, notes=notes), key, ranged.range)


def decode_masks(side: ImageSource, decoded: DecodedSide, options: DecodeOptions) -> DecodedSide:
    """Decode the masks of the kept images: (N, H, W, M), 255 where an instance is, padded with empty masks.

    Raises:
        DataError: a mask cannot be read or has another size than its image; all of them are empty.
    """
    size = decoded.images.shape[1:3]
    key = fingerprint("masks", decoded.key, options.size)

    def begin() -> DecodeJob:
        rows = [(side.images[row], side.masks[row]) for row in decoded.report.kept]
        results = map_in_threads(lambda row: len(read_instances(*row)), rows)
        counts = list(track(results, len(rows), f"Reading the masks of {side.where}"))
        most = max(counts)
        if not most:
            raise DataError(empty_masks_message(side))
        empty = [masks[0].name for (_, masks), count in zip(rows, counts, strict=True) if masks and not count]
        notes = (f"Images whose masks have no instance: {len(empty)}, the first {empty[0]}.",) if empty else ()
        rows_of_masks = map_in_threads(lambda row: stack_masks(read_instances(*row), size, most), rows)
        report = DecodeReport(tuple(range(len(rows))), notes)
        return DecodeJob((*size, most), np.dtype(np.uint8), rows_of_masks, lambda: report)

    masks = load_or_decode(key, begin)
    return DecodedSide(masks.images, masks.report, key)


def stack_masks(masks: Sequence[np.ndarray], size: tuple[int, int], most: int) -> np.ndarray:
    """Resize and stack masks to (H, W, most), padded with empty masks."""
    blank = np.zeros((*size, 1), np.uint8)
    return np.concatenate([*(fit(mask, size, 1) for mask in masks), *[blank] * (most - len(masks))], 2)
