"""What a trained game can do, and how to ask it.

A game has a capability when it has the method; the method's signature is the form that the
command line and the web page show.  Nothing is registered.

    sample(n)                   pictures from nothing; goes through noise(n) and generate(noise, ...)
    traverse(noise, steps)      {code: pictures (n, values, C, H, W) of noise with that code varied alone}
    translate(images)           pictures (N, C_source, H, W) to (N, C, kH, kW); k is 1 but for super-resolution;
                                a game of instances takes their masks (N, M, H, W) as well
    invert(images), edit(code)  pictures to a code that can be changed, and back
    score(images)               pictures to numbers
"""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from torch import Tensor

VERBS = ("sample", "traverse", "translate", "edit", "score")
GIVEN = frozenset(
    {"self", "n", "images", "masks", "noise", "code", "steps"}
)  # arguments that the caller fills, not a person


@dataclass(frozen=True)
class Range:
    """Limits of a number: `strength: Annotated[float, Range(-3, 3)] = 1.0` becomes a flag and a slider."""

    low: float
    high: float


@dataclass(frozen=True)
class Meaning:
    """What a tensor argument means to a person, who types words where the game takes numbers."""

    kind: str
    unsaid: float = 0.0
    """The value of an attribute that nobody named."""


Label = Annotated[Tensor | None, Meaning("label")]
"""What each picture shall show.  None: the game chooses.

Where the data has classes: int64 (n,), a menu of the facts' labels.  Where it has attributes: float (n, K), the
facts' attributes as words (`red,large`, `red=0.5,large`) or as K numbers.
"""

Change = Annotated[Tensor, Meaning("label", unsaid=math.nan)]
"""What each picture shall become: as `Label`, but an attribute that nobody named is NaN, which stays as it is."""


@dataclass(frozen=True)
class Question:
    """One question that a person answers to use a capability."""

    name: str
    type: Any
    default: Any
    limits: Range | None = None
    meaning: str = ""
    unsaid: float = 0.0

    @property
    def required(self) -> bool:
        """Whether only a person can answer."""
        return self.default is inspect.Parameter.empty


def labels_of(game: Any) -> tuple[str, ...]:
    """The names that a game's question about labels may be answered with."""
    return game.editable or game.facts.attributes or game.facts.labels


def form(method: Callable[..., Any]) -> list[Question]:
    """The questions to ask before calling `method`, read from its signature."""
    hints, questions = get_type_hints(method, include_extras=True), []
    for parameter in inspect.signature(method).parameters.values():
        if parameter.name in GIVEN:
            continue
        hint, notes = hints[parameter.name], ()
        if get_origin(hint) is Annotated:
            hint, *notes = get_args(hint)
        limits = next((note for note in notes if isinstance(note, Range)), None)
        meant = next((note for note in notes if isinstance(note, Meaning)), Meaning(""))
        questions.append(Question(parameter.name, hint, parameter.default, limits, meant.kind, meant.unsaid))
    return questions


def capabilities(game: type[Any]) -> Mapping[str, list[Question]]:
    """{verb: its form} for everything that a game can do."""
    return {verb: form(getattr(game, verb)) for verb in VERBS if hasattr(game, verb)}
