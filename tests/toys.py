"""Games small enough to check sums by hand, and a deck of fixed pictures."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from ganforge.batches import Facts, Images
from ganforge.data.dataset import DataSet
from ganforge.data.deal import Deck
from ganforge.game import Clock, Game, Hold, Move
from ganforge.run import Run

FACTS = Facts(channels=3, height=8, width=8)
RUN = Run(steps=6, batch=8, log_every=2, sample_every=0, save_every=0)


def pictures(n: int = 40, facts: Facts = FACTS, seed: int = 0) -> DataSet:
    """`n` random pictures in memory."""
    shape = (n, facts.height, facts.width, facts.channels)
    images = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    condition = np.arange(n) % max(1, len(facts.labels))
    return DataSet("toys", facts, {"images": images, "condition": condition}, "toys")


def deck(run: Run = RUN, facts: Facts = FACTS, kind: type = Images) -> Deck:
    """A deck of those pictures."""
    return Deck(pictures(facts=facts), kind, run)


@dataclass(frozen=True)
class Config:
    """Nothing to configure but the learning rate."""

    lr: float = 0.1


class Toy(Game[Config, Images]):
    """No norm layers, so that a batch in pieces equals a batch in one piece."""

    def __init__(self, config: Config, facts: Facts) -> None:
        super().__init__(config, facts)
        self.generator, self.critic = nn.Conv2d(facts.channels, facts.channels, 1), nn.Conv2d(facts.channels, 1, 1)

    def players(self) -> dict[str, Optimizer]:
        return {name: SGD(getattr(self, name).parameters(), self.config.lr) for name in ("critic", "generator")}

    def play(self, deal: Iterator[Images], now: Clock) -> Iterator[Move]:
        real = next(deal).images
        fake = self.generate(self.noise(len(real)))
        gap = self.critic(fake.detach()).mean() - self.critic(real).mean()
        yield Move("critic", gap=gap, size=0.01 * self.critic.weight.square().sum(), brightness=fake.detach().mean())
        yield Move("generator", fool=-self.critic(fake).mean())

    def noise(self, n: int) -> Tensor:
        return self.draw.normal(n, self.facts.channels)

    def generate(self, noise: Tensor) -> Tensor:
        spread = noise[:, :, None, None].expand(-1, -1, self.facts.height, self.facts.width)
        return self.generator(spread).tanh()

    def sample(self, n: int) -> Tensor:
        return self.generate(self.noise(n))


class Holding(Game[Config, Images]):
    """One player whose gradient comes in two pieces."""

    averaged = ("generator",)

    def __init__(self, config: Config, facts: Facts, hold: bool = True) -> None:
        super().__init__(config, facts)
        self.generator, self.hold = nn.Conv2d(facts.channels, facts.channels, 1), hold

    def players(self) -> dict[str, Optimizer]:
        return {"generator": SGD(self.generator.parameters(), self.config.lr)}

    def play(self, deal: Iterator[Images], now: Clock) -> Iterator[Move]:
        real = next(deal).images
        if self.hold:
            yield Hold("generator", first=self.generator(real).square().mean())
            yield Hold("generator", second=(self.generator(real) - real).abs().mean())
            yield Move("generator")
        else:
            first, second = self.generator(real).square().mean(), (self.generator(real) - real).abs().mean()
            yield Move("generator", first=first, second=second)


def run(**changes: object) -> Run:
    """The toys' run with changes."""
    return replace(RUN, **changes)


def weights(game: nn.Module) -> Tensor:
    """All parameters and buffers in one row."""
    return torch.cat([t.detach().float().flatten() for t in game.state_dict().values()])
