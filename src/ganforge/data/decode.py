"""Decode images of any kind to one size, one number of channels and one dtype."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

from ganforge.console import track
from ganforge.data.cache import Decoded, DecodeJob, DecodeReport, map_in_threads
from ganforge.data.crops import Windows
from ganforge.errors import DataError
from ganforge.images import ImageHeader, fit, high_bit_depth, recolour, white_value

R = TypeVar("R")

NAMED = 100  # left-out files that are listed one by one; of further ones only the number is given
CLIPPED = "the range of the run, and were clipped."
MARGIN = 286 / 256  # stored size / size, so that a random window can be cut: the jitter of pix2pix


@dataclass(frozen=True)
class DecodeOptions:
    """How images are decoded: size, channels, and whether random windows will be cut."""

    size: tuple[int, int] | None = None
    """Height and width; None: as stored, and then all images must have one size."""
    channels: int = 0
    """0: 1 if all images are grey, else 3."""
    crop: bool = False
    """Store images larger than `size` (by MARGIN), so that random windows can be cut."""
    native: bool = False
    """Keep every image at its own size; windows of `size` are cut when batches are drawn."""
    value_range: tuple[float, float] | None = None
    """The values that become -1 and 1, of images without a white of their own; None: chosen from the images."""
    legacy_range: bool = False
    """Scale floats by the extremes of these images alone, as runs do that were made before ranges were stored."""

    def __post_init__(self) -> None:
        if self.native and self.size is None:
            raise DataError("--native-crops cuts windows out of images: say how large with --size, as in --size 96.")
        if self.size is not None and min(self.size) < 1:
            raise DataError(f"Images of {self.size[0]}x{self.size[1]} pixels hold nothing: a size is at least 1.")

    def stored_size(self) -> tuple[int, int] | None:
        """Height and width at which images are stored; None: as they are."""
        if self.size is None or not self.crop:
            return self.size
        return round(self.size[0] * MARGIN), round(self.size[1] * MARGIN)

    def key(self) -> tuple[object, ...]:
        """The options that determine the decoded images: part of the cache key."""
        return (self.channels, "native") if self.native else (self.size, self.channels, self.crop)

    def build_column(self, decoded: Decoded, names: Sequence[str], unit: int = 1) -> tuple[Any, tuple[str, ...]]:
        """The column of a data set that the decoded images make, and its notes.

        `names` are those of all images of the source, the left-out ones included; see crops.py for `unit`.
        """
        if not self.native or self.size is None:
            return decoded.images, decoded.report.notes
        column = Windows(decoded.images, decoded.report.sizes, self.size, unit)
        small, (height, width) = column.rows_smaller_than_window(), self.size
        if not small:
            return column, decoded.report.notes
        note = (
            f"{len(small)} of {len(column)} images are smaller than the window of {height}x{width}, the first "
            f"{names[decoded.report.kept[small[0]]]}: they are padded by reflection. "
            "--no-native-crops enlarges them instead."
        )
        return column, (*decoded.report.notes, note)


@dataclass(frozen=True)
class LazyImage:
    """An image that is read on demand; both functions raise DataError naming it."""

    name: str
    read_header: Callable[[], ImageHeader]
    read: Callable[[], np.ndarray]


@dataclass(frozen=True)
class Scaling:
    """How floats and wide integers (`ImageHeader.wide`) are decoded: `low` becomes -1, and `high` 1."""

    low: float
    high: float
    to_bytes: bool = False
    """Their values are whole numbers in 0 ... 255: they become uint8."""


def prepare_decoding(
    where: str,
    images: Sequence[LazyImage],
    options: DecodeOptions,
    found: Sequence[ImageHeader | DataError],
    scaling: Scaling | None = None,
) -> DecodeJob:
    """Return the job that decodes `images`, given their headers; unreadable images are left out and named.

    Without `scaling` floats are scaled by their own extremes, and wide integers are read image by image.

    Raises:
        DataError: sizes or channels differ and the options do not say which to use; no image can be read.
    """
    headers = dict(enumerate(found))
    good = {k: header for k, header in headers.items() if isinstance(header, ImageHeader)}
    failed = {k: error for k, error in headers.items() if isinstance(error, DataError)}
    if not good:
        raise _all_corrupt_error(where, len(images), failed)
    size = () if options.native else options.stored_size() or _common_size([(images[k].name, good[k]) for k in good])
    channels = options.channels or _common_channels([(images[k].name, header) for k, header in good.items()])
    wide = frozenset(k for k, header in good.items() if scaling and header.wide)
    if scaling:
        deep = np.dtype(np.uint8 if scaling.to_bytes else np.float32)
        good = {k: replace(h, dtype=deep) if h.wide or h.dtype == np.float32 else h for k, h in good.items()}
    dtype = max((header.dtype for header in good.values()), key=lambda dtype: dtype.itemsize)
    if scaling is None:
        low, high = _value_range([images[k] for k, header in good.items() if header.dtype == np.float32])
    else:
        low, high = scaling.low, scaling.high
    job = _Decoder(where, images, options, (*size, channels), dtype, low, high, failed, wide, scaling)
    job.add_notes(list(good.values()))
    return DecodeJob(job.shape, dtype, job.rows(list(good)), job.report)


def is_outdated(report: DecodeReport) -> bool:
    """Whether images lost bits or channels that can be read now that the libraries are installed."""
    return any(note.endswith(high_bit_depth.PARTLY_READ) for note in report.notes) and high_bit_depth.is_available()


@dataclass
class _Decoder:
    """Decodes the rows of one cache entry and collects its report."""

    where: str
    images: Sequence[LazyImage]
    options: DecodeOptions
    shape: tuple[int, ...]
    """(H, W, C) of an image; (C,) of a pixel if images keep their own size."""
    dtype: np.dtype
    low: float
    high: float
    failed: dict[int, DataError]
    wide: frozenset[int] = frozenset()
    """The images whose integers are scaled like floats."""
    scaling: Scaling | None = None
    clipped: list[int] = field(default_factory=list)
    """The images with values outside of the range."""
    kept: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)

    def add_notes(self, headers: list[ImageHeader]) -> None:
        """Add notes on the conversions that images with these headers need."""
        *size, channels = self.shape
        height, width = size or (0, 0)
        small = sum(header.height < height or header.width < width for header in headers)
        if small:
            self.notes.append(f"{small} of {len(headers)} images are smaller than {height}x{width} and were enlarged.")
        transparent = sum(header.channels in (2, 4) for header in headers)
        if transparent and channels not in (2, 4):
            self.notes.append(
                f"{transparent} of {len(headers)} images have transparent parts, which were laid on white."
            )
        deeper = sum(header.deeper for header in headers)
        if deeper:
            self.notes.append(f"{deeper} of {len(headers)} images {high_bit_depth.PARTLY_READ}")
        if len({header.dtype for header in headers}) > 1:
            self.notes.append(f"The images have different depths; all are kept as {self.dtype}.")
        if not self.scaling and self.dtype == np.float32 and (self.low, self.high) not in ((-1, 1), (0, 1)):
            self.notes.append(f"Float values from {self.low:g} to {self.high:g} were scaled to [-1, 1].")

    def rows(self, good: list[int]) -> Iterator[np.ndarray]:
        """Yield the decoded images in order, without those that turn out to be damaged."""
        results = map_in_threads(lambda k: attempt(lambda: self._row(k)), good)
        for k, row in zip(good, track(results, len(good), f"Decoding {self.where}"), strict=True):
            if isinstance(row, DataError):
                self.failed[k] = row
            else:
                self.kept.append(k)
                if self.options.native:
                    self.sizes.append(row.shape[:2])
                yield row

    def _row(self, k: int) -> np.ndarray:
        image = self.images[k]
        array = image.read()
        if array.dtype == np.float32 or k in self.wide:
            if not np.isfinite(array).all():
                raise DataError(f"{image.name} cannot be read: it holds numbers that are not finite.")
            array = self._scale(k, array)
        *size, channels = self.shape
        if self.options.size is None and array.shape[:2] != tuple(size):
            raise DataError(f"{image.name} cannot be read: its size is not the one that its header claims.")
        try:
            array = fit(array, (size[0], size[1]), channels) if size else recolour(array, channels)
        except DataError as error:
            raise DataError(f"{image.name} cannot be read: {str(error)[0].lower()}{str(error)[1:]}") from error
        return _convert_depth(array, self.dtype)

    def _scale(self, k: int, array: np.ndarray) -> np.ndarray:
        if self.scaling and self.scaling.to_bytes:
            return array.astype(np.uint8)
        if self.scaling and (array.min() < self.low or array.max() > self.high):
            self.clipped.append(k)
        return rescale(array, self.low, self.high, clip=self.scaling is not None)

    def report(self) -> DecodeReport:
        """Which images were kept, and notes.  Raises DataError if fewer than two are left."""
        if not self.kept:
            raise _all_corrupt_error(self.where, len(self.images), self.failed)
        if len(self.kept) == 1:
            first = self.failed[min(self.failed)] if self.failed else ""
            raise DataError(f"{one_image_message(self.where)} {first}".rstrip())
        reasons = [f"Left out: {_printable(str(self.failed[k]))}" for k in sorted(self.failed)]
        if len(reasons) > NAMED:
            reasons[NAMED:] = [f"Left out: {len(reasons) - NAMED} more files that cannot be read."]
        notes = [*self.notes]
        if self.clipped:
            span = f"{self.low:.7g} ... {self.high:.7g}"
            notes.append(f"{len(self.clipped)} of {len(self.kept)} images have values outside of {span}, {CLIPPED}")
        return DecodeReport(tuple(self.kept), (*notes, *reasons), tuple(self.sizes))


def one_image_message(where: str) -> str:
    """The error message for data that hold only one image."""
    return f"A GAN cannot learn from one image: {where} holds only one that can be read, and at least 2 are needed."


def attempt(function: Callable[[], R]) -> R | DataError:
    """What `function` returns, or the DataError that it raises, without its traceback: that holds the file's bytes."""
    try:
        return function()
    except DataError as error:
        error.__cause__ = error.__context__ = None
        return error.with_traceback(None)


def _all_corrupt_error(where: str, count: int, failed: dict[int, DataError]) -> DataError:
    first = _printable(str(failed[min(failed)]))
    return DataError(f"None of the {count} images in {where} can be read. The first: {first}")


def _common_size(headers: list[tuple[str, ImageHeader]]) -> tuple[int, int]:
    first_name, first = headers[0]
    for name, header in headers:
        if (header.height, header.width) != (first.height, first.width):
            raise DataError(
                f"The images differ in size: {first_name} is {first.height}x{first.width} and {name} is "
                f"{header.height}x{header.width} (height x width). Choose a size with --size, as in --size 64."
            )
    return first.height, first.width


def _common_channels(headers: list[tuple[str, ImageHeader]]) -> int:
    counts = Counter(header.channels for _, header in headers)
    if max(counts) <= 4:
        return 1 if max(counts) <= 2 else 3
    if len(counts) == 1:
        return max(counts)
    one, other = (next(name for name, header in headers if header.channels == c) for c in sorted(counts)[-2:])
    raise DataError(f"The images differ in channels: {one} has {sorted(counts)[-2]} and {other} has {max(counts)}.")


def _value_range(floats: list[LazyImage]) -> tuple[float, float]:
    """The values of black and white in float images: (0, 1) or (-1, 1) if they lie within, else their extremes."""
    low, high = np.inf, -np.inf
    for array in track(map_in_threads(lambda p: attempt(p.read), floats), len(floats), "Finding the range of values"):
        if isinstance(array, np.ndarray) and np.isfinite(array).all():
            low, high = min(low, float(array.min())), max(high, float(array.max()))
    if low >= 0 and high <= 1:
        return 0.0, 1.0
    return (-1.0, 1.0) if low >= -1 and high <= 1 else (low, high)


def rescale(array: np.ndarray, low: float, high: float, *, clip: bool) -> np.ndarray:
    """Scale values so that `low` becomes -1 and `high` 1, as float32; with `clip` none lie outside."""
    if (low, high) != (-1, 1):
        array = ((array.astype(np.float64) - low) * (2 / ((high - low) or 1)) - 1).astype(np.float32)
    return array.clip(-1, 1) if clip else array


def _convert_depth(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Convert `array` to a dtype that is at least as deep as its own."""
    if array.dtype == dtype:
        return array
    if dtype == np.float32:
        return (array * np.float32(2 / white_value(array.dtype)) - 1).astype(np.float32)
    return array.astype(dtype) * dtype.type(257)  # 255 -> 65535


def _printable(text: str) -> str:
    """`text` with escapes for the parts of file names that are not valid Unicode."""
    return text.encode("utf-8", "backslashreplace").decode()
