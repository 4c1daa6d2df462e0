"""What a trained game can do, and which options each capability takes.

A game has a capability when it has the method; the command line and the web page read its options from the
method's signature.  Nothing is registered.

    sample(n)                   images from noise: generate(noise(n), ...)
    traverse(noise, steps)      {code: images (n, values, C, H, W) of noise with only that code varied}
    translate(images)           images (N, C_source, H, W) to (N, C, kH, kW); k is 1 except for super-resolution;
                                a game of instances also takes their masks (N, M, H, W)
    translate(label_map)        label maps int64 (N, H, W) to images: its parameters that are columns are its input
    translate(boxes, box_labels)  layouts to images
    invert(images)              images to codes; without it `code` and `decode` suffice: a descent finds them
    code(noise), decode(codes)  latents to codes, and codes to images: `edit` moves codes in between
    score(images)               images to numbers; of a game whose `score` asks for more, nothing is offered
"""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from torch import Tensor

from ganforge.batches import COLUMNS

VERBS = ("sample", "traverse", "translate", "score")
CODED = ("invert", "directions", "edit")
"""What can be done with the codes of a game that has `code` and `decode`."""
GIVEN = frozenset(
    {"self", "n", "images", "masks", "noise", "code", "steps"}
)  # arguments that GANForge fills, not the user


@dataclass(frozen=True)
class Codes:
    """Editable codes of N images: what `code`, `invert` and `edit` give and `decode` takes.

    A game whose `decode` needs more tensors of an image has a subclass with them as further fields, None by default;
    they have N rows, and edits leave them as they are.
    """

    w: Tensor
    """(N, L, K): a vector for each of the L layers that read one; directions and truncation act on it alone."""

    def __len__(self) -> int:
        return len(self.w)


@dataclass(frozen=True)
class Range:
    """Limits of a number: `strength: Annotated[float, Range(-3, 3)] = 1.0` becomes a flag and a slider."""

    low: float
    high: float


@dataclass(frozen=True)
class Meaning:
    """What a tensor argument stands for: users give words, the game takes numbers."""

    kind: str
    unnamed: float = 0.0
    """The value of attributes that the user does not name."""
    mixed: bool = False
    """Whether classes may also be shares of several: float (n, K)."""


Label = Annotated[Tensor | None, Meaning("label")]
"""What each image is to show.  None: the game chooses, by `draw_labels` of nn/conditions.py as the first draw after
the noise, from which a walk between images knows their labels.

Where the data has classes: int64 (n,), one of the facts' labels.  Where it has attributes: float (n, K), the
facts' attributes as words (`red,large`, `red=0.5,large`) or as K numbers.
"""

MixedLabel = Annotated[Tensor | None, Meaning("label", mixed=True)]
"""As `Label`; of data with classes also float (n, K), shares of the K classes: walks lead from one to another."""

Picture = Annotated[Tensor | None, Meaning("image")]
"""A reference image (n, C, H, W) in [-1, 1]; users give a file, a PIL image or an array.  None: without one."""

Text = Annotated[Tensor | None, Meaning("text")]
"""A sentence that each image is to show: int64 (n, T), as the column `tokens`; users give one sentence or several.

Where users give none, the first such argument gets captions that the run has kept.  None: a run without captions.
"""

Mix = Annotated[float, Range(0, 1)]
"""How far what is asked lies from the first sentence to the second; a game may also get a tensor (n,)."""

Change = Annotated[Tensor, Meaning("label", unnamed=math.nan)]
"""What each image is to become: as `Label`, but attributes that are not named are NaN, which means unchanged."""


@dataclass(frozen=True)
class Question:
    """One option of a capability."""

    name: str
    type: Any
    default: Any
    limits: Range | None = None
    meaning: str = ""
    unnamed: float = 0.0
    mixed: bool = False

    @property
    def required(self) -> bool:
        """Whether the user must give a value: there is no default."""
        return self.default is inspect.Parameter.empty


def labels_of(game: Any) -> tuple[str, ...]:
    """The names that a game accepts as labels."""
    return game.editable or game.facts.attributes or game.facts.labels


def list_questions(method: Callable[..., Any]) -> list[Question]:
    """The options of `method`, read from its signature."""
    hints, questions = get_type_hints(method, include_extras=True), []
    filled = GIVEN | COLUMNS.keys() if method.__name__ == "translate" else GIVEN
    for parameter in inspect.signature(method).parameters.values():
        if parameter.name in filled:
            continue
        hint, notes = hints[parameter.name], ()
        if get_origin(hint) is Annotated:
            hint, *notes = get_args(hint)
        limits = next((note for note in notes if isinstance(note, Range)), None)
        meant = next((note for note in notes if isinstance(note, Meaning)), Meaning(""))
        questions.append(
            Question(parameter.name, hint, parameter.default, limits, meant.kind, meant.unnamed, meant.mixed)
        )
    return questions


class only:
    """Decorates a capability that a game has with one value of its Config alone: `@only("networks", "base")`.

    The class has it, for its signature; a game of another value has no such method, and `find_method` says whether one
    of a Config will have it.
    """

    def __init__(self, field: str, value: Any) -> None:
        self.field, self.value = field, value

    def __call__(self, method: Any) -> Any:
        self.method = method
        return self

    def suits(self, config: Any) -> bool:
        """Whether a game of this Config has the capability."""
        return getattr(config, self.field) == self.value

    def __get__(self, game: Any, kind: type[Any]) -> Any:
        if game is not None and not self.suits(game.config):
            raise AttributeError(self.method.__name__)
        return self.method if game is None else self.method.__get__(game, kind)


def text_questions(method: Callable[..., Any]) -> list[str]:
    """The names of the arguments of `method` that are sentences, the first of them first."""
    return [question.name for question in list_questions(method) if question.meaning == "text"]


def find_method(game: Any, name: str, config: Any = None) -> Callable[..., Any] | None:
    """The method of a game, or of a class of games; None where it has none.

    With a Config: that of a game of the class with this Config.  Without one a class has what any of its games has.
    """
    declared = inspect.getattr_static(game, name, None)
    if config is not None and isinstance(declared, only) and not declared.suits(config):
        return None
    return getattr(game, name, None)


def capabilities(game: Any, config: Any = None) -> Mapping[str, list[Question]]:
    """{verb: its options} for every capability of a game, or of a class of games, as `find_method` finds them."""
    own = {verb: list_questions(getattr(game, verb)) for verb in VERBS if offers(game, verb, config)}
    return {**own, **({verb: [] for verb in CODED} if has_codes(game) else {})}


def offers(game: Any, verb: str, config: Any = None) -> bool:
    """Whether a game, or a class of games, has a method that users can call, as `find_method` finds it.

    `score` is one where it asks for nothing but images.
    """
    method = find_method(game, verb, config)
    return method is not None and not (verb == "score" and list_questions(method))


def has_codes(game: Any) -> bool:
    """Whether a game, or a class of games, has codes that can be found, moved and drawn."""
    return hasattr(game, "code") and hasattr(game, "decode")
