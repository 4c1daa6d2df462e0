"""The one training loop.

Each round asks the game for its moves and carries them out.  Everything that is the same for
every paper lives here, and nothing that differs between papers.

A round's batch is cut into shares: one for every micro-batch of every process.  Each share plays
the round for itself, all of them in step: they come to a move, their gradients are averaged, the
player steps, they go on to the next move.
"""

import math
import time
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn, Protocol

import torch
from torch import Tensor, nn

from ganforge import distributed
from ganforge.batches import Batch
from ganforge.draw import Draw, RoundDraw, mix
from ganforge.engine.augmentation import Augmentation
from ganforge.engine.buffers import Buffers
from ganforge.engine.ema import averaged_tensors, averaged_twin
from ganforge.engine.loss_means import LossMeans, Row
from ganforge.engine.memory_layout import lay_out_like_parameters, prefer_speed
from ganforge.errors import CheckpointError, ContractError, NotFiniteError, OptionError
from ganforge.game import Clock, Game, Move, parameters_of
from ganforge.run import Run
from ganforge.runs.checkpoint import Checkpoints, State, flatten_optimiser, load_weights, unflatten_optimiser


class BatchLoader(Protocol):
    """Where batches come from: batch number k of a run is always the same."""

    count: int
    """Images in an epoch."""

    def batch(self, number: int, share: int, shares: int) -> Batch:
        """This share's rows of batch `number`."""
        ...


class Callback:
    """Somebody who looks on.  Watchers change nothing but the end: a run with them equals one without, bit for bit."""

    def start(self, engine: "Engine") -> None:
        """Before the first round."""

    def round(self, engine: "Engine") -> None:
        """After every round."""

    def log(self, engine: "Engine", row: Row) -> None:
        """When the means since the last log are known."""

    def saved(self, engine: "Engine") -> None:
        """After a checkpoint was written."""

    def end(self, engine: "Engine") -> None:
        """After the last round, or when the run was stopped."""


class Engine:
    """Plays a game until the run is over; goes on where its last checkpoint stands."""

    def __init__(
        self,
        game: Game[Any, Any],
        run: Run,
        deck: BatchLoader,
        checkpoints: Checkpoints | None = None,
        watchers: Sequence[Callback] = (),
        device: torch.device | str = "cpu",
    ) -> None:
        self.run, self.deck, self.checkpoints, self.watchers = run, deck, checkpoints, watchers
        self.device = torch.device(device)
        self.shares = distributed.world() * run.accumulate
        if run.batch % self.shares:
            raise OptionError(
                f"A batch of {run.batch} cannot be cut into {self.shares} equal shares; try {self.shares}."
            )
        self.game = game.to(self.device)
        self.players = game.players()
        self.parameters = {name: parameters_of(optimiser) for name, optimiser in self.players.items()}
        self.rates = {name: [g["lr"] for g in o.param_groups] for name, o in self.players.items()}
        if run.fast:
            prefer_speed(self.game, self.players, self.device)
        self.half_life = game.ema if run.ema is None else run.ema
        self.averaged = averaged_twin(game) if self.half_life else game
        self.step = self.dealt = 0
        self.saved_at = -1
        self.stopping = ""  # why the run shall end after this round, and how to go on; a watcher may ask for it
        self.means = LossMeans(self.device)
        self.augmentation = Augmentation(game, run, self.device)
        distributed.share_from_first([*game.parameters(), *game.buffers()])

    # -- play ---------------------------------------------------------------------------------

    def train(self) -> Game[Any, Any]:
        """Play to the end of the run, or until somebody asks to stop; returns the averaged game."""
        self.tell("start")
        self.since = time.perf_counter()
        while self.step < self.run.steps and not distributed.agree(bool(self.stopping)):
            self.play_round()
            self.average()
            self.tell("round")
            if self.due(self.run.log_every):
                self.log()
            if self.due(self.run.save_every) or self.due(self.run.every):
                self.save()
        if self.means.any():
            self.log()
        if self.saved_at != self.step:
            self.save()
        self.tell("end")
        return self.averaged

    def play_round(self) -> None:
        """All shares play one round of the game, move by move in step."""
        now = self.clock()
        self.game.train()
        self.set_rates(now)
        hands = [MicroBatch(self, i, now) for i in range(self.run.accumulate)]
        self.buffers = Buffers(self.game, len(hands))
        with self.augmentation:
            while moves := [move for hand in hands if (move := hand.next_move()) is not None]:
                same(moves, len(hands))
                if moves[0].steps:
                    self.move(moves[0].player)
        self.buffers.merge()
        self.dealt = hands[0].dealt
        self.step += 1
        self.augmentation.adapt(self.step)

    def move(self, player: str) -> None:
        """`player` takes its step along the gradient that its moves have left."""
        parameters = self.parameters[player]
        if all(p.grad is None for p in parameters):
            raise ContractError(f"The player {player!r} moves, but no term of its move reaches its parameters.")
        distributed.average_gradients(parameters)
        if self.run.clip:
            nn.utils.clip_grad_norm_(parameters, self.run.clip)
        self.players[player].step()
        self.players[player].zero_grad(set_to_none=True)
        # Fused optimisers do not tell autograd that weights changed: without this a graph made before
        # the step would be differentiated silently with the weights of after it.
        torch.autograd.graph.increment_version(parameters)
        with torch.no_grad():
            self.game.after(player)

    def draws(self, step: int, share: int) -> Draw:
        """Where chance comes from in round `step`, for this share of it."""
        return RoundDraw(self.run.seed, step, share, self.shares, self.device)

    def clock(self) -> Clock:
        """Where in the run the next round stands."""
        seen = self.dealt * self.run.batch
        return Clock(self.step, seen, seen // max(1, self.deck.count), self.step / max(1, self.run.steps))

    def set_rates(self, now: Clock) -> None:
        """The run's schedule first; the paper's own has the last word."""
        scale = schedule(self.run.schedule, now.progress) * min(1.0, (now.step + 1) / (self.run.warmup + 1))
        for name, optimiser in self.players.items():
            for group, rate in zip(optimiser.param_groups, self.rates[name], strict=True):
                group["lr"] = rate * scale
        self.game.tune(self.players, now)

    @torch.no_grad()
    def average(self) -> None:
        """Move the averaged networks towards the live ones: half of a difference is gone after `half_life` images."""
        if self.averaged is self.game:
            return
        half_life = min(self.half_life, 0.05 * self.dealt * self.run.batch)  # short at first, as in StyleGAN2
        weight = 1 - 0.5 ** (self.run.batch / max(half_life, 1e-8))
        live, mean = averaged_tensors(self.game), averaged_tensors(self.averaged)
        floats = [i for i, tensor in enumerate(mean) if tensor.is_floating_point()]
        torch._foreach_lerp_(  # pyright: ignore[reportPrivateImportUsage]
            [mean[i] for i in floats], [live[i] for i in floats], weight
        )
        for i in set(range(len(mean))) - set(floats):
            mean[i].copy_(live[i])

    # -- keep ---------------------------------------------------------------------------------

    def save(self) -> None:
        """Write a checkpoint; never one with a broken loss or weight."""
        self.check_finite()
        self.check_weights()
        self.augmentation.agree()
        if self.checkpoints and distributed.rank() == 0:
            self.checkpoints.save(self.step, self.state())
            self.tell("saved")
        self.saved_at = self.step
        distributed.wait()

    def state(self) -> State:
        """Everything that the rounds to come depend on."""
        tensors: dict[str, dict[str, Tensor]] = {"game": dict(self.game.state_dict()), "players": {}}
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
                for key, value in getattr(self.averaged, name).state_dict().items()
            }
        return State(tensors, {"clock": {"step": self.step, "dealt": self.dealt}, "players": players})

    def restore(self, state: State) -> None:
        """Stand where `state` was taken.  Raises CheckpointError when it is another game's."""
        try:
            load_weights(self.game, state, averaged=self.averaged)
            for name, optimiser in self.players.items():
                facts = state.facts["players"][name]
                optimiser.load_state_dict(unflatten_optimiser(state.tensors["players"], facts, name))
                lay_out_like_parameters(optimiser)
        except (KeyError, ValueError) as error:
            raise CheckpointError(f"The checkpoint's players are not those of this game ({error}).") from error
        if self.run.fast:  # the file may come from a machine with other forms
            prefer_speed(self.game, self.players, self.device)
        self.augmentation.restore(state.tensors.get("augmentation", {}))
        self.step, self.dealt = state.facts["clock"]["step"], state.facts["clock"]["dealt"]
        self.saved_at, self.means = self.step, LossMeans(self.device)

    # -- tell ---------------------------------------------------------------------------------

    def due(self, every: int) -> bool:
        """Whether something that happens `every` so many rounds happens now."""
        return every > 0 and self.step % every == 0

    def log(self) -> None:
        """Pass the means since the last log to the callbacks."""
        self.check_finite()
        seconds, self.since = time.perf_counter() - self.since, time.perf_counter()
        row = {"step": self.step, "seen": self.dealt * self.run.batch, "seconds": seconds, **self.means.take()}
        row |= self.augmentation.row()
        if distributed.rank() == 0:
            for watcher in self.watchers:
                watcher.log(self, row)

    def check_finite(self) -> None:
        """Raise NotFiniteError if a term since the last look was NaN or infinite."""
        if (bad := self.means.first_bad()) is not None:
            self.give_up(f"{bad[1]} became NaN or infinite in round {bad[0]}")

    def check_weights(self) -> None:
        """Raise NotFiniteError if the last step broke a weight, which no loss has shown yet."""
        for name, weight in self.game.state_dict().items():
            # the extremes show what is no number in one look at the weights, isfinite() would look at them five times
            if weight.is_floating_point() and weight.numel() and not torch.stack(weight.aminmax()).isfinite().all():
                self.give_up(f"{name} became NaN or infinite by round {self.step - 1}")

    def give_up(self, what: str) -> NoReturn:
        """Raise the NotFiniteError about `what`."""
        whole = self.checkpoints.steps() if self.checkpoints else []
        last = f"The last good checkpoint is step {whole[-1]}" if whole else "There is no checkpoint yet"
        raise NotFiniteError(
            f"{what}. {last}. A lower learning rate (--config.lr), --clip 1 or --precision fp32 usually helps."
        )

    def tell(self, event: str) -> None:
        """Call every watcher's method of that name, on the first process only."""
        if distributed.rank() == 0:
            for watcher in self.watchers:
                getattr(watcher, event)(self)


class MicroBatch:
    """One share's round: its batches, its draws, and the game's generator between two moves."""

    def __init__(self, engine: Engine, micro: int, now: Clock) -> None:
        self.engine, self.micro, self.now, self.dealt, self.moves = engine, micro, now, engine.dealt, 0
        self.share = distributed.rank() * engine.run.accumulate + micro
        self.draw = engine.draws(now.step, self.share)
        self.turn = engine.augmentation.turn_of(now.step, self.share, engine.shares)
        self.play = engine.game.play(self.batches(), now)

    def batches(self) -> Iterator[Batch]:
        """This share's rows of one batch after another."""
        while True:
            batch = self.engine.deck.batch(self.dealt, self.share, self.engine.shares)
            self.dealt += 1
            yield batch.to(self.engine.device)

    def next_move(self) -> Move | None:
        """Play up to the next move and leave its gradient; None when the round is over."""
        engine, run = self.engine, self.engine.run
        engine.game.draw, engine.augmentation.turn = self.draw, self.turn
        engine.buffers.activate(self.micro)
        torch.manual_seed(mix(run.seed, self.now.step, self.share, self.moves))  # dropout is all that uses it
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
            engine.augmentation.hear(move.terms.get("says_real"))
            if terms.requires_grad:
                (terms.sum() / run.accumulate).backward(inputs=engine.parameters[move.player])
        return move


def same(moves: Sequence[Move], hands: int) -> None:
    """Raise ContractError unless all shares made the same move."""
    kinds = {(m.player, m.steps, tuple(m.terms)) for m in moves}
    if len(kinds) > 1 or len(moves) != hands:
        raise ContractError(
            f"Micro-batches of one round made different moves ({', '.join(sorted(str(k[0]) for k in kinds))}): "
            "which move comes may depend on the clock, never on the data."
        )


def schedule(name: str, progress: float) -> float:
    """Factor of the learning rate at `progress` in [0, 1)."""
    if name == "linear":  # constant for the first half, as pix2pix and CycleGAN do
        return min(1.0, 2 - 2 * progress)
    if name == "cosine":
        return 0.5 + 0.5 * math.cos(math.pi * progress)
    return 1.0
