"""Load batches: batch number k of a run is a pure function of (seed, k), including random crops and flips.

Columns of one side share their rows, their window and their flip.  The two sides of unpaired data are shuffled
independently of each other; an epoch is one pass through the longer side.
"""

from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ganforge.batches import Batch, column_of
from ganforge.data.boxes import cut_boxes, mirror_boxes
from ganforge.data.crops import Redrawn, Windowed, Windows, count_steps, cut_windows, place_windows
from ganforge.data.dataset import DataSet
from ganforge.draw import GOLDEN, mix, splitmix
from ganforge.run import Run


class BatchLoader:
    """Loads the batches of a run: any share of any batch, in any order."""

    def __init__(self, data: DataSet, batch_type: type[Batch], run: Run) -> None:
        """Raises DataError if `data` lacks a column that `batch_type` needs."""
        data.need(*batch_type.columns())
        self.names = (*batch_type.columns(), *(name for name in batch_type.optional_columns() if name in data.columns))
        self.data, self.batch_type, self.run, self.count = data, batch_type, run, len(data)
        self.window = (data.facts.height, data.facts.width)
        self.order = lru_cache(maxsize=4)(self.order_of_epoch)

    def batch(self, number: int, share: int = 0, shares: int = 1) -> Batch:
        """Load share number `share` of `shares` of batch `number`; images are (n, C, H, W) in [-1, 1]."""
        n = self.run.batch // shares
        first = number * self.run.batch + share * n
        places = np.arange(first, first + n)  # positions in the endless sequence of epochs
        return self.batch_type(**{name: self.column(name, places) for name in self.names})

    def rows(self, side: str, places: np.ndarray) -> np.ndarray:
        """The rows of a side at these places of the endless sequence of epochs."""
        epochs, within = np.divmod(places, self.data.rows(side))
        rows = np.empty(len(places), np.int64)
        for epoch in np.unique(epochs):
            rows[epochs == epoch] = self.order(int(epoch), side)[within[epochs == epoch]]
        return rows

    def order_of_epoch(self, epoch: int, side: str = "") -> np.ndarray:
        """The shuffled order of the rows of a side in one epoch: every row once."""
        seed = mix(self.run.seed, epoch, *side.encode())
        return np.random.Generator(np.random.Philox(seed)).permutation(self.data.rows(side))

    def column(self, name: str, places: np.ndarray) -> Tensor:
        """The rows of a column at these places, as the tensor that a batch holds."""
        return self.read(name, self.rows(column_of(name).side, places), places)

    def read(self, name: str, rows: np.ndarray, places: np.ndarray) -> Tensor:
        """Rows of a column, in the windows and the mirroring of `places`."""
        declared = column_of(name)
        column, side = self.data.columns[name], declared.side
        if declared.kind == "rows":
            return torch.from_numpy(column[rows])
        if declared.kind == "boxes":
            boxes, labels = self.place_boxes(rows, places, side)
            return torch.from_numpy(boxes if name == "boxes" else labels)
        if declared.kind == "tokens":
            numbers = self.random_integers(places, 5, side)
            return torch.from_numpy(column.redraw(rows, numbers) if isinstance(column, Redrawn) else column[rows])
        if isinstance(column, Redrawn) and not self.run.crop:
            images = self.cut(column.redraw(rows, self.random_integers(places, 4, side)), places, side)
        elif self.run.crop and isinstance(column, Windowed):
            images = column.cut(rows, *self.numbers_of_windows(places, side).T)
        else:
            images = self.cut(column[rows], places, side)
        images = self.flip(images, places, side)
        if declared.kind == "label_map":
            return to_map(images)
        return to_images(images) if declared.kind == "image" else to_masks(images, self.data.facts.instances)

    def place_boxes(self, rows: np.ndarray, places: np.ndarray, side: str) -> tuple[np.ndarray, np.ndarray]:
        """The boxes (n, M, 4) in the windows that are cut out of the images, and what is in them (n, M)."""
        boxes, labels = cut_boxes(
            self.data.columns["boxes"][rows], self.data.columns["box_labels"][rows], self.windows(rows, places, side)
        )
        mirrored = self.flipped(places, side)
        return np.where(mirrored[:, None, None], mirror_boxes(boxes, labels), boxes), labels

    def windows(self, rows: np.ndarray, places: np.ndarray, side: str) -> np.ndarray:
        """float64 (n, 4): left, top, right, bottom of the window that is cut out of each image, in shares of it."""
        images, unit = self.data.columns["images"], 1
        sizes = np.array([images.shape[1:3]] * len(rows))
        if isinstance(images, Windows):
            sizes, unit = images.sizes_of(rows), images.unit
        numbers = self.numbers_of_windows(places, side) if self.run.crop else None
        starts = place_windows(count_steps(sizes, self.window, unit), numbers) * unit
        corners = np.concatenate([starts, starts + np.array(self.window)], 1)
        return corners[:, [1, 0, 3, 2]] / sizes[:, [1, 0, 1, 0]]

    def cut(self, images: np.ndarray, places: np.ndarray, side: str) -> np.ndarray:
        """Cut windows out of images that are stored with a margin: at random if the run crops, else the centre."""
        (height, width), (h, w) = images.shape[1:3], self.window
        if height <= h and width <= w:
            return images
        steps = count_steps((height, width), self.window)
        if not self.run.crop:
            top, left = place_windows(steps).tolist()
            return images[:, top : top + h, left : left + w]
        return cut_windows(images, place_windows(steps, self.numbers_of_windows(places, side)), self.window)

    def numbers_of_windows(self, places: np.ndarray, side: str) -> np.ndarray:
        """int64 (n, 2): random integers for the places of windows, down and to the right."""
        return np.stack([self.random_integers(places, purpose, side) for purpose in (1, 2)], 1)

    def flip(self, images: np.ndarray, places: np.ndarray, side: str) -> np.ndarray:
        """Flip each image left to right with probability 1/2, if the run asks for it."""
        if not self.run.flip:
            return images
        return np.where(self.flipped(places, side)[:, None, None, None], images[:, :, ::-1], images)

    def flipped(self, places: np.ndarray, side: str) -> np.ndarray:
        """bool (n,): the images that are flipped."""
        return (self.random_integers(places, 3, side) & 1 == 1) & self.run.flip

    def random_integers(self, places: np.ndarray, purpose: int, side: str) -> np.ndarray:
        """One 63-bit integer a row, a function of (seed, place, purpose, side) alone: SplitMix64 over the places."""
        seed = mix(self.run.seed, purpose, *side.encode())
        states = (places.astype(np.uint64) - np.uint64(1)) * np.uint64(GOLDEN) + np.uint64(seed)
        return (splitmix(states) >> np.uint64(1)).astype(np.int64)


def to_images(images: np.ndarray) -> Tensor:
    """Convert stored images (N, H, W, C) to float32 (N, C, H, W) in [-1, 1]; the memory stays channels-last."""
    if images.dtype == np.uint16:  # torch knows few operations on uint16
        images = images.astype(np.float32) / 32767.5 - 1
    tensor = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2)
    return tensor.float() / 127.5 - 1 if tensor.dtype == torch.uint8 else tensor.float()


def to_masks(stored: np.ndarray, most: int) -> Tensor:
    """Convert stored masks (N, H, W, M) to float32 (N, most, H, W) in {0, 1}, padded with empty masks."""
    masks = torch.from_numpy(np.ascontiguousarray(stored >= 128)).permute(0, 3, 1, 2).float()
    return F.pad(masks, (0, 0, 0, 0, 0, most - masks.shape[1]))


def to_map(stored: np.ndarray) -> Tensor:
    """Convert stored maps (N, H, W, 1) to int64 (N, H, W)."""
    return torch.from_numpy(stored[..., 0].astype(np.int64))
