"""Convert settings between frozen dataclasses and the plain values of YAML and JSON, with type checks."""

import dataclasses
import json
import math
import re
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ganforge.errors import OptionError
from ganforge.run import check_number

T = TypeVar("T")


def to_plain(value: Any) -> Any:
    """Convert dataclasses, tuples and paths to values that YAML and JSON can hold.  Raises TypeError for others."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): to_plain(v) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return [to_plain(v) for v in value]
    if isinstance(value, Path):
        return str(value)
    json.dumps(value)  # anything else would be lost: better an error now than a run that cannot be read
    return value


def from_plain(kind: type[T], values: Mapping[str, Any]) -> T:
    """Build a dataclass from plain values.  Raises OptionError for an unknown field or a value of another type."""
    if not isinstance(values, Mapping):
        raise OptionError(f"{kind.__name__} cannot be {shorten(values)}: it is names with values.")
    hints = get_type_hints(kind)
    for name, value in values.items():
        if name not in hints:
            raise OptionError(f"{kind.__name__} has no setting {name!r}; it has {', '.join(hints)}.")
        if not fits(value, hints[name]):
            raise OptionError(f"{name} cannot be {shorten(value)}: it is {describe_type(hints[name])}.")
    return kind(**{name: convert(value, hints[name]) for name, value in values.items()})


RATES, SHARES = re.compile(r"(^|_)lr(_|$)|learning_rate"), re.compile(r"^beta\d?$|momentum$")
SIZES = re.compile(
    r"(^|_)(width|latent|layers|blocks|depth|units|hidden|channels|moves|scales?|growth|pieces"
    r"|style|vector|projected|condition|kernel|capacity|widest|full|bank|heads?|times|expansion|shrink|together)$"
)


def check_config(config: Any) -> None:
    """Raise OptionError, naming the first setting of a model's Config that is out of range.

    Numbers are finite, learning rates above 0, sizes at least 1 and other whole numbers not negative, where the
    default is not below that itself; a field annotated with a `Range` lies in it.
    """
    from ganforge.capabilities import Range  # it imports torch

    hints = get_type_hints(type(config), include_extras=True)
    for f in dataclasses.fields(config):
        value, default, flag = getattr(config, f.name), f.default, f"--config.{f.name.replace('_', '-')}"
        limits = next((note for note in get_args(hints[f.name])[1:] if isinstance(note, Range)), None)
        for number in value if isinstance(value, (tuple, list)) else (value,):
            if isinstance(number, bool) or not isinstance(number, (int, float)) or value == default:
                continue
            low, high = least_of(f.name, number), math.inf
            if isinstance(default, (int, float)):
                low = min(low, default)
            if limits is not None:
                low, high = limits.low, limits.high
            check_number(flag, number, low, high)
            if limits is None and RATES.search(f.name) and number <= 0:
                raise OptionError(f"{flag} cannot be {number}: a learning rate is above 0.")
            if limits is None and SHARES.search(f.name) and number >= 1:
                raise OptionError(f"{flag} cannot be {number}: it is below 1.")


def least_of(name: str, number: float) -> float:
    """The least value of a setting, by its name and its type."""
    if isinstance(number, int) and SIZES.search(name):
        return 1
    return 0 if isinstance(number, int) or SHARES.search(name) or RATES.search(name) else -math.inf


def shorten(value: Any) -> str:
    """A value as Python writes it, in 80 letters."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def fits(value: Any, hint: Any) -> bool:
    """Whether a plain value fits the type `hint`."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return fits(value, inner[0])
    if origin is Literal:
        return value in inner
    if origin in (Union, types.UnionType):
        return any(fits(value, h) for h in inner)
    if origin is tuple:
        return isinstance(value, (tuple, list)) and all(fits(v, inner[0]) for v in value)
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if origin is not None and isinstance(origin, type):
        return isinstance(value, origin) or (issubclass(origin, Mapping) and isinstance(value, Mapping))
    return hint is Any or (value is None and hint is type(None)) or (isinstance(hint, type) and isinstance(value, hint))


def convert(value: Any, hint: Any) -> Any:
    """Convert a plain value to the type of its field."""
    if get_origin(hint) is tuple:
        return tuple(convert(v, get_args(hint)[0]) for v in value)
    return float(value) if hint is float else value


def describe_type(hint: Any) -> str:
    """A type in words, for error messages."""
    if get_origin(hint) is Literal:
        return " or ".join(str(v) for v in get_args(hint))
    if get_origin(hint) in (Union, types.UnionType):
        return " or ".join(describe_type(h) for h in get_args(hint) if h is not type(None))
    return {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text"}.get(
        getattr(hint, "__name__", ""), str(hint).replace("typing.", "")
    )
