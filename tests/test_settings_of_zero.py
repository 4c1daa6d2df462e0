"""A whole number of a model's settings that cannot be 0 is refused before anything is built."""

import contextlib
import dataclasses
from typing import Any

import pytest

from benchmarks.ours import build_engine, train_steps
from ganforge.catalogue import find, names
from ganforge.errors import GANForgeError
from ganforge.serialize import check_config


def list_accepted(model: str) -> list[str]:
    """The whole numbers of a Config that may be 0, where the preset has another value."""
    config, accepted = find(model).preset("tiny").config, list[str]()
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if not isinstance(value, int) or isinstance(value, bool) or not value:
            continue
        try:
            check_config(dataclasses.replace(config, **{field.name: 0}))
        except GANForgeError:
            continue
        accepted.append(field.name)
    return accepted


@pytest.mark.parametrize(("model", "setting"), [(model, name) for model in names() for name in list_accepted(model)])
def test_what_is_accepted_plays_or_is_refused_in_a_sentence(model: str, setting: str):
    config: dict[str, Any] = {setting: 0}
    with contextlib.suppress(GANForgeError):
        train_steps(build_engine(model, "tiny", config=config)).play(3)
