"""The contract between a paper and the engine.

A GAN is a game.  A paper's file holds one final class, a `Game`, whose `play()` is the paper's
Algorithm 1 as a Python generator: it yields which player moves and which terms it minimises.

    discriminator:  --batch--> terms --yield--> step
    generator:      --------> terms --yield--> step

The engine does the rest: precision, device, backward, averaging of gradients, optimiser steps,
averaged weights, checkpoints and logs.
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

    A detached term adds nothing to the gradient: it is only logged.  The discriminators' mean outputs on
    real and fake images are logged under the names `says_real` and `says_fake`.
    """

    steps = True

    def __init__(self, player: str, /, **terms: Tensor) -> None:
        self.player, self.terms = player, terms


class Hold(Move):
    """A move that only accumulates the gradient; the player's next `Move` steps, which may have no terms of its own."""

    steps = False


@dataclass(frozen=True)
class Clock:
    """The state of the run before a step."""

    step: int = 0
    """Steps completed before this one."""
    seen: int = 0
    """Training images drawn before this step."""
    epoch: int = 0
    """Completed passes through the data."""
    progress: float = 0.0
    """Completed share of the run, in [0, 1)."""


@dataclass(frozen=True)
class Part:
    """Marks a Config field that names a pretrained run: `encoder: Annotated[str, Part("cyclegan")] = ""`.

    The game's constructor receives the trained game as an argument of the field's name.
    """

    model: str
    """The model that the run must be of; the error about a missing part names the command that trains it."""


RENAMED = {"judges": "augmented", "verdicts": "discriminator_output"}
"""{attribute of Game before 0.1: its name now}."""


class Game(nn.Module, ABC, Generic[C, B]):
    """Base class of all models; a subclass is final: never subclass one.

    `class DCGAN(Game[Config, Images])` declares the model's settings and the type of its batches; they are
    available as `DCGAN.Config` and `DCGAN.batch_type`.
    """

    Config: ClassVar[type[Any]]
    batch_type: ClassVar[type[Batch]]
    averaged: ClassVar[tuple[str, ...]] = ("generator",)
    """Networks that the capabilities use; a run may keep an exponential moving average of their weights."""
    ema: ClassVar[float] = 0.0
    """The paper's half-life, in images, of those averages; 0 where the paper has none."""
    augmented: ClassVar[tuple[str, ...]] = ()
    """Discriminators in front of which a run may put differentiable augmentation."""
    discriminator_output: Literal["logits", "scores"] = "logits"
    """What discriminators return: logits of a probability, or scores without a scale (a critic's)."""
    penalised: ClassVar[tuple[str, ...]] = ()
    """Networks that are differentiated twice, such as those under a gradient penalty; they are never compiled."""
    multiple: int = 1
    """Height and width of `translate`'s input must be multiples of this; other sizes are padded by reflection and
    cropped back.  A game whose depth is configured sets it in its constructor."""
    least: int = 1
    """Least height and width of `translate`'s input; smaller images are padded in the same way."""
    editable: tuple[str, ...] = ()
    """The labels that `translate` can edit; empty: all labels of the facts."""
    draw: Draw

    def __init_subclass__(cls) -> None:
        for old, new in RENAMED.items():
            if old in vars(cls):
                raise ContractError(f"{cls.__name__} defines {old!r}, which is now called {new!r}: rename it.")
        cls.Config, cls.batch_type = get_args(cls.__orig_bases__[0])  # pyright: ignore[reportAttributeAccessIssue]

    def __init__(self, config: C, facts: Facts) -> None:
        """Build the networks from `config` and `facts`; nothing else."""
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
        """{player: its optimiser}.  A player updates the parameters in its optimiser."""

    @abstractmethod
    def play(self, batches: Iterator[B], now: Clock) -> Iterator[Move]:
        """One step: draw batches with `next(batches)`, yield moves in order.

        The sequence of moves must depend on `now` alone, never on the data.  Never yield inside
        `no_grad()` or `autocast()`.
        """

    def tune(self, players: Mapping[str, Optimizer], now: Clock) -> None:
        """Set learning rates or betas in the players' parameter groups before a step."""

    def after(self, player: str) -> None:
        """Called without gradients after `player`'s optimiser step, for instance to clip a critic's weights.

        It may change parameters, not buffers: each micro-batch has its own buffers until the step is over.
        """

    def kind(self, now: Clock) -> str | None:
        """A name for the sequence of moves in this step, for capturing it in a CUDA graph; None: never captured."""
        return None


def parameters_of(optimiser: Optimizer) -> Sequence[Tensor]:
    """Every parameter that `optimiser` updates, in its own order."""
    return [p for group in optimiser.param_groups for p in group["params"]]


def parameters(game: Game[Any, Any]) -> dict[str, int]:
    """{network: its number of parameters}."""
    return {name: sum(p.numel() for p in network.parameters()) for name, network in game.named_children()}
