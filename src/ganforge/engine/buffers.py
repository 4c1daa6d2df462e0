"""The buffers of a game while the shares of a batch play a round: running means, averaged latents, counters.

A share's batch norm sees the share's pictures alone.  Whether one process plays all shares in turn or each
has a process of its own, the running means must come out the same.

A module that says `keeps_rows` is a memory, such as a pool of past pictures: row k of each of its buffers is one thing
that a share may replace, and its buffer `written` counts how often that happened.  Rows are never averaged: of the
shares that wrote a row in a round the last one's stays.
"""

import torch
from torch import Tensor, nn

from ganforge import distributed


class Buffers:
    """The buffers of a game in one round: each share starts from the same and has its own.

    After the round the floats among them are their mean over all shares, the others (counters) the first share's;
    memories hold what any share has written.
    """

    def __init__(self, game: nn.Module, hands: int) -> None:
        self.homes: dict[Tensor, list[tuple[nn.Module, str]]] = {}  # where each buffer is registered
        if hands * distributed.world() > 1:
            for module in game.modules():
                for name, buffer in module.named_buffers(recurse=False):
                    self.homes.setdefault(buffer, []).append((module, name))
        self.kept = {m: m.get_buffer("written").clone() for m in game.modules() if self.homes and keeps_rows(m)}
        # The first hand plays on the game's own buffers, every other on copies.
        self.sets = [[*self.homes], *([buffer.clone() for buffer in self.homes] for _ in range(hands - 1))]

    def activate(self, hand: int) -> None:
        """Let a hand play on its buffers.

        They take the place of others without a copy: graphs of earlier moves may still hold those.
        """
        if len(self.sets) > 1:
            for homes, tensor in zip(self.homes.values(), self.sets[hand], strict=True):
                for module, name in homes:
                    setattr(module, name, tensor)

    @torch.no_grad()
    def merge(self) -> None:
        """Make the buffers of all shares one."""
        for module, before in self.kept.items():
            self.unite_rows(module, before)
        self.activate(0)
        means = [i for i, homes in enumerate(self.homes.values()) if not any(keeps_rows(m) for m, _ in homes)]
        for dtype in dict.fromkeys(self.sets[0][i].dtype for i in means):
            sets = [[buffers[i] for i in means if buffers[i].dtype == dtype] for buffers in self.sets]
            rows = [torch.cat([buffer.flatten() for buffer in buffers]) for buffers in sets]
            row = (
                distributed.average(torch.stack(rows).mean(0))
                if dtype.is_floating_point
                else distributed.the_first(rows[0])
            )
            distributed.put_back(sets[0], row)

    def unite_rows(self, module: nn.Module, before: Tensor) -> None:
        """Make a memory hold, in each row, what the last share that wrote it wrote; `before`: `written` at first."""
        own = [i for i, homes in enumerate(self.homes.values()) if module in dict(homes)]
        last = torch.zeros_like(before)  # the number of the share that wrote each row last, from 1; 0: none
        for hand, buffers in enumerate(self.sets):
            self.activate(hand)
            wrote = module.get_buffer("written") != before
            last = torch.where(wrote, distributed.rank() * len(self.sets) + hand + 1, last)
            for i in own if hand else ():
                self.sets[0][i].copy_(torch.where(like(wrote, buffers[i]), buffers[i], self.sets[0][i]))
        if distributed.world() > 1:
            winner = distributed.largest(last)
            rows = winner.nonzero().flatten()
            mine = (last == winner)[rows]
            for i in own:
                part = self.sets[0][i][rows]
                part = torch.where(like(mine, part), part, torch.zeros_like(part))
                distributed.add_up(part)
                self.sets[0][i][rows] = part


def keeps_rows(module: nn.Module) -> bool:
    """Whether a module is a memory."""
    return getattr(module, "keeps_rows", False)


def like(rows: Tensor, buffer: Tensor) -> Tensor:
    """One value a row, in a shape that spreads over the rows of `buffer`."""
    return rows.view(-1, *[1] * (buffer.dim() - 1))
