"""The contract between a paper and the engine.

A GAN is a game.  A paper's file holds one final class, a `Game`, whose `play()` is the paper's
Algorithm 1 as a Python generator: it yields which player moves and which terms it minimises.

    discriminator:  --batch--> terms --yield--> step
    generator:      --------> terms --yield--> step

The engine does the rest: precision, device, backward, averaging of gradients, optimiser steps,
averaged weights, checkpoints and logs.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Generic, Literal, Self, TypeVar, get_args, get_origin, get_type_hints

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
    batch: int = 1
    """Images of one batch, over all processes and micro-batches."""


ANY = "*"


@dataclass(frozen=True)
class Part:
    """Marks a Config field that names a pretrained run: `encoder: Annotated[str, Part("cyclegan")] = ""`.

    The game's constructor receives the trained game as an argument of the field's name.  A part rests: it stays in
    evaluation mode, its weights do not change, and no checkpoint holds them.  A game that trains one copies it:
    `copy.deepcopy(encoder.encoder).requires_grad_(True)`.
    """

    model: str
    """The model that the run must be of; the error about a missing part names the command that trains it.  Several are
    possible, `wgan_gp|wgan`; `*`, alone or beside names, is any model that `can` do what is asked.  A file is looked
    for beside the model's."""
    needed: bool | Callable[[Any], bool] = field(default=False, kw_only=True)
    """Whether the model cannot be built without it; a function of the Config where that depends on its settings."""
    free: tuple[str, ...] = field(default=(), kw_only=True)
    """Facts in which the part's data may differ from the run's; all others must be equal."""
    can: tuple[str, ...] = field(default=(), kw_only=True)
    """Methods that the part's game must have."""
    having: tuple[tuple[str, Any], ...] = field(default=(), kw_only=True)
    """Settings of the run that must be these: `(("space", "w"),)`."""
    text: bool = field(default=False, kw_only=True)
    """Whether it is a text encoder (nn/text_encoders.py): it sees no images, so that its data may be any, its tokeniser
    becomes the run's, and a pretrained one of other people may be named.  Always true of the model `text_encoder`."""

    @property
    def encodes_text(self) -> bool:
        """Whether it is a text encoder."""
        return self.text or "text_encoder" in self.models

    @property
    def models(self) -> tuple[str, ...]:
        """The models that it may be of, as they are written; the first is trained where a needed part is missing."""
        return tuple(name for name in map(str.strip, self.model.split("|")) if name != ANY)

    @property
    def takes_any(self) -> bool:
        """Whether it may be of any model."""
        return ANY in map(str.strip, self.model.split("|"))


@dataclass(frozen=True)
class OnlyClass:
    """Marks a Config field that names the class of the data that the game learns from alone; empty: all of them."""


def only_class(config: Any) -> str:
    """The class that the field with `OnlyClass` names; empty where there is none."""
    hints = get_type_hints(type(config), include_extras=True)
    named = [name for name, hint in hints.items() if any(isinstance(note, OnlyClass) for note in get_args(hint)[1:])]
    return str(getattr(config, named[0])) if named else ""


def part_fields(config: Any) -> dict[str, Part]:
    """{field: its Part} for every field of a Config that may name a part."""
    fields = {}
    for name, hint in get_type_hints(type(config), include_extras=True).items():
        notes = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
        if part := next((note for note in notes if isinstance(note, Part)), None):
            fields[name] = part
    return fields


def missing_parts(config: Any) -> dict[str, Part]:
    """{field: its Part} for every part that a Config needs and does not name."""

    def is_needed(part: Part) -> bool:
        return part.needed(config) if callable(part.needed) else part.needed

    return {name: part for name, part in part_fields(config).items() if not getattr(config, name) and is_needed(part)}


RENAMED = {"judges": "augmented", "verdicts": "discriminator_output"}
"""{attribute of Game before 0.1: its name now}."""


class Game(nn.Module, ABC, Generic[C, B]):
    """Base class of all models; a subclass is final: never subclass one.

    `class DCGAN(Game[Config, Images])` declares the model's settings and the type of its batches; they are
    available as `DCGAN.Config` and `DCGAN.batch_type`.
    """

    Config: ClassVar[type[Any]]
    batch_type: type[Batch]
    """What one batch of its data holds; of a game, that of its Config (`choose_batches`)."""
    averaged: tuple[str, ...] = ("generator",)
    """Networks that the capabilities use; a run may keep an exponential moving average of their weights.  A game whose
    networks are configured sets it in its constructor."""
    ema: ClassVar[float | Callable[[Any, Clock], float]] = 0.0
    """The paper's half-life, in images, of those averages; 0 where the paper has none.  A method `ema(self, now)` gives
    it for the state of the run after each step."""
    embedded: ClassVar[str] = ""
    """The embedded data set that it trains on without --data; empty: the one that has its columns."""
    augmented: ClassVar[tuple[str, ...]] = ()
    """Discriminators in front of which a run may put differentiable augmentation."""
    pipe: str | tuple[str, ...] = "bgc"
    """The transformations of `--augment ada`: one of StyleGAN2-ADA's names (blit, geom, color, filter, noise, cutout,
    bg, bgc, bgcf, bgcfn, bgcfnc), or several names of those or of single transformations (xflip, hue ...).  A name may
    have a share of the probability: `color=0.5`."""
    discriminator_output: Literal["logits", "scores"] = "logits"
    """What discriminators return: logits of a probability, or scores without a scale (a critic's)."""
    penalised: ClassVar[tuple[str, ...]] = ()
    """Networks that are differentiated twice, such as those under a gradient penalty; they are never compiled."""
    multiple: int = 1
    """Height and width of `translate`'s input must be multiples of this; other sizes are padded by reflection and
    cropped back.  A game whose depth is configured sets it in its constructor."""
    least: int = 1
    """Least height and width of `translate`'s input; smaller images are padded in the same way."""
    fixed_size: bool = False
    """Whether `translate` works at the facts' size alone: other images are resized to it, not padded."""
    labelled: bool = True
    """Whether the networks take labels, where `sample` has an argument for them.  A game whose networks are configured
    sets it in its constructor."""
    editable: tuple[str, ...] = ()
    """The labels that `translate` can edit; empty: all labels of the facts."""
    descent: tuple[int, float] = (500, 0.01)
    """Steps and Adam's learning rate of the descent that finds an image's code, for `score(images, code)`."""
    draw: Draw
    resting: tuple[nn.Module, ...] = ()
    """The modules of the parts; set by GANForge."""
    stores_parts: bool = False
    """Whether checkpoints hold the parts' weights, as those of GANForge 0.1 do; set by GANForge."""

    def __init_subclass__(cls) -> None:
        for old, new in RENAMED.items():
            if old in vars(cls):
                raise ContractError(f"{cls.__name__} defines {old!r}, which is now called {new!r}: rename it.")
        if arguments := type_arguments(cls):
            cls.Config, cls.batch_type = arguments

    def __init__(self, config: C, facts: Facts) -> None:
        """Build the networks from `config` and `facts`; nothing else."""
        super().__init__()
        self.config, self.facts = config, facts
        self.batch_type = self.choose_batches(config)
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

    def train(self, mode: bool = True) -> Self:
        """Training or evaluation mode; parts stay in evaluation mode."""
        super().train(mode)
        for module in self.resting:
            module.training = False
        return self

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

    @classmethod
    def choose_batches(cls, config: Any) -> type[Batch]:
        """The type of the batches that a game of this Config plays with: those of the class, unless it has settings
        that leave a column out.  None: any Config."""
        return cls.batch_type

    @classmethod
    def token_kind(cls, config: Any) -> Literal["words", "characters"]:
        """What captions are split into, unless the user says another: of a model that makes its tokens itself."""
        return "words"

    def augment_p(self, now: Clock) -> float | None:
        """The probability of `--augment ada --augment-p game` in a step, in [0, 1]; None: the game has none."""
        return None


def type_arguments(kind: type[Game[Any, Any]]) -> tuple[Any, ...]:
    """(Config, batch type) of a subclass of Game; empty for a subclass of a game, which inherits them.

    Raises ContractError where the class names none.
    """
    bases = vars(kind).get("__orig_bases__", ())
    if not bases and any(issubclass(base, Game) and base is not Game for base in kind.__bases__):
        return ()
    origin, arguments = (get_origin(bases[0]), get_args(bases[0])) if bases else (None, ())
    if not (isinstance(origin, type) and issubclass(origin, Game) and len(arguments) == 2):
        others = "".join(f", {base.__name__}" for base in kind.__bases__ if base not in (Game, Generic))
        raise ContractError(
            f"{kind.__name__} does not name its Config and its type of batches: write `class {kind.__name__}("
            f"Game[Config, Images]{others})`, with Game and its brackets first."
        )
    if isinstance(arguments[1], type) and not issubclass(arguments[1], Batch):
        raise ContractError(
            f"{kind.__name__} names {arguments[1].__name__} as its type of batches, which is none: write "
            f"`class {kind.__name__}(Game[Config, Images])`, first the Config, then the batches."
        )
    return arguments


def rest(game: Game[Any, Any], parts: Mapping[str, nn.Module]) -> Game[Any, Any]:
    """The game, whose `parts` stay in evaluation mode and as they are."""
    for part in parts.values():
        part.eval().requires_grad_(False)
    game.resting = tuple(module for part in parts.values() for module in part.modules())
    return game


def resting_ids(game: nn.Module) -> set[int]:
    """The identities of the parts' parameters and buffers: no checkpoint, average or broadcast has them."""
    modules = getattr(game, "resting", ())
    return {id(t) for m in modules for t in (*m.parameters(recurse=False), *m.buffers(recurse=False))}


def own_state(game: Game[Any, Any], network: nn.Module | None = None) -> dict[str, Tensor]:
    """The state of a game, or of one of its networks, without its parts: what a checkpoint holds."""
    tensors: dict[str, Any] = (game if network is None else network).state_dict(keep_vars=True)
    resting = set() if game.stores_parts else resting_ids(game)
    return {key: t.detach() if isinstance(t, Tensor) else t for key, t in tensors.items() if id(t) not in resting}


def parameters_of(optimiser: Optimizer) -> Sequence[Tensor]:
    """Every parameter that `optimiser` updates, in its own order."""
    return [p for group in optimiser.param_groups for p in group["params"]]


def parameters(game: Game[Any, Any]) -> dict[str, int]:
    """{network: its number of parameters}."""
    return {name: sum(p.numel() for p in network.parameters()) for name, network in game.named_children()}
