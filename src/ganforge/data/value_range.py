"""The range of values of scientific images: which value of a file -1 stands for, and which 1.

Images of floats, and of integers that are signed or longer than 16 bits, have no white of their own.  Their range is
chosen once, over the training split of each column, and belongs to the run from then on: config.yaml keeps it, all
other data of the run are read with it, and results are written back in the units of the files.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from functools import cached_property

import numpy as np

from ganforge.console import track
from ganforge.data.cache import Decoded, DecodeJob, DecodeReport, fingerprint, is_cached, load_or_decode, map_in_threads
from ganforge.data.decode import DecodeOptions, LazyImage, Scaling, attempt, is_outdated, prepare_decoding
from ganforge.errors import DataError
from ganforge.images import ImageHeader

Range = tuple[float, float]
UNIT_RANGES: tuple[Range, ...] = ((0.0, 1.0), (-1.0, 1.0))
BYTES: Range = (0.0, 255.0)
SCALED = "Float values from "  # how the note of decode.py begins, which range_note replaces


@dataclass(frozen=True)
class Values:
    """The values of all images of a source that have no white of their own."""

    low: float
    high: float
    whole: bool
    """All are whole numbers."""
    wide: bool
    """Some are stored as integers."""

    @property
    def are_bytes(self) -> bool:
        """Whether they are the numbers of 8-bit images."""
        return self.whole and self.low >= 0 and self.high <= 255

    def choose_range(self) -> Range:
        """(0, 1), (-1, 1) or, for whole numbers, (0, 255) if the values lie within; else their extremes."""
        return BYTES if self.high > 1 and self.are_bytes else self.legacy_range()

    def legacy_range(self) -> Range:
        """The range that runs without a stored one use."""
        if self.low >= 0 and self.high <= 1:
            return 0.0, 1.0
        return (-1.0, 1.0) if self.low >= -1 and self.high <= 1 else (self.low, self.high)


@dataclass(frozen=True)
class RangedImages:
    """Decoded images with their cache key, and their range if they have one."""

    decoded: Decoded
    key: str
    range: Range | None


class _Headers:
    """The headers of images, read when they are first needed."""

    def __init__(self, where: str, images: Sequence[LazyImage]) -> None:
        self.where, self.images = where, images

    @cached_property
    def found(self) -> list[ImageHeader | DataError]:
        results = map_in_threads(attempt, [image.read_header for image in self.images])
        return list(track(results, len(self.images), f"Reading headers of {self.where}"))


def decode_in_range(
    key: str,
    identity: object,
    where: str,
    images: Sequence[LazyImage],
    options: DecodeOptions,
    check: Callable[[], None] = lambda: None,
) -> RangedImages:
    """Decode images, or load them from the cache, with the range of `options` or else one chosen from their values.

    `key` names the images and the options; the range is added to it where it is not the one that the images have by
    themselves.  `check` is called only if the images are not in the cache.

    Raises:
        DataError: see decode.py.
    """
    headers = _Headers(where, images)

    def begin(scaling: Scaling | None) -> Callable[[], DecodeJob]:
        def job() -> DecodeJob:
            check()
            return prepare_decoding(where, images, options, headers.found, scaling)

        return job

    if options.legacy_range:
        return RangedImages(load_or_decode(key, begin(None), is_outdated), key, None)
    if is_cached(key):
        decoded = load_or_decode(key, begin(None), is_outdated)
        if decoded.images.dtype == np.uint8:  # floats and wide integers are never stored so under this key
            return RangedImages(decoded, key, None)
    values = find_values(fingerprint("values", where, identity), headers)
    if values is None:
        return RangedImages(load_or_decode(key, begin(None), is_outdated), key, None)
    low, high = options.value_range or values.choose_range()
    scaling = Scaling(low, high, (low, high) == BYTES and values.are_bytes)
    if (low, high) != values.legacy_range() or values.wide or scaling.to_bytes:
        key = fingerprint(key, "range", low, high)
    decoded = load_or_decode(key, begin(scaling), is_outdated)
    notes = tuple(note for note in decoded.report.notes if not note.startswith(SCALED))
    note = range_note(where, (low, high))
    report = replace(decoded.report, notes=(*((note,) if note else ()), *notes))
    return RangedImages(Decoded(decoded.images, report), key, (low, high))


def find_values(key: str, headers: _Headers) -> Values | None:
    """The values of floats and wide integers, from the cache if they were read before; None if there are none."""
    if not is_cached(key) and all(h.dtype == np.uint8 for h in headers.found if isinstance(h, ImageHeader)):
        return None

    def begin() -> DecodeJob:
        row = read_values(headers)
        return DecodeJob((4,), np.dtype(np.float64), [row[None]], lambda: DecodeReport((0,)))

    low, high, whole, wide = load_or_decode(key, begin).images[0].tolist()
    return Values(low, high, bool(whole), bool(wide)) if np.isfinite(low) else None


def read_values(headers: _Headers) -> np.ndarray:
    """(lowest, highest, all whole, some wide) over the images without a white of their own; NaN if there are none."""
    chosen = [
        (image, header.wide)
        for image, header in zip(headers.images, headers.found, strict=True)
        if isinstance(header, ImageHeader) and (header.dtype == np.float32 or header.wide)
    ]
    results = map_in_threads(lambda pair: attempt(pair[0].read), chosen)
    each = []
    for (_, wide), array in zip(chosen, track(results, len(chosen), "Finding the range of values"), strict=True):
        if isinstance(array, np.ndarray) and np.isfinite(array).all():
            whole = bool((array == np.rint(array)).all())
            each.append(Values(float(array.min()), float(array.max()), whole, wide))
    return np.array(astuple(join_values(each)) if each else [np.nan] * 4, np.float64)


def join_values(each: Sequence[Values]) -> Values:
    """The values of several images together."""
    return Values(
        min(v.low for v in each), max(v.high for v in each), all(v.whole for v in each), any(v.wide for v in each)
    )


def range_note(where: str, span: Range) -> str:
    """A sentence about the range of a column; empty for values in [0, 1] or [-1, 1]."""
    if span in UNIT_RANGES:
        return ""
    if span == BYTES:
        return f"Values of {where} are numbers of 8 bits: 0 is black and 255 is white."
    return (
        f"Values of {where} from {span[0]:.7g} to {span[1]:.7g} are scaled to [-1, 1]. The run keeps this range, and "
        "results are written back in these units."
    )


def note_on_bits(highest: int) -> str:
    """A sentence about 16-bit images that use fewer bits; empty if they use them all."""
    bits = highest.bit_length()
    if not 1 <= bits <= 14:
        return ""
    return (
        f"The images use {bits} of their 16 bits: the highest value is {highest:,}, and white is 65,535, so they are "
        f"dark. Multiply them by {2 ** (16 - bits)}, or store them as NPY or TIFF of signed integers or floats, whose "
        "range of values is kept."
    )


def note_on_sides(ranges: Mapping[str, Range]) -> tuple[str, ...]:
    """A note if the columns have different ranges."""
    if len(set(ranges.values())) < 2:
        return ()
    each = ", ".join(f"{name} {low:.7g} to {high:.7g}" for name, (low, high) in ranges.items())
    return (f"Each side has a range of values of its own: {each}.",)


def parse_ranges(stored: object) -> dict[str, Range] | None:
    """The ranges in config.yaml, {column: (low, high)}; None for a run that was made without them.

    Raises:
        DataError: they are not pairs of numbers.
    """
    if stored is None:
        return None
    if isinstance(stored, Mapping):
        pairs = [(str(name), span) for name, span in stored.items()]
        if all(_is_range(span) for _, span in pairs):
            return {name: (float(span[0]), float(span[1])) for name, span in pairs}
    raise DataError(f"The ranges of values in config.yaml are {stored!r}; they are two numbers for each column.")


def _is_range(span: object) -> bool:
    numbers = isinstance(span, (list, tuple)) and len(span) == 2 and all(type(x) in (int, float) for x in span)
    return bool(numbers and np.isfinite(span).all() and span[0] <= span[1])  # pyright: ignore


def to_units(images: np.ndarray, span: Range) -> np.ndarray:
    """Images in [-1, 1] in the units of the files: float32 from `low` to `high`."""
    low, high = span
    return ((images.astype(np.float64) + 1) * ((high - low) / 2) + low).astype(np.float32)
