"""labels: how well generated label maps agree with the true ones (Isola et al. 2017, section 4.4, table 6).

Each pixel takes the class of its nearest colour; the scores are those of the FCN-score.
https://arxiv.org/abs/1611.07004
"""

import torch

from ganforge.console import Say
from ganforge.errors import OptionError
from ganforge.images import to_uint8
from ganforge.metrics.estimate import Estimate
from ganforge.metrics.fcn import BATCH, confusion, estimate_scores
from ganforge.metrics.image_set import select_images
from ganforge.metrics.inputs import MetricInputs, MetricOptions
from ganforge.metrics.label_colours import colours_to_classes, find_colours, fit_label_maps, nearest_classes
from ganforge.metrics.metric import Metric


def compute_labels(inputs: MetricInputs, options: MetricOptions, say: Say) -> tuple[Estimate, ...]:
    """Pixel accuracy, class accuracy and class IoU of generated label maps.

    Raises OptionError for other runs than translators of pairs, DataError where the targets are no label maps.
    """
    if inputs.sources is None or "target" not in inputs.data.columns:
        raise OptionError("--metrics labels needs a translator from photographs to label maps, and pairs of the two.")
    native = inputs.open(size=None, channels=0, held_out=False)
    colours = find_colours(native.columns["target"])
    true = select_images(inputs.open(size=None, channels=0, held_out=options.held_out), "target", options.n)
    counts = []
    for start in range(0, inputs.fake.count, BATCH):
        stop = min(start + BATCH, inputs.fake.count)
        made = nearest_classes(to_uint8(inputs.fake.rows(start, stop)), colours)
        maps = fit_label_maps(
            colours_to_classes(to_uint8(true.rows(start, stop)), colours), (made.shape[1], made.shape[2])
        )
        pairs = zip(torch.from_numpy(made), torch.from_numpy(maps), strict=True)
        counts += [confusion(one, whole, len(colours)) for one, whole in pairs]
    return estimate_scores("labels", torch.stack(counts), ())


METRIC = Metric(
    compute_labels,
    needs="inputs",
    better="higher",
    about="the scores of `fcn` for outputs that are label maps, each pixel counted as its nearest colour "
    "(pix2pix, table 6)",
    interval="bootstrap over label maps",
)
