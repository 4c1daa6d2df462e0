"""Inception score: exp of the mean divergence between a picture's classes and those of all (Salimans et al. 2016).

    IS = exp(E KL(p(y | x) || p(y)))

In the log domain and in float64, so certain verdicts lose nothing.  With the classifier of the data itself in the
place of Inception it says the same about that data's classes.
"""

import math
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from ganforge.errors import DataError
from ganforge.metrics.estimate import Estimate, around, checked

SPLITS = 10


def inception_score(logits: Tensor, splits: int = SPLITS, seed: int | None = 2_020) -> Estimate:
    """The score of verdicts (N, K), as the mean over parts of the sample; the interval is that of the mean.

    The order is torch-fidelity's for the same seed; None: as it is.
    Raises DataError for fewer than `splits` pictures.
    """
    scores = scores_of_splits(logits, splits, seed)
    error = float(scores.std()) / math.sqrt(splits) if splits > 1 else math.nan
    value = float(scores.mean())
    return around("is", value, error, "higher") if splits > 1 else Estimate("is", value, better="higher")


def scores_of_splits(logits: Tensor, splits: int, seed: int | None) -> Tensor:
    """The score (splits,) of each part of the sample."""
    if splits < 1:
        raise DataError(f"{splits} splits are no part of a sample: take 1 or more.")
    logits = checked(logits, "the generated pictures", splits)
    if seed is not None:
        order = np.random.RandomState(seed).permutation(len(logits))
        logits = logits[torch.from_numpy(order)]
    logs = logits.log_softmax(1)
    bounds = [k * len(logs) // splits for k in range(splits + 1)]
    return torch.stack([score(logs[low:high]) for low, high in pairwise(bounds)])


def score(logs: Tensor) -> Tensor:
    """exp of the mean divergence of log-probabilities (N, K) from their mean probability."""
    all_together = logs.logsumexp(0) - math.log(len(logs))
    return (logs.exp() * (logs - all_together)).sum(1).mean().exp()
