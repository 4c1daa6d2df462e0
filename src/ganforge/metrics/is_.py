"""Inception score: exp of the mean KL between the class distribution of an image and of all (Salimans et al. 2016).

    IS = exp(E KL(p(y | x) || p(y)))

In the log domain and in float64, so that saturated logits lose no precision.  With the data's own classifier in the
place of Inception it is the same score over the data's classes.
"""

import math
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from ganforge.errors import DataError
from ganforge.metrics.estimate import Estimate, check_features, normal_estimate
from ganforge.metrics.metric import FeaturePair, Metric, require_logits

SPLITS = 10


def inception_score(logits: Tensor, splits: int = SPLITS, seed: int | None = 2_020) -> Estimate:
    """The score of logits (N, K), as the mean over splits of the sample; the interval is that of the mean.

    Rows are shuffled as torch-fidelity does for the same seed; None: not shuffled.
    Raises DataError for fewer than `splits` images.
    """
    scores = scores_of_splits(logits, splits, seed)
    error = float(scores.std()) / math.sqrt(splits) if splits > 1 else math.nan
    value = float(scores.mean())
    return normal_estimate("is", value, error, "higher") if splits > 1 else Estimate("is", value, better="higher")


def scores_of_splits(logits: Tensor, splits: int, seed: int | None) -> Tensor:
    """The score (splits,) of each split of the sample."""
    if splits < 1:
        raise DataError(f"{splits} splits cannot be scored: take 1 or more.")
    logits = check_features(logits, "the generated images", splits)
    if seed is not None:
        order = np.random.RandomState(seed).permutation(len(logits))
        logits = logits[torch.from_numpy(order)]
    logs = logits.log_softmax(1)
    bounds = [k * len(logs) // splits for k in range(splits + 1)]
    return torch.stack([score(logs[low:high]) for low, high in pairwise(bounds)])


def score(logs: Tensor) -> Tensor:
    """exp of the mean KL divergence of log-probabilities (N, K) from their marginal."""
    marginal = logs.logsumexp(0) - math.log(len(logs))
    return (logs.exp() * (logs - marginal)).sum(1).mean().exp()


def compute_is(sides: FeaturePair) -> tuple[Estimate, ...]:
    """The score of the generated images' class logits.  Raises OptionError where the extractor gives none."""
    return (inception_score(require_logits(sides, "is")),)


METRIC = Metric(
    compute_is,
    needs="logits",
    better="higher",
    about="Inception score over 10 splits, in the log domain",
    interval="of the mean over splits",
    select=True,
    default=True,
    order=6,
    per_class=False,
)
