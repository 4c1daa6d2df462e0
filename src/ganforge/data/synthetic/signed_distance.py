"""Shapes as signed distances: negative inside, zero on the outline, positive outside.

Every shape fills about the unit circle, with x to the right and y down.  Near the outline the distance is
exact, or a bound that is exact to first order: as antialiased edges and outlines of even width need.
"""

import math
from collections.abc import Callable

import numpy as np

Plane = np.ndarray  # float32 (n, H, W): one number at every pixel of n images
ROUNDING = 0.06  # radius of the rounded corners, which are easier for a small network


def circle(x: Plane, y: Plane) -> Plane:
    """A disc."""
    return np.hypot(x, y) - 0.9


def square(x: Plane, y: Plane) -> Plane:
    """A square with its sides upright."""
    return box(x, y, 0.72, 0.72) - ROUNDING


def triangle(x: Plane, y: Plane) -> Plane:
    """An equilateral triangle, tip up."""
    return star_polygon(x, y - 0.14, 3, 1.0, 0.5) - ROUNDING


def star(x: Plane, y: Plane) -> Plane:
    """A star of five points."""
    return star_polygon(x, y - 0.05, 5, 1.0, 0.46) - ROUNDING


def heart(x: Plane, y: Plane) -> Plane:
    """A square on its corner, with half discs on its two upper sides."""
    half = 0.53
    down = y - 0.13
    u, v = (np.abs(x) + down) * 0.5**0.5, (down - np.abs(x)) * 0.5**0.5
    return np.minimum(box(u, v, half, half), np.hypot(u, v + half) - half) - 0.02


def ring(x: Plane, y: Plane) -> Plane:
    """A disc with a wide hole."""
    return np.abs(np.hypot(x, y) - 0.68) - 0.23


def cross(x: Plane, y: Plane) -> Plane:
    """A plus sign."""
    return np.minimum(box(x, y, 0.86, 0.26), box(x, y, 0.26, 0.86)) - ROUNDING


def crescent(x: Plane, y: Plane) -> Plane:
    """A disc from which another disc is subtracted."""
    bite = np.hypot(x - 0.52, y + 0.2) - 0.72
    return np.maximum(np.hypot(x, y) - 0.95, -bite)


def drop(x: Plane, y: Plane) -> Plane:
    """A disc, and the two tangents that meet in a tip above it."""
    radius, length, tip = 0.62, 1.32, -0.98
    sine = radius / length
    cosine = (1 - sine**2) ** 0.5
    across, below = np.abs(x), y - tip
    along = across * sine + below * cosine
    side = across * cosine - below * sine
    side = np.where(along < 0, np.hypot(x, below), side)
    return np.where(along < length * cosine, side, np.hypot(x, below - length) - radius)


def flower(x: Plane, y: Plane) -> Plane:
    """Five round petals around an eye."""
    along, across = fold_into_sector(x, y, 5)
    petals = np.hypot(along - 0.58, across) - 0.37
    radius = np.hypot(x, y)
    return np.maximum(np.minimum(petals, radius - 0.5), 0.2 - radius)


def box(x: Plane, y: Plane, width: float, height: float) -> Plane:
    """A rectangle of half sides `width` and `height` around the origin."""
    right, low = np.abs(x) - width, np.abs(y) - height
    return np.hypot(np.maximum(right, 0), np.maximum(low, 0)) + np.minimum(np.maximum(right, low), 0)


def fold_into_sector(x: Plane, y: Plane, times: int) -> tuple[Plane, Plane]:
    """Coordinates in one half of one of `times` equal sectors, the first around the way up: (along it, across it)."""
    sector = 2 * math.pi / times
    angle = np.arctan2(x, -y)
    angle = np.abs(angle - sector * np.rint(angle / sector))
    radius = np.hypot(x, y)
    return radius * np.cos(angle), radius * np.sin(angle)


def star_polygon(x: Plane, y: Plane, points: int, outer: float, inner: float) -> Plane:
    """A star whose tips lie at the radius `outer` and whose notches at `inner`: by symmetry, one edge decides."""
    outer, inner = outer - 2 * ROUNDING, inner - ROUNDING
    along, across = fold_into_sector(x, y, points)
    ex = inner * math.cos(math.pi / points) - outer
    ey = inner * math.sin(math.pi / points)
    px = along - outer
    share = np.clip((px * ex + across * ey) / (ex * ex + ey * ey), 0, 1)
    away = np.hypot(px - share * ex, across - share * ey)
    return np.where(ex * across - ey * px > 0, -away, away)


def stroke(x: Plane, y: Plane, path: np.ndarray) -> Plane:
    """Distance to a polyline, one for each image: `path` float32 (n, P, 2) of P points joined by lines."""
    nearest = np.full((len(path), y.shape[1], x.shape[2]), np.inf, np.float32)
    for start, end in zip(path[:, :-1].swapaxes(0, 1), path[:, 1:].swapaxes(0, 1), strict=True):
        (sx, sy), (ex, ey) = start.T[..., None, None], (end - start).T[..., None, None]
        px, py = x - sx, y - sy
        share = np.clip((px * ex + py * ey) / (ex * ex + ey * ey + 1e-9), 0, 1)
        px, py = px - share * ex, py - share * ey
        np.minimum(nearest, px * px + py * py, out=nearest)
    return np.sqrt(nearest)


KINDS: dict[str, Callable[[Plane, Plane], Plane]] = {
    f.__name__: f for f in (circle, square, triangle, star, heart, ring, cross, crescent, drop, flower)
}
