"""Digits drawn as one stroke, white on black, with random size, slant, weight and distortion."""

from functools import cached_property

import numpy as np

from ganforge.data.synthetic.scenes import Grid, Scenes, Style, per_pixel
from ganforge.data.synthetic.signed_distance import Plane, stroke


def arc(x: float, y: float, across: float, down: float, start: float, end: float) -> list[tuple[float, float]]:
    """Points of an arc of an ellipse; angles in degrees from the right, clockwise (y points down)."""
    turns = np.radians(np.linspace(start, end, 3 + round(abs(end - start) / 20)))
    return [(x + across * float(np.cos(t)), y + down * float(np.sin(t))) for t in turns]


SIX = [*arc(0.5, 0.33, 0.94, 1.12, 248, 180), *arc(0, 0.33, 0.44, 0.45, 180, 540)]
PATHS: tuple[list[tuple[float, float]], ...] = (
    arc(0, 0, 0.47, 0.78, -90, 270),
    [(-0.28, -0.46), (0.06, -0.78), (0.06, 0.78)],
    [*arc(0, -0.35, 0.43, 0.43, 190, 395), (-0.45, 0.78), (0.48, 0.78)],
    [*arc(0, -0.4, 0.4, 0.38, 205, 450), *arc(0, 0.38, 0.45, 0.4, 270, 510)],
    [(0.22, 0.78), (0.22, -0.78), (-0.48, 0.3), (0.5, 0.3)],
    [(0.42, -0.78), (-0.33, -0.78), (-0.38, -0.1), *arc(0, 0.27, 0.46, 0.51, 235, 505)],
    SIX,
    [(-0.46, -0.78), (0.46, -0.78), (-0.12, 0.78)],
    [*arc(0, -0.4, 0.37, 0.38, 90, 450), *arc(0, 0.38, 0.45, 0.4, 270, 630)],
    [(-x, -y) for x, y in SIX],
)


class Digits(Scenes):
    """Scenes of one digit."""

    names = tuple("0123456789")
    attribute_names = ("large", "bold", "slanted")
    size, channels = (28, 28), 1

    @cached_property
    def digit(self) -> np.ndarray:
        """int64 (n,): each block of ten scenes holds every digit once."""
        return self.chance.balanced("digit", 10)

    @property
    def condition(self) -> np.ndarray:
        return self.digit

    @property
    def labels(self) -> np.ndarray:
        return self.digit[:, None] + 1

    @cached_property
    def scale(self) -> np.ndarray:
        """float32 (n, 2): horizontal and vertical scale."""
        return self.chance.uniform("scale", 2, low=0.74, high=0.98) * np.array([0.95, 0.92], np.float32)

    @cached_property
    def weight(self) -> np.ndarray:
        """float32 (n,): half the width of the stroke."""
        return self.chance.uniform("weight", low=0.075, high=0.145)

    @cached_property
    def slant(self) -> np.ndarray:
        """float32 (n,): how far the top leans to the right, as a slope."""
        return self.chance.uniform("slant", low=-0.12, high=0.38)

    @property
    def attributes(self) -> np.ndarray:
        signs = (self.scale[:, 1] > 0.79, self.weight > 0.11, self.slant > 0.13)
        return np.stack(signs, 1).astype(np.float32)

    @property
    def captions(self) -> tuple[str, ...]:
        words = (("small", "large"), ("thin", "bold"), ("upright", "slanted"))
        rows = zip(self.attributes.astype(int), self.digit, strict=True)
        return tuple(f"a {', '.join(w[s] for w, s in zip(words, signs, strict=True))} {digit}" for signs, digit in rows)

    def distance(self, slot: int, grid: Grid) -> Plane:
        distance = np.empty((len(self), *grid.size), np.float32)
        for digit, path in enumerate(PATHS):
            rows = np.flatnonzero(self.digit == digit)
            distance[rows] = stroke(grid.x, grid.y, self.distort_path(rows, np.array(path, np.float32)))
        return distance - per_pixel(self.weight)

    def distort_path(self, rows: np.ndarray, path: np.ndarray) -> np.ndarray:
        """(rows, P, 2): a path with the distortion, slant, scale and position of each row."""
        x, y = path[:, 0], path[:, 1]
        wobble = self.chance.uniform("wobble", 4, low=-0.07, high=0.07)[rows, :, None]
        turn = self.chance.uniform("turn", low=-0.1, high=0.1)[rows, None]
        place = self.chance.uniform("place", 2, low=-0.08, high=0.08)[rows, None]
        across = x + wobble[:, 0] * np.sin(3 * y) + wobble[:, 1] * np.cos(4 * y) - self.slant[rows, None] * y
        down = y + wobble[:, 2] * np.sin(4 * x) + wobble[:, 3] * np.cos(3 * x) + turn * x
        return np.stack([across, down], -1) * self.scale[rows, None] + place

    def paint(self, grid: Grid, style: Style) -> np.ndarray:
        distance = self.distance(0, grid)
        if style == "neon":  # only the outline
            distance = np.abs(distance) - 0.025
        return np.repeat(grid.coverage(distance)[:, None], 3, axis=1)
