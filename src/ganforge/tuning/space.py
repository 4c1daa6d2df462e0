"""What a search may choose: fields of the paper's Config and of Run, each with a range or a list."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_origin, get_type_hints

from ganforge.errors import OptionError
from ganforge.run import Run
from ganforge.serialize import fits, spelled

WIDE = 10.0  # from this ratio of its ends on, a range is searched in its logarithm
OWN = ("select", "every", "patience", "judged", "threads", "device", "seed")  # of Run: the same in all trials


NAMED = {"true": True, "false": False, "none": None}


@dataclass(frozen=True)
class Setting:
    """One field that the search may choose."""

    name: str
    of_run: bool
    """Whether it is a field of Run, or of the paper's Config."""
    choices: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    whole: bool = False
    """Whether the range holds whole numbers only."""
    many: bool = False
    """Whether the field holds a tuple, of which one value is chosen."""

    @property
    def logarithmic(self) -> bool:
        """Whether a range is searched in its logarithm."""
        return not self.choices and self.low > 0 and self.high / self.low >= WIDE

    def suggested(self, trial: Any) -> Any:
        """What a trial of Optuna's shall have."""
        if self.choices:
            return trial.suggest_categorical(self.name, self.choices)
        if self.whole:
            return trial.suggest_int(self.name, int(self.low), int(self.high), log=self.logarithmic)
        return trial.suggest_float(self.name, self.low, self.high, log=self.logarithmic)

    def field(self, value: Any) -> Any:
        """A chosen value as the field holds it."""
        return (value,) if self.many else value


def settings(words: Sequence[str], config: type) -> list[Setting]:
    """`lr=1e-5..1e-3` and `batch=32,64` as settings of a Config or of Run.

    `config.width` and `run.size` say which, where both have a field of the name; else the Config's comes first.
    Raises OptionError for a word that is none, a field that does not exist, or values that it cannot hold.
    """
    if not words:
        raise OptionError("A sweep needs something to choose: --over lr=1e-5..1e-3 batch=32,64.")
    found = [setting(word, config) for word in words]
    names = [(s.of_run, s.name) for s in found]
    if twice := next((name for place in names if names.count(place) > 1 for name in place[1:]), None):
        raise OptionError(f"--over names {twice} twice.")
    return found


def setting(word: str, config: type) -> Setting:
    """One of them."""
    name, equals, values = word.partition("=")
    if not equals or not values:
        raise OptionError(f"--over {word} is no setting: write a range, lr=1e-5..1e-3, or a list, batch=32,64.")
    where, _, field = name.rpartition(".")
    own, run = get_type_hints(config), get_type_hints(Run)
    known = {"config": own, "run": run, "": {**run, **own}}.get(where, {})
    field = field.replace("-", "_")
    if field not in known:
        near = difflib.get_close_matches(field, [*own, *run], 1)
        raise OptionError(
            f"There is no setting {name!r} to choose{f': did you mean {near[0]}?' if near else '.'} The paper's are "
            f"{', '.join(own)}; a run's are listed by ganforge train --help."
        )
    of_run = where == "run" or (where == "" and field not in own)
    if of_run and field in OWN:
        raise OptionError(f"{field} is the same in all trials: it is no setting to choose.")
    return (
        ranged(field, values, known[field], of_run) if ".." in values else listed(field, values, known[field], of_run)
    )


def ranged(field: str, values: str, hint: Any, of_run: bool) -> Setting:
    """`low..high`."""
    if hint not in (int, float):
        raise OptionError(f"{field} has no range, since it is {spelled(hint)}: list what may be chosen, {field}=a,b.")
    low, high = (number(word) for word in values.split("..", 1))
    if not (isinstance(low, int | float) and isinstance(high, int | float)) or low >= high:
        raise OptionError(f"{field}={values} is no range: write the smaller number first, {field}=1e-5..1e-3.")
    if hint is int and not (isinstance(low, int) and isinstance(high, int)):
        raise OptionError(f"{field} is a whole number, and the ends {values} are not.")
    return Setting(field, of_run, low=low, high=high, whole=hint is int)


def listed(field: str, values: str, hint: Any, of_run: bool) -> Setting:
    """`a,b,c`."""
    many = get_origin(hint) is tuple
    words = values.split(",")
    chosen = []
    for word in words:
        able = [value for value in readings(word) if fits([value] if many else value, hint)]
        if not able:
            raise OptionError(f"{field} cannot be {word!r}: it is {spelled(hint)}.")
        chosen.append(able[0])
    return Setting(field, of_run, choices=tuple(chosen), many=many)


def readings(word: str) -> list[Any]:
    """What a word may mean: a number, true, false, none, or the word itself."""
    value = number(word)
    return [*([] if value is None else [value]), *([NAMED[word]] if word in NAMED else []), word]


def number(word: str) -> int | float | None:
    """The number that a word spells, if it does."""
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return None
