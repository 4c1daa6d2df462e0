"""Evaluation mode for capabilities: no gradients, seeded random numbers, and the game is restored afterwards."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from ganforge.draw import Draw, RowDraw
from ganforge.game import Game


@contextmanager
def inference_mode(game: Game[Any, Any], draw: Draw | None = None) -> Iterator[Game[Any, Any]]:
    """The game in evaluation mode without gradients, with `draw` if given; modes and `draw` are restored afterwards."""
    modes, former = [(module, module.training) for module in game.modules()], game.draw
    game.eval()
    game.draw = former if draw is None else draw
    try:
        with torch.inference_mode():
            yield game
    finally:
        for module, mode in modes:
            module.training = mode
        game.draw = former


def sample_batches(
    game: Game[Any, Any],
    n: int,
    seed: int,
    device: torch.device | str,
    *,
    start: int = 0,
    batch: int = 64,
    options: Callable[[int, int], dict[str, Any]] = lambda first, rows: {},
) -> Iterator[Tensor]:
    """Images `start` ... `start + n - 1` of the seed, batch after batch, on the game's device.

    Image k follows from (seed, k), for any `n` and `batch`.  `options(first, rows)` are the arguments of `sample` for
    images `first` and so on.
    """
    for first in range(start, start + n, batch):
        rows = min(batch, start + n - first)
        with inference_mode(game, RowDraw(seed, first, device)):
            images = game.sample(rows, **options(first, rows))  # pyright: ignore
        yield images
