"""A pool of past images (Shrivastava et al. 2017, section 2.3; Zhu et al. 2017, section 4)."""

import torch
from torch import Tensor, nn

from ganforge.nn.diffaug import Chance


class ImagePool(nn.Module):
    """images (N, C, H, W) -> as many, without gradients: each the given one or, with probability 1/2, a past one.

    Until the pool is full every image is stored and returned.  From then on an image is either returned as it is, or
    swapped with a random one of the pool.  `size` 0 returns all as they are.  Rows of another shape, such as codes, are
    kept alike.
    """

    keeps_rows = True
    """Micro-batches do not average this module's buffers (engine/buffers.py)."""
    images: Tensor
    written: Tensor

    def __init__(self, size: int, image_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("images", torch.zeros(size, *image_shape))
        self.register_buffer("written", torch.zeros(size, dtype=torch.int64))  # how often each entry was written

    @torch.no_grad()
    def forward(self, fakes: Tensor, chance: Chance) -> Tensor:
        """Draws the same numbers from `chance` whether the pool is full or not.  Never synchronises with the device."""
        if not self.size:
            return fakes.detach()
        n = len(fakes)
        swap, slot = chance.uniform(n) > 0.5, (chance.uniform(n) * self.size).long().clamp(max=self.size - 1)
        results = []
        for fake, swapped, there in zip(fakes.to(self.images.dtype), swap, slot, strict=True):
            filled = (self.written > 0).sum()  # slots are filled in order
            filling = filled < self.size
            here = torch.where(filling, filled, there)[None]
            old = self.images.index_select(0, here)[0]
            taken = ~filling & swapped
            results.append(torch.where(taken, old, fake))
            self.images.index_copy_(0, here, torch.where(filling | taken, fake, old)[None])
            self.written.index_add_(0, here, (filling | taken).long()[None])
        return torch.stack(results)
