"""The training loop, shared by all models.

Each step runs the game's `play()` and carries out its moves.  Everything that is the same for every paper is
here, and nothing that differs between papers.

A batch is split into shares: one for every micro-batch of every process.  Every share runs `play()` on its
own rows, move by move in lockstep: all shares reach a move, their gradients are averaged, the player's
optimiser steps, all shares continue to the next move.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, NoReturn, Protocol

import torch
from torch import Tensor, nn

from ganforge import distributed
from ganforge.batches import Batch
from ganforge.draw import Draw, RoundDraw, mix
from ganforge.engine.augmentation import INTERVAL, Augmentation
from ganforge.engine.buffers import Buffers
from ganforge.engine.ema import averaged_tensors, averaged_twin
from ganforge.engine.loss_means import LossMeans, Row
from ganforge.engine.memory_layout import lay_out_like_parameters, prefer_speed
from ganforge.errors import CheckpointError, ContractError, NotFiniteError, OptionError
from ganforge.game import Clock, Game, Move, own_state, parameters_of, resting_ids
from ganforge.run import Run
from ganforge.runs.checkpoint import (
    Checkpoints,
    State,
    flatten_optimiser,
    load_weights,
    unflatten_optimiser,
)
from ganforge.runs.fitting import check_counts, check_finite, check_optimiser, find_not_finite
from ganforge.runs.full_disk import go_on_without_room

CLOCK_EVERY = INTERVAL
"""Steps between two looks at the clock for --save-minutes.  At these steps ADA has just used up what it sums over the
processes, so that a checkpoint more or less changes no bit of a run."""


class BatchLoader(Protocol):
    """Source of training batches: batch k of a run is always the same."""

    count: int
    """Images in an epoch."""

    def batch(self, number: int, share: int, shares: int) -> Batch:
        """This share's rows of batch `number`."""
        ...


class Callback:
    """Base class for callbacks.  They must not change the training state; they may only end the run.

    A run with callbacks equals one without, bit for bit.
    """

    def start(self, engine: "Engine") -> None:
        """Before the first step."""

    def after_step(self, engine: "Engine") -> None:
        """After every step."""

    def log(self, engine: "Engine", row: Row) -> None:
        """With the mean terms since the last log, every `log_every` steps."""

    def saved(self, engine: "Engine") -> None:
        """After a checkpoint was written."""

    def end(self, engine: "Engine") -> None:
        """After the last step, or when the run was stopped."""


class Engine:
    """Trains a game for the length of a run; `restore` continues from a checkpoint."""

    def __init__(
        self,
        game: Game[Any, Any],
        run: Run,
        loader: BatchLoader,
        checkpoints: Checkpoints | None = None,
        callbacks: Sequence[Callback] = (),
        device: torch.device | str = "cpu",
    ) -> None:
        self.run, self.loader, self.checkpoints, self.callbacks = run, loader, checkpoints, callbacks
        self.device = torch.device(device)
        self.shares = distributed.world_size() * run.accumulate
        if run.batch % self.shares:
            raise OptionError(
                f"A batch of {run.batch} cannot be split into {self.shares} equal micro-batches; try {self.shares}."
            )
        self.game = game.to(self.device)
        self.players = game.players()
        self.parameters = {name: parameters_of(optimiser) for name, optimiser in self.players.items()}
        self.rates = {name: [g["lr"] for g in o.param_groups] for name, o in self.players.items()}
        if run.fast:
            prefer_speed(self.game, self.players, self.device)
        check_parts_rest(game, self.parameters)
        self.half_life: float | Callable[[Clock], float] = game.ema if run.ema is None else run.ema
        self.averaged = averaged_twin(game) if self.half_life else game
        self.step = self.batches_drawn = 0
        self.saved_at = self.passing = -1  # the last checkpoint; one that --save-minutes made and the next replaces
        self.saved_time = time.monotonic()
        self.stopping = ""  # reason to stop after this step, and how to go on; a callback may set it
        self.means = LossMeans(self.device)
        self.augmentation = Augmentation(game, run, self.device)
        resting = resting_ids(game)
        distributed.broadcast_tensors(t for t in (*game.parameters(), *game.buffers()) if id(t) not in resting)

    # -- train ------------------------------------------------------------------------------

    def train(self) -> Game[Any, Any]:
        """Train to the end of the run, or until `stopping` is set; returns the averaged game."""
        self.notify("start")
        self.since, self.saved_time = time.perf_counter(), time.monotonic()
        while self.step < self.run.steps and not self.stop_or_save():
            self.train_step()
            self.update_averages()
            self.notify("after_step")
            if self.due(self.run.log_every):
                self.log()
            if self.due(self.run.save_every) or self.due(self.run.every):
                self.save()
        if self.means.any():
            self.log()
        if self.saved_at != self.step:
            self.save()
        self.notify("end")
        return self.averaged

    def stop_or_save(self) -> bool:
        """Whether to stop before the next step; where --save-minutes have passed, a checkpoint is written here.

        All processes do the same: any of them may stop the run, and the first one's clock decides about saving.
        """
        minutes = (time.monotonic() - self.saved_time) / 60
        due = 0 < self.run.save_minutes <= minutes and self.step > 0 and self.due(CLOCK_EVERY)
        stop, save = distributed.any_of_each(bool(self.stopping), due and distributed.rank() == 0)
        if save and not stop and self.saved_at != self.step:
            self.save(passing=True)
        return stop

    def train_step(self) -> None:
        """One step: all micro-batches run `play()`, move by move in lockstep."""
        now = self.clock()
        self.game.train()
        self.set_learning_rates(now)
        self.augmentation.set_probability(now)
        micro_batches = [MicroBatch(self, i, now) for i in range(self.run.accumulate)]
        self.buffers = Buffers(self.game, len(micro_batches))
        with self.augmentation:
            while moves := [move for micro in micro_batches if (move := micro.next_move()) is not None]:
                check_same_moves(moves, len(micro_batches))
                if moves[0].steps:
                    self.step_player(moves[0].player)
        self.buffers.merge()
        self.batches_drawn = micro_batches[0].batches_drawn
        self.step += 1
        self.augmentation.adapt(self.step)

    def step_player(self, player: str) -> None:
        """Average the gradients of `player`'s moves over the processes and take an optimiser step."""
        parameters = self.parameters[player]
        if all(p.grad is None for p in parameters):
            raise ContractError(f"The player {player!r} moves, but no term of its move reaches its parameters.")
        distributed.average_gradients(parameters)
        if self.run.clip:
            nn.utils.clip_grad_norm_(parameters, self.run.clip)
        self.players[player].step()
        self.players[player].zero_grad(set_to_none=True)
        # Fused optimisers do not tell autograd that weights changed: without this a graph made before
        # the step would be differentiated silently with the new weights.
        torch.autograd.graph.increment_version(parameters)
        with torch.no_grad():
            self.game.after(player)

    def make_draw(self, step: int, share: int) -> Draw:
        """The source of random numbers in step `step`, for one share of the batch."""
        return RoundDraw(self.run.seed, step, share, self.shares, self.device)

    def clock(self) -> Clock:
        """The state of the run before the next step."""
        seen = self.batches_drawn * self.run.batch
        epoch, progress = seen // max(1, self.loader.count), self.step / max(1, self.run.steps)
        return Clock(self.step, seen, epoch, progress, self.run.batch)

    def set_learning_rates(self, now: Clock) -> None:
        """Apply the run's schedule and warm-up, then the game's own (`tune`)."""
        scale = schedule(self.run.schedule, now.progress) * min(1.0, (now.step + 1) / (self.run.warmup + 1))
        for name, optimiser in self.players.items():
            for group, rate in zip(optimiser.param_groups, self.rates[name], strict=True):
                group["lr"] = rate * scale
        self.game.tune(self.players, now)

    @torch.no_grad()
    def update_averages(self) -> None:
        """Update the exponential moving averages: after `half_life` images a difference to the live weights halves."""
        if self.averaged is self.game:
            return
        half_life = self.half_life(self.clock()) if callable(self.half_life) else self.half_life
        if not 0 <= half_life < math.inf:
            raise ContractError(f"{type(self.game).__name__}.ema gave {half_life}: a half-life is 0 images or more.")
        if self.run.ema_rampup is not None:  # short at first, as in StyleGAN2
            half_life = min(half_life, self.run.ema_rampup * self.batches_drawn * self.run.batch)
        weight = 1 - 0.5 ** (self.run.batch / max(half_life, 1e-8))
        live, mean = averaged_tensors(self.game), averaged_tensors(self.averaged)
        floats = [i for i, tensor in enumerate(mean) if tensor.is_floating_point()]
        if floats:  # a game may average nothing
            torch._foreach_lerp_(  # pyright: ignore[reportPrivateImportUsage]
                [mean[i] for i in floats], [live[i] for i in floats], weight
            )
        for i in set(range(len(mean))) - set(floats):
            mean[i].copy_(live[i])

    # -- checkpoints ------------------------------------------------------------------------

    def save(self, passing: bool = False) -> None:
        """Write a checkpoint.  Raises NotFiniteError instead where a loss or a weight is not finite.

        A `passing` one, made by the clock, is deleted when the next is there, and is not one of the `keep` newest.
        """
        self.check_finite()
        if self.checkpoints:
            self.check_weights()
        self.augmentation.average_signs()
        if self.checkpoints and distributed.rank() == 0:
            self.checkpoints.save(self.step, self.state(), passing=passing, replaces=self.passing)
            self.notify("saved")
        self.saved_at, self.passing = self.step, self.step if passing else -1
        self.saved_time = time.monotonic()
        distributed.barrier()

    def state(self) -> State:
        """Everything that later steps depend on."""
        tensors: dict[str, dict[str, Tensor]] = {"game": own_state(self.game), "players": {}}
        if self.augmentation.adaptive:
            tensors["augmentation"] = self.augmentation.state()
        players = {}
        for name, optimiser in self.players.items():
            own, players[name] = flatten_optimiser(optimiser.state_dict(), name)
            tensors["players"] |= own
        if self.averaged is not self.game:
            tensors["averaged"] = {
                f"{name}.{key}": value
                for name in self.game.averaged
                for key, value in own_state(self.averaged, getattr(self.averaged, name)).items()
            }
        clock = {"step": self.step, "dealt": self.batches_drawn}
        return State(tensors, {"clock": clock, "players": players, "terms": self.means.has_gradient})

    def restore(self, state: State) -> None:
        """Continue from `state`.  Raises CheckpointError when it belongs to another game."""
        for group in ("game", "averaged"):
            check_finite(group, state.tensors.get(group, {}))
        load_weights(self.game, state, averaged=self.averaged)
        players = {}
        try:
            for name, optimiser in self.players.items():
                facts = state.facts["players"][name]
                players[name] = unflatten_optimiser(state.tensors["players"], facts, name)
                check_optimiser(name, optimiser, players[name])
            counts = check_counts(state.facts["clock"])
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise CheckpointError(f"The checkpoint's players are not those of this game ({error}).") from error
        self.augmentation.check(state.tensors.get("augmentation", {}))
        for name, optimiser in self.players.items():
            optimiser.load_state_dict(players[name])
            lay_out_like_parameters(optimiser)
        if self.run.fast:  # the file may come from a machine with other layouts
            prefer_speed(self.game, self.players, self.device)
        self.augmentation.restore(state.tensors.get("augmentation", {}))
        self.step, self.batches_drawn = counts
        self.saved_at, self.means, self.passing = self.step, LossMeans(self.device), -1
        self.means.has_gradient = dict(state.facts.get("terms", {}))

    # -- log --------------------------------------------------------------------------------

    def due(self, every: int) -> bool:
        """Whether this step is a multiple of `every`; never for 0."""
        return every > 0 and self.step % every == 0

    def log(self) -> None:
        """Pass the means since the last log to the callbacks."""
        self.check_finite()
        seconds, self.since = time.perf_counter() - self.since, time.perf_counter()
        row = {"step": self.step, "seen": self.batches_drawn * self.run.batch, "seconds": seconds, **self.means.take()}
        row |= self.augmentation.row()
        if distributed.rank() == 0:
            for callback in self.callbacks:
                with go_on_without_room():
                    callback.log(self, row)

    def check_finite(self) -> None:
        """Raise NotFiniteError if a term since the last check was NaN or infinite."""
        if (bad := self.means.first_bad()) is not None:
            self.raise_not_finite(f"{bad[1]} became NaN or infinite in step {bad[0]}")

    def check_weights(self) -> None:
        """Raise NotFiniteError if a weight is not finite, which the losses may not show yet."""
        when = f"became NaN or infinite by step {self.step - 1}" if self.step else "is NaN or infinite"
        if name := find_not_finite(own_state(self.game)):
            self.raise_not_finite(f"{name} {when}")
        for network in () if self.averaged is self.game else self.game.averaged:
            if name := find_not_finite(own_state(self.averaged, getattr(self.averaged, network))):
                self.raise_not_finite(f"The average of {network}.{name} {when}")

    def raise_not_finite(self, what: str) -> NoReturn:
        """Raise a NotFiniteError that names the last good checkpoint and the usual remedies."""
        whole = self.checkpoints.steps() if self.checkpoints else []
        last = f"The last good checkpoint is step {whole[-1]}" if whole else "There is no checkpoint yet"
        raise NotFiniteError(
            f"{what}. {last}. A lower learning rate (--config.lr), --clip 1 or --precision fp32 usually helps."
        )

    def notify(self, event: str) -> None:
        """Call every callback's method of that name, in the first process only."""
        if distributed.rank() == 0:
            for callback in self.callbacks:
                with nullcontext() if event == "start" else go_on_without_room():
                    getattr(callback, event)(self)


class MicroBatch:
    """One micro-batch of one process in one step: its rows, its random numbers, and its running `play()`."""

    def __init__(self, engine: Engine, micro: int, now: Clock) -> None:
        self.engine, self.micro, self.now, self.moves = engine, micro, now, 0
        self.batches_drawn = engine.batches_drawn
        self.share = distributed.rank() * engine.run.accumulate + micro
        self.draw = engine.make_draw(now.step, self.share)
        self.turn = engine.augmentation.new_turn(now.step, self.share, engine.shares)
        self.play = engine.game.play(self.batches(), now)

    def batches(self) -> Iterator[Batch]:
        """The rows of this share, from one batch after another."""
        while True:
            batch = self.engine.loader.batch(self.batches_drawn, self.share, self.engine.shares)
            self.batches_drawn += 1
            yield batch.to(self.engine.device)

    def next_move(self) -> Move | None:
        """Run `play()` to its next move and accumulate the gradient; None when `play()` has ended."""
        engine, run = self.engine, self.engine.run
        engine.game.draw, engine.augmentation.turn = self.draw, self.turn
        engine.buffers.activate(self.micro)
        torch.manual_seed(mix(run.seed, self.now.step, self.share, self.moves))  # used by dropout alone
        with torch.autocast(engine.device.type, torch.bfloat16, run.precision == "bf16"):
            move = next(self.play, None)
        if not torch.is_grad_enabled():
            torch.set_grad_enabled(True)
            raise ContractError(f"{type(engine.game).__name__}.play() yields inside no_grad(): close the block first.")
        if move is None:
            return None
        self.moves += 1
        if move.player not in engine.players:
            raise ContractError(f"There is no player {move.player!r}; the players are {', '.join(engine.players)}.")
        if move.terms:
            terms = torch.stack([term.float() for term in move.terms.values()])
            engine.means.add(self.now.step, move, terms.detach())
            engine.augmentation.update(move.terms.get("says_real"))
            if terms.requires_grad:
                (terms.sum() / run.accumulate).backward(inputs=engine.parameters[move.player])
        return move


def check_parts_rest(game: Game[Any, Any], parameters: Mapping[str, Sequence[Tensor]]) -> None:
    """Raise ContractError where a player would train the weights of a part."""
    resting = resting_ids(game)
    for player, own in parameters.items():
        if any(id(p) in resting for p in own):
            raise ContractError(
                f"The player {player!r} of {type(game).__name__} trains weights of a part, and a part rests: train a "
                "copy, copy.deepcopy(part.network).requires_grad_(True)."
            )


def check_same_moves(moves: Sequence[Move], micro_batches: int) -> None:
    """Raise ContractError unless all micro-batches made the same move."""
    kinds = {(m.player, m.steps, tuple(m.terms)) for m in moves}
    if len(kinds) > 1 or len(moves) != micro_batches:
        raise ContractError(
            f"Micro-batches of one step made different moves ({', '.join(sorted(str(k[0]) for k in kinds))}): "
            "the sequence of moves may depend on the clock, never on the data."
        )


def schedule(name: str, progress: float) -> float:
    """Factor of the learning rate at `progress` in [0, 1): constant, linear or cosine."""
    if name == "linear":  # constant for the first half, as pix2pix and CycleGAN do
        return min(1.0, 2 - 2 * progress)
    if name == "cosine":
        return 0.5 + 0.5 * math.cos(math.pi * progress)
    return 1.0
