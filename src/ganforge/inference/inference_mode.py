"""Evaluation mode for capabilities: no gradients, nothing changed afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from ganforge.game import Game


@contextmanager
def inference_mode(game: Game[Any, Any]) -> Iterator[Game[Any, Any]]:
    """The game as capabilities see it: evaluation mode, no gradients, everything put back afterwards."""
    modes, draw = [(module, module.training) for module in game.modules()], game.draw
    game.eval()
    try:
        with torch.inference_mode():
            yield game
    finally:
        for module, mode in modes:
            module.training = mode
        game.draw = draw
