"""ssim: how much of a picture's structure is its truth's.

Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to structural similarity", 2004.
https://doi.org/10.1109/TIP.2003.819861
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ganforge.errors import DataError
from ganforge.metrics.paired import ENDS, matched

SIDE, SIGMA = 11, 1.5  # section III.B: the window
K1, K2 = 0.01, 0.03  # section III.B: what keeps the quotients from zero over zero


def ssim(made: Tensor, true: Tensor, ends: tuple[float, float] = ENDS) -> Tensor:
    """(N,) in [-1, 1], 1 for a picture that is its truth: equation 13 in Gaussian windows, their mean.

    Only windows that lie within the picture count.  `ends` are the least and the largest value that a picture can
    hold: the measure is about light, of which there is none at the least, so that it is not blind to a negative.
    Raises DataError for pictures smaller than a window.
    """
    made, true = matched(made, true)
    if min(made.shape[2:]) < SIDE:
        raise DataError(
            f"Pictures of {made.shape[2]} x {made.shape[3]} pixels are smaller than the window of the structural "
            f"similarity, {SIDE} x {SIDE}: make them larger."
        )
    made, true = ((pictures - ends[0]) / (ends[1] - ends[0]) for pictures in (made, true))
    x, y = blurred(made), blurred(true)
    x_power, y_power = blurred(made * made) - x * x, blurred(true * true) - y * y
    shared = blurred(made * true) - x * y
    c1, c2 = K1**2, K2**2
    values = (2 * x * y + c1) * (2 * shared + c2) / ((x * x + y * y + c1) * (x_power + y_power + c2))
    return values.flatten(1).mean(1)


def blurred(pictures: Tensor) -> Tensor:
    """Weighted means over every window that lies within the picture: (N, C, H - 10, W - 10)."""
    places = torch.arange(SIDE, dtype=pictures.dtype, device=pictures.device) - SIDE // 2
    weights = (-0.5 * (places / SIGMA).square()).exp()
    weights = weights / weights.sum()
    planes = pictures.flatten(0, 1)[:, None]
    planes = F.conv2d(F.conv2d(planes, weights.view(1, 1, -1, 1)), weights.view(1, 1, 1, -1))
    return planes.unflatten(0, pictures.shape[:2])[:, :, 0]
