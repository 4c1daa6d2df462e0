"""Model files whose games are built on a part: a trained run that rests."""

STAGE = '''
"""stage: a network behind the resting network of another run."""
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from ganforge.batches import Facts, Images
from ganforge.game import Clock, Game, Move, Part
from ganforge.run import Preset, Run


@dataclass(frozen=True)
class Config:
    first: Annotated[str, Part("BASE")] = ""
    copies: bool = False


class Stage(Game[Config, Images]):
    averaged = ("first", "generator")

    def __init__(self, config: Config, facts: Facts, first: Game | None = None) -> None:
        super().__init__(config, facts)
        self.first = copy.deepcopy(first.generator).requires_grad_(True) if config.copies else first.generator
        self.generator = nn.Conv2d(facts.channels, facts.channels, 1)

    def players(self) -> dict[str, Optimizer]:
        trained = [*self.generator.parameters(), *(self.first.parameters() if self.config.copies else ())]
        return {"generator": SGD(trained, 0.1)}

    def play(self, batches: Iterator[Images], now: Clock) -> Iterator[Move]:
        real = next(batches).images
        yield Move("generator", distance=(self.translate(real) - real).square().mean())

    def translate(self, images: Tensor) -> Tensor:
        return self.generator(self.first(images)).tanh()


presets = {"tiny": Preset(Config(), Run(steps=6, batch=8, size=(16,), ema=100.0, log_every=2, sample_every=0))}
'''

BASE = '''
"""base: convolutions with batch norm, whose statistics would drift, and weights that would fill a checkpoint."""
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from ganforge.batches import Facts, Images
from ganforge.game import Clock, Game, Move
from ganforge.run import Preset, Run


@dataclass(frozen=True)
class Config:
    ballast: int = 0


class Base(Game[Config, Images]):
    def __init__(self, config: Config, facts: Facts) -> None:
        super().__init__(config, facts)
        self.generator = nn.Sequential(nn.Conv2d(facts.channels, facts.channels, 1), nn.BatchNorm2d(facts.channels))
        self.generator.register_buffer("ballast", torch.ones(config.ballast))

    def players(self) -> dict[str, Optimizer]:
        return {"generator": SGD(self.generator.parameters(), 0.1)}

    def play(self, batches: Iterator[Images], now: Clock) -> Iterator[Move]:
        real = next(batches).images
        yield Move("generator", distance=(self.generator(real) - real).square().mean())

    def translate(self, images: Tensor) -> Tensor:
        return self.generator(images).tanh()


presets = {"tiny": Preset(Config(), Run(steps=1, batch=8, size=(16,), log_every=1, sample_every=0))}
'''
