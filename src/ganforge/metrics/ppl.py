"""ppl: perceptual path length, how far images move while a code moves a little.

Karras, Laine, Aila, "A style-based generator architecture for generative adversarial networks", 2018, section 4.1.
https://arxiv.org/abs/1812.04948
Karras et al. 2019 measure it in w and at the end points of the paths, which is what is done here.
https://arxiv.org/abs/1912.04958
"""

import torch
from torch import Tensor

from ganforge.catalogue import able
from ganforge.console import Say
from ganforge.errors import OptionError
from ganforge.metrics.estimate import Estimate
from ganforge.metrics.inputs import MetricInputs, MetricOptions
from ganforge.metrics.lpips import Distance, choose_distance, estimate_distance, lpips
from ganforge.metrics.metric import Metric

STEP = 1e-4
"""The share of the way to another code (section 4.1)."""
LARGEST = 256
"""Sides in pixels to which larger images are averaged first, for which LPIPS was made."""
TRIMMED = 0.01
"""The share of paths left out at either end, as in the code of the authors (stylegan2-ada-pytorch)."""


def path_lengths(start: Tensor, end: Tensor, distance: Distance, step: float = STEP) -> Tensor:
    """(N,): perceptual distances of images (N, C, H, W) over a step, divided by its square."""
    factor = max(1, start.shape[2] // LARGEST)
    if factor > 1:
        start, end = (torch.nn.functional.avg_pool2d(images, factor) for images in (start, end))
    return lpips(start, end, distance) / step**2


def trim(lengths: Tensor, share: float = TRIMMED) -> Tensor:
    """Lengths (N,) without those below the quantile `share` and above 1 - `share`, which few paths dominate."""
    low, high = lengths.quantile(share, interpolation="lower"), lengths.quantile(1 - share, interpolation="higher")
    return lengths[(lengths >= low) & (lengths <= high)]


def compute_path_length(inputs: MetricInputs, options: MetricOptions, say: Say) -> tuple[Estimate, ...]:
    """Mean path length over codes.  Raises OptionError unless a run is evaluated whose codes can be decoded."""
    if inputs.walk is None:
        models = able("sample", "decode")
        raise OptionError(f"--metrics ppl needs a run that can draw random codes; of the models, {models} can.")
    distance, lengths = choose_distance(inputs, options, say), []
    for first in range(0, options.n, options.batch):
        lengths.append(path_lengths(*inputs.walk(first, min(first + options.batch, options.n), STEP), distance))
    return (estimate_distance("ppl", trim(torch.cat(lengths)), distance, "lower"),)


METRIC = Metric(
    compute_path_length,
    needs="inputs",
    better="lower",
    about="perceptual path length in w, at end points: LPIPS over a step of 1e-4, divided by its square, without "
    "1 % of the paths at either end; `ppl_unweighted` without LPIPS's weights",
    interval="of the mean over paths",
)
