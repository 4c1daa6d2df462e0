"""How well scores tell strange images from sound ones, and maps strange places from sound ones.

AUROC               the share of pairs (strange, sound) in which the strange one has the higher score; ties count half
average precision   the mean, over the strange ones, of the share of strange ones among those that score as high
PRO                 per-region overlap (Bergmann et al. 2021, section 4.2): the mean share of each flaw that is found,
                    over the thresholds that raise false alarms in up to 30 % of the sound pixels; the area, divided
                    by those 30 %
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ganforge.errors import DataError
from ganforge.metrics.estimate import NINETY_FIVE, Estimate

LIMIT = 0.3
"""The share of false alarms among pixels up to which PRO is taken."""


def auroc(scores: np.ndarray, strange: np.ndarray) -> Estimate:
    """AUROC of scores (N,) against `strange` (N,) of bools, with DeLong's 95 % interval.

    DeLong, DeLong, Clarke-Pearson, 1988.  Raises DataError unless there are both strange and sound ones.
    """
    positive, negative = split(scores, strange)
    below = (rank(negative, positive, "left") + rank(negative, positive, "right")) / 2 / len(negative)
    above = 1 - (rank(positive, negative, "left") + rank(positive, negative, "right")) / 2 / len(positive)
    value = float(below.mean())
    variance = sum(float(part.var(ddof=1)) / len(part) for part in (below, above) if len(part) > 1)
    error = NINETY_FIVE * math.sqrt(variance)
    return Estimate("auroc", value, max(0.0, value - error), min(1.0, value + error), "higher")


def average_precision(scores: np.ndarray, strange: np.ndarray) -> Estimate:
    """Average precision of scores (N,) against `strange` (N,) of bools; equal scores share one threshold.

    Raises DataError unless there are both strange and sound ones.
    """
    split(scores, strange)
    order = np.argsort(-scores, kind="stable")
    found = np.cumsum(strange[order])
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)  # the last of each run of equal scores
    precision = found[ends] / (ends + 1)
    return Estimate("ap", float((precision * np.diff(found[ends], prepend=0)).sum() / found[-1]), better="higher")


def pro(maps: Sequence[np.ndarray], regions: Sequence[np.ndarray], limit: float = LIMIT) -> Estimate:
    """PRO of maps (H, W) against `regions` (H, W): 0 where it is sound, else the number of the flaw, 1, 2 ...

    Raises DataError unless there are both flaws and sound pixels.
    """
    heat = np.concatenate([one.ravel() for one in maps])
    overlap, alarms = (np.zeros(len(heat)) for _ in range(2))
    first, flaws = 0, 0
    for region in regions:
        numbers, sizes = np.unique(region, return_counts=True)
        for number, size in zip(numbers, sizes, strict=True):
            place = first + np.flatnonzero(region.ravel() == number)
            (overlap if number else alarms)[place] = 1 / size if number else 1
            flaws += bool(number)
        first += region.size
    if not flaws or not alarms.any():
        raise DataError("PRO needs maps with flaws and with sound pixels, and these have only one of the two.")
    order = np.argsort(-heat, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(heat[order])), len(heat) - 1)
    rate = np.concatenate([[0.0], np.cumsum(alarms[order])[ends] / alarms.sum()])
    share = np.concatenate([[0.0], np.cumsum(overlap[order])[ends] / flaws])
    at_limit = np.interp(limit, rate, share)
    rate, share = np.append(rate[rate < limit], limit), np.append(share[rate < limit], at_limit)
    area = float(((share[1:] + share[:-1]) / 2 * np.diff(rate)).sum())
    return Estimate("pro", area / limit, better="higher")


def split(scores: np.ndarray, strange: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The scores of the strange and of the sound ones.  Raises DataError where one of the two is missing."""
    if not np.isfinite(scores).all():
        raise DataError("Some scores are not finite: the run's weights, or its images, hold NaN.")
    positive, negative = scores[strange], scores[~strange]
    if not len(positive) or not len(negative):
        missing = "strange" if not len(positive) else "sound"
        raise DataError(f"All {len(scores)} are {'sound' if missing == 'strange' else 'strange'}: none is {missing}.")
    return positive, negative


def rank(among: np.ndarray, values: np.ndarray, side: str) -> np.ndarray:
    """How many of `among` lie below each of `values`; with side `right` those that equal it are counted as well."""
    return np.searchsorted(np.sort(among), values, side)  # pyright: ignore


# -- thresholds ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Threshold:
    """A limit of the score above which an image is called strange."""

    value: float
    rate: float
    """The expected share of sound images above it: false alarms."""
    low: float
    high: float
    """The 95 % interval of that share."""
    images: int
    """Sound images that it was chosen from."""


def choose_threshold(sound: np.ndarray, rate: float) -> Threshold:
    """The least threshold whose expected share of false alarms is at most `rate`, from scores (N,) of sound images.

    The share of all sound images above the k-th smallest of N scores follows a beta distribution, Beta(N + 1 - k, k),
    whatever the distribution of the scores is: its mean and its 2.5 % and 97.5 % quantiles are stated.  The images must
    not be among those that were trained on.  Raises DataError for too few of them.
    """
    n = len(sound)
    k = math.ceil((1 - rate) * (n + 1) - 1e-9)
    if not 0 < rate < 1 or k > n:
        least = math.ceil(1 / rate) - 1 if 0 < rate < 1 else 1
        raise DataError(
            f"A false-alarm rate of {rate:g} needs {least} sound images or more, and there are {n}: give more, or a "
            "higher rate."
        )
    low, high = beta_quantile(n + 1 - k, k, 0.025), beta_quantile(n + 1 - k, k, 0.975)
    return Threshold(float(np.sort(sound)[k - 1]), (n + 1 - k) / (n + 1), low, high, n)


def rate_interval(count: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a share of which `count` of `n` were counted (Clopper and Pearson 1934)."""
    low = beta_quantile(count, n - count + 1, 0.025) if count else 0.0
    return low, beta_quantile(count + 1, n - count, 0.975) if count < n else 1.0


def beta_quantile(a: int, b: int, share: float) -> float:
    """The `share` quantile of Beta(a, b), whole a and b of at least 1, by bisection of its distribution function."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if beta_share(middle, a, b) < share else (low, middle)
    return (low + high) / 2


def beta_share(x: float, a: int, b: int) -> float:
    """P(Beta(a, b) <= x): the probability of `a` successes or more in a + b - 1 trials of chance x."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    n = a + b - 1
    k = np.arange(a, n + 1)
    logs = np.array([math.lgamma(i + 1) for i in range(n + 1)])
    return float(np.exp(logs[n] - logs[k] - logs[n - k] + k * math.log(x) + (n - k) * math.log1p(-x)).sum())
