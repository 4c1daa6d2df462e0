"""Windows cut from pictures that keep their own scale, and may all differ in size.

Pixels lie one picture after the other, so that a window costs what a window of a stored array costs.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np


@runtime_checkable
class Windowed(Protocol):
    """A column that is asked for windows of its pictures, not only for whole ones."""

    def cut(self, rows: np.ndarray, down: np.ndarray, across: np.ndarray) -> np.ndarray:
        """(n, H, W, C): a window of each of these pictures, where a large random number of each axis says."""
        ...


class Windows:
    """A column of such pictures: it looks like an array (N, H, W, C) of the window in the middle of each.

    Windows begin at multiples of `unit` pixels, so that those of a large picture and of the same picture made
    smaller can be cut at the same place.  A picture smaller than the window is filled up below and on the right by
    mirroring, its border included, which means the same at every scale.
    """

    def __init__(
        self, pixels: np.ndarray, sizes: Sequence[tuple[int, int]], window: tuple[int, int], unit: int = 1
    ) -> None:
        """`pixels` (P, C) of all pictures, whose heights and widths `sizes` lists."""
        self.pixels, self.sizes, self.window, self.unit = pixels, sizes, window, unit
        self.begins = np.cumsum([0, *(height * width for height, width in sizes)])
        self.dtype, self.shape = pixels.dtype, (len(sizes), *window, pixels.shape[1])

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        found = [self.window_of(row, *(steps // 2 for steps in self.steps(row))) for row in rows.tolist()]
        return np.stack(found) if found else np.empty((0, *self.shape[1:]), self.dtype)

    def cut(self, rows: np.ndarray, down: np.ndarray, across: np.ndarray) -> np.ndarray:
        """See `Windowed`."""
        places = []
        for row, *chance in zip(rows.tolist(), down.tolist(), across.tolist(), strict=True):
            places.append((row, *(c % (steps + 1) for c, steps in zip(chance, self.steps(row), strict=True))))
        return np.stack([self.window_of(*place) for place in places])

    def steps(self, row: int) -> tuple[int, int]:
        """How many units the window can move down, and to the right."""
        (height, width), (h, w) = self.sizes[row], self.window
        return max(0, height - h) // self.unit, max(0, width - w) // self.unit

    def window_of(self, row: int, down: int, right: int) -> np.ndarray:
        """The window of one picture that begins so many units from its corner."""
        (height, width), (h, w) = self.sizes[row], self.window
        whole = self.pixels[self.begins[row] : self.begins[row + 1]].reshape(height, width, -1)
        top, left = down * self.unit, right * self.unit
        seen = whole[top : top + h, left : left + w]
        if seen.shape[:2] == (h, w):
            return seen
        return np.pad(seen, ((0, h - seen.shape[0]), (0, w - seen.shape[1]), (0, 0)), "symmetric")

    def smaller(self) -> list[int]:
        """The pictures that are smaller than the window."""
        h, w = self.window
        return [row for row, (height, width) in enumerate(self.sizes) if height < h or width < w]
