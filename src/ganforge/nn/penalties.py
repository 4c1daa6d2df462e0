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


def squared_slope(scores: Tensor, *images: Tensor) -> Tensor:
    """(N,): the squared norm of the gradient of each score (N,) with respect to its image (N, C, H, W), of all sizes.

    `images` need gradients, and `scores` were computed from them, or from some of them.  R1 of Mescheder et al.
    2018 is half its mean over real images, R2 over fakes, both times gamma.  https://arxiv.org/abs/1801.04406
    """
    slopes = torch.autograd.grad(scores.sum(), images, create_graph=True, allow_unused=True)
    return torch.stack([slope.float().square().flatten(1).sum(1) for slope in slopes if slope is not None]).sum(0)


def gradient_square(critic: Callable[..., Tensor], *points: Tensor) -> Tensor:
    """The mean over `points` (N, C, H, W), of one or several sizes, of |grad critic|^2, a scalar; always in fp32.

    Mescheder, Geiger and Nowozin 2018 (https://arxiv.org/abs/1801.04406), equation 9, without its weight.
    """
    with torch.autocast(points[0].device.type, enabled=False):
        leaves = [each.detach().float().requires_grad_() for each in points]
        return squared_slope(critic(*leaves), *leaves).mean()
