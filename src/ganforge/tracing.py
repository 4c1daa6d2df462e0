"""Trace the training steps of a model: which player moves, along which terms, and their values before training."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ganforge.batches import Batch, Facts, is_mask
from ganforge.draw import RoundDraw
from ganforge.game import Clock, Game, rest
from ganforge.run import Preset, Run

ROWS = 4  # images of a traced batch: few, even, and more than one for batch norm


@dataclass(frozen=True)
class Term:
    """One term of a move."""

    name: str
    """`player/term`, as it is logged."""
    descended: bool
    """Whether it has a gradient; else it is only logged."""
    value: float
    """With initial weights, on noise."""


@dataclass(frozen=True)
class Turn:
    """A move, and how often it is repeated in a row."""

    player: str
    steps: bool
    """Whether the optimiser steps; else the gradient is added to that of the player's next move."""
    terms: tuple[Term, ...]
    times: int = 1

    @property
    def form(self) -> tuple[object, ...]:
        """Equal for equal turns."""
        return self.player, self.steps, self.times, tuple((term.name, term.descended) for term in self.terms)


@dataclass(frozen=True)
class Round:
    """A kind of training step, and the first step of that kind."""

    step: int
    turns: tuple[Turn, ...]
    times: int = 1
    """How often the whole sequence of turns is repeated."""

    @property
    def form(self) -> tuple[object, ...]:
        """Equal for rounds of one kind."""
        return self.times, *(turn.form for turn in self.turns)


Parts = Callable[[Any, Facts], Mapping[str, Game[Any, Any]]]


def build_from_preset(
    kind: type[Game[Any, Any]], preset: Preset, config: Any = None, parts: Parts = lambda config, facts: {}
) -> Game[Any, Any]:
    """The game of a preset with initial weights, for example facts; `parts` makes what it is built on."""
    config = preset.config if config is None else config
    facts = facts_for(kind.choose_batches(config), config, preset.run)
    made = parts(config, facts)
    torch.manual_seed(0)
    return rest(kind(config, facts, **made), made)


def facts_for(batch_type: type[Batch], config: Any, run: Run) -> Facts:
    """Example facts that suit the preset: three classes or objects, the attributes that the Config names, regions."""
    columns, channels, size = {*batch_type.columns()}, run.channels or 3, run.size or (64,)
    conditional = "condition" in columns
    return Facts(
        channels=channels,
        height=size[0],
        width=size[-1],
        labels=("circle", "square", "star") if conditional else (),
        attributes=tuple(getattr(config, "attributes", ())) if conditional else (),
        source_channels=channels if "source" in columns else 0,
        instances=4 if any(map(is_mask, columns)) else 0,
        objects=("", "circle", "square", "star") if "boxes" in columns else (),
        most=4 if "boxes" in columns else 0,
        regions=("ground", "circle", "square", "star") if "label_map" in columns else (),
        instance_maps="instance_map" in batch_type.optional_columns(),
        vocabulary=32 if "tokens" in columns else 0,
        caption_length=16 if "tokens" in columns else 0,
        captions=1 if "tokens" in columns else 0,
    )


def find_rounds(game: Game[Any, Any], run: Run) -> tuple[Round, ...]:
    """The kinds of training steps in a run, each with the first step of that kind.

    Steps at the start, at the end and between are traced without updating weights; where two of them differ, the
    first differing step is found by bisection.
    """

    kinds: list[Round] = []
    former: Round | None = None
    for step in probe_steps(run.steps):
        latter = trace_round(game, clock_at(step, run))
        if former is not None and latter.form not in {kind.form for kind in kinds}:
            early, late = former, latter
            while late.step - early.step > 1:
                between = trace_round(game, clock_at((early.step + late.step) // 2, run))
                early, late = (early, between) if between.form == latter.form else (between, late)
            kinds.append(late)
        elif former is None:
            kinds.append(latter)
        former = latter
    return tuple(kinds)


def trace_round(game: Game[Any, Any], now: Clock) -> Round:
    """One step on noise: its turns, repeats merged.  The game's buffers are restored afterwards."""
    return Round(now.step, *find_period(tuple(merge_repeats(trace_turns(game, now)))))


def describe_round(kind: Round) -> list[str]:
    """A step as lines of text: which player moves, along which terms, and how often."""
    lines = []
    for turn in kind.turns:
        terms = [term.name.partition("/")[2] for term in turn.terms if term.descended]
        logged = [term.name.partition("/")[2] for term in turn.terms if not term.descended]
        times = f", {turn.times} times" if turn.times > 1 else ""
        also = f"   (logs {', '.join(logged)})" if logged else ""
        verb = "descends" if turn.steps else "holds"
        lines.append(f"{turn.player} {verb} {' + '.join(terms) or 'what it held'}{times}{also}")
    return [*lines, *([f"all of this {kind.times} times"] if kind.times > 1 else [])]


def probe_steps(steps: int) -> list[int]:
    """The steps to trace: the first two, some between, the last.  Odd ones, since extra work falls on even steps."""
    between = [steps * k // 4 | 1 for k in (1, 2, 3)]
    return sorted({step for step in (0, 1, *between, steps - 1) if 0 <= step < max(steps, 1)})


def clock_at(step: int, run: Run) -> Clock:
    """The clock of a run at that step."""
    return Clock(step, step * run.batch, 0, step / max(run.steps, 1), run.batch)


def trace_turns(game: Game[Any, Any], now: Clock) -> Iterator[Turn]:
    """The moves of one step on noise.  The game's buffers are restored afterwards."""
    before = {key: value.clone() for key, value in game.state_dict().items()}
    batches = iter(lambda: game.batch_type.example(ROWS, game.facts), None)
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


def merge_repeats(turns: Iterator[Turn]) -> Iterator[Turn]:
    """Merge equal turns in a row into one, with the values of the first."""
    last: Turn | None = None
    for turn in turns:
        if last is not None and (turn.player, turn.steps, term_names(turn)) == (
            last.player,
            last.steps,
            term_names(last),
        ):
            last = Turn(last.player, last.steps, last.terms, last.times + 1)
            continue
        if last is not None:
            yield last
        last = turn
    if last is not None:
        yield last


def find_period(turns: tuple[Turn, ...]) -> tuple[tuple[Turn, ...], int]:
    """The shortest sequence of turns that the others repeat, with its first values, and the number of repeats."""
    forms = [turn.form for turn in turns]
    for length in range(1, len(turns) // 2 + 1):
        times, rest = divmod(len(turns), length)
        if not rest and forms == forms[:length] * times:
            return turns[:length], times
    return turns, 1


def term_names(turn: Turn) -> tuple[str, ...]:
    """The names of a turn's terms."""
    return tuple(term.name for term in turn.terms)
