"""Base classes of synthetic data: named random numbers, a pixel grid, and scenes with exact annotations.

A scene is described first and drawn afterwards.  Every number of its description is a hash of (seed, index, name of
the number), so a scene is the same at any size, on any machine and in any batch; its pixels and all of its
annotations are computed from signed distances.
"""

import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np

from ganforge.data.synthetic.signed_distance import Plane
from ganforge.draw import mix, splitmix

Size = tuple[int, int]  # (height, width) in pixels
Style = Literal["day", "neon"]
Progress = Callable[[int, int], None]  # (images drawn, images in all)

CHUNK = 1 << 16  # pixels drawn at a time: they fit the processor's cache
OUTLINE = 0.035  # half the width of an outline, in units of half the frame's shorter side


@dataclass(frozen=True, eq=False)
class Chance:
    """Random numbers for many rows at once: row i is a function of (seed, rows[i], name) alone."""

    seed: int
    rows: np.ndarray
    """uint64 (n,)."""

    def uniform(self, name: str, *shape: int, low: float = 0.0, high: float = 1.0) -> np.ndarray:
        """float32 (n, *shape), uniform in [low, high)."""
        return (low + (high - low) * self._fraction(name, *shape)).astype(np.float32)

    def choice(self, name: str, options: int, *shape: int) -> np.ndarray:
        """int64 (n, *shape), each of 0 ... options - 1 equally likely."""
        return (self._fraction(name, *shape) * options).astype(np.int64)

    def bernoulli(self, name: str, share: float, *shape: int) -> np.ndarray:
        """bool (n, *shape), true with probability `share`."""
        return self._fraction(name, *shape) < share

    def permutation(self, name: str, count: int) -> np.ndarray:
        """int64 (n, count): the numbers 0 ... count - 1 in a random order."""
        return np.argsort(self._fraction(name, count), axis=1, kind="stable")

    def balanced(self, name: str, options: int) -> np.ndarray:
        """int64 (n,): each block of `options` rows that starts at a multiple of it holds every option once."""
        block, place = np.divmod(self.rows, np.uint64(options))
        return Chance(self.seed, block).permutation(name, options)[np.arange(len(place)), place.astype(np.int64)]

    def _fraction(self, name: str, *shape: int) -> np.ndarray:
        """float64 (n, *shape) in [0, 1), the same on every machine."""
        key = np.uint64(mix(self.seed, zlib.crc32(name.encode())))
        row = splitmix(splitmix(self.rows ^ key))
        column = np.arange(int(np.prod(shape)), dtype=np.uint64)
        bits = splitmix(row[:, None] + column * np.uint64(0xD1342543DE82EF95))
        return ((bits >> np.uint64(11)) * 2.0**-53).reshape(len(self.rows), *shape)


class Grid:
    """Coordinates of the pixel centres of an image: the largest centred square is [-1, 1] x [-1, 1], y down."""

    def __init__(self, size: Size) -> None:
        self.size = height, width = size
        self.pixel = np.float32(2 / min(size))
        self.x = ((np.arange(width) + 0.5 - width / 2) * 2 / min(size)).astype(np.float32)[None, None, :]
        self.y = ((np.arange(height) + 0.5 - height / 2) * 2 / min(size)).astype(np.float32)[None, :, None]

    def coverage(self, distance: Plane) -> Plane:
        """The share of each pixel that lies inside, in [0, 1]: an antialiased mask of a signed distance."""
        return np.clip(0.5 - distance / self.pixel, 0, 1)


@dataclass(frozen=True, eq=False)
class Scenes(ABC):
    """The scenes with indices `rows` of a synthetic world.  A subclass defines their objects and how they are drawn.

    Objects are in slots, slot 0 in front; a slot may be empty.
    """

    seed: int
    rows: np.ndarray
    """uint64 (n,): the scenes' indices."""

    names: ClassVar[tuple[str, ...]]
    """Names of the classes."""
    attribute_names: ClassVar[tuple[str, ...]]
    slots: ClassVar[int] = 1
    """The maximal number of objects in a scene, M."""
    size: ClassVar[Size] = (32, 32)
    channels: ClassVar[int] = 3
    """Default size and channels of the images."""

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def chance(self) -> Chance:
        """The random numbers of these scenes."""
        return Chance(self.seed, self.rows)

    # What a subclass defines ---------------------------------------------------------------------

    @property
    @abstractmethod
    def condition(self) -> np.ndarray:
        """int64 (n,): the class of each scene, an index into `names`; or its `attributes`."""

    @property
    @abstractmethod
    def labels(self) -> np.ndarray:
        """int64 (n, M): 1 + the class of the object in each slot, 0 for an empty slot."""

    @property
    @abstractmethod
    def attributes(self) -> np.ndarray:
        """float32 (n, K) of 0 and 1, by `attribute_names`; of the object in front if there are several."""

    @property
    @abstractmethod
    def captions(self) -> tuple[str, ...]:
        """One sentence a scene."""

    @property
    def sentences(self) -> tuple[tuple[str, ...], ...]:
        """One or more sentences a scene."""
        return tuple((caption,) for caption in self.captions)

    @abstractmethod
    def distance(self, slot: int, grid: Grid) -> Plane:
        """(n, H, W): signed distance to the object in a slot, in frame units; a large value for an empty slot."""

    @abstractmethod
    def paint(self, grid: Grid, style: Style) -> np.ndarray:
        """Draw the scenes: float32 (n, 3, H, W) in [0, 1]."""

    # What is derived for every world -------------------------------------------------------------

    def images(self, size: Size, style: Style = "day", progress: Progress | None = None) -> np.ndarray:
        """uint8 (n, H, W, 3): colour images of the scenes in one of two styles."""
        grid, images = Grid(size), np.empty((len(self), *size, 3), np.uint8)
        for part, scenes in self.chunks(size):
            pixels = np.clip(scenes.paint(grid, style), 0, 1) * 255 + 0.5
            images[part] = pixels.astype(np.uint8).transpose(0, 2, 3, 1)
            if progress:
                progress(part.stop, len(self))
        return images

    def masks(self, size: Size) -> np.ndarray:
        """uint8 (n, M, H, W) in {0, 1}: each whole object, hidden parts included."""
        grid, masks = Grid(size), np.empty((len(self), self.slots, *size), np.uint8)
        for part, scenes in self.chunks(size):
            for slot in range(self.slots):
                masks[part, slot] = scenes.distance(slot, grid) < 0
        return masks

    def label_map(self, size: Size) -> np.ndarray:
        """int64 (n, H, W): at each pixel 1 + the class of the front-most object, 0 for the background."""
        masks = self.masks(size)
        front = masks.argmax(1)  # the first slot that covers the pixel
        scene = np.arange(len(self))[:, None, None]
        return np.where(masks.any(1), self.labels[scene, front], 0)

    def boxes(self, size: Size) -> np.ndarray:
        """float32 (n, M, 4): x0, y0, x1, y1 in [0, 1] around each mask at this size; zeros for an empty slot."""
        masks = self.masks(size) > 0
        (x0, x1), (y0, y1) = span(masks.max(2)), span(masks.max(3))
        return np.stack([x0, y0, x1, y1], -1)

    def edges(self, size: Size) -> np.ndarray:
        """uint8 (n, H, W, 1): visible outlines, white on black."""
        grid, edges = Grid(size), np.empty((len(self), *size, 1), np.uint8)
        for part, scenes in self.chunks(size):
            canvas = np.zeros((len(scenes), *size), np.float32)
            for slot in reversed(range(self.slots)):
                distance = scenes.distance(slot, grid)
                outline = grid.coverage(np.abs(distance) - max(OUTLINE, grid.pixel / 2))
                canvas = np.maximum(canvas * (1 - grid.coverage(distance)), outline)
            edges[part] = (canvas * 255 + 0.5).astype(np.uint8)[..., None]
        return edges

    def chunks(self, size: Size) -> Iterator[tuple[slice, "Scenes"]]:
        """Yield (slice, scenes) a few scenes at a time, so that memory stays bounded."""
        step = max(1, CHUNK // (size[0] * size[1]))
        for start in range(0, len(self), step):
            part = slice(start, min(start + step, len(self)))
            yield part, type(self)(self.seed, self.rows[part])


def span(covered: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Start and end (exclusive) of the true values along the last axis, as shares of its length; (0, 0) if none."""
    length, some = covered.shape[-1], covered.any(-1)
    first = np.where(some, covered.argmax(-1), 0)
    behind = np.where(some, length - covered[..., ::-1].argmax(-1), 0)
    return (first / length).astype(np.float32), (behind / length).astype(np.float32)


def per_pixel(values: np.ndarray) -> np.ndarray:
    """Reshape (n, ...) to (n, ..., 1, 1), to broadcast one value over all pixels of an image."""
    return values[..., None, None]
