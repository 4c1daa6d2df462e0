"""A pool of past pictures (Shrivastava et al. 2017, section 2.3; Zhu et al. 2017, section 4)."""

import torch
from torch import Tensor, nn

from ganforge.nn.diffaug import Chance


class ImagePool(nn.Module):
    """pictures (N, C, H, W) -> as many, without gradients: each the one given or, half the time, one from the past.

    Until the pool is full every picture is stored and returned.  From then on a picture is returned as it is, or
    changes places with a random one of the pool.  `size` 0 returns all as they are.
    """

    keeps_rows = True
    """Shares of a batch do not average this module's buffers (engine/buffers.py)."""
    images: Tensor
    written: Tensor

    def __init__(self, size: int, picture: tuple[int, int, int]) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("images", torch.zeros(size, *picture))
        self.register_buffer("written", torch.zeros(size, dtype=torch.int64))  # how often each place was

    @torch.no_grad()
    def forward(self, fakes: Tensor, chance: Chance) -> Tensor:
        """`chance` is drawn from alike whether the pool is full or not.  Nothing here waits for the device."""
        if not self.size:
            return fakes.detach()
        n = len(fakes)
        swap, place = chance.uniform(n) > 0.5, (chance.uniform(n) * self.size).long().clamp(max=self.size - 1)
        seen = []
        for fake, wanted, there in zip(fakes.to(self.images.dtype), swap, place, strict=True):
            filled = (self.written > 0).sum()  # places are filled in order
            filling = filled < self.size
            here = torch.where(filling, filled, there)[None]
            old = self.images.index_select(0, here)[0]
            taken = ~filling & wanted
            seen.append(torch.where(taken, old, fake))
            self.images.index_copy_(0, here, torch.where(filling | taken, fake, old)[None])
            self.written.index_add_(0, here, (filling | taken).long()[None])
        return torch.stack(seen)
