"""The search space: fields of the model's Config and of Run, each with a range or a list of values."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_origin, get_type_hints

from ganforge.errors import OptionError
from ganforge.run import Run, to_fields
from ganforge.serialize import describe_type, fits

WIDE = 10.0  # ratio of its bounds from which on a range is searched on a logarithmic scale
OWN = (
    "select",
    "every",
    "patience",
    "judged",
    "threads",
    "device",
    "seed",
)  # fields of Run that are the same in all trials


NAMED = {"true": True, "false": False, "none": None}


@dataclass(frozen=True)
class Setting:
    """One field of the search space."""

    name: str
    of_run: bool
    """Whether it is a field of Run, or of the model's Config."""
    choices: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    whole: bool = False
    """Whether the range is of integers."""
    many: bool = False
    """Whether the field is a tuple, for which one value is chosen."""

    @property
    def logarithmic(self) -> bool:
        """Whether the range is searched on a logarithmic scale."""
        return not self.choices and self.low > 0 and self.high / self.low >= WIDE

    def suggest(self, trial: Any) -> Any:
        """A value suggested by an Optuna trial."""
        if self.choices:
            return trial.suggest_categorical(self.name, self.choices)
        if self.whole:
            return trial.suggest_int(self.name, int(self.low), int(self.high), log=self.logarithmic)
        return trial.suggest_float(self.name, self.low, self.high, log=self.logarithmic)

    def to_field(self, value: Any) -> Any:
        """A chosen value as the field stores it."""
        return (value,) if self.many else value


def parse_settings(specs: Sequence[str], config: type) -> list[Setting]:
    """`lr=1e-5..1e-3` and `batch=32,64` as settings of a Config or of Run.

    `config.width` and `run.size` choose one where both have a field of that name; otherwise Config takes precedence.
    Raises OptionError for a malformed spec, a field that does not exist, or values that do not fit it.
    """
    if not specs:
        raise OptionError("A sweep needs settings to search over: --over lr=1e-5..1e-3 batch=32,64.")
    parsed = [parse_setting(spec, config) for spec in specs]
    names = [(s.of_run, s.name) for s in parsed]
    if duplicate := next((name for key in names if names.count(key) > 1 for name in key[1:]), None):
        raise OptionError(f"--over names {duplicate} twice.")
    return parsed


def parse_setting(spec: str, config: type) -> Setting:
    """One of the settings of `parse_settings`."""
    name, equals, values = spec.partition("=")
    if not equals or not values:
        raise OptionError(f"--over {spec} is no setting: write a range, lr=1e-5..1e-3, or a list, batch=32,64.")
    prefix, _, field = name.rpartition(".")
    config_hints, run_hints = get_type_hints(config), get_type_hints(Run)
    known = {"config": config_hints, "run": run_hints, "": {**run_hints, **config_hints}}.get(prefix, {})
    field = field.replace("-", "_")
    field = field if field in known else next(iter(to_fields({field: None})))  # native_crops for native
    if field not in known:
        near = difflib.get_close_matches(field, [*config_hints, *run_hints], 1)
        raise OptionError(
            f"There is no setting {name!r}{f': did you mean {near[0]}?' if near else '.'} The model has "
            f"{', '.join(config_hints)}; the options of a run are listed by ganforge train --help."
        )
    of_run = prefix == "run" or (prefix == "" and field not in config_hints)
    if of_run and field in OWN:
        raise OptionError(f"{field} is the same in all trials: it cannot be searched over.")
    return (
        parse_range(field, values, known[field], of_run)
        if ".." in values
        else parse_list(field, values, known[field], of_run)
    )


def parse_range(field: str, values: str, hint: Any, of_run: bool) -> Setting:
    """A setting from a range, `low..high`."""
    if hint not in (int, float):
        raise OptionError(f"{field} has no range, since it is {describe_type(hint)}: list its values, {field}=a,b.")
    low, high = (parse_number(value) for value in values.split("..", 1))
    if not (isinstance(low, int | float) and isinstance(high, int | float)) or low >= high:
        raise OptionError(f"{field}={values} is no range: write the smaller number first, {field}=1e-5..1e-3.")
    if hint is int and not (isinstance(low, int) and isinstance(high, int)):
        raise OptionError(f"{field} is a whole number, and the bounds {values} are not.")
    return Setting(field, of_run, low=low, high=high, whole=hint is int)


def parse_list(field: str, values: str, hint: Any, of_run: bool) -> Setting:
    """A setting from a list, `a,b,c`."""
    many = get_origin(hint) is tuple
    choices = []
    for word in values.split(","):
        fitting = [value for value in candidate_values(word) if fits([value] if many else value, hint)]
        if not fitting:
            raise OptionError(f"{field} cannot be {word!r}: it is {describe_type(hint)}.")
        choices.append(fitting[0])
    return Setting(field, of_run, choices=tuple(choices), many=many)


def candidate_values(word: str) -> list[Any]:
    """The values that a word may stand for: a number, true, false, None, or the word itself."""
    value = parse_number(word)
    return [*([] if value is None else [value]), *([NAMED[word]] if word in NAMED else []), word]


def parse_number(word: str) -> int | float | None:
    """The number that a word spells, or None."""
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return None
