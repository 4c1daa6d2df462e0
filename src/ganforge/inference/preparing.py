"""Images of any depth, range and channels as those that a game takes; what is converted is counted."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from ganforge.data.decode import LazyImage, rescale
from ganforge.data.loader import to_images
from ganforge.data.value_range import BYTES, UNIT_RANGES, Range
from ganforge.errors import DataError
from ganforge.images import recolour


@dataclass
class ImagePreparer:
    """Prepares images, and counts what was converted."""

    changed: Counter[str] = field(default_factory=Counter)
    """{what was done to images, which images: how many}."""

    def prepare(self, image: LazyImage, array: np.ndarray, channels: int, span: Range | None) -> Tensor:
        """(1, channels, H, W) in [-1, 1] of an image (H, W, C), whose values have the run's range `span`.

        Raises DataError as `scale_to_range` and `match_channels` do.
        """
        return to_images(self.match_channels(self.scale_to_range(image, array, span), channels)[None])

    def scale_to_range(self, image: LazyImage, array: np.ndarray, span: Range | None) -> np.ndarray:
        """Scale an image's values to [-1, 1] by the run's range; integers of 8 and 16 bits are returned as they are.

        Raises:
            DataError: its values are not finite, or floats that the run has no range for.
        """
        if span is None:
            return scale_to_range(array)
        if array.dtype == np.uint16 and image.read_header().wide:
            array = array.astype(np.float32)
        low, high = span
        if array.dtype != np.float32:
            if span not in (*UNIT_RANGES, BYTES):
                what = f"Images of {array.dtype.itemsize * 8} bits, with black taken for {low:.7g} and white for "
                self.changed[f"{what}{high:.7g}"] += 1
            return array
        if not np.isfinite(array).all():
            raise DataError("it holds numbers that are not finite")
        if array.min() < low or array.max() > high:
            self.changed[f"Images with values outside of {low:.7g} ... {high:.7g}, the run's, which were clipped"] += 1
        return rescale(array, low, high, clip=True)

    def match_channels(self, array: np.ndarray, channels: int) -> np.ndarray:
        """Convert an image to the channels that the game takes, and count the conversion.

        Raises:
            DataError: its channels cannot be converted to these.
        """
        has = array.shape[2]
        if has != channels:
            if has in (2, 4) and channels not in (2, 4):
                self.changed["Images with transparent parts, which were laid on white"] += 1
            if has <= 2 < channels:
                self.changed["Grey images, which were given three equal channels"] += 1
            if has > 2 >= channels:
                self.changed["Images in colour, of which the luminance was taken"] += 1
        return np.array(recolour(array, channels))  # a copy: the array may be read-only

    def notes(self) -> list[str]:
        """A sentence for each conversion, with the number of images."""
        return [f"{what}: {count}." for what, count in self.changed.items()]


def scale_to_range(array: np.ndarray) -> np.ndarray:
    """Scale an image's floats from [0, 1] or [-1, 1] to [-1, 1]; integers are returned as they are.

    Raises:
        DataError: its floats are in neither, or not finite.
    """
    if array.dtype != np.float32:
        return array
    low, high = float(array.min()), float(array.max())
    if not (np.isfinite(array).all() and low >= -1 and high <= 1):
        raise DataError(
            f"its values run from {low:g} to {high:g}; floats are in [0, 1] or [-1, 1], because the run has stored no "
            "range of values"
        )
    return array * 2 - 1 if low >= 0 else array
