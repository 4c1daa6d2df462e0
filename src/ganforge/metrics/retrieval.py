"""retrieval: how often an image's own caption is found among those of a hundred images, by a text encoder.

Kiros, Salakhutdinov, Zemel, 2014 (recall at 1).  https://arxiv.org/abs/1411.2539
"""

import math

import numpy as np
import torch
from torch import Tensor

from ganforge.catalogue import able
from ganforge.console import Say
from ganforge.data.dataset import DataSet
from ganforge.errors import DataError, OptionError
from ganforge.metrics.estimate import Estimate, normal_estimate
from ganforge.metrics.image_set import select_images, subsample
from ganforge.metrics.inputs import MetricInputs, MetricOptions
from ganforge.metrics.metric import Metric

AMONG = 100  # captions, or images, of which one is right


def retrieve(one: Tensor, other: Tensor, tokens: Tensor) -> Tensor:
    """bool (N,): whether <one_i, other_j> is largest for a j whose caption is that of i; features (N, K), (N, T)."""
    best = (one @ other.T).argmax(1)
    return (tokens[best] == tokens).all(1)


def compute_retrieval(inputs: MetricInputs, options: MetricOptions, say: Say) -> tuple[Estimate, ...]:
    """`retrieval`, the share of images whose caption is found, and `image_retrieval`, of captions whose image is.

    On the held-out split where the data has one, on the first caption of each image.  Raises OptionError for anything
    but a text encoder, DataError for less than two images.
    """
    if inputs.embed is None:
        raise OptionError(
            f"--metrics retrieval needs a run that can read images and sentences; of the models, {able('embed')} can."
        )
    data, notes = open_held_out(inputs)
    rows = subsample(np.arange(len(data)), options.n)
    images, tokens = select_images(data, rows=rows), torch.from_numpy(np.asarray(data.columns["tokens"][rows]))
    if len(rows) < 2:
        raise DataError(f"Among one caption every image finds its own: {data.name} needs 2 images or more.")
    among, size = min(AMONG, len(rows)), options.batch
    starts = range(0, len(rows), size)
    parts = [inputs.embed(images.rows(k, min(k + size, len(rows))), tokens[k : k + size]) for k in starts]
    seen, read = (torch.cat(side) for side in zip(*parts, strict=True))
    hits: dict[str, list[Tensor]] = {"retrieval": [], "image_retrieval": []}
    for k in range(0, len(rows) - among + 1, among):
        group = slice(k, k + among)
        hits["retrieval"].append(retrieve(seen[group], read[group], tokens[group]))
        hits["image_retrieval"].append(retrieve(read[group], seen[group], tokens[group]))
    say(f"Each image among {among} captions of {data.name}: {1 / among:.3g} by chance.")
    figures = []
    for name, found in hits.items():
        share, count = float(torch.cat(found).double().mean()), len(found) * among
        figures.append(normal_estimate(name, share, math.sqrt(share * (1 - share) / count), "higher", notes))
    return tuple(figures)


def open_held_out(inputs: MetricInputs) -> tuple[DataSet, tuple[str, ...]]:
    """The held-out split; the data themselves, and a note, where they have none."""
    try:
        return inputs.open(held_out=True), ()
    except DataError as error:
        return inputs.data, (f"Retrieval is measured on the data of the training: {error}",)


METRIC = Metric(
    compute_retrieval,
    needs="captions",
    better="higher",
    about=f"share of held-out images whose own caption is nearest among those of {AMONG} images, and of captions whose "
    "image is; equal captions count as one",
    interval="of a proportion",
    default=True,
)
