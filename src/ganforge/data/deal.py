"""Dealing batches: batch number k of a run is a pure function of (seed, k), crops and flips of its rows too."""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from ganforge.batches import PIXELS, Batch
from ganforge.data.dataset import DataSet
from ganforge.draw import mix
from ganforge.run import Run


class Deck:
    """Deals the batches of a run; any share of any batch, in any order."""

    def __init__(self, data: DataSet, kind: type[Batch], run: Run) -> None:
        """Raises DataError when `data` lacks a column that `kind` needs."""
        data.need(*kind.columns())
        self.data, self.kind, self.run, self.count = data, kind, run, len(data)
        self.window = (data.facts.height, data.facts.width)
        self.order = lru_cache(maxsize=2)(self.order_of_epoch)

    def batch(self, number: int, share: int = 0, shares: int = 1) -> Batch:
        """Rows `share` of `shares` of batch `number`, images (n, C, H, W) in [-1, 1]."""
        n = self.run.batch // shares
        first = number * self.run.batch + share * n
        places = np.arange(first, first + n)  # positions in the endless row of epochs
        epochs, within = np.divmod(places, self.count)
        rows = np.empty(n, np.int64)
        for epoch in np.unique(epochs):
            rows[epochs == epoch] = self.order(int(epoch))[within[epochs == epoch]]
        return self.kind(**{name: self.column(name, rows, places) for name in self.kind.columns()})

    def order_of_epoch(self, epoch: int) -> np.ndarray:
        """The order in which an epoch deals the rows: every row once."""
        return np.random.Generator(np.random.Philox(mix(self.run.seed, epoch))).permutation(self.count)

    def column(self, name: str, rows: np.ndarray, places: np.ndarray) -> Tensor:
        """Some rows of a column, as the tensor that a batch holds."""
        stored = self.data.columns[name][rows]
        if name not in PIXELS:
            return torch.from_numpy(stored)
        return to_images(self.mirror(self.cut(stored, places), places))

    def cut(self, pictures: np.ndarray, places: np.ndarray) -> np.ndarray:
        """A window out of pictures that are stored larger than the game sees them: random, or the middle."""
        (height, width), (h, w) = pictures.shape[1:3], self.window
        if (height, width) == (h, w):
            return pictures
        top, left = (height - h) // 2, (width - w) // 2
        if not self.run.crop:
            return pictures[:, top : top + h, left : left + w]
        tops, lefts = self.chance(places, 1) % (height - h + 1), self.chance(places, 2) % (width - w + 1)
        return np.stack([p[t : t + h, x : x + w] for p, t, x in zip(pictures, tops, lefts, strict=True)])

    def mirror(self, pictures: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Half of the pictures, left to right, if the run asks for it."""
        if not self.run.flip:
            return pictures
        turned = (self.chance(places, 3) & 1 == 1)[:, None, None, None]
        return np.where(turned, pictures[:, :, ::-1], pictures)

    def chance(self, places: np.ndarray, purpose: int) -> np.ndarray:
        """One 63-bit number a row, from (seed, place, purpose) alone: SplitMix64 over the places."""
        with np.errstate(over="ignore"):
            x = places.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(mix(self.run.seed, purpose))
            x = (x ^ x >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
            x = (x ^ x >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
        return ((x ^ x >> np.uint64(31)) >> np.uint64(1)).astype(np.int64)


def to_images(pictures: np.ndarray) -> Tensor:
    """Stored pictures (N, H, W, C) as float32 (N, C, H, W) in [-1, 1]; the memory stays channels-last."""
    if pictures.dtype == np.uint16:  # torch knows few operations on uint16
        pictures = pictures.astype(np.float32) / 32767.5 - 1
    tensor = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2)
    return tensor.float() / 127.5 - 1 if tensor.dtype == torch.uint8 else tensor.float()
