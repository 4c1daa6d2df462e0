"""Paths between latents."""

from typing import Literal

import torch
from torch import Tensor


def interpolate_latents(start: Tensor, end: Tensor, steps: int, path: Literal["spherical", "linear"]) -> Tensor:
    """Interpolate (N, K) and (N, K) -> (N, steps, K), ends included.

    A straight line between two Gaussian vectors passes through points that are much shorter than any latent; the arc
    keeps their length (Shoemake 1985; White 2016, section 2).
    """
    t = torch.linspace(0, 1, steps, device=start.device)[None, :, None]
    a, b = start[:, None], end[:, None]
    line = a + (b - a) * t
    if path == "linear":
        return line
    cosine = (a * b).sum(-1, keepdim=True) / (a.norm(dim=-1, keepdim=True) * b.norm(dim=-1, keepdim=True))
    angle = cosine.clamp(-1, 1).acos()
    arc = (((1 - t) * angle).sin() * a + (t * angle).sin() * b) / angle.sin()
    return torch.where(angle.sin() < 1e-4, line, arc)  # where the arc is a line, or undefined


def mix_shares(steps: int, closed: bool) -> Tensor:
    """Shares (steps,) of a second sentence, from 0 to 1; with `closed` from 0 to 1 and back."""
    shares = torch.linspace(0, 1, steps)
    return 1 - (2 * shares - 1).abs() if closed else shares
