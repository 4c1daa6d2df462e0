"""Running means of all logged terms, kept on the device."""

import torch
from torch import Tensor

from ganforge import distributed
from ganforge.game import Move

Row = dict[str, float]  # a row of the log: step, seen, seconds, player/term ...
BITS = 16  # terms whose finiteness one code holds; a move with more is counted as several


class LossMeans:
    """Running means of all terms, kept on the device until they are read, so that training never waits for them."""

    def __init__(self, device: torch.device) -> None:
        self.kinds: list[tuple[str, ...]] = []  # the kinds of moves so far, as the names of their terms
        self.bits: list[Tensor] = []  # for every kind: 1, 2, 4, ... one bit per term
        self.sums: list[Tensor] = []
        self.counts: list[int] = []
        self.bad = torch.tensor(-1, device=device)  # (step, kind, bits) of the first move that is not finite
        self.has_gradient: dict[str, bool] = {}  # {player/term: whether it ever had a gradient}

    @property
    def logged_only(self) -> set[str]:
        """The terms that no player descends: they never had a gradient."""
        return {name for name, descended in self.has_gradient.items() if not descended}

    def add(self, step: int, move: Move, terms: Tensor) -> None:
        """Add a move's terms, and record the first that is not finite."""
        names = tuple(f"{move.player}/{term}" for term in move.terms)
        for name, term in zip(names, move.terms.values(), strict=True):
            self.has_gradient[name] = term.requires_grad or self.has_gradient.get(name, False)
        for first in range(0, len(names), BITS):
            self.add_kind(step, names[first : first + BITS], terms[first : first + BITS])

    def add_kind(self, step: int, names: tuple[str, ...], terms: Tensor) -> None:
        """Add at most BITS terms of a move."""
        if names not in self.kinds:
            self.kinds.append(names)
            self.bits.append(2 ** torch.arange(len(names), device=terms.device))
            self.sums.append(torch.zeros_like(terms))
            self.counts.append(0)
        kind = self.kinds.index(names)
        self.sums[kind] += terms
        self.counts[kind] += 1
        broken = ((terms * 0 != 0) * self.bits[kind]).sum()  # only NaN and infinity survive the zero
        self.bad = torch.where((self.bad < 0) & (broken > 0), (step << 32 | kind << BITS) + broken, self.bad)

    def first_bad(self) -> tuple[int, str] | None:
        """(step, terms) of the first move, in any process, with a term that was not finite."""
        never = 2**62
        code = -int(distributed.all_max(torch.where(self.bad < 0, -never, -self.bad)))
        if code == never:
            return None
        names = self.kinds[code >> BITS & 0xFFFF]
        return code >> 32, " and ".join(name for i, name in enumerate(names) if code >> i & 1)

    def any(self) -> bool:
        """Whether there is something to report."""
        return any(self.counts)

    def take(self) -> Row:
        """Means over micro-batches, steps and processes since the last call; resets them."""
        row: Row = {}
        for kind, names in enumerate(self.kinds):
            if self.counts[kind]:
                row |= dict(zip(names, distributed.average(self.sums[kind] / self.counts[kind]).tolist(), strict=True))
                self.sums[kind].zero_()
                self.counts[kind] = 0
        return row
