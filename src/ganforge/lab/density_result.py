"""What a training on the line leaves: moments, and the identities at each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ganforge.lab import exact

LATTICE = np.linspace(-6, 6, 6_001)  # values of z; beyond them lies a mass of 2e-9


@dataclass(frozen=True)
class Frame:
    """One moment of the training: what the players are, and what the theory says of them."""

    step: int
    p_g: np.ndarray
    """(bins,) the generator's density, the mean over each bin."""
    logit: np.ndarray
    """(bins,) of the trained D, in the middle of each bin."""
    optimum: np.ndarray
    """(bins,) the logit of D*, by the densities."""
    heights: np.ndarray
    """(lattice,) G(z)."""
    value: float
    """V(G, D)."""
    best: float
    """V(G, D*), by the definition."""
    criterion: float
    """-log 4 + 2 JSD, by theorem 1."""
    gap: float
    """The mean of |D - D*| over both densities."""
    says_real: float
    """E_data[D(x)]."""
    says_fake: float
    """E_z[D(G(z))]."""

    @property
    def jsd(self) -> float:
        """The Jensen-Shannon divergence of p_data and p_g, in nats."""
        return (self.criterion + exact.LOG4) / 2


@dataclass(frozen=True)
class DensityResult:
    """A training on the line, from its first round to its last."""

    name: str
    edges: np.ndarray
    """(bins + 1,) of x."""
    p_data: np.ndarray
    """(bins,) the density to learn, the mean over each bin."""
    frames: Sequence[Frame]
    broke: str = ""
    """Why the training ended early, if it did."""

    @property
    def x(self) -> np.ndarray:
        """(bins,) the middles of the bins."""
        return (self.edges[1:] + self.edges[:-1]) / 2

    @property
    def error(self) -> float:
        """How far the last JSD is from what bins of twice the width give: about what these bins miss of it."""
        last, wide = self.frames[-1], np.diff(self.edges)[::2] * 2
        p, q = (logs((d * np.diff(self.edges)).reshape(-1, 2).sum(1) / wide) for d in (self.p_data, last.p_g))
        return abs(last.jsd - exact.jsd(p, q, wide))

    def table(self) -> str:
        """The identities at the start, on the way and at the end, as text."""
        head = (
            f"{'step':>6}  {'V(G,D)':>8}  {'V(G,D*)':>8}  {'-log4+2JSD':>10}  {'JSD':>7}  {'|D-D*|':>7}  {'D(G(z))':>7}"
        )
        picks = sorted({round(k * (len(self.frames) - 1) / 5) for k in range(6)})
        rows = [
            f"{f.step:>6}  {f.value:>8.4f}  {f.best:>8.4f}  {f.criterion:>10.4f}  {f.jsd:>7.4f}  {f.gap:>7.4f}"
            f"  {f.says_fake:>7.4f}"
            for f in (self.frames[k] for k in picks)
        ]
        return "\n".join([head, *rows, *([self.broke] if self.broke else [])])


def logs(density: np.ndarray) -> np.ndarray:
    """The logarithm of a density; -inf where there is none."""
    with np.errstate(divide="ignore"):
        return np.log(np.maximum(density, 0))
