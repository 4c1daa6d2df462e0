"""lpips: how different two pictures look, and how different the pictures are that one input leads to.

Zhang, Isola, Efros, Shechtman, Wang, "The unreasonable effectiveness of deep features as a perceptual metric", 2018.
https://arxiv.org/abs/1801.03924
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import torch
from torch import Tensor

from ganforge.errors import DataError, OptionError
from ganforge.metrics.paired import matched
from ganforge.nn import lpips as published

Maps = Callable[[Tensor], Sequence[Tensor]]  # pictures (N, C, H, W) in [-1, 1] -> maps (N, K, h, w), one a layer


@dataclass(frozen=True)
class Distance:
    """A perceptual distance, which says what it is made of."""

    name: str
    """What stands beside every figure: `LPIPS 0.1 (alex)`, or that it is none."""
    between: Callable[[Tensor, Tensor], Tensor]
    """Two sets of pictures (N, C, H, W) in [-1, 1] -> (N,)."""


def official(network: str | Path, weights: str | Path) -> Distance:
    """LPIPS as it was published.

    `network` is the file of torchvision's AlexNet or VGG-16 trained on ImageNet, `weights` that of the authors' `lin`
    layers, version 0.1.  Nothing of either file is run.  Raises WeightsError where they are something else.
    """
    from ganforge.official import read

    backbone = read(network)
    first = backbone.get("features.0.weight")
    kind: published.Kind = "vgg" if first is not None and first.shape == (64, 3, 3, 3) else "alex"
    net = published.LPIPS(kind).load(backbone, read(weights))
    return Distance(f"LPIPS 0.1 ({kind})", net)


def through(maps: Maps, name: str) -> Distance:
    """The same distance through any network's maps, every channel of which counts alike.  Its figures are no LPIPS."""

    def between(a: Tensor, b: Tensor) -> Tensor:
        seen = maps(torch.cat([a, b]))
        n = len(a)
        alike = [torch.ones((), device=m.device) for m in seen]
        return published.distance([m[:n] for m in seen], [m[n:] for m in seen], alike)

    return Distance(f"distance through {name}, unweighted (not LPIPS: its published weights were not given)", between)


def lpips(made: Tensor, true: Tensor, distance: Distance, batch: int = 32) -> Tensor:
    """(N,): how different each picture looks from its truth, lower is better."""
    matched(made, true)
    with torch.inference_mode():
        parts = zip(made.split(batch), true.split(batch), strict=True)
        return torch.cat([distance.between(a.float(), b.float()).double() for a, b in parts])


def diversity(answers: Tensor, distance: Distance, batch: int = 32) -> Tensor:
    """(N,): mean distance over all pairs of the pictures that each of N inputs leads to, from (N, K, C, H, W).

    BicycleGAN, section 5.2 (https://arxiv.org/abs/1711.11586) takes this mean over pairs drawn at random.  Higher is
    more varied, 0 for a translator that always says the same; noise is varied too, so read it beside a measure of
    realism.  Raises DataError for answers of another shape, and OptionError for fewer than two answers an input.
    """
    if answers.ndim != 5:
        raise DataError(f"Answers are (inputs, answers, C, H, W), not {tuple(answers.shape)}.")
    if answers.shape[1] < 2:
        raise OptionError("One answer an input cannot be varied: ask for two or more.")
    pairs = [lpips(answers[:, i], answers[:, j], distance, batch) for i, j in combinations(range(answers.shape[1]), 2)]
    return torch.stack(pairs).mean(0)
