"""The buffers of a game while the shares of a batch play a round: running means, averaged latents, counters.

A share's batch norm sees the share's pictures alone.  Whether one process plays all shares in turn or each
has a process of its own, the running means must come out the same.
"""

import torch
from torch import Tensor, nn

from ganforge import parallel


class Buffers:
    """The buffers of a game in one round: each share starts from the same and has its own.

    After the round the floats among them are their mean over all shares, the others (counters) the first share's.
    """

    def __init__(self, game: nn.Module, hands: int) -> None:
        self.homes: dict[Tensor, list[tuple[nn.Module, str]]] = {}  # where each buffer is registered
        if hands * parallel.world() > 1:
            for module in game.modules():
                for name, buffer in module.named_buffers(recurse=False):
                    self.homes.setdefault(buffer, []).append((module, name))
        # The first hand plays on the game's own buffers, every other on copies.
        self.sets = [[*self.homes], *([buffer.clone() for buffer in self.homes] for _ in range(hands - 1))]

    def use(self, hand: int) -> None:
        """Let a hand play on its buffers.

        They take the place of others without a copy: graphs of earlier moves may still hold those.
        """
        if len(self.sets) > 1:
            for homes, tensor in zip(self.homes.values(), self.sets[hand], strict=True):
                for module, name in homes:
                    setattr(module, name, tensor)

    @torch.no_grad()
    def unite(self) -> None:
        """Make the buffers of all shares one."""
        self.use(0)
        for dtype in dict.fromkeys(buffer.dtype for buffer in self.homes):
            sets = [[buffer for buffer in buffers if buffer.dtype == dtype] for buffers in self.sets]
            rows = [torch.cat([buffer.flatten() for buffer in buffers]) for buffers in sets]
            row = (
                parallel.average(torch.stack(rows).mean(0)) if dtype.is_floating_point else parallel.the_first(rows[0])
            )
            parallel.put_back(sets[0], row)
