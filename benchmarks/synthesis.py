"""Images of StyleGAN2's generator, without gradients: ours, and its reference form without compiled operators."""

from typing import Any

import torch

from benchmarks.ours import build_engine
from benchmarks.program import Program
from benchmarks.usual import stylegan2
from benchmarks.usual.training import count
from ganforge.inference.inference_mode import inference_mode


def ours(batch: int = 4, side: int = 256, **widths: int) -> Program:
    """`generate` of the preset `auto` or with other `capacity` and `most`, with random noise, without limits."""
    game: Any = build_engine("stylegan2", "auto", size=(side,), config={"clamp": 0.0, **widths}).game

    def play(steps: int) -> None:
        with inference_mode(game):
            for _ in range(steps):
                game.generate(game.noise(batch), randomise=True)

    return Program(play, batch, count(game.generator))


def theirs(batch: int = 4, side: int = 256, capacity: int = 16_384, most: int = 512) -> Program:
    """The same network, with weights of each image."""
    net = stylegan2.Generator(stylegan2.widths_of(side, capacity, most), 512)

    def play(steps: int) -> None:
        with torch.inference_mode():
            for _ in range(steps):
                net(net.styles(torch.randn(batch, 512)))

    return Program(play, batch, count(net))
