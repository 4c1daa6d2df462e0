"""Gradient penalties."""

from collections.abc import Callable

import torch
from torch import Tensor


def slope_penalty(critic: Callable[[Tensor], Tensor], points: Tensor) -> Tensor:
    """The mean over `points` (N, C, H, W) of (|grad critic| - 1)^2, a scalar; always in fp32.

    Where a point has several scores, the gradient of their sum.  Gulrajani et al. 2017, algorithm 1, line 7.
    """
    with torch.autocast(points.device.type, enabled=False):
        points = points.detach().float().requires_grad_()
        (slope,) = torch.autograd.grad(critic(points).sum(), points, create_graph=True)
        return (slope.flatten(1).norm(dim=1) - 1).square().mean()
