"""r_precision: how often a text encoder finds the sentence of a drawn image among a hundred.

Xu, Zhang, Huang, Zhang, Gan, Huang, He, 2018 (AttnGAN, section 4, with R = 1).  https://arxiv.org/abs/1711.10485
"""

import math

import torch

from ganforge.catalogue import able
from ganforge.console import Say
from ganforge.errors import OptionError
from ganforge.metrics.estimate import Estimate, normal_estimate
from ganforge.metrics.inputs import MetricInputs, MetricOptions
from ganforge.metrics.metric import Metric
from ganforge.metrics.retrieval import AMONG, retrieve


def compute_r_precision(inputs: MetricInputs, options: MetricOptions, say: Say) -> tuple[Estimate, ...]:
    """The share of drawn images whose own sentence fits them best among those of AMONG images.

    Raises OptionError without a reader, or for images that were drawn for no sentence.
    """
    if inputs.match is None or not inputs.fake.sentences:
        raise OptionError(
            "--metrics r_precision needs a run that draws sentences, and --reader RUN, one that reads images and "
            f"sentences ({able('embed')}), other than the one that it was trained with."
        )
    count = inputs.fake.count
    starts = range(0, count, options.batch)
    parts = [inputs.match(start, min(start + options.batch, count)) for start in starts]
    seen, read, tokens = (torch.cat(side) for side in zip(*parts, strict=True))
    among = min(AMONG, count)
    groups = [slice(k, k + among) for k in range(0, count - among + 1, among)]
    found = torch.cat([retrieve(seen[group], read[group], tokens[group]) for group in groups]).double()
    say(f"The sentence of each image among {among}: {1 / among:.3g} by chance.")
    share = float(found.mean())
    return (normal_estimate("r_precision", share, math.sqrt(share * (1 - share) / len(found)), "higher"),)


METRIC = Metric(
    compute_r_precision,
    needs="inputs",
    better="higher",
    about=f"share of drawn images whose own sentence fits them best among those of {AMONG} images, by the text encoder "
    "`--reader RUN`; equal sentences count as one",
    interval="of a proportion",
)
