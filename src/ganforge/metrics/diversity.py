"""diversity: mean perceptual distance between outputs for one input.

Zhu et al., "Toward multimodal image-to-image translation" (BicycleGAN), 2017, section 5.2.
https://arxiv.org/abs/1711.11586
"""

from itertools import combinations

import torch
from torch import Tensor

from ganforge.console import Say
from ganforge.errors import DataError, OptionError
from ganforge.metrics.estimate import Estimate
from ganforge.metrics.inputs import MetricInputs, MetricOptions
from ganforge.metrics.lpips import Distance, choose_distance, estimate_distance, lpips
from ganforge.metrics.metric import Metric

INPUTS, OUTPUTS = 100, 10  # BicycleGAN, section 5.2, measures on 100 inputs


def diversity(outputs: Tensor, distance: Distance, batch: int = 32) -> Tensor:
    """(N,): mean distance over all pairs of the K outputs for each of N inputs, from (N, K, C, H, W).

    BicycleGAN averages over randomly drawn pairs.  Higher is more diverse, 0 for a deterministic translator; noise is
    diverse too, so report it beside a measure of realism.
    Raises DataError for outputs of another shape, and OptionError for fewer than two outputs per input.
    """
    if outputs.ndim != 5:
        raise DataError(f"Outputs are (inputs, outputs per input, C, H, W), not {tuple(outputs.shape)}.")
    if outputs.shape[1] < 2:
        raise OptionError("Diversity needs two or more outputs per input.")
    pairs = [lpips(outputs[:, i], outputs[:, j], distance, batch) for i, j in combinations(range(outputs.shape[1]), 2)]
    return torch.stack(pairs).mean(0)


def compute_diversity(inputs: MetricInputs, options: MetricOptions, say: Say) -> tuple[Estimate, ...]:
    """Mean perceptual distance between outputs for one input.  Raises OptionError unless a translator is evaluated."""
    if inputs.resample is None:
        raise OptionError("--metrics diversity needs a translator: it compares several outputs for one input.")
    distance = choose_distance(inputs, options, say)
    outputs = [inputs.resample(options.seed + k) for k in range(OUTPUTS)]
    each = []
    for k in range(min(INPUTS, inputs.fake.count)):
        batch = torch.stack([one.rows(k, k + 1) for one in outputs], 1)
        each.append(diversity(batch, distance))
    return (estimate_distance("diversity", torch.cat(each), distance, "higher"),)


METRIC = Metric(
    compute_diversity,
    needs="inputs",
    better="higher",
    about="LPIPS between ten outputs of a translator for one input, over 100 inputs; 0 if it is deterministic",
    interval="of the mean over inputs",
)
