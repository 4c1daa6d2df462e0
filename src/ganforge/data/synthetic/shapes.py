"""shapes: synthetic data that the program draws itself, so that every model trains without a download.

`shapes` and `shapes-attributes` have one object a scene, labelled by its class or by its attributes; `shapes-scenes`
has two to four objects that occlude one another, `shapes-digits` ten digits, `shapes-defects` woven cloth with rare
flaws.  The ground truth of every scene is known, so the output of a model can be checked against it:

    scenes = make_scenes("shapes-scenes", range(8))
    scenes.captions[0]  # "a large red circle, a small striped orange drop, ... on a dark background"
    scenes.images((64, 64)), scenes.masks((64, 64)), scenes.boxes((64, 64)), scenes.images((64, 64), "neon")
"""

from collections.abc import Iterable
from functools import cached_property

import numpy as np

from ganforge.batches import Facts
from ganforge.data.dataset import DataSet
from ganforge.data.synthetic.digits import Digits
from ganforge.data.synthetic.fabric import SOUND_BELOW, Fabric
from ganforge.data.synthetic.scenes import OUTLINE, Grid, Progress, Scenes, Size, Style, per_pixel
from ganforge.data.synthetic.signed_distance import KINDS, Plane
from ganforge.data.tokens import pack_captions
from ganforge.errors import DataError

RENDERER = 1
"""Version of the renderer, part of the fingerprints: raise it whenever a pixel or an annotation of a scene changes."""

COLOURS = {
    "red": (222, 66, 68),
    "orange": (240, 138, 48),
    "yellow": (246, 200, 62),
    "green": (82, 168, 92),
    "teal": (36, 164, 166),
    "blue": (58, 112, 204),
    "purple": (134, 86, 186),
    "pink": (236, 118, 168),
}
INKS = np.array(list(COLOURS.values()), np.float32) / 255
TONES = (  # the two ends of a background's gradient: five light, five dark
    *(((250, 243, 228), (232, 218, 196)), ((238, 244, 248), (208, 220, 232)), ((240, 246, 234), (212, 226, 204))),
    *(((250, 238, 236), (232, 212, 214)), ((242, 239, 249), (216, 210, 232))),
    *(((30, 38, 62), (50, 64, 96)), ((48, 34, 58), (74, 54, 84)), ((24, 48, 50), (42, 74, 74))),
    *(((36, 38, 44), (60, 63, 72)), ((54, 36, 38), (82, 58, 56))),
)
GROUNDS = np.array(TONES, np.float32) / 255
NIGHT = np.array([0.03, 0.03, 0.08], np.float32)


class Shapes(Scenes):
    """Scenes of one object: large, in the middle, nearly upright."""

    names = tuple(KINDS)
    attribute_names = (*COLOURS, "large", "left", "striped", "dark")
    stripes, night, tilt = 0.05, 0.0, 0.06
    """Shares of striped objects and of dark backgrounds, and the largest rotation in radians: little variety besides
    kinds and colours, so that a small GAN learns these quickly."""

    # The description: (n, M) for objects, (n,) for scenes ------------------------------------------

    @cached_property
    def present(self) -> np.ndarray:
        """bool (n, M): slots that hold an object."""
        return np.ones((len(self), 1), bool)

    @cached_property
    def kind(self) -> np.ndarray:
        """int64 (n, M), indices into `names`: each kind is equally often in front."""
        kind = self.chance.choice("kind", len(KINDS), self.slots)
        kind[:, 0] = self.chance.balanced("kind in front", len(KINDS))
        return kind

    @cached_property
    def colour(self) -> np.ndarray:
        """int64 (n, M), indices into COLOURS: all objects of a scene have different colours."""
        return self.chance.permutation("colour", len(COLOURS))[:, : self.slots]

    @cached_property
    def large(self) -> np.ndarray:
        """bool (n, M)."""
        return self.chance.bernoulli("large", 0.5, self.slots)

    @cached_property
    def striped(self) -> np.ndarray:
        """bool (n, M)."""
        return self.chance.bernoulli("striped", self.stripes, self.slots)

    @cached_property
    def radius(self) -> np.ndarray:
        """float32 (n, M), in units of half the frame."""
        return np.where(self.large, np.float32(0.78), np.float32(0.6)) + self.chance.uniform("radius", 1, high=0.04)

    @cached_property
    def place(self) -> np.ndarray:
        """float32 (n, M, 2): centres, chosen so that no object leaves the frame."""
        room = np.minimum(0.06, 0.94 - self.radius)
        return room[..., None] * self.chance.uniform("place", self.slots, 2, low=-1)

    @cached_property
    def ground(self) -> np.ndarray:
        """int64 (n,), indices into GROUNDS; the second half is dark."""
        half = len(GROUNDS) // 2
        return self.chance.choice("ground", half) + half * self.chance.bernoulli("dark", self.night)

    @property
    def dark(self) -> np.ndarray:
        """bool (n,): whether the background is dark."""
        return self.ground >= len(GROUNDS) // 2

    # The annotations -------------------------------------------------------------------------------

    @property
    def condition(self) -> np.ndarray:
        return self.kind[:, 0]

    @property
    def labels(self) -> np.ndarray:
        return np.where(self.present, self.kind + 1, 0)

    @property
    def attributes(self) -> np.ndarray:
        colour = self.colour[:, :1] == np.arange(len(COLOURS))
        signs = (self.large[:, 0], self.place[:, 0, 0] < 0, self.striped[:, 0], self.dark)
        return np.concatenate([colour, np.stack(signs, 1)], 1).astype(np.float32)

    @property
    def captions(self) -> tuple[str, ...]:
        return tuple(self._caption(row) for row in range(len(self)))

    def _caption(self, row: int) -> str:
        """Objects from front to back, then the background."""
        objects = ", ".join(self._phrase(row, slot) for slot in range(self.slots) if self.present[row, slot])
        return f"{objects} on a {'dark' if self.dark[row] else 'light'} background"

    def _phrase(self, row: int, slot: int) -> str:
        size, stripes = "large" if self.large[row, slot] else "small", "striped " * bool(self.striped[row, slot])
        return f"a {size} {stripes}{tuple(COLOURS)[self.colour[row, slot]]} {self.names[self.kind[row, slot]]}"

    # The pixels ------------------------------------------------------------------------------------

    def to_object_coordinates(self, slot: int, grid: Grid) -> tuple[Plane, Plane]:
        """Pixel coordinates in the frame of an object, in which it is upright and has radius 1."""
        turn = self.chance.uniform("turn", self.slots, low=-self.tilt, high=self.tilt)[:, slot]
        x, y = grid.x - per_pixel(self.place[:, slot, 0]), grid.y - per_pixel(self.place[:, slot, 1])
        along, across = (per_pixel(f(turn) / self.radius[:, slot]) for f in (np.cos, np.sin))
        return x * along + y * across, y * along - x * across

    def distance(self, slot: int, grid: Grid) -> Plane:
        x, y = self.to_object_coordinates(slot, grid)
        distance = np.full(x.shape, 4, np.float32)
        for kind, signed_distance in enumerate(KINDS.values()):
            rows = np.flatnonzero((self.kind[:, slot] == kind) & self.present[:, slot])
            distance[rows] = signed_distance(x[rows], y[rows]) * per_pixel(self.radius[rows, slot])
        return distance

    def paint(self, grid: Grid, style: Style) -> np.ndarray:
        canvas = self.paint_background(grid)
        if style == "neon":
            canvas = NIGHT[:, None, None] + 0.22 * canvas
        for slot in reversed(range(self.slots)):
            distance = self.distance(slot, grid)
            ink = per_pixel(INKS[self.colour[:, slot]])
            (self._paint_filled if style == "day" else self._paint_glowing)(canvas, ink, distance, slot, grid)
        return canvas

    def paint_background(self, grid: Grid) -> np.ndarray:
        """(n, 3, H, W): a gradient, modulated by four long waves.

        cos(ax + by + c) is a product of rows and columns, so a wave needs no cosine per pixel.
        """
        turn = self.chance.uniform("slope", high=2 * np.pi)
        ax, ay = (self.chance.uniform(f"wave {axis}", 4, 1, low=-5, high=5) for axis in "xy")
        phase = self.chance.uniform("wave phase", 4, 1, high=2 * np.pi)
        right, down = ax * grid.x[:, 0] + phase, (ay * grid.y[:, :, 0]).swapaxes(1, 2)
        clouds = np.concatenate([np.cos(down), -np.sin(down)], 2) @ np.concatenate([np.cos(right), np.sin(right)], 1)
        slope = per_pixel(np.cos(turn)) * grid.x + per_pixel(np.sin(turn)) * grid.y
        mixed = (0.5 + 0.36 * slope + 0.09 * clouds).clip(-0.2, 1.2)
        start, end = GROUNDS[self.ground, 0], GROUNDS[self.ground, 1]
        return per_pixel(start) + mixed[:, None] * per_pixel(end - start)

    def _paint_filled(self, canvas: np.ndarray, ink: np.ndarray, distance: Plane, slot: int, grid: Grid) -> None:
        """Paint an object over the canvas: a soft shadow around it, light from above, stripes if it has them."""
        shadow = 0.3 * np.exp(np.maximum(distance, 0) * -11)
        canvas *= (1 - shadow)[:, None]
        x, y = self.to_object_coordinates(slot, grid)
        light = 1.02 - 0.1 * y.clip(-1, 1)
        rows = np.flatnonzero(self.striped[:, slot])
        waves = np.cos((x[rows] + y[rows]) * 7)
        light[rows] -= 0.13 + 0.13 * (waves * 3).clip(-1, 1)
        canvas += grid.coverage(distance)[:, None] * (ink * light[:, None] - canvas)

    def _paint_glowing(self, canvas: np.ndarray, ink: np.ndarray, distance: Plane, slot: int, grid: Grid) -> None:
        """Draw an object as a tube of light: a bright outline, a halo, a dim inside; two tubes if it has stripes."""
        inside = grid.coverage(distance)[:, None]
        canvas += inside * (ink * 0.16 - canvas)
        far = np.abs(distance)
        rows = np.flatnonzero(self.striped[:, slot])
        far[rows] = np.minimum(far[rows], np.abs(distance[rows] + 4 * OUTLINE))
        canvas += 0.5 * np.exp(far * -12)[:, None] * ink
        canvas += grid.coverage(far - OUTLINE)[:, None] * (ink * 0.8 + 0.2 - canvas)


class Attributes(Shapes):
    """Scenes of one object, striped or plain, on light or dark ground: data for editing attributes."""

    attribute_names = (*COLOURS, "large", "striped", "dark")
    stripes, night = 0.5, 0.5

    @property
    def condition(self) -> np.ndarray:
        return self.attributes

    @property
    def attributes(self) -> np.ndarray:
        return np.delete(super().attributes, Shapes.attribute_names.index("left"), 1)


class Crowd(Shapes):
    """Scenes of two to four objects, the nearer ones over the farther ones."""

    slots = 4
    stripes, night, tilt = 0.3, 0.5, 0.4

    @cached_property
    def present(self) -> np.ndarray:
        count = 2 + self.chance.choice("count", 3)
        return np.arange(self.slots) < count[:, None]

    @cached_property
    def radius(self) -> np.ndarray:
        return np.where(self.large, np.float32(0.43), np.float32(0.26)) + self.chance.uniform("radius", 4, high=0.08)

    @cached_property
    def place(self) -> np.ndarray:
        """One object in each quarter of the frame, jittered: they overlap, but none hides another completely."""
        quarter = self.chance.permutation("quarter", 4)
        centre = np.stack([quarter % 2, quarter // 2], -1).astype(np.float32) * 0.74 - 0.37
        room = 0.96 - self.radius[..., None]
        return np.clip(centre + self.chance.uniform("place", 4, 2, low=-0.14, high=0.14), -room, room)


WORLDS: dict[str, type[Scenes]] = {
    "shapes": Shapes,
    "shapes-scenes": Crowd,
    "shapes-digits": Digits,
    "shapes-defects": Fabric,
    "shapes-attributes": Attributes,
}
VARIANTS = tuple(WORLDS)
HELD_OUT = int(SOUND_BELOW)
"""Index of the first held-out scene; training data never contain it or later ones."""


def make_scenes(variant: str, rows: Iterable[int], seed: int = 0) -> Scenes:
    """The scenes with indices `rows` of a world; pixels and annotations are computed on access.

    Raises DataError for an unknown variant.
    """
    return find_world(variant)(seed, np.fromiter(rows, np.uint64))


def find_world(variant: str) -> type[Scenes]:
    """The class of scenes with this name.  Raises DataError if there is none."""
    if variant not in WORLDS:
        raise DataError(f"There is no synthetic data set called {variant!r}: choose one of {', '.join(VARIANTS)}.")
    return WORLDS[variant]


def open_shapes(
    variant: str,
    *,
    size: Size | None = None,
    channels: int | None = None,
    seed: int = 0,
    count: int = 20_000,
    held_out: bool = False,
    progress: Progress | None = None,
    captions: bool = False,
) -> DataSet:
    """Draw `count` images: `images` uint8 (N, H, W, C), `condition` int64 (N,) of classes or float32 (N, K).

    `size` (height, width) and `channels` (3: colour, 1: luminance) default to those of the variant: 32 x 32 in colour,
    or 28 x 28 in grey for digits.  Held-out images never occur in training data, whatever their count.  `progress` is
    called with the number of images drawn and the number in all; `captions` adds the column `tokens`.

    Raises DataError for an unknown variant, or an unsupported size, number of channels or count.
    """
    kind = find_world(variant)
    size, channels = size or kind.size, channels or kind.channels
    check_drawable(variant, size, channels, count)
    first = HELD_OUT if held_out else 0
    scenes = make_scenes(variant, range(first, first + count), seed)
    images = scenes.images(size, progress=progress)
    condition = scenes.condition
    labels, attributes = (kind.names, ()) if condition.ndim == 1 else ((), kind.attribute_names)
    facts = Facts(channels, *size, labels, attributes)
    which = f"{size[0]}x{size[1]}x{channels} seed={seed} rows={first}+{count}"
    columns = {"images": images if channels == 3 else luminance(images), "condition": condition}
    if captions:
        columns["tokens"] = pack_captions(scenes.sentences)  # pyright: ignore[reportArgumentType]
    return DataSet(variant, facts, columns, fingerprint=f"{variant} v{RENDERER} {which}")


def check_drawable(variant: str, size: Size, channels: int, count: int) -> None:
    """Raise DataError for an unsupported size, number of channels or count."""
    if min(size) < 8:
        raise DataError(f"{variant} cannot be drawn at {size[0]} x {size[1]} pixels: ask for at least 8 x 8.")
    if channels not in (1, 3):
        raise DataError(f"{variant} is drawn with 3 channels (colour) or 1 (grey), not with {channels}.")
    if count < 1:
        raise DataError(f"{variant} cannot be drawn with {count} images: ask for at least one.")


def luminance(images: np.ndarray) -> np.ndarray:
    """Convert uint8 (N, H, W, 3) colours to (N, H, W, 1) grey, with the weights of ITU-R BT.601."""
    grey = np.empty((*images.shape[:3], 1), np.uint8)
    for row, image in enumerate(images):
        grey[row, ..., 0] = (image @ np.array([299, 587, 114], np.uint32) + np.uint32(500)) // np.uint32(1000)
    return grey
