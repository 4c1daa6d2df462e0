"""Images of StyleGAN2's generator, without gradients: ours, and its reference form without compiled operators."""

import torch

from benchmarks.ours import build_engine
from benchmarks.program import Program
from benchmarks.usual import stylegan2
from ganforge.inference.inference_mode import inference_mode

WIDTHS = {"capacity": 16_384, "most": 512}  # of ADA's `auto` below 512 pixels


def ours(batch: int = 4, side: int = 256, capacity: int = WIDTHS["capacity"], most: int = WIDTHS["most"]) -> Program:
    """`generate` of the preset `auto`, with random noise."""
    game = build_engine("stylegan2", "auto", size=(side,), config={"capacity": capacity, "most": most}).game

    def play(steps: int) -> None:
        with inference_mode(game):
            for _ in range(steps):
                game.generate(game.noise(batch), randomise=True)  # pyright: ignore

    return Program(play, batch, sum(p.numel() for p in game.generator.parameters()))  # pyright: ignore


def theirs(batch: int = 4, side: int = 256, capacity: int = WIDTHS["capacity"], most: int = WIDTHS["most"]) -> Program:
    """The same network, with weights of each image."""
    net = stylegan2.Generator(stylegan2.widths_of(side, capacity, most), 512)

    def play(steps: int) -> None:
        with torch.inference_mode():
            for _ in range(steps):
                net(net.styles(torch.randn(batch, 512)))

    return Program(play, batch, sum(p.numel() for p in net.parameters()))
