"""psnr: peak signal-to-noise ratio of an image and its target, in decibel."""

from torch import Tensor

from ganforge.metrics.metric import Metric
from ganforge.metrics.paired import ENDS, check_pair


def psnr(output: Tensor, target: Tensor, ends: tuple[float, float] = ENDS) -> Tensor:
    """(N,) decibel, higher is better, infinite for an image equal to its target: 10 log10(range^2 / squared error).

    `ends` are the least and the largest value of an image.  For many images, the mean of these values is reported, not
    the value of their mean error.
    """
    output, target = check_pair(output, target)
    error = (output - target).square().flatten(1).mean(1)
    return 10 * ((ends[1] - ends[0]) ** 2 / error).log10()


METRIC = Metric(
    psnr,
    needs="target",
    better="higher",
    about="10 log10 (range² / mean squared error) of each image and its target, in decibels",
    interval="of the mean over images",
    select=True,
    default=True,
    order=1,
)
