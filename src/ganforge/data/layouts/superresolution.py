"""Pairs for super-resolution: every image of one side is a reduced copy of its partner on the other side."""

from dataclasses import replace
from types import MappingProxyType

from ganforge.data.cache import fingerprint
from ganforge.data.dataset import DataSet
from ganforge.data.decode import DecodeOptions
from ganforge.data.layouts.pairs import Ranges, build_facts, decode_pairs, options_of_column, ranges_of, read_sizes
from ganforge.data.source import ImageSource
from ganforge.data.value_range import note_on_sides
from ganforge.errors import DataError


def has_two_sizes(source: ImageSource) -> bool:
    """Whether the sides hold images of the same names, and some partners differ in size."""
    if not source.sides or {*source.sides[0].keys} != {*source.sides[1].keys}:
        return False
    return any(one[:2] != other[:2] for one, other in read_partner_sizes(source))


def read_partner_sizes(source: ImageSource) -> list[tuple[tuple[int, int, str], tuple[int, int, str]]]:
    """(height, width, name) of both partners of each readable pair, sorted by name."""
    a, b = (dict(zip(side.keys, read_sizes(side), strict=True)) for side in source.sides)
    return [(one, other) for key in sorted(a) if (one := a[key]) and (other := b[key])]


def build_superresolution_pairs(
    source: ImageSource, options: DecodeOptions, ranges: Ranges = MappingProxyType({})
) -> DataSet:
    """Build the columns `images` and `low`, with windows cut at the same place of both images of a pair.

    `ranges` are those of the run, {column: (low, high)}.

    Raises:
        DataError: the partners' sizes do not differ by one integer factor, the same in all pairs; the window is not
            divisible by it; or windows are not cut at the images' own scale.
    """
    pairs = read_partner_sizes(source)
    times, upward = scale_factor(*pairs[0]), pairs[0][0][0] < pairs[0][1][0]
    for one, other in pairs:
        if scale_factor(one, other) != times or (one[0] < other[0]) != upward or times < 2:
            first = "" if times < 2 else f", and the first pair's sizes by {times}"
            raise DataError(
                f"{one[2]} is {one[0]}x{one[1]} pixels and its partner {other[2]} is {other[0]}x{other[1]}{first}: the "
                "sizes of pairs of low and high resolution differ by one integer factor, the same in every pair."
            )
    if not options.native or options.size is None:
        raise DataError(f"{source.where} has pairs of two sizes, which keep their own scale: leave --native-crops on.")
    if any(side % times for side in options.size):
        raise DataError(
            f"The partners in {source.where} differ by a factor of {times}, and windows of {options.size[0]}x"
            f"{options.size[1]} cannot be divided by it: choose another --size."
        )
    low_first = source if upward else replace(source, sides=source.sides[::-1])
    small = replace(options, size=(options.size[0] // times, options.size[1] // times))
    small, options = options_of_column(small, "low", ranges), options_of_column(options, "images", ranges)
    low, high, notes = decode_pairs(low_first, (small, options), unit=times)
    if low.images.shape[3] != high.images.shape[3]:  # one side is grey: convert it to colour
        channels = max(low.images.shape[3], high.images.shape[3])
        both_options = (replace(small, channels=channels), replace(options, channels=channels))
        low, high, notes = decode_pairs(low_first, both_options, unit=times)
    facts = build_facts(high.images, options, smaller=times)
    columns = {"images": high.images, "low": low.images}
    found = ranges_of({"images": high, "low": low})
    notes = (*low_first.notes, *notes, *note_on_sides(found))
    return DataSet(source.where, facts, columns, fingerprint(low.key, high.key), notes, found)


def scale_factor(one: tuple[int, int, str], other: tuple[int, int, str]) -> int:
    """The integer factor between the sizes of two partners; 0 if there is none."""
    small, large = sorted((one[:2], other[:2]))
    times = large[0] // small[0]
    return times if large == (small[0] * times, small[1] * times) else 0
