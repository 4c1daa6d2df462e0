"""Mixtures of Gaussians in the plane whose modes can be counted: the ring of 8 and the grid of 25.

Ring: radius 2, spread 0.02 (Metz et al. 2017, appendix A).  Grid: two apart, spread 0.05 (Srivastava et al. 2017,
section 4.1; Lin et al. 2018, section 4.1).  The measures are those of the latter two.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganforge.errors import OptionError

SAMPLES = 2_500
"""Points that a generator is measured with (Srivastava et al. 2017; Lin et al. 2018)."""


@dataclass(frozen=True)
class Plane:
    """A mixture of equally likely Gaussians in the plane."""

    name: str
    means: np.ndarray
    """(modes, 2)."""
    spread: float
    """Standard deviation of every mode."""

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """(n, 2) independent draws."""
        which = torch.randint(len(self.means), (n,), generator=rng)
        return torch.as_tensor(self.means, dtype=torch.float32)[which] + self.spread * torch.randn(n, 2, generator=rng)


@dataclass(frozen=True)
class Coverage:
    """How generated points cover the modes."""

    modes: int
    """Modes with at least one point within three spreads."""
    quality: float
    """Share of the points that are within three spreads of a mode."""
    reverse_kl: float
    """KL(share of points nearest to each mode || equal shares), in nats."""
    finite: bool = True
    """Whether all points are finite; after a diverged training they are not."""


def measure_coverage(points: np.ndarray, plane: Plane) -> Coverage:
    """The coverage of points (n, 2).

    Points that are not finite are near no mode; with no finite point the divergence is its largest value.
    """
    finite = np.isfinite(points).all(1)
    largest = math.log(len(plane.means))
    if not finite.any():
        return Coverage(0, 0.0, largest, False)
    distances = np.linalg.norm(points[finite][:, None] - plane.means, axis=2)
    nearest, near = distances.argmin(1), distances.min(1) < 3 * plane.spread
    counts = np.bincount(nearest, minlength=len(plane.means))
    shares = counts[counts > 0] / counts.sum()
    return Coverage(
        modes=len(np.unique(nearest[near])),
        quality=float(near.sum() / len(points)),
        reverse_kl=float(np.sum(shares * np.log(shares * len(plane.means)))),
        finite=bool(finite.all()),
    )


def ring(modes: int = 8, radius: float = 2.0, spread: float = 0.02) -> Plane:
    """Modes on a circle."""
    angles = np.arange(modes) * 2 * math.pi / modes
    return Plane("ring", radius * np.stack([np.cos(angles), np.sin(angles)], 1), spread)


def grid(side: int = 5, distance: float = 2.0, spread: float = 0.05) -> Plane:
    """Modes on a square lattice around 0."""
    line = (np.arange(side) - (side - 1) / 2) * distance
    return Plane("grid", np.stack(np.meshgrid(line, line), -1).reshape(-1, 2), spread)


def find_plane(name: str) -> Plane:
    """The ring or the grid, by name.  Raises OptionError for another name."""
    if name not in ("ring", "grid"):
        raise OptionError(f"There is no plane {name!r}: choose ring or grid.")
    return ring() if name == "ring" else grid()
