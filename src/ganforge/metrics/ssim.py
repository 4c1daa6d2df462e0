"""ssim: structural similarity of an image and its target.

Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to structural similarity", 2004.
https://doi.org/10.1109/TIP.2003.819861
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ganforge.errors import DataError
from ganforge.metrics.metric import Metric
from ganforge.metrics.paired import ENDS, check_pair

SIDE, SIGMA = 11, 1.5  # section III.B: the window
K1, K2 = 0.01, 0.03  # section III.B: constants that stabilise the quotients


def ssim(output: Tensor, target: Tensor, ends: tuple[float, float] = ENDS) -> Tensor:
    """(N,) in [-1, 1], 1 for an image equal to its target: the mean of equation 13 over Gaussian windows.

    Only windows that lie within the image count.  `ends` are the least and the largest value of an image; values are
    shifted so that the least is zero intensity, without which negatives would score high.
    Raises DataError for images smaller than a window.
    """
    output, target = check_pair(output, target)
    if min(output.shape[2:]) < SIDE:
        raise DataError(
            f"Images of {output.shape[2]} x {output.shape[3]} pixels are smaller than the window of SSIM, "
            f"{SIDE} x {SIDE}: use larger images."
        )
    output, target = ((images - ends[0]) / (ends[1] - ends[0]) for images in (output, target))
    x, y = blur(output), blur(target)
    x_power, y_power = blur(output * output) - x * x, blur(target * target) - y * y
    shared = blur(output * target) - x * y
    c1, c2 = K1**2, K2**2
    values = (2 * x * y + c1) * (2 * shared + c2) / ((x * x + y * y + c1) * (x_power + y_power + c2))
    return values.flatten(1).mean(1)


def blur(images: Tensor) -> Tensor:
    """Gaussian-weighted means over every window within the image: (N, C, H - 10, W - 10)."""
    places = torch.arange(SIDE, dtype=images.dtype, device=images.device) - SIDE // 2
    weights = (-0.5 * (places / SIGMA).square()).exp()
    weights = weights / weights.sum()
    planes = images.flatten(0, 1)[:, None]
    planes = F.conv2d(F.conv2d(planes, weights.view(1, 1, -1, 1)), weights.view(1, 1, 1, -1))
    return planes.unflatten(0, images.shape[:2])[:, :, 0]


METRIC = Metric(
    ssim,
    needs="target",
    better="higher",
    about="structural similarity, 11 x 11 Gaussian windows of deviation 1.5",
    interval="of the mean over images",
    select=True,
    default=True,
    order=2,
)
