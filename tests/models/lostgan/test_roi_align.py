"""ROIAlign equals its definition written as loops, the recorded values of LostGANs, and torchvision's."""

import math

import pytest
import torch
from torch import Tensor

from ganforge.models.lostgan.roi_align import roi_align
from tests.support import goldens


def by_loops(features: Tensor, box: Tensor, cells: int, scale: float) -> Tensor:
    """(C, cells, cells) of one box: the mean over the samples of each cell, one after the other."""
    height, width = features.shape[1:]
    x0, y0, x1, y1 = (box * scale).tolist()
    wide, high = max(x1 - x0, 1), max(y1 - y0, 1)
    down, across = math.ceil(high / cells), math.ceil(wide / cells)
    result = torch.zeros(len(features), cells, cells)
    for p in range(cells):
        for q in range(cells):
            for i in range(down):
                for j in range(across):
                    y = y0 + p * high / cells + (i + 0.5) * high / cells / down
                    x = x0 + q * wide / cells + (j + 0.5) * wide / cells / across
                    if -1 <= y <= height and -1 <= x <= width:
                        result[:, p, q] += sample(features, y, x) / (down * across)
    return result


def sample(features: Tensor, y: float, x: float) -> Tensor:
    """The bilinear value (C,) at a place, which is moved to the edge."""
    y, x = (min(max(place, 0.0), side - 1) for place, side in ((y, features.shape[1]), (x, features.shape[2])))
    top, left = int(y), int(x)
    down, right = min(top + 1, features.shape[1] - 1), min(left + 1, features.shape[2] - 1)
    above = features[:, top, left] * (left + 1 - x) + features[:, top, right] * (x - left)
    below = features[:, down, left] * (left + 1 - x) + features[:, down, right] * (x - left)
    return above * (top + 1 - y) + below * (y - top)


def scene(n: int, objects: int, channels: int, side: int, image: int) -> tuple[Tensor, Tensor]:
    """Features (n, channels, side, side) and boxes (n, objects, 4) inside an image of `image` pixels."""
    source = torch.Generator().manual_seed(0)
    ends = torch.rand(n, objects, 2, 2, generator=source).sort(2).values * image
    return torch.randn(n, channels, side, side, generator=source), ends.flatten(2)


@pytest.mark.parametrize("cells", [1, 3, 8])
def test_it_is_the_mean_of_bilinear_samples(cells: int):
    features, boxes = scene(2, 5, 3, 9, 36)
    boxes[0, 0] = torch.tensor([10.0, 10.0, 10.5, 30.0])  # thinner than a pixel of the features
    boxes[0, 1] = torch.tensor([-20.0, -3.0, 20.0, 50.0])  # samples outside count as 0
    boxes[1, 0] = torch.tensor([0.0, 0.0, 36.0, 36.0])
    found = roi_align(features, boxes, cells, 0.25)
    expected = [[by_loops(image, box, cells, 0.25) for box in own] for image, own in zip(features, boxes, strict=True)]
    torch.testing.assert_close(found, torch.stack([torch.stack(row) for row in expected]), rtol=0, atol=5e-6)


def test_gradients_reach_the_features_and_not_the_boxes():
    features, boxes = scene(1, 2, 2, 6, 12)
    features.requires_grad_()
    boxes.requires_grad_()
    roi_align(features, boxes, 2, 0.5).sum().backward()
    assert features.grad is not None
    torch.testing.assert_close(features.grad.sum(), torch.tensor(2 * 2 * 4.0))  # every cell's weights sum to 1
    assert boxes.grad is None


def test_no_boxes_are_no_cells():
    assert roi_align(torch.zeros(2, 3, 4, 4), torch.zeros(2, 0, 4), 8, 1.0).shape == (2, 0, 3, 8, 8)


@goldens.needed
@pytest.mark.parametrize(("name", "scale"), [("half", 1 / 2), ("quarter", 1 / 4), ("eighth", 1 / 8)])
def test_the_authors_values(name: str, scale: float):
    table = goldens.table("lostgans", "LOSSES_lostgans")
    images, boxes = table.inputs["rois"][:, 0].long(), table.inputs["rois"][:, 1:]
    found = roi_align(table.inputs["feat"][images], boxes[:, None], 8, scale)[:, 0]
    torch.testing.assert_close(found, table.values[f"roi.{name}"], **table.tolerance)


def torchvision_boxes(boxes: Tensor) -> Tensor:
    """(N * M, 5): the image of each box, then its corners."""
    images = torch.arange(len(boxes)).repeat_interleave(boxes.shape[1])
    return torch.cat([images[:, None], boxes.flatten(0, 1)], 1)


def torchvision_roi_align(features: Tensor, boxes: Tensor, scale: float) -> Tensor:
    ops = pytest.importorskip("torchvision.ops", exc_type=ImportError)
    return ops.roi_align(features, torchvision_boxes(boxes), (8, 8), scale, -1, False)


@pytest.mark.parametrize("scale", [1 / 2, 1 / 8])
def test_torchvision_agrees(scale: float):
    features, boxes = scene(3, 6, 4, 32, 64)
    found = roi_align(features, boxes, 8, scale).flatten(0, 1)
    torch.testing.assert_close(found, torchvision_roi_align(features, boxes, scale), rtol=0, atol=2e-6)
