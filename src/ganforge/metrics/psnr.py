"""psnr: how far a picture is from its truth, as the ratio of the strongest signal to the error, in decibel."""

from torch import Tensor

from ganforge.metrics.paired import ENDS, matched


def psnr(made: Tensor, true: Tensor, ends: tuple[float, float] = ENDS) -> Tensor:
    """(N,) decibel, higher is better, infinite for a picture that is its truth: 10 log10(range^2 / squared error).

    `ends` are the least and the largest value that a picture can hold.  What is reported for many pictures is the mean
    of these figures, not the figure of their mean error.
    """
    made, true = matched(made, true)
    error = (made - true).square().flatten(1).mean(1)
    return 10 * ((ends[1] - ends[0]) ** 2 / error).log10()
