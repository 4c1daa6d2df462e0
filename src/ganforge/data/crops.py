"""Windows cut from images that keep their own scale and may all differ in size.

The pixels are stored one image after the other, so cutting a window costs no more than from an array of equal sizes.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np


@runtime_checkable
class Windowed(Protocol):
    """A column that can cut windows out of its images."""

    def cut(self, rows: np.ndarray, down: np.ndarray, across: np.ndarray) -> np.ndarray:
        """Windows (n, H, W, C) of the images `rows`; `down` and `across` are random integers (n,) for the place."""
        ...


@runtime_checkable
class Redrawn(Protocol):
    """A column that has another random part, such as noise, every time a row is loaded for training."""

    def redraw(self, rows: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """The images (n, H, W, C) `rows`; their random parts are functions of `numbers`, random integers (n,)."""
        ...


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
        windows = [self.window_at(row, *(steps // 2 for steps in self.steps(row))) for row in rows.tolist()]
        return np.stack(windows) if windows else np.empty((0, *self.shape[1:]), self.dtype)

    def cut(self, rows: np.ndarray, down: np.ndarray, across: np.ndarray) -> np.ndarray:
        """See `Windowed`."""
        places = []
        for row, *numbers in zip(rows.tolist(), down.tolist(), across.tolist(), strict=True):
            places.append((row, *(c % (steps + 1) for c, steps in zip(numbers, self.steps(row), strict=True))))
        return np.stack([self.window_at(*place) for place in places])

    def steps(self, row: int) -> tuple[int, int]:
        """How many units the window can move down and to the right."""
        (height, width), (h, w) = self.sizes[row], self.window
        return max(0, height - h) // self.unit, max(0, width - w) // self.unit

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
