"""Images by index, and those of a data column: what metrics and extractors read."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganforge.batches import Facts, is_mask
from ganforge.data.dataset import DataSet
from ganforge.data.loader import to_images


@dataclass(frozen=True)
class ImageSet:
    """Images by index; reading an index again gives the same image."""

    name: str
    count: int
    rows: Callable[[int, int], Tensor]
    """(start, stop) -> (n, C, H, W) in [-1, 1]."""
    labels: np.ndarray | None = None
    """int64 (count,): the class of each image, where it is known."""
    sentences: tuple[str, ...] = ()
    """The sentence that each image was drawn for, where there is one."""

    def batches(self, size: int = 64, start: int = 0, stop: int | None = None) -> Iterator[Tensor]:
        """All images, or those of [start, stop), in order."""
        stop = self.count if stop is None else stop
        for first in range(start, stop, size):
            yield self.rows(first, min(first + size, stop))

    def take(self, numbers: np.ndarray) -> Tensor:
        """The images with the given indices, in that order."""
        return torch.cat([self.rows(int(k), int(k) + 1) for k in numbers])


def select_images(data: DataSet, column: str = "images", most: int = 0, rows: np.ndarray | None = None) -> ImageSet:
    """The images of a data column, or of `rows` of it; at most `most`, chosen by `subsample` (0: all).

    Raises DataError where the data has no such column.
    """
    data.need(column)
    stored, labels = data.columns[column], data.columns.get("condition")
    rows = subsample(np.arange(len(stored)) if rows is None else rows, most)
    classes = labels[rows] if labels is not None and labels.ndim == 1 else None

    def read(start: int, stop: int) -> Tensor:
        images = stored[rows[start:stop]]
        if is_mask(column):
            return torch.from_numpy(np.moveaxis(images, 3, 1) >= 128).float()
        return to_images(np.array(cut_centre(images, data.facts)))

    return ImageSet(data.name, len(rows), read, classes)


def cut_centre(images: np.ndarray, facts: Facts) -> np.ndarray:
    """The centre windows (N, H, W, C) of the facts' size, of images that may be stored with a margin."""
    height, width = facts.height, facts.width
    top, left = (max(0, side - crop) // 2 for side, crop in zip(images.shape[1:3], (height, width), strict=True))
    return images[:, top : top + height, left : left + width]


def subsample(numbers: np.ndarray, most: int) -> np.ndarray:
    """At most `most` of the numbers, in order, chosen at random with a fixed seed; 0: all."""
    if not 0 < most < len(numbers):
        return numbers
    return np.sort(np.random.Generator(np.random.Philox(0)).permutation(numbers)[:most])
