"""coder: a linear autoencoder whose codes can be edited."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from ganforge.batches import Facts, Images
from ganforge.capabilities import Codes
from ganforge.game import Clock, Game, Move
from ganforge.run import Preset, Run


@dataclass(frozen=True)
class Config:
    codes: int = 16
    lr: float = 1e-2


class Coder(Game[Config, Images]):
    averaged = ("encoder", "decoder")

    def __init__(self, config: Config, facts: Facts) -> None:
        super().__init__(config, facts)
        self.shape = (facts.channels, facts.height, facts.width)
        pixels = facts.channels * facts.height * facts.width
        self.encoder, self.decoder = nn.Linear(pixels, config.codes), nn.Linear(config.codes, pixels)

    def players(self) -> dict[str, Optimizer]:
        return {"coder": Adam([*self.encoder.parameters(), *self.decoder.parameters()], self.config.lr)}

    def play(self, batches: Iterator[Images], now: Clock) -> Iterator[Move]:
        images = next(batches).images
        yield Move("coder", distance=(self.decode(self.invert(images)) - images).abs().mean())

    def invert(self, images: Tensor) -> Codes:
        return Codes(self.encoder(images.flatten(1))[:, None])

    def noise(self, n: int) -> Tensor:
        return self.draw.normal(n, self.config.codes)

    def code(self, noise: Tensor, truncation: float = 1.0) -> Codes:
        return Codes(noise[:, None] * truncation)

    def decode(self, codes: Codes) -> Tensor:
        return self.decoder(codes.w[:, 0]).tanh().unflatten(1, self.shape)


presets = {"small": Preset(Config(), Run(steps=10, batch=8, size=(16,), ema=0.0))}
