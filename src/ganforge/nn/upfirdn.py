"""Resampling of images with short filters, in plain torch.

Karras, Laine, Aittala, Hellsten, Lehtinen, Aila 2020 (https://arxiv.org/abs/1912.04958), appendix B; Zhang 2019,
https://arxiv.org/abs/1904.11486.  Images are (N, C, H, W) of any float type; all may be differentiated twice.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

TAPS = (1.0, 3.0, 3.0, 1.0)
"""The filter of StyleGAN2's networks."""
LONG = 8  # taps from which on a filter stays separable


def make_filter(taps: Sequence[float] | Sequence[Sequence[float]], gain: float = 1.0) -> Tensor:
    """A filter with the sum `gain`: (K, K) of fewer than 8 taps, (K,) for two passes of more, or the given (h, w)."""
    kernel = torch.tensor(taps, dtype=torch.float32)
    if kernel.ndim == 1 and len(kernel) < LONG:
        kernel = kernel.outer(kernel)
    return kernel / kernel.sum() * gain ** (kernel.ndim / 2)


def upfirdn2d(
    images: Tensor,
    kernel: Tensor,
    up: tuple[int, int] = (1, 1),
    down: tuple[int, int] = (1, 1),
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    flip: bool = False,
    gain: float = 1.0,
) -> Tensor:
    """Insert zeros, pad, filter, and keep every `down`-th pixel.

    `up` and `down` are of the width and the height; `padding` is left, right, top, bottom of the enlarged image, and
    crops where it is negative.  The filter is a true convolution with `kernel`, (h, w) or (K,), or with `flip` a
    correlation.  Pixels are multiplied by `gain`.
    """
    if kernel.ndim == 1:  # one pass a side
        across = upfirdn2d(images, kernel[None], (up[0], 1), (down[0], 1), (*padding[:2], 0, 0), flip, gain**0.5)
        return upfirdn2d(across, kernel[:, None], (1, up[1]), (1, down[1]), (0, 0, *padding[2:]), flip, gain**0.5)
    if up != (1, 1):
        n, c, h, w = images.shape
        spread = F.pad(images.reshape(n, c, h, 1, w, 1), (0, up[0] - 1, 0, 0, 0, up[1] - 1))
        images = spread.reshape(n, c, h * up[1], w * up[0])
    channels = images.shape[1]
    weight = (kernel if flip else kernel.flip(0, 1)).to(images) * gain
    weight = weight.expand(channels, 1, *weight.shape)
    return F.conv2d(F.pad(images, padding), weight, stride=(down[1], down[0]), groups=channels)
