"""Whether a run of Stage I fits a run of Stage II."""

from typing import Any

import torch

from ganforge.batches import Facts
from ganforge.errors import ModelError
from ganforge.game import Game
from ganforge.nn.text_encoders import TextEncoder


def check_first_stage(stage1: Game[Any, Any] | None, text: TextEncoder | None, facts: Facts) -> Any:
    """The part of Stage II.

    Raises ModelError where it is missing, is no Stage I, has another size than a quarter of the sides, or reads another
    text encoder than the one given.
    """
    if stage1 is None:
        raise ModelError("Stage II needs a run of Stage I: name it with --config.stage1 RUN.")
    if stage1.config.stage != 1:
        raise ModelError("The part 'stage1' is a run of Stage II: name one that was trained with --config.stage 1.")
    h, w = stage1.facts.height, stage1.facts.width
    if (4 * h, 4 * w) != (facts.height, facts.width):
        raise ModelError(
            f"Stage II makes images of four times the side: on a Stage I of {h}x{w} give --size {4 * h} {4 * w}, not "
            f"{facts.height} {facts.width}."
        )
    if text is not None and not are_equal(text, stage1.text):
        raise ModelError(
            "The text encoder of Stage II is not that of its Stage I, and both must read a sentence alike: leave "
            "--config.text out."
        )
    return stage1


def are_equal(one: Any, other: Any) -> bool:
    """Whether two modules have the same tensors."""
    a, b = one.state_dict(), other.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)
