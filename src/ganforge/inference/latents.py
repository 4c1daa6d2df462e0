"""Paths between latents."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from ganforge.errors import OptionError
from ganforge.inference.given_images import whole_number

LAST = 99_999  # image of a seed that can be named: all latents before it are drawn as well


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


def number_ends(rows: int, steps: int, closed: bool, between: Sequence[int]) -> list[int]:
    """The numbers of the latents between which walks go, each to the next: those in `between`, else the first.

    There are `rows` walks, or one less than numbers in `between`; with `closed` one more goes from the last to the
    first.  Raises OptionError where there is no walk, for fewer than 2 steps, and for what is no number of an image.
    """
    numbers = [whole_number("A number of an image", k, 0, LAST) for k in between or range(rows + (not closed))]
    if len(numbers) < 1 + (not closed) or steps < 2:
        count = len(numbers) - (not closed)
        raise OptionError(f"{count} rows of {steps} steps are not possible: ask for at least 1 row and 2 steps.")
    return numbers


def mix_shares(steps: int, closed: bool) -> Tensor:
    """Shares (steps,) of a second sentence, from 0 to 1; with `closed` from 0 to 1 and back."""
    shares = torch.linspace(0, 1, steps)
    return 1 - (2 * shares - 1).abs() if closed else shares
