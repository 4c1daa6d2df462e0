"""cas: how well a classifier that has seen generated pictures alone reads real ones.

Ravuri, Vinyals, "Classification accuracy score for conditional generative models", 2019.
https://arxiv.org/abs/1905.10887
"""

import math
from collections.abc import Sequence

import numpy as np
import torch

from ganforge.errors import DataError
from ganforge.metrics.estimate import Estimate, around
from ganforge.metrics.extractors.classifier import accuracy_of, learned

Labelled = tuple[np.ndarray, np.ndarray]  # pictures as stored (N, H, W, C), and int64 (N,) or float32 (N, K)


def cas(
    fake: Labelled, real: Labelled, labels: Sequence[str], device: torch.device | str = "cpu", seed: int = 0
) -> Estimate:
    """Accuracy on `real` of a classifier that learned from `fake` alone; `real` is what no generator was trained on.

    It falls with pictures that look false and with kinds of pictures that are never made, which realism alone does not
    see.  Beside it belongs the same figure of real training pictures: `cas` with those as `fake`.
    The paper learns a ResNet-50 on as many pictures as the data has; here it is the small network of `classifier`.
    Raises DataError where a class is never made, or the two sides are of different kinds.
    """
    (made, asked), (true, known) = fake, real
    if made.shape[1:] != true.shape[1:] or asked.shape[1:] != known.shape[1:]:
        raise DataError(
            f"A classifier of pictures {made.shape[1:]} cannot read pictures {true.shape[1:]}, or their labels are of "
            "another kind: bring both sides to one size, with the same labels."
        )
    missing = [name for k, name in enumerate(labels) if asked.ndim == 1 and k in known and k not in asked]
    if missing:
        raise DataError(f"No generated picture was asked to show {missing[0]}: draw pictures of every class.")
    network = learned(made, asked, len(labels), seed=seed, device=device)
    right = accuracy_of(network, true, known, np.arange(len(true)))
    return around("cas", right, math.sqrt(right * (1 - right) / known.size), better="higher")
