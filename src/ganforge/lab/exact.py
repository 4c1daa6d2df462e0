"""The theory of 2014 in numbers: the optimal discriminator, the value of the game, divergences of two densities.

Two densities are given by their logarithms on the same quadrature nodes, with the weights of the nodes:

    D*(x)   = p_data(x) / (p_data(x) + p_g(x))                                      (proposition 1)
    V(G, D) = E_data[log D(x)] + E_g[log(1 - D(x))]                                 (equation 1)
    C(G)    = max_D V(G, D) = V(G, D*) = -log 4 + 2 JSD(p_data || p_g)              (theorem 1)

Everything is in nats and in double precision; logarithms and logits stay precise where D* itself would
round to 0 or 1.  Source: Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ganforge.lab.distributions import Distribution

LOG2, LOG4 = math.log(2), math.log(4)
ORDER = 64  # nodes of the Gauss-Legendre rule on one piece
PIECES = 64  # pieces that the interval is cut into


def optimum(log_data: np.ndarray, log_g: np.ndarray) -> np.ndarray:
    """The logit of D*, log p_data - log p_g, which may be infinite (proposition 1).

    Where both densities are 0, D* is undetermined, and 1/2 is returned (logit 0).
    """
    with np.errstate(invalid="ignore"):
        return np.where(np.isneginf(log_data) & np.isneginf(log_g), 0.0, log_data - log_g)


def probability(logit: np.ndarray) -> np.ndarray:
    """The sigmoid of a logit."""
    return 0.5 + 0.5 * np.tanh(logit / 2)


def value(log_data: np.ndarray, log_g: np.ndarray, logit: np.ndarray, weights: np.ndarray) -> float:
    """V(G, D) of a discriminator's logits (equation 1); -inf where it gives probability 0 to something possible."""
    on_data, on_g = -np.logaddexp(0, -logit), -np.logaddexp(0, logit)  # log D and log(1 - D)
    return expectation(on_data, log_data, weights) + expectation(on_g, log_g, weights)


def kl(log_p: np.ndarray, log_q: np.ndarray, weights: np.ndarray) -> float:
    """KL(p || q), at least 0; inf where q is 0 and p is not."""
    return expectation(optimum(log_p, log_q), log_p, weights)


def jsd(log_p: np.ndarray, log_q: np.ndarray, weights: np.ndarray) -> float:
    """The Jensen-Shannon divergence, in [0, log 2]."""
    middle = np.logaddexp(log_p, log_q) - LOG2
    return kl(log_p, middle, weights) / 2 + kl(log_q, middle, weights) / 2


def criterion(log_data: np.ndarray, log_g: np.ndarray, weights: np.ndarray) -> float:
    """C(G) by its closed form, -log 4 + 2 JSD (theorem 1); `value` of D* gives it by the definition."""
    return -LOG4 + 2 * jsd(log_data, log_g, weights)


def expectation(values: np.ndarray, log_density: np.ndarray, weights: np.ndarray) -> float:
    """The expectation of `values`; where the density is 0 they do not count, even if they are infinite."""
    support = np.isfinite(log_density)
    return float(np.sum(weights[support] * np.exp(log_density[support]) * values[support]))


@dataclass(frozen=True)
class Quadrature:
    """Nodes and weights: the integral of f is the sum of `weights * f(nodes)`."""

    nodes: np.ndarray
    weights: np.ndarray

    @classmethod
    def over(cls, *densities: Distribution, pieces: int = PIECES) -> "Quadrature":
        """Gauss-Legendre on pieces of the interval that the densities reach, cut where one is discontinuous."""
        low, high = min(d.reach()[0] for d in densities), max(d.reach()[1] for d in densities)
        jumps = [x for d in densities for x in d.jumps() if low < x < high]
        ends = np.unique([*np.linspace(low, high, pieces + 1), *jumps])
        nodes, weights = np.polynomial.legendre.leggauss(ORDER)
        middles, halves = (ends[1:] + ends[:-1]) / 2, (ends[1:] - ends[:-1]) / 2
        return cls(
            (middles[:, None] + halves[:, None] * nodes).ravel(),
            (halves[:, None] * weights).ravel(),
        )


@dataclass(frozen=True)
class Pair:
    """A data distribution and a generated one, in one dimension, and what the theory says about them."""

    data: Distribution
    generated: Distribution

    @property
    def on(self) -> Quadrature:
        """The nodes on which the two are compared."""
        return Quadrature.over(self.data, self.generated)

    def optimum(self, x: np.ndarray) -> np.ndarray:
        """The logit of D*(x)."""
        return optimum(self.data.log_density(x), self.generated.log_density(x))

    def value(self, discriminator: Callable[[np.ndarray], np.ndarray]) -> float:
        """V(G, D) of a discriminator that maps points (n,) to logits (n,)."""
        p, q, on = self._log_densities()
        return value(p, q, discriminator(on.nodes), on.weights)

    def best(self) -> float:
        """V(G, D*): the value by its definition, at the optimum."""
        return self.value(self.optimum)

    def criterion(self) -> float:
        """C(G): the same number by theorem 1."""
        p, q, on = self._log_densities()
        return criterion(p, q, on.weights)

    def jsd(self) -> float:
        """The Jensen-Shannon divergence of the two."""
        p, q, on = self._log_densities()
        return jsd(p, q, on.weights)

    def kl(self) -> float:
        """KL(data || generated)."""
        p, q, on = self._log_densities()
        return kl(p, q, on.weights)

    def _log_densities(self) -> tuple[np.ndarray, np.ndarray, Quadrature]:
        on = self.on
        return self.data.log_density(on.nodes), self.generated.log_density(on.nodes), on
