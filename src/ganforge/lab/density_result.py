"""The result of a training in one dimension: recorded frames, and both sides of the theorems at each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ganforge.lab import exact

LATTICE = np.linspace(-6, 6, 6_001)  # values of z; the mass beyond them is 2e-9


@dataclass(frozen=True)
class Frame:
    """Densities, discriminators and the theory's numbers at one step of the training."""

    step: int
    p_g: np.ndarray
    """(bins,) the generator's density, the mean over each bin."""
    logit: np.ndarray
    """(bins,) of the trained D, at the centre of each bin."""
    optimum: np.ndarray
    """(bins,) the logit of D*, from the densities."""
    outputs: np.ndarray
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
    """A training in one dimension, from its first step to its last."""

    name: str
    edges: np.ndarray
    """(bins + 1,) of x."""
    p_data: np.ndarray
    """(bins,) the density to learn, the mean over each bin."""
    frames: Sequence[Frame]
    broke: str = ""
    """Why the training ended early; empty if it did not."""

    @property
    def x(self) -> np.ndarray:
        """(bins,) the centres of the bins."""
        return (self.edges[1:] + self.edges[:-1]) / 2

    @property
    def error(self) -> float:
        """Difference of the last JSD with these bins and with bins of twice the width: an estimate of its bin error."""
        last, wide = self.frames[-1], np.diff(self.edges)[::2] * 2
        p, q = (safe_log((d * np.diff(self.edges)).reshape(-1, 2).sum(1) / wide) for d in (self.p_data, last.p_g))
        return abs(last.jsd - exact.jsd(p, q, wide))

    def table(self) -> str:
        """Both sides of the theorems at six frames from the first to the last, as text."""
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


def safe_log(density: np.ndarray) -> np.ndarray:
    """The logarithm of a density; -inf where it is 0."""
    with np.errstate(divide="ignore"):
        return np.log(np.maximum(density, 0))
