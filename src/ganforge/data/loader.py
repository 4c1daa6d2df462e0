"""Dealing batches: batch number k of a run is a pure function of (seed, k), crops and flips of its rows too.

Columns of one side are dealt together: the same rows, the same window, the same mirror.  Sides of an unpaired set
go their own ways, each in an order of its own; an epoch is one pass through the longer.
"""

from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ganforge.batches import MASKS, PIXELS, SIDES, Batch
from ganforge.data.crops import Windowed
from ganforge.data.dataset import DataSet
from ganforge.draw import mix
from ganforge.run import Run


class BatchLoader:
    """Deals the batches of a run; any share of any batch, in any order."""

    def __init__(self, data: DataSet, kind: type[Batch], run: Run) -> None:
        """Raises DataError when `data` lacks a column that `kind` needs."""
        data.need(*kind.columns())
        self.names = (*kind.columns(), *(name for name in kind.welcome() if name in data.columns))
        self.data, self.kind, self.run, self.count = data, kind, run, len(data)
        self.window = (data.facts.height, data.facts.width)
        self.order = lru_cache(maxsize=4)(self.order_of_epoch)

    def batch(self, number: int, share: int = 0, shares: int = 1) -> Batch:
        """Rows `share` of `shares` of batch `number`, images (n, C, H, W) in [-1, 1]."""
        n = self.run.batch // shares
        first = number * self.run.batch + share * n
        places = np.arange(first, first + n)  # positions in the endless row of epochs
        return self.kind(**{name: self.column(name, places) for name in self.names})

    def rows(self, side: str, places: np.ndarray) -> np.ndarray:
        """The rows of a side that are dealt at these places."""
        epochs, within = np.divmod(places, self.data.rows(side))
        rows = np.empty(len(places), np.int64)
        for epoch in np.unique(epochs):
            rows[epochs == epoch] = self.order(int(epoch), side)[within[epochs == epoch]]
        return rows

    def order_of_epoch(self, epoch: int, side: str = "") -> np.ndarray:
        """The order in which an epoch of a side deals its rows: every row once."""
        seed = mix(self.run.seed, epoch, *side.encode())
        return np.random.Generator(np.random.Philox(seed)).permutation(self.data.rows(side))

    def column(self, name: str, places: np.ndarray) -> Tensor:
        """What is dealt of a column at these places, as the tensor that a batch holds."""
        side = SIDES.get(name, "")
        column, rows = self.data.columns[name], self.rows(side, places)
        if name not in PIXELS | MASKS:
            return torch.from_numpy(column[rows])
        if self.run.crop and isinstance(column, Windowed):
            seen = column.cut(rows, self.chance(places, 1, side), self.chance(places, 2, side))
        else:
            seen = self.cut(column[rows], places, side)
        seen = self.mirror(seen, places, side)
        return to_images(seen) if name in PIXELS else to_masks(seen, self.data.facts.instances)

    def cut(self, pictures: np.ndarray, places: np.ndarray, side: str) -> np.ndarray:
        """A window out of pictures that are stored larger than the game sees them: random, or the middle."""
        (height, width), (h, w) = pictures.shape[1:3], self.window
        if height <= h and width <= w:
            return pictures
        top, left = (height - h) // 2, (width - w) // 2
        if not self.run.crop:
            return pictures[:, top : top + h, left : left + w]
        tops = self.chance(places, 1, side) % (height - h + 1)
        lefts = self.chance(places, 2, side) % (width - w + 1)
        return np.stack([p[t : t + h, x : x + w] for p, t, x in zip(pictures, tops, lefts, strict=True)])

    def mirror(self, pictures: np.ndarray, places: np.ndarray, side: str) -> np.ndarray:
        """Half of the pictures, left to right, if the run asks for it."""
        if not self.run.flip:
            return pictures
        turned = (self.chance(places, 3, side) & 1 == 1)[:, None, None, None]
        return np.where(turned, pictures[:, :, ::-1], pictures)

    def chance(self, places: np.ndarray, purpose: int, side: str) -> np.ndarray:
        """One 63-bit number a row, from (seed, place, purpose, side) alone: SplitMix64 over the places."""
        seed = np.uint64(mix(self.run.seed, purpose, *side.encode()))
        with np.errstate(over="ignore"):
            x = places.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + seed
            x = (x ^ x >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
            x = (x ^ x >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
        return ((x ^ x >> np.uint64(31)) >> np.uint64(1)).astype(np.int64)


def to_images(pictures: np.ndarray) -> Tensor:
    """Stored pictures (N, H, W, C) as float32 (N, C, H, W) in [-1, 1]; the memory stays channels-last."""
    if pictures.dtype == np.uint16:  # torch knows few operations on uint16
        pictures = pictures.astype(np.float32) / 32767.5 - 1
    tensor = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2)
    return tensor.float() / 127.5 - 1 if tensor.dtype == torch.uint8 else tensor.float()


def to_masks(stored: np.ndarray, most: int) -> Tensor:
    """Stored masks (N, H, W, M) as float32 (N, most, H, W) in {0, 1}, filled up with empty ones."""
    masks = torch.from_numpy(np.ascontiguousarray(stored >= 128)).permute(0, 3, 1, 2).float()
    return F.pad(masks, (0, 0, 0, 0, 0, most - masks.shape[1]))
