"""Woven cloth with rare flaws: synthetic data for anomaly detection."""

from functools import cached_property

import numpy as np

from ganforge.data.synthetic.scenes import Grid, Scenes, Style, per_pixel
from ganforge.data.synthetic.signed_distance import Plane, stroke

SOUND_BELOW = np.uint64(1 << 32)
"""Scenes before this index have no flaws: training data are normal, flaws occur only in held-out scenes."""
FLAWS = ("scratch", "stain", "hole")
FLAWED = 1 / 3  # share of the held-out scenes

WARP = np.array([[206, 178, 140], [150, 170, 182], [186, 154, 160]], np.float32) / 255  # threads down ...
WEFT = np.array([[236, 218, 188], [200, 214, 220], [226, 204, 204]], np.float32) / 255  # ... and across
SCAR = np.array([[1.0, 0.99, 0.95], [0.36, 0.21, 0.16], [0.1, 0.1, 0.13]], np.float32)  # colour of each flaw
THREADS = 6.5  # pairs of threads across the frame


class Fabric(Scenes):
    """Scenes of one piece of cloth: class 0 is normal; class 1 has one flaw, the object in slot 0."""

    names = ("normal", "defect")
    attribute_names = FLAWS

    @cached_property
    def flaw(self) -> np.ndarray:
        """int64 (n,): index into FLAWS, -1 for none."""
        flawed = self.chance.bernoulli("flawed", FLAWED) & (self.rows >= SOUND_BELOW)
        return np.where(flawed, self.chance.choice("flaw", len(FLAWS)), -1)

    @property
    def condition(self) -> np.ndarray:
        return (self.flaw >= 0).astype(np.int64)

    @property
    def labels(self) -> np.ndarray:
        return self.condition[:, None] * 2

    @property
    def attributes(self) -> np.ndarray:
        return (self.flaw[:, None] == np.arange(len(FLAWS))).astype(np.float32)

    @property
    def captions(self) -> tuple[str, ...]:
        return tuple("cloth without a flaw" if f < 0 else f"cloth with a {FLAWS[f]}" for f in self.flaw)

    def distance(self, slot: int, grid: Grid) -> Plane:
        place = self.chance.uniform("place", 2, low=-0.55, high=0.55)
        radius = self.chance.uniform("radius", low=0.13, high=0.24)
        far = np.full((len(self), *grid.size), 4, np.float32)
        for flaw, name in enumerate(FLAWS):
            rows = np.flatnonzero(self.flaw == flaw)
            if name == "scratch":
                far[rows] = stroke(grid.x, grid.y, self.scratch_paths(place)[rows]) - 0.065
            else:
                x, y = grid.x - per_pixel(place[rows, 0]), grid.y - per_pixel(place[rows, 1])
                lobes = (0.18 if name == "stain" else 0.05) * per_pixel(radius[rows])
                far[rows] = np.hypot(x, y) - per_pixel(radius[rows]) - lobes * np.sin(3 * np.arctan2(y, x))
        return far

    def scratch_paths(self, place: np.ndarray) -> np.ndarray:
        """(n, 3, 2): two bent lines through `place`."""
        turn, bend = self.chance.uniform("turn", high=2 * np.pi), self.chance.uniform("bend", low=-0.5, high=0.5)
        reach = self.chance.uniform("reach", low=0.3, high=0.45)[:, None]
        ahead = np.stack([np.cos(turn), np.sin(turn)], 1) * reach
        back = np.stack([np.cos(turn + bend), np.sin(turn + bend)], 1) * reach
        return np.stack([place + ahead, place, place - back], 1)

    def paint(self, grid: Grid, style: Style) -> np.ndarray:
        """Style "day" is plain light; "neon" is the same cloth under blue light."""
        dye = self.chance.choice("dye", len(WARP))
        canvas = self.weave(grid, per_pixel(WARP[dye]), per_pixel(WEFT[dye]))
        if (self.flaw >= 0).any():
            distance = self.distance(0, grid)
            colour = per_pixel(SCAR[self.flaw])
            inside = grid.coverage(distance) * per_pixel(np.where(self.flaw == FLAWS.index("stain"), 0.62, 0.95))
            canvas += inside[:, None].astype(np.float32) * (colour - canvas)
        return canvas if style == "day" else canvas * per_pixel(np.array([0.32, 0.5, 0.88], np.float32))

    def weave(self, grid: Grid, warp: np.ndarray, weft: np.ndarray) -> np.ndarray:
        """(n, 3, H, W): threads that pass over and under each other, softly lit from one side."""
        turn = per_pixel(self.chance.uniform("turn of the cloth", low=-0.12, high=0.12))
        phase = self.chance.uniform("phase", 2, high=2 * np.pi)
        pull = per_pixel(np.pi * THREADS / 2 * self.chance.uniform("pull", low=0.94, high=1.06))
        u = pull * (grid.x * np.cos(turn) + grid.y * np.sin(turn)) + per_pixel(phase[:, 0])
        v = pull * (grid.y * np.cos(turn) - grid.x * np.sin(turn)) + per_pixel(phase[:, 1])
        over = (0.5 + 0.9 * np.cos(u) * np.cos(v)).clip(0, 1)  # 1 where the weft is on top
        light = self.chance.uniform("light", 3, low=-0.07, high=0.07)
        lit = 1 + per_pixel(light[:, 0]) + per_pixel(light[:, 1]) * grid.x + per_pixel(light[:, 2]) * grid.y
        return (warp + over[:, None] * (weft - warp)) * lit[:, None]
