"""ROIAlign, forward and backward: ours, and torchvision's."""

from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.program import Program, boxes_and_labels

CELLS, SCALE, SIDE = 8, 0.25, 128  # as LostGAN-V2's discriminator of 128 pixels reads its large objects


def ours(batch: int = 8, channels: int = 256) -> Program:
    """`ganforge.models.lostgan.roi_align`: all boxes by two small matrices each."""
    from ganforge.models.lostgan.roi_align import roi_align

    return program(batch, channels, lambda features, boxes: roi_align(features, boxes, CELLS, SCALE))


def theirs(batch: int = 8, channels: int = 256) -> Program:
    """`torchvision.ops.roi_align`, with the same samples."""
    from torchvision.ops import roi_align

    return program(batch, channels, lambda features, boxes: roi_align(features, [*boxes], CELLS, SCALE, -1))


def program(batch: int, channels: int, align: Callable[[Tensor, Tensor], Tensor]) -> Program:
    """Cells of the boxes of `batch` images, and the gradient of the features."""
    side = round(SIDE * SCALE)
    features = torch.randn(batch, channels, side, side, requires_grad=True)
    boxes = torch.from_numpy(boxes_and_labels(batch, 2)[0]) * SIDE

    def play(steps: int) -> None:
        for _ in range(steps):
            torch.autograd.grad(align(features, boxes).sum(), features)

    return Program(play, batch)
