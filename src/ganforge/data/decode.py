"""From many pictures of any kind to one array of one size, one number of channels and one type."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from ganforge.console import watched
from ganforge.data.cache import Decoded, DecodeJob, DecodeReport, in_threads
from ganforge.data.crops import Windows
from ganforge.errors import DataError
from ganforge.images import ImageHeader, fit, high_bit_depth, recolour, white

R = TypeVar("R")

NAMED = 100  # files that are named one by one when they are left out; of more, the number is told
MARGIN = 286 / 256  # what is stored beyond the size, so that a random window can be cut: pix2pix's jitter


@dataclass(frozen=True)
class DecodeOptions:
    """What a person asked for."""

    size: tuple[int, int] | None = None
    """Height and width; None: as the pictures are, which must then agree."""
    channels: int = 0
    """0: 1 if all pictures are grey, else 3."""
    crop: bool = False
    """Store more than the size, so that a random window of it can be cut."""
    native: bool = False
    """Keep every picture as large as it is: windows of the size are cut from it when it is dealt."""

    def __post_init__(self) -> None:
        if self.native and self.size is None:
            raise DataError("--native cuts windows out of pictures: say how large with --size, as in --size 96.")
        if self.size is not None and min(self.size) < 1:
            raise DataError(f"Images of {self.size[0]}x{self.size[1]} pixels hold nothing: a size is at least 1.")

    def stored(self) -> tuple[int, int] | None:
        """Height and width of the pictures in store."""
        if self.size is None or not self.crop:
            return self.size
        return round(self.size[0] * MARGIN), round(self.size[1] * MARGIN)

    def key(self) -> tuple[object, ...]:
        """What decides about the pictures in store."""
        return (self.channels, "native") if self.native else (self.size, self.channels, self.crop)

    def dealt(self, made: Decoded, names: Sequence[str], unit: int = 1) -> tuple[Any, tuple[str, ...]]:
        """The column that decoded pictures make, and what a person should know about it.

        `names` are those of the pictures before any was left out; see windows.py for `unit`.
        """
        if not self.native or self.size is None:
            return made.images, made.story.notes
        column = Windows(made.images, made.story.sizes, self.size, unit)
        small, (height, width) = column.smaller(), self.size
        if not small:
            return column, made.story.notes
        note = (
            f"{len(small)} of {len(column)} images are smaller than the window of {height}x{width}, the first "
            f"{names[made.story.kept[small[0]]]}: they are filled up by reflection. --no-native enlarges them instead."
        )
        return column, (*made.story.notes, note)


@dataclass(frozen=True)
class Picture:
    """A picture that can be looked at and read; both raise DataError naming it."""

    name: str
    look: Callable[[], ImageHeader]
    read: Callable[[], np.ndarray]


def decode(where: str, pictures: Sequence[Picture], wanted: DecodeOptions) -> DecodeJob:
    """The work of bringing `pictures` to what is wanted; those that cannot be read are left out and named.

    Raises:
        DataError: sizes or channels that differ and were not asked to be made alike; no picture can be read.
    """
    seen = watched(in_threads(_attempt, [p.look for p in pictures]), len(pictures), f"Looking at {where}")
    looks = dict(enumerate(seen))
    good = {k: look for k, look in looks.items() if isinstance(look, ImageHeader)}
    failed = {k: error for k, error in looks.items() if isinstance(error, DataError)}
    if not good:
        raise _all_corrupt(where, len(pictures), failed)
    size = () if wanted.native else wanted.stored() or _common_size([(pictures[k].name, good[k]) for k in good])
    channels = wanted.channels or _common_channels([(pictures[k].name, look) for k, look in good.items()])
    dtype = max((look.dtype for look in good.values()), key=lambda dtype: dtype.itemsize)
    low, high = _range([pictures[k] for k, look in good.items() if look.dtype == np.float32])
    job = _Job(where, pictures, wanted, (*size, channels), dtype, low, high, failed)
    job.describe(list(good.values()))
    return DecodeJob(job.shape, dtype, job.rows(list(good)), job.story)


def outdated(story: DecodeReport) -> bool:
    """Whether pictures were cut that can be read as a whole by now."""
    return any(note.endswith(high_bit_depth.CUT) for note in story.notes) and high_bit_depth.here()


@dataclass
class _Job:
    where: str
    pictures: Sequence[Picture]
    wanted: DecodeOptions
    shape: tuple[int, ...]
    """Of a picture; of a pixel, where pictures keep their own size."""
    dtype: np.dtype
    low: float
    high: float
    failed: dict[int, DataError]
    kept: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)

    def describe(self, looks: list[ImageHeader]) -> None:
        """Notes on what will be made of pictures that look like this."""
        *size, channels = self.shape
        height, width = size or (0, 0)
        small = sum(look.height < height or look.width < width for look in looks)
        if small:
            self.notes.append(f"{small} of {len(looks)} images are smaller than {height}x{width} and were enlarged.")
        clear = sum(look.channels in (2, 4) for look in looks)
        if clear and channels not in (2, 4):
            self.notes.append(f"{clear} of {len(looks)} images have transparent parts, which were laid on white.")
        deeper = sum(look.deeper for look in looks)
        if deeper:
            self.notes.append(f"{deeper} of {len(looks)} images {high_bit_depth.CUT}")
        if len({look.dtype for look in looks}) > 1:
            self.notes.append(f"The images have different depths; all are kept as {self.dtype}.")
        if self.dtype == np.float32 and (self.low, self.high) not in ((-1, 1), (0, 1)):
            self.notes.append(f"Float values from {self.low:g} to {self.high:g} were scaled to [-1, 1].")

    def rows(self, good: list[int]) -> Iterator[np.ndarray]:
        """The pictures in order, without those that turn out to be damaged."""
        results = in_threads(lambda k: _attempt(lambda: self._row(self.pictures[k])), good)
        for k, row in zip(good, watched(results, len(good), f"Decoding {self.where}"), strict=True):
            if isinstance(row, DataError):
                self.failed[k] = row
            else:
                self.kept.append(k)
                if self.wanted.native:
                    self.sizes.append(row.shape[:2])
                yield row

    def _row(self, picture: Picture) -> np.ndarray:
        array = picture.read()
        if array.dtype == np.float32:
            if not np.isfinite(array).all():
                raise DataError(f"{picture.name} cannot be read: it holds numbers that are not finite.")
            array = _scaled(array, self.low, self.high)
        *size, channels = self.shape
        if self.wanted.size is None and array.shape[:2] != tuple(size):
            raise DataError(f"{picture.name} cannot be read: its size is not the one that its header claims.")
        try:
            array = fit(array, (size[0], size[1]), channels) if size else recolour(array, channels)
        except DataError as error:
            raise DataError(f"{picture.name} cannot be read: {str(error)[0].lower()}{str(error)[1:]}") from error
        return _deepened(array, self.dtype)

    def story(self) -> DecodeReport:
        """What was kept and what was not.  Raises a DataError where less than two pictures are left."""
        if not self.kept:
            raise _all_corrupt(self.where, len(self.pictures), self.failed)
        if len(self.kept) == 1:
            first = self.failed[min(self.failed)] if self.failed else ""
            raise DataError(f"{one_image(self.where)} {first}".rstrip())
        reasons = [f"Left out: {_printable(str(self.failed[k]))}" for k in sorted(self.failed)]
        if len(reasons) > NAMED:
            reasons[NAMED:] = [f"Left out: {len(reasons) - NAMED} more files that cannot be read."]
        return DecodeReport(tuple(self.kept), (*self.notes, *reasons), tuple(self.sizes))


def one_image(where: str) -> str:
    """The sentence for data of one picture."""
    return f"A GAN cannot learn from one image: {where} holds only one that can be read, and at least 2 are needed."


def _attempt(do: Callable[[], R]) -> R | DataError:
    try:
        return do()
    except DataError as error:
        return error


def _all_corrupt(where: str, count: int, failed: dict[int, DataError]) -> DataError:
    first = _printable(str(failed[min(failed)]))
    return DataError(f"None of the {count} images in {where} can be read. The first: {first}")


def _common_size(looks: list[tuple[str, ImageHeader]]) -> tuple[int, int]:
    first_name, first = looks[0]
    for name, look in looks:
        if (look.height, look.width) != (first.height, first.width):
            raise DataError(
                f"The images differ in size: {first_name} is {first.height}x{first.width} and {name} is "
                f"{look.height}x{look.width} (height x width). Say which size you want with --size, as in --size 64."
            )
    return first.height, first.width


def _common_channels(looks: list[tuple[str, ImageHeader]]) -> int:
    counts = Counter(look.channels for _, look in looks)
    if max(counts) <= 4:
        return 1 if max(counts) <= 2 else 3
    if len(counts) == 1:
        return max(counts)
    one, other = (next(name for name, look in looks if look.channels == c) for c in sorted(counts)[-2:])
    raise DataError(f"The images differ in channels: {one} has {sorted(counts)[-2]} and {other} has {max(counts)}.")


def _range(floats: list[Picture]) -> tuple[float, float]:
    """What to take for black and white among float pictures: 0 and 1, or -1 and 1, where that is what they use."""
    low, high = np.inf, -np.inf
    for array in watched(in_threads(lambda p: _attempt(p.read), floats), len(floats), "Finding the range of values"):
        if isinstance(array, np.ndarray) and np.isfinite(array).all():
            low, high = min(low, float(array.min())), max(high, float(array.max()))
    if low >= 0 and high <= 1:
        return 0.0, 1.0
    return (-1.0, 1.0) if low >= -1 and high <= 1 else (low, high)


def _scaled(array: np.ndarray, low: float, high: float) -> np.ndarray:
    if (low, high) == (-1, 1):
        return array
    return ((array.astype(np.float64) - low) * (2 / ((high - low) or 1)) - 1).astype(np.float32)


def _deepened(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """`array` in a type at least as deep as its own."""
    if array.dtype == dtype:
        return array
    if dtype == np.float32:
        return (array * np.float32(2 / white(array.dtype)) - 1).astype(np.float32)
    return array.astype(dtype) * dtype.type(257)  # 255 -> 65535


def _printable(text: str) -> str:
    """`text` without the half characters of file names that are no Unicode."""
    return text.encode("utf-8", "backslashreplace").decode()
