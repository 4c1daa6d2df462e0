"""The buffers of a game during a step in several micro-batches: running means, averaged latents, counters.

Batch norm sees the images of one micro-batch.  Whether one process runs all micro-batches in turn or each has
a process of its own, the running means must come out the same.

A module with `keeps_rows` is a memory, such as a pool of past images: row k of each of its buffers is one entry that a
micro-batch may replace, and its buffer `written` counts how often that happened.  Rows are never averaged: of the
micro-batches that wrote a row in a step, the last one's row is kept.

Buffers are changed in place: a tensor that takes the place of a buffer is unknown here, so its values would be lost.
"""

import torch
from torch import Tensor, nn

from ganforge import distributed
from ganforge.errors import ContractError
from ganforge.game import resting_ids


class Buffers:
    """The buffers of a game in one step: every micro-batch starts from the same values and has its own copy.

    After the step, floats are the mean over all micro-batches, other buffers (counters) those of the first;
    memories hold what any micro-batch has written.
    """

    def __init__(self, game: nn.Module, micro_batches: int) -> None:
        self.game = game
        self.homes: dict[Tensor, list[tuple[nn.Module, str]]] = {}  # where each buffer is registered
        self.resting = resting_ids(game)  # the buffers of parts, which do not change
        if micro_batches * distributed.world_size() > 1:
            for module in game.modules():
                for name, buffer in module.named_buffers(recurse=False):
                    if id(buffer) not in self.resting:
                        self.homes.setdefault(buffer, []).append((module, name))
        self.kept = {m: m.get_buffer("written").clone() for m in game.modules() if self.homes and keeps_rows(m)}
        # The first micro-batch uses the game's own buffers, all others use copies.
        self.sets = [[*self.homes], *([buffer.clone() for buffer in self.homes] for _ in range(micro_batches - 1))]
        self.active = self.sets[0]

    def activate(self, micro: int) -> None:
        """Register the buffers of a micro-batch in the game.

        Tensors are replaced, not copied into: graphs of earlier moves may still hold the others.
        """
        if len(self.sets) > 1 and self.active is not self.sets[micro]:
            self.check_in_place()
            self.active = self.sets[micro]
            for homes, tensor in zip(self.homes.values(), self.active, strict=True):
                for module, name in homes:
                    setattr(module, name, tensor)

    def check_in_place(self) -> None:
        """Raise ContractError, naming the buffer, where another tensor took the place of one of the active buffers."""
        for homes, tensor in zip(self.homes.values(), self.active, strict=True):
            for module, name in homes:
                if module._buffers.get(name) is not tensor:
                    raise ContractError(self.describe_replaced(module, name))

    @torch.no_grad()
    def merge(self) -> None:
        """Merge the buffers of all micro-batches and processes.

        Raises ContractError, naming the buffer, where one was replaced by another tensor or registered in the step.
        """
        if not self.homes and len(self.sets) * distributed.world_size() == 1:
            return
        self.check_in_place()
        known = {id(tensor) for tensor in self.active} | self.resting
        for module in self.game.modules():
            for name, buffer in module.named_buffers(recurse=False):
                if id(buffer) not in known:
                    raise ContractError(self.describe_replaced(module, name))
        for module, before in self.kept.items():
            self.merge_rows(module, before)
        self.activate(0)
        means = [i for i, homes in enumerate(self.homes.values()) if not any(keeps_rows(m) for m, _ in homes)]
        for dtype in dict.fromkeys(self.sets[0][i].dtype for i in means):
            sets = [[buffers[i] for i in means if buffers[i].dtype == dtype] for buffers in self.sets]
            rows = [torch.cat([buffer.flatten() for buffer in buffers]) for buffers in sets]
            row = (
                distributed.average(torch.stack(rows).mean(0))
                if dtype.is_floating_point
                else distributed.broadcast_integers(rows[0])
            )
            distributed.unflatten_into(sets[0], row)

    def describe_replaced(self, module: nn.Module, name: str) -> str:
        """The error about a buffer that is another tensor than at the start of the step."""
        path = next((path for path, found in self.game.named_modules() if found is module), "")
        return (
            f"{type(self.game).__name__} puts a new tensor in the place of its buffer {f'{path}.' * bool(path)}{name} "
            "during a step, and with several micro-batches or processes its value is lost: register it in __init__ and "
            f"change it in place, self.{name}.copy_(...)."
        )

    def merge_rows(self, module: nn.Module, before: Tensor) -> None:
        """Keep, in each row of a memory, what the last micro-batch wrote; `before`: `written` before the step."""
        own = [i for i, homes in enumerate(self.homes.values()) if module in dict(homes)]
        last = torch.zeros_like(before)  # the share that wrote each row last, from 1; 0: none
        for micro, buffers in enumerate(self.sets):
            self.activate(micro)
            wrote = module.get_buffer("written") != before
            last = torch.where(wrote, distributed.rank() * len(self.sets) + micro + 1, last)
            for i in own if micro else ():
                self.sets[0][i].copy_(torch.where(expand_like(wrote, buffers[i]), buffers[i], self.sets[0][i]))
        if distributed.world_size() > 1:
            winner = distributed.all_max(last)
            rows = winner.nonzero().flatten()
            mine = (last == winner)[rows]
            for i in own:
                part = self.sets[0][i][rows]
                part = torch.where(expand_like(mine, part), part, torch.zeros_like(part))
                distributed.all_reduce(part)
                self.sets[0][i][rows] = part


def keeps_rows(module: nn.Module) -> bool:
    """Whether a module is a memory."""
    return getattr(module, "keeps_rows", False)


def expand_like(rows: Tensor, buffer: Tensor) -> Tensor:
    """Reshape one value per row so that it broadcasts over `buffer`."""
    return rows.view(-1, *[1] * (buffer.dim() - 1))
