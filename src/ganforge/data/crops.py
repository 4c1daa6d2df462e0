"""Windows cut from images that keep their own scale and may all differ in size.

The pixels are stored one image after the other, so cutting a window costs no more than from an array of equal sizes.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike


@runtime_checkable
class Windowed(Protocol):
    """A column that can cut windows out of its images."""

    def cut(self, rows: np.ndarray, down: np.ndarray, across: np.ndarray) -> np.ndarray:
        """Windows (n, H, W, C) of the images `rows`; `down` and `across` are random integers (n,) for the place."""
        ...


@runtime_checkable
class Redrawn(Protocol):
    """A column that has another random part, as noise or the choice of a caption, every time a row is loaded."""

    def redraw(self, rows: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """The values of `rows`, as images (n, H, W, C); random parts follow from `numbers`, random integers (n,)."""
        ...


def count_steps(sizes: ArrayLike, window: tuple[int, int], unit: int = 1) -> np.ndarray:
    """int64 (..., 2): how many units a window can move down and to the right in images of `sizes` (..., 2)."""
    return np.maximum(np.asarray(sizes, np.int64) - window, 0) // unit


def place_windows(steps: np.ndarray, numbers: np.ndarray | None = None) -> np.ndarray:
    """int64 (..., 2): the units from the top left corner at which windows begin, by random integers or in the centre.

    `steps` and `numbers` are (..., 2), down and to the right; see `count_steps`.
    """
    return steps // 2 if numbers is None else numbers % (steps + 1)


def cut_windows(images: np.ndarray, starts: np.ndarray, window: tuple[int, int]) -> np.ndarray:
    """The windows (n, h, w, C) of images (n, H, W, C) that begin at `starts` (n, 2), in pixels."""
    places = zip(images, starts.tolist(), strict=True)
    return np.stack([image[top : top + window[0], left : left + window[1]] for image, (top, left) in places])


class Windows:
    """A column of images of different sizes; indexed like an array (N, H, W, C) it returns the centre window of each.

    Windows begin at multiples of `unit` pixels, so that windows of an image and of its reduced copy can be cut at the
    same place.  An image smaller than the window is padded below and on the right by reflection ("symmetric": the
    border is repeated), which is the same at every scale.
    """

    def __init__(
        self, pixels: np.ndarray, sizes: Sequence[tuple[int, int]], window: tuple[int, int], unit: int = 1
    ) -> None:
        """`pixels` (P, C) are those of all images one after the other; `sizes` lists their (height, width)."""
        self.pixels, self.sizes, self.window, self.unit = pixels, sizes, window, unit
        self.starts = np.cumsum([0, *(height * width for height, width in sizes)])
        self.dtype, self.shape = pixels.dtype, (len(sizes), *window, pixels.shape[1])

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        return self.cut_at(rows, place_windows(self.steps(rows)))

    def cut(self, rows: np.ndarray, down: np.ndarray, across: np.ndarray) -> np.ndarray:
        """See `Windowed`."""
        return self.cut_at(rows, place_windows(self.steps(rows), np.stack([down, across], 1)))

    def cut_at(self, rows: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """The windows (n, h, w, C) of the images `rows` that begin at `starts` (n, 2), in units."""
        places = zip(rows.tolist(), starts.tolist(), strict=True)
        windows = [self.window_at(row, down, right) for row, (down, right) in places]
        return np.stack(windows) if windows else np.empty((0, *self.shape[1:]), self.dtype)

    def sizes_of(self, rows: np.ndarray) -> np.ndarray:
        """int64 (n, 2): height and width of the images `rows`."""
        return np.array([self.sizes[row] for row in rows.tolist()], np.int64).reshape(-1, 2)

    def steps(self, rows: np.ndarray) -> np.ndarray:
        """int64 (n, 2): how many units the windows of the images `rows` can move down and to the right."""
        return count_steps(self.sizes_of(rows), self.window, self.unit)

    def window_at(self, row: int, down: int, right: int) -> np.ndarray:
        """The window (h, w, C) of one image that begins `down` and `right` units from its top left corner."""
        (height, width), (h, w) = self.sizes[row], self.window
        whole = self.pixels[self.starts[row] : self.starts[row + 1]].reshape(height, width, -1)
        top, left = down * self.unit, right * self.unit
        window = whole[top : top + h, left : left + w]
        if window.shape[:2] == (h, w):
            return window
        return np.pad(window, ((0, h - window.shape[0]), (0, w - window.shape[1]), (0, 0)), "symmetric")

    def rows_smaller_than_window(self) -> list[int]:
        """Indices of the images that are smaller than the window."""
        h, w = self.window
        return [row for row, (height, width) in enumerate(self.sizes) if height < h or width < w]
