"""Keyword options of `train` and `plan`: those of Run, and those of the model's Config beside them."""

import dataclasses
import difflib
from collections.abc import Mapping
from numbers import Integral
from os import PathLike, fspath
from typing import Any

from ganforge.catalogue import Model
from ganforge.errors import OptionError
from ganforge.run import Run, to_fields
from ganforge.serialize import from_plain, to_plain

OWN = (
    "data",
    "preset",
    "config",
    "direction",
    "make",
    "unknown",
    "tokens",
    "only",
    "epochs",
    "kimg",
    "data_home",
    "outdir",
    "name",
    "quiet",
    "say",
)
"""Arguments of `train` and `plan` themselves, for the spelling of a name that is unknown."""


def route_options(model: Model, options: Mapping[str, Any], config: Any) -> tuple[dict[str, Any], Any]:
    """(fields of Run, the config) from keyword options: `size=64, lr=1e-4` are a field of Run and one of Config.

    A name that both have is Run's.  `config` is None, a mapping or a Config, to which the options are added.
    Raises OptionError for a name that is in neither, with the nearest ones, and for one that is given twice.
    """
    fields = {field.name for field in dataclasses.fields(Run)}
    settings = {field.name for field in dataclasses.fields(model.game.Config)}
    given, more = to_fields(options), dict[str, Any]()
    for name in [name for name in given if name not in fields]:
        if name not in settings:
            known = sorted({*fields, *settings, *OWN})
            near = difflib.get_close_matches(name, known, 3, 0.6)
            hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}."
            raise OptionError(f"Neither the run nor {model.name} has a setting {name!r}: {hint}")
        if isinstance(config, Mapping) and name in config:
            raise OptionError(f"{name} is given twice, in config and beside it: give it once.")
        more[name] = given.pop(name)
    if isinstance(given.get("size"), Integral) and not isinstance(given["size"], bool):
        given["size"] = (int(given["size"]),)
    if isinstance(config, Mapping) or (config is None and more):
        config = {**(config or {}), **more}
    elif more:
        config = from_plain(model.game.Config, {**to_plain(config), **more})
    if isinstance(config, Mapping):  # a loaded game stands for the path of its run
        config = {name: fspath(value) if isinstance(value, PathLike) else value for name, value in config.items()}
    return given, config
