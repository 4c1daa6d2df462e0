"""shapes in two sides, for translators: pairs, two domains of different pictures, and domains with masks.

shapes-pairs       a label map in colours, and the scene that it belongs to
shapes-edges       the outlines (one channel), and the scene
shapes-unpaired    scenes by day, and other scenes in neon
shapes-instances   scenes of discs, and other scenes of stars, with a mask for every object
"""

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np

from ganforge.batches import MASKS, Facts
from ganforge.data.dataset import DataSet
from ganforge.data.decode import DecodeOptions
from ganforge.data.synthetic.scenes import Scenes, Size, Style
from ganforge.data.synthetic.shapes import HELD_OUT, RENDERER, Crowd, check, luminance
from ganforge.data.synthetic.signed_distance import KINDS

COUNT, FEWER = 2_000, 1_800  # scenes of the first side, and of the other where it is another's
PALETTE = np.array(  # of label maps: the background, then a colour a kind, far from each other
    [
        *((16, 16, 24), (230, 25, 75), (60, 180, 75), (255, 225, 25), (0, 130, 200), (245, 130, 48)),
        *((145, 30, 180), (70, 240, 240), (240, 50, 230), (210, 245, 60), (250, 190, 212)),
    ],
    np.uint8,
)


class Discs(Crowd):
    """Scenes in which every object is a disc."""

    every = "circle"

    @cached_property
    def kind(self) -> np.ndarray:
        return np.full((len(self), self.slots), [*KINDS].index(self.every))


class Stars(Discs):
    """Scenes in which every object is a star."""

    every = "star"


def painted(style: Style) -> Callable[[Scenes, Size], np.ndarray]:
    """Pictures in one of the two styles."""
    return lambda scenes, size: scenes.images(size, style)


def label_colours(scenes: Scenes, size: Size) -> np.ndarray:
    """uint8 (n, H, W, 3): the front-most object's kind at each pixel, as a colour."""
    return PALETTE[scenes.label_map(size)]


def outlines(scenes: Scenes, size: Size) -> np.ndarray:
    """uint8 (n, H, W, 1): white on black."""
    return scenes.edges(size)


def masks(scenes: Scenes, size: Size) -> np.ndarray:
    """uint8 (n, H, W, M): 255 where an object is."""
    return np.ascontiguousarray(scenes.masks(size).transpose(0, 2, 3, 1)) * np.uint8(255)


Column = tuple[
    type[Scenes], int, Callable[[Scenes, Size], np.ndarray]
]  # a world, which half of its scenes, what of them
DOMAINS: dict[str, dict[str, Column]] = {
    "shapes-pairs": {"source": (Crowd, 0, label_colours), "target": (Crowd, 0, painted("day"))},
    "shapes-edges": {"source": (Crowd, 0, outlines), "target": (Crowd, 0, painted("day"))},
    "shapes-unpaired": {"a": (Crowd, 0, painted("day")), "b": (Crowd, 1, painted("neon"))},
    "shapes-instances": {
        "a": (Discs, 0, painted("day")),
        "a_masks": (Discs, 0, masks),
        "b": (Stars, 1, painted("day")),
        "b_masks": (Stars, 1, masks),
    },
}


def open_domains(
    variant: str, *, size: Size, channels: int = 0, crop: bool = False, seed: int = 0, held_out: bool = False
) -> DataSet:
    """The set of that name, drawn at `size` (height, width); `crop` draws a margin around it for random windows.

    `channels` 0: outlines in grey, all else in colour.  Held-out scenes are never among the others.

    Raises DataError for a size or channels that cannot be drawn.
    """
    check(variant, size, channels or 3, COUNT)
    stored, start, columns = DecodeOptions(size, crop=crop).stored() or size, HELD_OUT if held_out else 0, {}
    for name, (world, half, draw) in DOMAINS[variant].items():
        rows = np.arange(FEWER if half else COUNT, dtype=np.uint64) + np.uint64(start + half * COUNT)
        drawn = np.concatenate([draw(scenes, stored) for _, scenes in world(seed, rows).chunks(stored)])
        columns[name] = drawn if name in MASKS else in_channels(drawn, channels or drawn.shape[3])
    last = [name for name in columns if name not in MASKS][-1]
    source, instances = (columns[name].shape[3] if name in columns else 0 for name in ("source", "a_masks"))
    facts = Facts(columns[last].shape[3], *size, source_channels=source, instances=instances)
    which = f"{stored[0]}x{stored[1]}x{channels} for {size[0]}x{size[1]} seed={seed} from={start}"
    drawn_of = " ".join(dict.fromkeys(world.__name__ for world, _, _ in DOMAINS[variant].values()))
    return DataSet(variant, facts, columns, fingerprint=f"{variant} of {drawn_of} v{RENDERER} {which}")


def in_channels(pictures: np.ndarray, channels: int) -> np.ndarray:
    """Drawn pictures (n, H, W, C) in colour or in grey."""
    if pictures.shape[3] == channels:
        return pictures
    return luminance(pictures) if channels == 1 else pictures.repeat(3, 3)


def embedded(needed: Sequence[str]) -> str:
    """The name of the set that the program draws for a model with these columns; `shapes` where none has two sides."""
    return next((name for name, columns in DOMAINS.items() if {*needed} <= {*columns}), "shapes")
