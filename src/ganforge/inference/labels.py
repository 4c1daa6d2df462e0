"""Classes and attributes as users write them, as the numbers that games take."""

import math
from collections.abc import Sequence

from ganforge.batches import Facts
from ganforge.errors import OptionError


def find_label(facts: Facts, value: str | int) -> int:
    """The index of a class, given by name or index.  Raises OptionError, naming the classes."""
    word = str(value)
    if word in facts.labels:
        return facts.labels.index(word)
    if word.isdigit() and int(word) < len(facts.labels):
        return int(word)
    raise OptionError(f"There is no class {value!r}; there are {', '.join(facts.labels) or 'none in this run'}.")


def parse_attributes(
    facts: Facts, text: str | Sequence[float], unnamed: float = 0.0, editable: Sequence[str] = ()
) -> list[float]:
    """A vector of attributes: `red,large` sets these to 1, `red=0.5,large` one of them to 0.5.

    Attributes that are not named have the value `unnamed`.  A number for each, `1,0.5,0`, is accepted too.

    Raises OptionError naming the attributes, or those that are `editable` where these are fewer.
    """
    words = [word.strip() for word in text.split(",")] if isinstance(text, str) else [str(value) for value in text]
    names, numbers = facts.attributes, [parse_number(word) for word in words]
    if len(words) == len(names) and None not in numbers:
        return [value for value in numbers if value is not None]
    values = dict.fromkeys(names, unnamed)
    for word in words:
        name, _, amount = word.partition("=")
        value = parse_number(amount or "1")
        if name not in values or value is None:
            known = editable or names
            raise OptionError(
                f"{word!r} is no attribute of this run, whose attributes are {', '.join(known)}: name the wanted "
                f"ones, as in {known[0]} or {known[0]}=0.5, or give {len(names)} numbers."
            )
        values[name] = value
    return list(values.values())


def parse_number(word: str) -> float | None:
    """The finite number in a word; None where it is not one."""
    try:
        value = float(word)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
