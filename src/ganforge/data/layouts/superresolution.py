"""Pairs of two sizes: every picture of one side is its partner of the other, made smaller by somebody."""

from dataclasses import replace

from ganforge.data.cache import fingerprint
from ganforge.data.dataset import DataSet
from ganforge.data.decode import DecodeOptions
from ganforge.data.layouts.pairs import facts_of, in_step, looks_of
from ganforge.data.source import ImageSource
from ganforge.errors import DataError


def two_sizes(found: ImageSource) -> bool:
    """Whether the sides have pictures of the same names, and some partners differ in size."""
    if not found.sides or {*found.sides[0].keys} != {*found.sides[1].keys}:
        return False
    return any(one[:2] != other[:2] for one, other in partners(found))


def partners(found: ImageSource) -> list[tuple[tuple[int, int, str], tuple[int, int, str]]]:
    """(height, width, name) of both partners of each pair that can be read, in the order of their names."""
    a, b = (dict(zip(side.keys, looks_of(side), strict=True)) for side in found.sides)
    return [(one, other) for key in sorted(a) if (one := a[key]) and (other := b[key])]


def enlargements(found: ImageSource, wanted: DecodeOptions) -> DataSet:
    """The columns `images` and `low`, windows of both cut at the same place of every pair.

    Raises:
        DataError: the partners' sizes differ by no whole factor, or not all by the same; the window cannot be divided
            by it, or is not cut at the pictures' own scale.
    """
    pairs = partners(found)
    times, upward = factor(*pairs[0]), pairs[0][0][0] < pairs[0][1][0]
    for one, other in pairs:
        if factor(one, other) != times or (one[0] < other[0]) != upward or times < 2:
            first = "" if times < 2 else f", and the first pair's sizes by {times}"
            raise DataError(
                f"{one[2]} is {one[0]}x{one[1]} pixels and its partner {other[2]} is {other[0]}x{other[1]}{first}: the "
                "sizes of pairs of low and high resolution differ by one whole factor, the same in every pair."
            )
    if not wanted.native or wanted.size is None:
        raise DataError(f"{found.where} has pairs of two sizes, which are dealt at their own scale: leave --native on.")
    if any(side % times for side in wanted.size):
        raise DataError(
            f"The partners in {found.where} differ by a factor of {times}, and windows of {wanted.size[0]}x"
            f"{wanted.size[1]} cannot be divided by it: choose another --size."
        )
    ordered = found if upward else replace(found, sides=found.sides[::-1])
    small = replace(wanted, size=(wanted.size[0] // times, wanted.size[1] // times))
    low, high, notes = in_step(ordered, (small, wanted), unit=times)
    if low.images.shape[3] != high.images.shape[3]:  # one is grey: it becomes colour
        channels = max(low.images.shape[3], high.images.shape[3])
        wishes = (replace(small, channels=channels), replace(wanted, channels=channels))
        low, high, notes = in_step(ordered, wishes, unit=times)
    facts = facts_of(high.images, wanted, smaller=times)
    columns = {"images": high.images, "low": low.images}
    return DataSet(found.where, facts, columns, fingerprint(low.key, high.key), (*ordered.notes, *notes))


def factor(one: tuple[int, int, str], other: tuple[int, int, str]) -> int:
    """How many times as large the larger of two partners is; 0 where it is no whole number."""
    small, large = sorted((one[:2], other[:2]))
    times = large[0] // small[0]
    return times if large == (small[0] * times, small[1] * times) else 0
