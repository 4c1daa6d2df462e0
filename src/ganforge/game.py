"""The contract between a paper and the engine.

A GAN is a game.  A paper's file holds one final class, a `Game`, whose `play()` is the paper's
Algorithm 1 as a Python generator: it yields who moves and what they minimise.

    discriminator:  --batch--> terms --yield--> step
    generator:      --------> terms --yield--> step

The engine does the rest: precision, device, backward, averaging of gradients, optimiser steps,
averaged weights, checkpoints, logs.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, TypeVar, get_args

from torch import Tensor, nn
from torch.optim import Optimizer

from ganforge.batches import Batch, Facts
from ganforge.draw import Draw, RowDraw
from ganforge.errors import ContractError

C = TypeVar("C")  # the game's Config: a frozen dataclass
B = TypeVar("B", bound=Batch)  # what one batch of its data holds


class Move:
    """`player` descends the sum of `terms`, each a scalar, logged as `player/term`.

    A detached term adds nothing to the gradient: it is only logged.  The mean verdicts of the
    judges are reported under the names `says_real` and `says_fake`.
    """

    steps = True

    def __init__(self, player: str, /, **terms: Tensor) -> None:
        self.player, self.terms = player, terms


class Hold(Move):
    """The same, but the gradient waits for the player's next move, which may be a bare `Move(player)`."""

    steps = False


@dataclass(frozen=True)
class Clock:
    """Where in the run a round stands."""

    step: int = 0
    """Rounds played before this one."""
    seen: int = 0
    """Images dealt before this round."""
    epoch: int = 0
    """Passes through the data completed."""
    progress: float = 0.0
    """Share of the run that is behind us, in [0, 1)."""


@dataclass(frozen=True)
class Part:
    """Marks a Config field as naming a pretrained run: `encoder: Annotated[str, Part("cyclegan")] = ""`.

    The game's constructor receives the trained game under the field's name.
    """

    model: str
    """The model that makes such a part: an error about a missing one names its command."""


RENAMED = {"judges": "augmented", "verdicts": "discriminator_output"}
"""{attribute of Game before 0.1: its name now}."""


class Game(nn.Module, ABC, Generic[C, B]):
    """A game that the engine can play.  A subclass is final: never subclass one.

    `class DCGAN(Game[Config, Images])` says what can be configured and what data it eats;
    tools read the two back as `DCGAN.Config` and `DCGAN.batch_type`.
    """

    Config: ClassVar[type[Any]]
    batch_type: ClassVar[type[Batch]]
    averaged: ClassVar[tuple[str, ...]] = ("generator",)
    """Networks that the capabilities use; a run may keep running averages of their weights."""
    ema: ClassVar[float] = 0.0
    """The paper's half-life, in images, of those averages; 0 where the paper has none."""
    augmented: ClassVar[tuple[str, ...]] = ()
    """Networks that judge pictures: a run may put differentiable augmentation in front of them."""
    discriminator_output: Literal["logits", "scores"] = "logits"
    """What judges say: logits of a probability, or scores without a scale (a critic's)."""
    penalised: ClassVar[tuple[str, ...]] = ()
    """Networks that are differentiated twice: never compiled."""
    multiple: int = 1
    """`translate` takes pictures whose sides are multiples of this, itself included; the house fills up all others.
    A game whose depth is configured sets it in its constructor."""
    least: int = 1
    """`translate` takes no side shorter than this; the house fills up."""
    editable: tuple[str, ...] = ()
    """The labels that `translate` can be asked for; empty: all that the facts have."""
    draw: Draw

    def __init_subclass__(cls) -> None:
        for old, new in RENAMED.items():
            if old in vars(cls):
                raise ContractError(f"{cls.__name__} defines {old!r}, which is now called {new!r}: rename it.")
        cls.Config, cls.batch_type = get_args(cls.__orig_bases__[0])  # pyright: ignore[reportAttributeAccessIssue]

    def __init__(self, config: C, facts: Facts) -> None:
        """Networks are built here from `config` and `facts`, and nothing else happens."""
        super().__init__()
        self.config, self.facts = config, facts
        self.draw = RowDraw(0)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in RENAMED:
            raise ContractError(
                f"{type(self).__name__} sets {name!r}, which is now called {RENAMED[name]!r}: rename it."
            )
        if isinstance(value, nn.Module) and hasattr(Game, name):  # torch would hide it behind the class's attribute
            raise ContractError(
                f"{type(self).__name__} has a network {name!r}, a name that Game uses: call it {name}_network."
            )
        super().__setattr__(name, value)

    @abstractmethod
    def players(self) -> dict[str, Optimizer]:
        """Who plays.  A player is its optimiser: the parameters in it are the ones it moves."""

    @abstractmethod
    def play(self, batches: Iterator[B], now: Clock) -> Iterator[Move]:
        """One round: take batches with `next(batches)`, yield moves in order.

        Which moves come depends on `now` alone, never on the data.  Never yield inside
        `no_grad()` or `autocast()`.
        """

    def tune(self, players: Mapping[str, Optimizer], now: Clock) -> None:
        """Set learning rates or betas in the players' groups before a round."""

    def after(self, player: str) -> None:
        """Called without gradients after `player` has stepped, for instance to clip a critic's weights.

        It may change parameters, not buffers: those belong to one share of the batch until the round is over.
        """

    def kind(self, now: Clock) -> str | None:
        """The shape of this round, for capturing it in a CUDA graph; None: never captured."""
        return None


def parameters_of(optimiser: Optimizer) -> Sequence[Tensor]:
    """Every parameter that `optimiser` moves, in its own order."""
    return [p for group in optimiser.param_groups for p in group["params"]]


def parameters(game: Game[Any, Any]) -> dict[str, int]:
    """{network: its number of parameters}."""
    return {name: sum(p.numel() for p in network.parameters()) for name, network in game.named_children()}
