"""l1: mean absolute difference of an image and its target."""

from torch import Tensor

from ganforge.metrics.metric import Metric
from ganforge.metrics.paired import check_pair


def l1(output: Tensor, target: Tensor) -> Tensor:
    """(N,): mean absolute difference of each image from its target, in the images' own units."""
    output, target = check_pair(output, target)
    return (output - target).abs().flatten(1).mean(1)


METRIC = Metric(
    l1,
    needs="target",
    better="lower",
    about="mean absolute difference, in the units of images in [-1, 1]",
    interval="of the mean over images",
    select=True,
    default=True,
    order=3,
)
