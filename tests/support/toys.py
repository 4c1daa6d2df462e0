"""Games small enough to check by hand, and a loader of fixed images."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from ganforge.batches import Batch, Facts, Images, Labelled, Paired, column_of, is_image, is_mask
from ganforge.capabilities import Range
from ganforge.data.dataset import DataSet
from ganforge.data.loader import BatchLoader
from ganforge.game import Clock, Game, Hold, Move
from ganforge.run import Run

FACTS = Facts(channels=3, height=8, width=8)
RUN = Run(steps=6, batch=8, log_every=2, sample_every=0, save_every=0)


def make_data(n: int = 40, facts: Facts = FACTS, seed: int = 0, kind: type[Batch] = Labelled) -> DataSet:
    """`n` random rows of every column that `kind` needs, in memory; of a second side three fewer."""
    rng, columns = np.random.default_rng(seed), {}
    for name in kind.columns():
        rows, depth = n - 3 * (column_of(name).side == "b"), facts.channels
        if name == "source":
            depth = facts.source_channels or depth
        if is_mask(name):
            columns[name] = rng.integers(0, 2, (rows, facts.height, facts.width, facts.instances), np.uint8) * 255
        elif is_image(name):
            columns[name] = rng.integers(0, 256, (rows, facts.height, facts.width, depth), np.uint8)
        elif column_of(name).kind == "label_map":
            columns[name] = rng.integers(0, len(facts.regions), (rows, facts.height, facts.width, 1), np.uint8)
        elif name == "boxes":
            columns[name] = np.sort(rng.random((rows, facts.most, 2, 2), np.float32), 2).reshape(rows, -1, 4)
        elif name == "box_labels":
            columns[name] = rng.integers(0, len(facts.objects), (rows, facts.most))
        elif name == "tokens":
            columns[name] = kind.example(rows, facts, seed).tokens.numpy()  # pyright: ignore
        elif facts.attributes:
            columns[name] = rng.integers(0, 2, (rows, len(facts.attributes))).astype(np.float32)
        else:
            columns[name] = np.arange(rows) % max(1, len(facts.labels))
    return DataSet("toys", facts, columns, "toys")


def make_loader(run: Run = RUN, facts: Facts = FACTS, kind: type[Batch] = Images) -> BatchLoader:
    """A loader of those images."""
    return BatchLoader(make_data(facts=facts, kind=kind), kind, run)


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

    def play(self, batches: Iterator[Images], now: Clock) -> Iterator[Move]:
        real = next(batches).images
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

    def play(self, batches: Iterator[Images], now: Clock) -> Iterator[Move]:
        real = next(batches).images
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


class Translating(Game[Config, Paired]):
    """One layer from source to target; what it adds for `strength` follows from the seed."""

    def __init__(self, config: Config, facts: Facts) -> None:
        super().__init__(config, facts)
        self.generator = nn.Conv2d(facts.source_channels or facts.channels, facts.channels, 3, 1, 1)

    def players(self) -> dict[str, Optimizer]:
        return {"generator": SGD(self.generator.parameters(), self.config.lr)}

    def play(self, batches: Iterator[Paired], now: Clock) -> Iterator[Move]:
        pair = next(batches)
        yield Move("generator", l1=(self.generator(pair.source) - pair.target).abs().mean())

    def translate(self, images: Tensor, strength: Annotated[float, Range(0, 1)] = 0.1, reverse: bool = False) -> Tensor:
        made = self.generator(images) + strength * self.draw.normal(len(images), 1, 1, 1)
        return -made.tanh() if reverse else made.tanh()
