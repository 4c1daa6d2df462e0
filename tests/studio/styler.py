"""styler: codes of four layers, each of which draws a quarter of the rows of an image."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, cat, nn
from torch.optim import Adam, Optimizer

from ganforge.batches import Facts, Labelled
from ganforge.capabilities import Codes, Label, MixedLabel
from ganforge.game import Clock, Game, Move
from ganforge.nn.conditions import as_vectors, draw_labels
from ganforge.run import Preset, Run


@dataclass(frozen=True)
class Config:
    lr: float = 1e-3


class Styler(Game[Config, Labelled]):
    def __init__(self, config: Config, facts: Facts) -> None:
        super().__init__(config, facts)
        self.k = len(facts.labels)
        self.generator = nn.Linear(self.k, facts.channels)

    def players(self) -> dict[str, Optimizer]:
        return {"styler": Adam(self.generator.parameters(), self.config.lr)}

    def play(self, batches: Iterator[Labelled], now: Clock) -> Iterator[Move]:
        batch = next(batches)
        made = self.generate(self.noise(len(batch)), label=batch.condition)
        yield Move("styler", distance=(made - batch.images).abs().mean())

    def noise(self, n: int) -> Tensor:
        return self.draw.normal(n, self.facts.channels)

    def code(self, noise: Tensor, truncation: float = 1.0, label: MixedLabel = None) -> Codes:
        label = draw_labels(self.draw, len(noise), self.k, False) if label is None else label
        w = truncation * noise + self.generator(as_vectors(label, self.k))
        return Codes(w[:, None].expand(-1, 4, -1))

    def decode(self, codes: Codes) -> Tensor:
        return cat([codes.w[:, layer, :, None, None].expand(-1, -1, 4, 16) for layer in range(4)], 2).tanh()

    def generate(self, noise: Tensor, truncation: float = 1.0, label: MixedLabel = None) -> Tensor:
        return self.decode(self.code(noise, truncation, label))

    def sample(self, n: int, truncation: float = 1.0, label: Label = None) -> Tensor:
        return self.generate(self.noise(n), truncation, label)


presets = {"small": Preset(Config(), Run(steps=2, batch=4, size=(16,), ema=0.0))}
