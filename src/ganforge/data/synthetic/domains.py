"""Two-sided variants of shapes for translators: pairs, two domains, and two domains with masks.

shapes-pairs       a label map in colours, and its scene
shapes-edges       the outlines (one channel), and their scene
shapes-unpaired    scenes by day, and other scenes in neon
shapes-instances   scenes of discs, and other scenes of stars, with a mask for every object
"""

from collections.abc import Callable
from functools import cached_property

import numpy as np

from ganforge.batches import Facts, is_mask
from ganforge.data.dataset import DataSet
from ganforge.data.decode import DecodeOptions
from ganforge.data.synthetic.scenes import Scenes, Size, Style
from ganforge.data.synthetic.shapes import HELD_OUT, RENDERER, Crowd, check_drawable, luminance
from ganforge.data.synthetic.signed_distance import KINDS

COUNT, FEWER = 2_000, 1_800  # scenes of the first side, and of the second if it shows other scenes
PALETTE = np.array(  # of label maps: the background, then one colour a kind, well separated
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


def draw_in_style(style: Style) -> Callable[[Scenes, Size], np.ndarray]:
    """A function that draws scenes in this style, uint8 (n, H, W, 3)."""
    return lambda scenes, size: scenes.images(size, style)


def draw_label_map(scenes: Scenes, size: Size) -> np.ndarray:
    """uint8 (n, H, W, 3): the colour of the kind of the front-most object at each pixel."""
    return PALETTE[scenes.label_map(size)]


def draw_outlines(scenes: Scenes, size: Size) -> np.ndarray:
    """uint8 (n, H, W, 1): white on black."""
    return scenes.edges(size)


def draw_masks(scenes: Scenes, size: Size) -> np.ndarray:
    """uint8 (n, H, W, M): 255 where an object is."""
    return np.ascontiguousarray(scenes.masks(size).transpose(0, 2, 3, 1)) * np.uint8(255)


Column = tuple[
    type[Scenes], int, Callable[[Scenes, Size], np.ndarray]
]  # (world, half of its scenes: 0 or 1, function that draws the column)
DOMAINS: dict[str, dict[str, Column]] = {
    "shapes-pairs": {"source": (Crowd, 0, draw_label_map), "target": (Crowd, 0, draw_in_style("day"))},
    "shapes-edges": {"source": (Crowd, 0, draw_outlines), "target": (Crowd, 0, draw_in_style("day"))},
    "shapes-unpaired": {"a": (Crowd, 0, draw_in_style("day")), "b": (Crowd, 1, draw_in_style("neon"))},
    "shapes-instances": {
        "a": (Discs, 0, draw_in_style("day")),
        "a_masks": (Discs, 0, draw_masks),
        "b": (Stars, 1, draw_in_style("day")),
        "b_masks": (Stars, 1, draw_masks),
    },
}


def open_domains(
    variant: str, *, size: Size, channels: int = 0, crop: bool = False, seed: int = 0, held_out: bool = False
) -> DataSet:
    """Draw the data set `variant` at `size` (height, width); `crop` adds a margin around it for random windows.

    `channels` 0: outlines in grey, everything else in colour.  Held-out scenes never occur in training data.

    Raises DataError for an unsupported size or number of channels.
    """
    check_drawable(variant, size, channels or 3, COUNT)
    stored, start, columns = DecodeOptions(size, crop=crop).stored_size() or size, HELD_OUT if held_out else 0, {}
    for name, (world, half, draw) in DOMAINS[variant].items():
        rows = np.arange(FEWER if half else COUNT, dtype=np.uint64) + np.uint64(start + half * COUNT)
        pixels = np.concatenate([draw(scenes, stored) for _, scenes in world(seed, rows).chunks(stored)])
        columns[name] = pixels if is_mask(name) else convert_channels(pixels, channels or pixels.shape[3])
    last = [name for name in columns if not is_mask(name)][-1]
    source, instances = (columns[name].shape[3] if name in columns else 0 for name in ("source", "a_masks"))
    facts = Facts(columns[last].shape[3], *size, source_channels=source, instances=instances)
    which = f"{stored[0]}x{stored[1]}x{channels} for {size[0]}x{size[1]} seed={seed} from={start}"
    worlds = " ".join(dict.fromkeys(world.__name__ for world, _, _ in DOMAINS[variant].values()))
    return DataSet(variant, facts, columns, fingerprint=f"{variant} of {worlds} v{RENDERER} {which}")


def convert_channels(images: np.ndarray, channels: int) -> np.ndarray:
    """Convert images (n, H, W, C) to 3 channels (colour) or 1 (grey)."""
    if images.shape[3] == channels:
        return images
    return luminance(images) if channels == 1 else images.repeat(3, 3)
