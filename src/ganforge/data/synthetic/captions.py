"""Variants of shapes with sentences: one object a scene, and several sentences about it.

shapes-captions           every attribute is named in some sentence, and every combination occurs
shapes-captions-unseen    the same, but each kind has one colour that it never has in a training scene, and always in
                          a held-out one

What a sentence does not name varies: the size, the place, and which of the grounds it is.
"""

from functools import cached_property

import numpy as np

from ganforge.batches import Facts
from ganforge.data.dataset import DataSet
from ganforge.data.synthetic.scenes import Size
from ganforge.data.synthetic.shapes import COLOURS, HELD_OUT, RENDERER, Shapes, check_drawable, luminance
from ganforge.data.synthetic.signed_distance import KINDS
from ganforge.data.tokens import pack_captions

COUNT, HELD = 10_000, 2_000  # scenes to train on, and held out
SIZE: Size = (32, 32)
UNSEEN = tuple(3 * kind % len(COLOURS) for kind in range(len(KINDS)))
"""The colour, an index into COLOURS, that each kind lacks in the training scenes of shapes-captions-unseen."""
PLACES = ("on the left", "in the middle", "on the right")
VARIANTS = dict.fromkeys(("shapes-captions", "shapes-captions-unseen"), ("images", "condition", "tokens"))
"""{name: its columns}."""


class Described(Shapes):
    """Scenes of one object without stripes, at any place, on light or dark ground."""

    stripes, night = 0.0, 0.5

    @cached_property
    def radius(self) -> np.ndarray:
        return np.where(self.large, np.float32(0.68), np.float32(0.44)) + self.chance.uniform("radius", 1, high=0.04)

    @cached_property
    def room(self) -> np.ndarray:
        """float32 (n, 1): how far the centre may be from the middle."""
        return 0.94 - self.radius

    @cached_property
    def place(self) -> np.ndarray:
        return self.room[..., None] * self.chance.uniform("place", self.slots, 2, low=-1)

    @cached_property
    def side(self) -> np.ndarray:
        """int64 (n,), indices into PLACES: the third of the room in which the object is."""
        share = (self.place[:, 0, 0] / self.room[:, 0] + 1) / 2
        return (share * len(PLACES)).astype(np.int64).clip(0, len(PLACES) - 1)

    @property
    def captions(self) -> tuple[str, ...]:
        return tuple(own[0] for own in self.sentences)

    @property
    def sentences(self) -> tuple[tuple[str, ...], ...]:
        """Of each scene a sentence that names all, and others that name less; all name colour and kind."""
        return tuple(map(self._describe, range(len(self))))

    def _describe(self, row: int) -> tuple[str, ...]:
        size, ground = "large" if self.large[row, 0] else "small", "dark" if self.dark[row] else "light"
        colour, kind = tuple(COLOURS)[self.colour[row, 0]], self.names[self.kind[row, 0]]
        article, place = "an" if colour[0] in "aeiou" else "a", PLACES[self.side[row]]
        return (
            f"a {size} {colour} {kind} on a {ground} background, {place}",
            f"a {size} {colour} {kind} on a {ground} background",
            f"a {size} {colour} {kind}",
            f"this {kind} is {colour} and {size}",
            f"{article} {colour} {kind} {place}",
            f"there is {article} {colour} {kind}",
        )


def find_unseen(scenes: Described) -> np.ndarray:
    """bool (n,): scenes whose kind has its colour in UNSEEN."""
    return scenes.colour[:, 0] == np.array(UNSEEN)[scenes.kind[:, 0]]


def make_described(variant: str, *, count: int = 0, seed: int = 0, held_out: bool = False) -> Described:
    """The scenes of a variant, in the order of its rows.

    `count` 0: COUNT, or HELD if they are held out.
    """
    count, start = count or (HELD if held_out else COUNT), HELD_OUT if held_out else 0
    if variant == "shapes-captions":
        return Described(seed, np.arange(start, start + count, dtype=np.uint64))
    rows = np.arange(start, start + 2 * len(COLOURS) * count + 1_000, dtype=np.uint64)  # one of 8 is held back
    return Described(seed, rows[find_unseen(Described(seed, rows)) == held_out][:count])


def open_described(
    variant: str,
    *,
    size: Size | None = None,
    channels: int = 0,
    seed: int = 0,
    held_out: bool = False,
    count: int = 0,
) -> DataSet:
    """Draw the data set `variant` at `size` (height, width), 32 x 32 by default.

    Columns: images uint8 (N, H, W, C); condition int64 (N,), the kind; tokens, captions without a tokeniser.  Held-out
    scenes never occur in training data.

    Raises DataError for an unsupported size, number of channels or count.
    """
    size, channels = size or SIZE, channels or 3
    check_drawable(variant, size, channels, count or COUNT)
    scenes = make_described(variant, count=count, seed=seed, held_out=held_out)
    images = scenes.images(size)
    columns = {
        "images": images if channels == 3 else luminance(images),
        "condition": scenes.condition,
        "tokens": pack_captions(scenes.sentences),
    }
    which = f"{size[0]}x{size[1]}x{channels} seed={seed} held out={held_out} {len(scenes)}"
    facts = Facts(channels, *size, Shapes.names)
    return DataSet(variant, facts, columns, fingerprint=f"{variant} v{RENDERER} {which}")  # pyright: ignore
