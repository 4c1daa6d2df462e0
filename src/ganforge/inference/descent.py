"""Find the code of an image by descent, where a game has no network that does."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.optim import Adam

from ganforge.draw import FrameDraw
from ganforge.game import Game
from ganforge.inference.inference_mode import inference_mode


def descend(value: Callable[[Tensor], Tensor], start: Tensor, steps: int, lr: float) -> Tensor:
    """Codes (N, ...) after `steps` of Adam from `start`, each row along the gradient of its own `value(codes)` (N,).

    Adam works number by number and the values are summed, so that a row's code does not depend on the other rows.
    """
    with torch.inference_mode(False), torch.enable_grad():
        codes = start.clone().requires_grad_()
        optimiser = Adam([codes], lr)
        for _ in range(steps):
            (codes.grad,) = torch.autograd.grad(value(codes).sum(), codes)
            optimiser.step()
    return codes.detach()


def find_codes(game: Game, images: Tensor, seed: int = 0) -> Tensor:
    """Codes (N, ...) with which the game generates images (N, C, H, W) as well as it can, by its own `mismatch`.

    All start from the same code, that of row 0 of the seed, so that an image's code follows from the image alone.
    """
    with inference_mode(game, FrameDraw(seed, 0, images.device)), torch.inference_mode(False):
        given = images.clone()
        start = game.noise(len(given))  # pyright: ignore
        return descend(lambda codes: game.mismatch(given, game.generate(codes)), start, *game.descent)  # pyright: ignore
