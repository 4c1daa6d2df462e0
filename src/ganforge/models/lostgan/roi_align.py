"""ROIAlign: features of boxes, as grids of one size.

He, Gkioxari, Dollar, Girshick 2017, section 3.  https://arxiv.org/abs/1703.06870

This is the first form of the operation: coordinates are not shifted by half a pixel, a box has sides of at least one
pixel of the features, and a cell is the mean of as many bilinear samples as it has pixels along each side.  It
equals `torchvision.ops.roi_align(..., sampling_ratio=-1, aligned=False)`.
"""

import torch
from torch import Tensor


def roi_align(features: Tensor, boxes: Tensor, cells: int, scale: float) -> Tensor:
    """Features (N, C, H, W) and boxes (N, M, 4) -> (N, M, C, cells, cells): every box of an image from its features.

    Boxes are x, y of two corners in pixels of the image; `scale` is the features' size relative to the image's.  No
    gradient reaches the boxes.

    Samples lie on a grid, and a bilinear weight is a product of one weight a side, so the mean of a cell's samples is
    `rows @ features @ columns.T` with two small matrices a box.
    """
    height, width = features.shape[2:]
    corners = boxes.detach() * scale
    rows = cell_weights(corners[..., 1], corners[..., 3], cells, height)
    columns = cell_weights(corners[..., 0], corners[..., 2], cells, width)
    return torch.einsum("nmph,nchw,nmqw->nmcpq", rows.to(features.dtype), features, columns.to(features.dtype))


def cell_weights(start: Tensor, end: Tensor, cells: int, side: int) -> Tensor:
    """The weight of each of `side` pixels in each cell along one side of the boxes: (N, M, cells, side).

    Samples more than a pixel outside count as 0; others outside take the value at the edge.
    """
    length = (end - start).clamp(min=1)[..., None, None]
    samples = (length / cells).ceil()
    cell = torch.arange(cells, device=start.device)[:, None]
    sample = torch.arange(int(samples.max()) if samples.numel() else 1, device=start.device)
    places = start[..., None, None] + cell * (length / cells) + (sample + 0.5) * (length / cells / samples)
    counts = ((sample < samples) & (places >= -1) & (places <= side)) / samples
    pixels = torch.arange(side, device=start.device)
    bilinear = (1 - (places.clamp(0, side - 1)[..., None] - pixels).abs()).clamp(min=0)
    return (counts[..., None] * bilinear).sum(-2)
