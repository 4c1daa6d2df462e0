"""painter: every region has one colour, which is learned in seconds: an answer that a test can know."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from ganforge.batches import Facts, Segmented
from ganforge.game import Clock, Game, Move
from ganforge.run import Preset, Run


@dataclass(frozen=True)
class Config:
    lr: float = 0.1


class Painter(Game[Config, Segmented]):
    averaged = ("colours",)

    def __init__(self, config: Config, facts: Facts) -> None:
        super().__init__(config, facts)
        self.colours = nn.Embedding(len(facts.regions), facts.channels)

    def players(self) -> dict[str, Optimizer]:
        return {"painter": Adam(self.colours.parameters(), self.config.lr)}

    def play(self, batches: Iterator[Segmented], now: Clock) -> Iterator[Move]:
        batch = next(batches)
        yield Move("painter", distance=(self.translate(batch.label_map) - batch.images).abs().mean())

    def translate(self, label_map: Tensor) -> Tensor:
        return self.colours(label_map).movedim(-1, 1).tanh()


presets = {"small": Preset(Config(), Run(steps=30, batch=8, size=(32,), ema=0.0))}
