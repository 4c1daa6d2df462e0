"""Perceptual path length: the squared speed of images along the line between two codes."""

from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.optim import Optimizer

from ganforge.batches import Facts, Images
from ganforge.draw import RowDraw, mix
from ganforge.errors import OptionError
from ganforge.evaluation.image_sets import step_from_codes
from ganforge.game import Clock, Game, Move
from ganforge.metrics import ppl
from ganforge.metrics.lpips import Distance

SQUARED = Distance("a squared distance", lambda a, b: (a - b).square().flatten(1).sum(1))


@dataclass(frozen=True)
class Settings:
    """None."""


@dataclass(frozen=True)
class Codes:
    w: Tensor
    shade: Tensor | None = None


class Straight(Game[Settings, Images]):
    """A game whose images are `speed` times its codes, plus noise that both ends of a step share."""

    speed = 3.0

    def players(self) -> dict[str, Optimizer]:
        return {}

    def play(self, batches: Iterator[Images], now: Clock) -> Iterator[Move]:
        yield from ()

    def noise(self, n: int) -> Tensor:
        return self.draw.normal(n, 4)

    def code(self, noise: Tensor) -> Codes:
        return Codes(noise[:, None], torch.ones(len(noise), 1, 1, 1))

    def decode(self, codes: Codes) -> Tensor:
        assert codes.shade is not None  # what editing never touches comes along
        return self.speed * codes.w.view(-1, 1, 2, 2) + self.draw.normal(len(codes.w), 1, 2, 2)


def trained(game: Straight) -> Any:
    return SimpleNamespace(game=game, device=torch.device("cpu"))


def test_the_length_is_the_squared_speed():
    game = Straight(Settings(), Facts(1, 2, 2))
    start, end = step_from_codes(trained(game), 5, 0, 6, 1e-2)
    ends = [RowDraw(seed, 0).normal(6, 4) for seed in (5, mix(5, 1))]
    expected = (game.speed * (ends[1] - ends[0])).square().sum(1)
    torch.testing.assert_close(ppl.path_lengths(start, end, SQUARED, 1e-2).float(), expected, rtol=1e-3, atol=1e-3)


def test_a_path_does_not_depend_on_its_batch():
    game = Straight(Settings(), Facts(1, 2, 2))
    whole, part = (step_from_codes(trained(game), 0, *rows, 1e-2) for rows in ((0, 6), (2, 5)))
    for a, b in zip(whole, part, strict=True):
        torch.testing.assert_close(a[2:5], b)


def test_the_longest_and_the_shortest_paths_are_left_out():
    lengths = torch.arange(1_000.0)
    kept = ppl.trim(lengths)
    assert (kept.min(), kept.max(), len(kept)) == (9, 990, 982)


def test_large_images_are_averaged_first():
    start, seen = torch.rand(2, 1, 512, 512), []
    distance = Distance("sizes", lambda a, b: seen.append(a.shape) or (a - b).flatten(1).sum(1))
    ppl.path_lengths(start, start, distance)
    assert seen[0][2:] == (256, 256)


def test_the_measure_is_of_the_run_s_own_codes(monkeypatch: pytest.MonkeyPatch):
    game = Straight(Settings(), Facts(1, 2, 2))
    monkeypatch.setattr(ppl, "choose_distance", lambda *_: SQUARED)
    inputs: Any = SimpleNamespace(walk=lambda *step: step_from_codes(trained(game), 0, *step))
    options: Any = SimpleNamespace(n=300, batch=64)
    (figure,) = ppl.compute_path_length(inputs, options, print)
    assert figure.name == "ppl"
    assert figure.value == pytest.approx(3**2 * 2 * 4, rel=0.15)  # two normal codes of four numbers each
    with pytest.raises(OptionError, match="of the models, stylegan2 can"):
        ppl.compute_path_length(SimpleNamespace(walk=None), options, print)  # pyright: ignore[reportArgumentType]
