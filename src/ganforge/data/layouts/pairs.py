"""From two sides that were found to columns: pairs, two domains, or domains with masks."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ganforge.batches import Facts
from ganforge.console import watched
from ganforge.data.cache import Decoded, DecodeJob, DecodeReport, decoded, fingerprint, in_threads
from ganforge.data.dataset import LAYOUTS, DataSet
from ganforge.data.decode import DecodeOptions, Picture, decode, outdated
from ganforge.data.layouts.two_folders import by_class, halves, instances
from ganforge.data.source import ImageSource
from ganforge.errors import DataError
from ganforge.images import ImageHeader, fit


def assemble_sides(found: ImageSource, wanted: DecodeOptions, needed: Collection[str]) -> DataSet:
    """The columns source and target, or a and b, or those with masks, as `needed` says.

    Raises:
        DataError: the pictures are no pairs, have no second side or no masks; or see decode.py.
    """
    if "source" in needed:
        return paired(found if found.sides else side_by_side(found), wanted)
    two = by_class(found)
    if not two.sides:
        raise DataError(
            f"{found.where} has one side, and this model needs two. What would provide them: {LAYOUTS['a']}."
        )
    masked = "a_masks" in needed
    if masked and wanted.native:
        raise DataError("--native is for pictures without masks: masks are only cut from pictures of one size.")
    if masked and not all(side.masks for side in two.sides):
        bare = next(side.where for side in two.sides if not side.masks)
        raise DataError(f"{bare} has no masks beside it. What would provide them: {LAYOUTS['a_masks']}.")
    a, b = (decoded_side(side, wanted) for side in two.sides)
    most = max(a.images.shape[3], b.images.shape[3])
    if a.images.shape[3] != b.images.shape[3] and most <= 4:  # one is grey: it becomes colour
        a, b = (decoded_side(side, replace(wanted, channels=most)) for side in two.sides)
    if a.images.shape[1:] != b.images.shape[1:]:
        shapes = " and ".join("{}x{}x{}".format(*side.images.shape[1:]) for side in (a, b))
        raise DataError(f"The two sides of {two.where} differ: {shapes} (height x width x channels). Say --size.")
    columns, keys = {"a": a.images, "b": b.images}, [a.key, b.key]
    if masked:
        made = [masks_of(side, own, wanted) for side, own in zip(two.sides, (a, b), strict=True)]
        columns |= {"a_masks": made[0].images, "b_masks": made[1].images}
        keys += [side.key for side in made]
        two = replace(two, notes=(*two.notes, *made[0].story.notes, *made[1].story.notes))
    most = max(columns[name].shape[3] for name in ("a_masks", "b_masks")) if masked else 0
    facts = facts_of(a.images, wanted, instances=most)
    notes = (*two.notes, *a.story.notes, *b.story.notes)
    return DataSet(two.where, facts, columns, fingerprint(*keys), notes)


def paired(found: ImageSource, wanted: DecodeOptions) -> DataSet:
    """Sources and targets, partners in one row."""
    partners(found)
    a, b, notes = in_step(found, (wanted, wanted), agree)
    facts = facts_of(b.images, wanted, source_channels=a.images.shape[3])
    columns = {"source": a.images, "target": b.images}
    return DataSet(found.where, facts, columns, fingerprint(a.key, b.key), (*found.notes, *notes))


def in_step(
    found: ImageSource,
    wanted: Sequence[DecodeOptions],
    check: Callable[[Sequence[ImageSource]], None] = lambda _: None,
    unit: int = 1,
) -> tuple["Side", "Side", list[str]]:
    """Both sides, partners in one row, and what happened; a pair of which one cannot be read is left out.

    Windows of the second side begin at multiples of `unit` (crops.py).
    """
    notes: list[str] = []
    kept = set(found.sides[0].keys)
    while True:
        sides = [ordered(side, kept) for side in found.sides]
        a, b = (
            decoded_side(side, own, lambda sides=sides: check(sides), units)
            for side, own, units in zip(sides, wanted, (1, unit), strict=True)
        )
        notes += [note for note in (*a.story.notes, *b.story.notes) if note not in notes]
        read = [{side.keys[row] for row in made.story.kept} for side, made in zip(sides, (a, b), strict=True)]
        if read[0] == read[1]:
            return a, b, notes
        kept = read[0] & read[1]  # again without those that miss their partner: both in step


def facts_of(images: np.ndarray, wanted: DecodeOptions, **more: int) -> Facts:
    """The facts of pictures as they will be dealt."""
    _, height, width, channels = images.shape
    height, width = wanted.size or (height, width)
    return Facts(channels, height, width, **more)  # pyright: ignore[reportArgumentType]


# -- pairs ------------------------------------------------------------------------------------------


def partners(found: ImageSource) -> None:
    """Raise a DataError naming the first picture that has no partner, if there is one."""
    a, b = found.sides
    if len(set(a.keys)) < len(a.keys) or len(set(b.keys)) < len(b.keys):
        raise DataError(f"{found.where} has two pictures of one name on one side, so that pairs are in doubt.")
    lonely = sorted(set(a.keys) ^ set(b.keys))
    if lonely:
        here, there = (a, b) if lonely[0] in a.keys else (b, a)
        picture = here.pictures[here.keys.index(lonely[0])].name
        more = len(lonely) - 1
        others = f", and so {'has' if more == 1 else 'have'} {more} more" if more else ""
        raise DataError(
            f"{len(a.keys)} pictures in {a.where} and {len(b.keys)} in {b.where} do not make pairs: {picture} has no "
            f"partner of the same name in {there.where}{others}. Add it or take it away, or train "
            "a model that learns without pairs."
        )


def ordered(side: ImageSource, kept: Collection[str]) -> ImageSource:
    """The side's pictures with these names, in their order."""
    rows = sorted((row for row, key in enumerate(side.keys) if key in kept), key=side.keys.__getitem__)
    pictures, keys = [side.pictures[row] for row in rows], tuple(side.keys[row] for row in rows)
    source = side.source if len(rows) == len(side.keys) else (side.source, keys)
    return replace(side, pictures=pictures, keys=keys, source=source)


def agree(sides: Sequence[ImageSource]) -> None:
    """Raise a DataError about the first pair whose pictures differ in size."""
    a, b = sides
    pairs = zip(looks_of(a), looks_of(b), a.pictures, b.pictures, strict=True)
    different = [(p, q, one, other) for one, other, p, q in pairs if one and other and one[:2] != other[:2]]
    if different:
        p, q, one, other = different[0]
        raise DataError(
            f"{p.name} is {one[0]}x{one[1]} pixels and its partner {q.name} is {other[0]}x{other[1]}"
            + (f", and {len(different) - 1} more pairs differ" if len(different) > 1 else "")
            + ": both pictures of a pair need one size."
        )


def looks_of(side: ImageSource) -> Iterator[tuple[int, int, str] | None]:
    """(height, width, name) of every picture; None of one that cannot be read."""

    def look(picture: Picture) -> tuple[int, int, str] | None:
        try:
            seen = picture.look()
        except DataError:
            return None
        return seen.height, seen.width, picture.name

    return watched(in_threads(look, side.pictures), len(side.pictures), f"Looking at {side.where}")


def side_by_side(found: ImageSource) -> ImageSource:
    """Pictures that are two squares wide, cut in the middle.

    Raises:
        DataError: some are not; photographs of any other shape are no pairs.
    """
    looks = [look for look in looks_of(found) if look]
    other = [look for look in looks if look[1] != 2 * look[0]]
    if other or not looks:
        height, width, name = other[0] if other else (0, 0, "none")
        raise DataError(
            f"This model needs source and target, and {found.where} has plain pictures: {name} is {height}x{width}, "
            f"where two squares side by side would be twice as wide as high. What would provide pairs: "
            f"{LAYOUTS['source']}."
        )
    return halves(found)


def provided(found: ImageSource, looks: Mapping[int, ImageHeader]) -> tuple[str, ...]:
    """The columns that a set can give, by the looks of those pictures that can be read."""
    columns, two = ["images", *(["condition"] if found.labels.column is not None else [])], by_class(found)
    if two.sides:
        a, b = two.sides
        columns += ["a", "b"]
        place = {key: len(a.pictures) + row for row, key in enumerate(b.keys)}
        both = [(looks.get(row), looks.get(place.get(key, -1))) for row, key in enumerate(a.keys)]
        if {*a.keys} == {*b.keys} != set() and all(
            (p.height, p.width) == (q.height, q.width) for p, q in both if p and q
        ):
            columns += ["source", "target"]
        if a.masks and b.masks:
            columns += ["a_masks", "b_masks"]
    elif looks and all(look.width == 2 * look.height for look in looks.values()):
        columns += ["source", "target"]
    return tuple(columns)


# -- decoding ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Side(Decoded):
    """One side, decoded."""

    key: str
    """The fingerprint of what was decoded, and how."""


def decoded_side(
    side: ImageSource, wanted: DecodeOptions, check: Callable[[], None] = lambda: None, unit: int = 1
) -> Side:
    """The pictures of one side; `check` is called where the cache does not have them yet."""
    key = fingerprint("side", side.where, side.source, *wanted.key())

    def begin() -> DecodeJob:
        check()
        return decode(side.where, side.pictures, wanted)

    made = decoded(key, begin, outdated)
    images, notes = wanted.dealt(made, [picture.name for picture in side.pictures], unit)
    key = fingerprint(key, wanted.size) if wanted.native else key
    return Side(images, replace(made.story, notes=notes), key)


def masks_of(side: ImageSource, made: Side, wanted: DecodeOptions) -> Side:
    """The masks of the pictures that were kept: (N, H, W, M), 255 where an instance is, empty ones to fill up.

    Raises:
        DataError: a mask cannot be read or has another size than its picture; all of them are empty.
    """
    size = made.images.shape[1:3]
    key = fingerprint("masks", made.key, wanted.size)

    def begin() -> DecodeJob:
        rows = [(side.pictures[row], side.masks[row]) for row in made.story.kept]
        counted = in_threads(lambda row: len(instances(*row)), rows)
        counts = list(watched(counted, len(rows), f"Looking at the masks of {side.where}"))
        most = max(counts)
        if not most:
            raise DataError(f"The masks of {side.where} are all empty: an instance is where a mask is not black.")
        empty = [masks[0].name for (_, masks), count in zip(rows, counts, strict=True) if masks and not count]
        notes = (f"{len(empty)} pictures have masks without an instance, the first {empty[0]}.",) if empty else ()
        drawn = in_threads(lambda row: stacked(instances(*row), size, most), rows)
        return DecodeJob((*size, most), np.dtype(np.uint8), drawn, lambda: DecodeReport(tuple(range(len(rows))), notes))

    masks = decoded(key, begin)
    return Side(masks.images, masks.story, key)


def stacked(masks: Sequence[np.ndarray], size: tuple[int, int], most: int) -> np.ndarray:
    """(H, W, most): masks at a size, empty ones to fill up."""
    blank = np.zeros((*size, 1), np.uint8)
    return np.concatenate([*(fit(mask, size, 1) for mask in masks), *[blank] * (most - len(masks))], 2)
