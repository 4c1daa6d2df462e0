"""A model's rounds as it plays them: who moves, along which terms, and what those are worth before anybody learned."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from ganforge.batches import MASKS, Batch, Facts
from ganforge.draw import RoundDraw
from ganforge.game import Clock, Game
from ganforge.run import Preset, Run

ROWS = 4  # pictures of a traced batch: few, even, and more than one for the norms


@dataclass(frozen=True)
class Term:
    """One term of a move."""

    name: str
    """`player/term`, as it is logged."""
    descended: bool
    """It has a gradient; else it is a mere report."""
    value: float
    """With first weights, on noise."""


@dataclass(frozen=True)
class Turn:
    """A move, and how often it is made in a row."""

    player: str
    steps: bool
    """The player steps; else its gradient waits for its next move."""
    terms: tuple[Term, ...]
    times: int = 1

    @property
    def form(self) -> tuple[object, ...]:
        """What makes two turns the same."""
        return self.player, self.steps, self.times, tuple((term.name, term.descended) for term in self.terms)


@dataclass(frozen=True)
class Round:
    """A kind of round, and the step at which it first comes."""

    step: int
    turns: tuple[Turn, ...]
    times: int = 1
    """How often all of its turns are made, one after the other."""

    @property
    def form(self) -> tuple[object, ...]:
        """What makes two rounds of one kind."""
        return self.times, *(turn.form for turn in self.turns)


def built(kind: type[Game[Any, Any]], preset: Preset, config: Any = None) -> Game[Any, Any]:
    """The game of a preset with its first weights, on data as the program draws it."""
    config = preset.config if config is None else config
    torch.manual_seed(0)
    return kind(config, facts_for(kind.batch_type, config, preset.run))


def facts_for(batch_type: type[Batch], config: Any, run: Run) -> Facts:
    """What data that suits the preset would decide: three classes, or the attributes that the Config names."""
    columns, channels, size = {*batch_type.columns()}, run.channels or 3, run.size or (64,)
    conditional = "condition" in columns
    return Facts(
        channels=channels,
        height=size[0],
        width=size[-1],
        labels=("circle", "square", "star") if conditional else (),
        attributes=tuple(getattr(config, "attributes", ())) if conditional else (),
        source_channels=channels if "source" in columns else 0,
        instances=4 if columns & MASKS else 0,
    )


def rounds(game: Game[Any, Any], run: Run) -> tuple[Round, ...]:
    """The kinds of rounds in a run, each with the step at which it first comes.

    Rounds are played at its start, at its end and between, without anybody taking a step; where two of them differ, the
    step at which they begin to is looked for.
    """

    def at(step: int) -> Round:
        return Round(step, *period(tuple(merged(played(game, clock(step, run))))))

    found: list[Round] = []
    former: Round | None = None
    for step in moments(run.steps):
        latter = at(step)
        if former is not None and latter.form not in {kind.form for kind in found}:
            early, late = former, latter
            while late.step - early.step > 1:
                between = at((early.step + late.step) // 2)
                early, late = (early, between) if between.form == latter.form else (between, late)
            found.append(late)
        elif former is None:
            found.append(latter)
        former = latter
    return tuple(found)


def moments(steps: int) -> list[int]:
    """Steps at which to look: the first two, some between, the last.  Odd ones, since extra work falls on even."""
    between = [steps * k // 4 | 1 for k in (1, 2, 3)]
    return sorted({step for step in (0, 1, *between, steps - 1) if 0 <= step < max(steps, 1)})


def clock(step: int, run: Run) -> Clock:
    """The clock of a run at that step."""
    return Clock(step, step * run.batch, 0, step / max(run.steps, 1))


def played(game: Game[Any, Any], now: Clock) -> Iterator[Turn]:
    """One round on noise; running statistics and drawn numbers are as before afterwards."""
    before = {key: value.clone() for key, value in game.state_dict().items()}
    batches = iter(lambda: type(game).batch_type.example(ROWS, game.facts), None)
    game.draw = RoundDraw(0, now.step, 0, 1, "cpu")
    game.train()
    torch.manual_seed(0)
    try:
        for move in game.play(batches, now):
            terms = (
                Term(f"{move.player}/{name}", term.requires_grad, float(term.detach()))
                for name, term in move.terms.items()
            )
            yield Turn(move.player, move.steps, tuple(terms))
    finally:
        game.load_state_dict(before)


def merged(turns: Iterator[Turn]) -> Iterator[Turn]:
    """Equal turns in a row as one, with the values of the first."""
    last: Turn | None = None
    for turn in turns:
        if last is not None and (turn.player, turn.steps, named(turn)) == (last.player, last.steps, named(last)):
            last = Turn(last.player, last.steps, last.terms, last.times + 1)
            continue
        if last is not None:
            yield last
        last = turn
    if last is not None:
        yield last


def period(turns: tuple[Turn, ...]) -> tuple[tuple[Turn, ...], int]:
    """The turns that all others repeat, with the values of the first, and how often they come."""
    forms = [turn.form for turn in turns]
    for length in range(1, len(turns) // 2 + 1):
        times, rest = divmod(len(turns), length)
        if not rest and forms == forms[:length] * times:
            return turns[:length], times
    return turns, 1


def named(turn: Turn) -> tuple[str, ...]:
    """The names of a turn's terms."""
    return tuple(term.name for term in turn.terms)


def trace(game: Game[Any, Any], rows: int = 4) -> list[str]:
    """One round of the game on random data, as lines: who moves, and along which terms.

    The networks' running statistics are put back afterwards.
    """
    before = {key: value.clone() for key, value in game.state_dict().items()}
    batches = iter(lambda: type(game).batch_type.example(rows, game.facts), None)
    game.draw = RoundDraw(0, 0, 0, 1, "cpu")
    game.train()
    lines = []
    for move in game.play(batches, Clock()):
        terms = [name for name, term in move.terms.items() if term.requires_grad]
        logged = [name for name in move.terms if name not in terms]
        also = f"   (logs {', '.join(logged)})" if logged else ""
        lines.append(
            f"{move.player} {'descends' if move.steps else 'holds'} {' + '.join(terms) or 'what it held'}{also}"
        )
    game.load_state_dict(before)
    return lines
