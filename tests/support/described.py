"""Scenes with sentences, a network that reads colour and kind of what is drawn, and captions of other images."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.batches import Captioned
from ganforge.data.loader import to_images
from ganforge.data.synthetic.captions import make_described
from ganforge.data.synthetic.shapes import COLOURS
from ganforge.data.synthetic.signed_distance import KINDS
from ganforge.game import Clock, Game, Move
from ganforge.metrics.fid import Gaussian, frechet_distance

UNSEEN = "shapes-captions-unseen"
"""Each kind lacks one colour in the training scenes, and has that one alone in the held-out scenes."""


@dataclass(frozen=True)
class Scenes:
    """Images (n, 3, H, W), with the index of each one's colour and kind (n,), and a sentence that names both."""

    images: Tensor
    colour: Tensor
    kind: Tensor
    says: list[str]


@cache
def scenes(side: int, held_out: bool, count: int, name: str = UNSEEN) -> Scenes:
    """The first scenes of the data."""
    drawn = make_described(name, count=count, held_out=held_out)
    colour, kind = (torch.from_numpy(x[:, 0].copy()) for x in (drawn.colour, drawn.kind))
    return Scenes(to_images(drawn.images((side, side))), colour, kind, [own[2] for own in drawn.sentences])


class Reader(nn.Module):
    """images (n, 3, side, side) -> logits of colours (n, 8) and of kinds (n, 10), by features (n, 64)."""

    def __init__(self, side: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for a, b in ((3, 32), (32, 64), (64, 96)):
            stride = 2 if side > 32 and a == 3 else 1
            layers += [nn.Conv2d(a, b, 3, stride, 1), nn.BatchNorm2d(b), nn.ReLU(), nn.MaxPool2d(2)]
        self.features = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(96 * 16, 64), nn.ReLU())
        self.answer = nn.Linear(64, len(COLOURS) + len(KINDS))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        colours, kinds = self.answer(self.features(images)).split([len(COLOURS), len(KINDS)], 1)
        return colours, kinds


@cache
def reader(side: int) -> Reader:
    """Trained on real scenes of all combinations, none of which any model is trained on or judged by."""
    torch.manual_seed(1)
    network, real = Reader(side), scenes(side, held_out=False, count=8_000, name="shapes-captions")
    optimiser = torch.optim.Adam(network.parameters(), 2e-3)
    for _ in range(900):
        rows = torch.randint(len(real.images), (64,))
        colours, kinds = network(real.images[rows])
        (F.cross_entropy(colours, real.colour[rows]) + F.cross_entropy(kinds, real.kind[rows])).backward()
        optimiser.step()
        optimiser.zero_grad()
    network.eval()
    new = scenes(side, held_out=True, count=1_000)
    assert min(read(network, new.images, new.colour, new.kind)) > 0.97
    return network


@torch.no_grad()
def read(network: Reader, images: Tensor, colour: Tensor, kind: Tensor) -> tuple[float, float]:
    """The shares of images whose colour and whose kind are read as asked for."""
    colours, kinds = network(images)
    shares = tuple(
        float((logits.argmax(1) == asked).float().mean()) for logits, asked in ((colours, colour), (kinds, kind))
    )
    print(f"colour {shares[0]:.1%}, kind {shares[1]:.1%} of {len(images)} images")
    return shares[0], shares[1]


def frechet(one: Tensor, other: Tensor) -> float:
    """The Frechet distance of features (n, K)."""
    return frechet_distance(Gaussian.of(one), Gaussian.of(other))


def shuffle_captions(monkeypatch: pytest.MonkeyPatch, game: type[Game[Any, Captioned]]) -> None:
    """From now on a game's real images have the sentences of others: the broken version of every reading."""
    play = game.play

    def play_shuffled(self: Game[Any, Captioned], batches: Iterator[Captioned], now: Clock) -> Iterator[Move]:
        return play(self, (Captioned(b.images, b.tokens.roll(1, 0)) for b in batches), now)

    monkeypatch.setattr(game, "play", play_shuffled)
