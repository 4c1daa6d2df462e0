"""Pretrained parts: a stage built on another run, which it keeps and never looks for again."""

import shutil
from pathlib import Path

import pytest
import torch

import ganforge
from ganforge.errors import ModelError

ENCODER = '''
"""encoder: finds the latent of a picture, for a generator that is done learning."""
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from ganforge.batches import Facts, Images
from ganforge.game import Clock, Game, Move, Part


@dataclass(frozen=True)
class Config:
    generator: Annotated[str, Part("dcgan")] = ""


class Encoder(Game[Config, Images]):
    averaged = ("encoder", "generator")

    def __init__(self, config: Config, facts: Facts, generator: Game | None = None) -> None:
        super().__init__(config, facts)
        self.generator = generator.generator.requires_grad_(False)
        self.latent = generator.config.latent
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(facts.channels * facts.height * facts.width, self.latent))

    def players(self) -> dict[str, Optimizer]:
        return {"encoder": Adam(self.encoder.parameters(), 1e-3)}

    def play(self, batches: Iterator[Images], now: Clock) -> Iterator[Move]:
        real = next(batches).images
        yield Move("encoder", distance=(self.generator(self.encoder(real)) - real).square().mean())

    def translate(self, images: Tensor) -> Tensor:
        return self.generator(self.encoder(images))
'''


@pytest.fixture
def first(tmp_path: Path):
    return ganforge.train("dcgan", preset="tiny", outdir=tmp_path / "runs", quiet=True)


@pytest.fixture
def encoder(tmp_path: Path) -> str:
    (tmp_path / "encoder.py").write_text(ENCODER)
    return str(tmp_path / "encoder.py")


def trained(encoder: str, part: str, out: Path):
    options = {"steps": 2, "batch": 8, "size": (16,), "outdir": out, "quiet": True}
    return ganforge.train(encoder, config={"generator": part}, **options)


def test_a_part_is_passed_on_copied_and_not_loaded_from_the_original_again(tmp_path, first, encoder):
    second = trained(encoder, f"{first.path}@6", tmp_path / "second")
    kept = ganforge.load(second.path / "parts" / "generator", device="cpu")
    assert torch.equal(kept.sample(3), first.sample(3))
    before = second.game.eval().translate(torch.zeros(1, 3, 16, 16))
    shutil.rmtree(first.path)
    again = ganforge.load(second.path, device="cpu")
    torch.testing.assert_close(again.game.translate(torch.zeros(1, 3, 16, 16)), before)
    assert ganforge.resume(second.path, steps=3, quiet=True).step == 3


def test_a_missing_part_names_the_command_that_makes_it(tmp_path, encoder):
    with pytest.raises(ModelError, match=r"cannot be loaded from 'nowhere'.*`ganforge train dcgan` trains one"):
        trained(encoder, "nowhere", tmp_path)


def test_a_part_of_another_model_is_refused(tmp_path, encoder):
    other = ganforge.train("gan", preset="tiny", outdir=tmp_path / "runs", quiet=True)
    with pytest.raises(ModelError, match=r"must be a run of dcgan; .* is one of gan"):
        trained(encoder, str(other.path), tmp_path)
