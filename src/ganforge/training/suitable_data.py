"""Whether data suits the facts of a run that goes on, and the names that an imported run takes from its first data."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from ganforge.batches import Facts
from ganforge.console import Say
from ganforge.errors import DataError
from ganforge.serialize import shorten

TAKEN = {
    "labels": ("labels",),
    "attributes": ("attributes",),
    "regions": ("regions", "region_colours", "region_codes", "region_reading"),
    "objects": ("objects", "most"),
}
"""{names: the facts that come with them}.  No network depends on any of these, only on how many names there are."""


def check_data_facts(own: Facts, given: Facts, data_spec: str, stored: Mapping[str, Any], say: Say) -> None:
    """Raise DataError where the facts of the data are not those of the run.

    An official file numbers what it was trained on: an imported run that has had no data takes the names of its first,
    number by number, where there are as many.  `stored` is what its config.yaml says of its data; `say` receives the
    names.
    """
    own = replace(own, captions=given.captions)  # on which no network depends
    if "imported" in stored and not stored["asked"]:
        for name, with_it in TAKEN.items():
            numbers, names = getattr(own, name), getattr(given, name)
            if not all(number.isdecimal() for number in numbers if number):  # names that an adapter knows
                continue
            if len(numbers) != len(names):
                raise DataError(describe_counts(name, numbers, names, data_spec))
            if numbers != names:
                pairs = (f"{number} is {word}" for number, word in zip(numbers, names, strict=True) if number)
                say(f"The imported {name} have the names of {data_spec}, by number: {', '.join(pairs)}.")
            own = replace(own, **{fact: getattr(given, fact) for fact in with_it})
    if own != given:
        raise DataError(f"{data_spec} does not suit the run: {describe_difference(own, given)}.")


def describe_counts(name: str, numbers: tuple[str, ...], names: tuple[str, ...], data_spec: str) -> str:
    """The sentence for data that have another number of names than an imported file."""
    return (
        f"{data_spec} has {count_names(names)} {name}, and the imported file {count_names(numbers)}: give data with as "
        "many, in the file's order, or train a new run on these."
    )


def count_names(names: tuple[str, ...]) -> int:
    """How many names are not empty: the first object is none."""
    return sum(1 for name in names if name)


def describe_difference(own: Facts, given: Facts) -> str:
    """The facts in which data differ from those of a run: `height is 32, and the run's 64`."""
    pairs = {field.name: (getattr(own, field.name), getattr(given, field.name)) for field in fields(Facts)}
    texts = {name: (shorten(run), shorten(data)) for name, (run, data) in pairs.items() if run != data}
    return "; ".join(f"{name} is {data}, and the run's {run}" for name, (run, data) in texts.items())
