"""Variants of shapes that say where things are: label maps, and boxes.

shapes-maps               scenes of several objects, the region of every pixel, and the instances
shapes-layouts            the same scenes, and a box with a name for every object, hidden parts included
shapes-layouts-unseen     the same, but the two kinds of each pair in UNSEEN are never together in a training scene,
                          and together in every held-out one
"""

from collections.abc import Callable
from functools import cached_property

import numpy as np

from ganforge.batches import Facts
from ganforge.data.dataset import DataSet
from ganforge.data.decode import DecodeOptions
from ganforge.data.synthetic.domains import PALETTE
from ganforge.data.synthetic.scenes import Size
from ganforge.data.synthetic.shapes import HELD_OUT, RENDERER, Crowd, check_drawable, luminance
from ganforge.data.synthetic.signed_distance import KINDS

COUNT, HELD = 4_000, 1_000  # scenes to train on, and held out
SIZE: Size = (64, 64)
REGIONS = ("light ground", "dark ground", *KINDS)
REGION_COLOURS = ((214, 214, 200), *(tuple(colour) for colour in PALETTE.tolist()))
OBJECTS = ("", *KINDS)
UNSEEN = tuple((one, one + len(KINDS) // 2) for one in range(len(KINDS) // 2))
"""Pairs of kinds, as indices into KINDS: circle and ring, square and cross, and so on; each kind is in one pair."""
VARIANTS = {
    "shapes-maps": ("images", "label_map", "instance_map"),
    "shapes-layouts": ("images", "boxes", "box_labels"),
    "shapes-layouts-unseen": ("images", "boxes", "box_labels"),
}
"""{name: its columns}."""


class Places(Crowd):
    """Scenes of several objects whose masks are computed once for all annotations."""

    @cached_property
    def drawn(self) -> dict[Size, np.ndarray]:
        """{size: the masks at this size}."""
        return {}

    def masks(self, size: Size) -> np.ndarray:
        if size not in self.drawn:
            self.drawn[size] = super().masks(size)
        return self.drawn[size]

    def regions(self, size: Size) -> np.ndarray:
        """uint8 (n, H, W), indices into REGIONS: the kind of the front-most object, or the ground."""
        kind = self.label_map(size)
        return np.where(kind > 0, kind + 1, self.dark[:, None, None]).astype(np.uint8)

    def instances(self, size: Size) -> np.ndarray:
        """uint8 (n, H, W): 1 + the slot of the front-most object, 0 for the ground."""
        masks = self.masks(size)
        return np.where(masks.any(1), masks.argmax(1) + 1, 0).astype(np.uint8)


DRAWN: dict[str, Callable[[Places, Size], np.ndarray]] = {
    "images": lambda scenes, size: scenes.images(size),
    "label_map": lambda scenes, size: scenes.regions(size)[..., None],
    "instance_map": lambda scenes, size: scenes.instances(size)[..., None],
    "boxes": lambda scenes, size: scenes.boxes(size),
    "box_labels": lambda scenes, _: scenes.labels,
}


def find_unseen(scenes: Places) -> np.ndarray:
    """bool (n,): scenes that have the two kinds of a pair in UNSEEN."""
    has = ((scenes.kind[..., None] == np.arange(len(KINDS))) & scenes.present[..., None]).any(1)
    return np.logical_or.reduce([has[:, one] & has[:, other] for one, other in UNSEEN])


def make_places(variant: str, *, count: int = 0, seed: int = 0, held_out: bool = False) -> Places:
    """The scenes of a variant, in the order of its rows: their pixels and all annotations are computed on access.

    `count` 0: COUNT, or HELD if they are held out.
    """
    count, start = count or (HELD if held_out else COUNT), HELD_OUT if held_out else 0
    several = 8 if variant == "shapes-layouts-unseen" else 1  # at least every fourth scene is of either kind
    rows = np.arange(start, start + several * count, dtype=np.uint64)
    if variant == "shapes-layouts-unseen":
        rows = rows[find_unseen(Places(seed, rows)) == held_out][:count]
    return Places(seed, rows)


def open_places(
    variant: str,
    *,
    size: Size | None = None,
    channels: int = 0,
    crop: bool = False,
    seed: int = 0,
    held_out: bool = False,
    count: int = 0,
) -> DataSet:
    """Draw the data set `variant` at `size` (height, width), 64 x 64 by default; `crop` adds a margin around it.

    Columns (docs/data.md): images uint8 (N, H, W, C); label_map and instance_map uint8 (N, H, W, 1); boxes float32
    (N, 4, 4), box_labels int64 (N, 4).  Held-out scenes never occur in training data.

    Raises DataError for an unsupported size, number of channels or count.
    """
    size, channels = size or SIZE, channels or 3
    check_drawable(variant, size, channels, count or COUNT)
    stored = DecodeOptions(size, crop=crop).stored_size() or size
    scenes = make_places(variant, count=count, seed=seed, held_out=held_out)
    drawn = {name: [] for name in VARIANTS[variant]}
    for _, part in scenes.chunks(stored):
        for name, parts in drawn.items():
            parts.append(DRAWN[name](part, stored))  # pyright: ignore[reportArgumentType]
    columns = {name: np.concatenate(parts) for name, parts in drawn.items()}
    if channels == 1:
        columns["images"] = luminance(columns["images"])
    maps = {"regions": REGIONS, "region_colours": REGION_COLOURS, "instance_maps": True}
    objects = {"objects": OBJECTS, "most": Crowd.slots}
    facts = Facts(channels, *size, **(maps if variant == "shapes-maps" else objects))  # pyright: ignore
    which = f"{stored[0]}x{stored[1]}x{channels} for {size[0]}x{size[1]} seed={seed} held out={held_out} {len(scenes)}"
    return DataSet(variant, facts, columns, fingerprint=f"{variant} v{RENDERER} {which}")
