"""Translators at sides that leave a map of one pixel, which has no statistics: a sentence, or it works."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ganforge.batches import Facts
from ganforge.catalogue import find
from ganforge.draw import RoundDraw
from ganforge.errors import ModelError
from ganforge.game import Clock, Game
from ganforge.inference.trained import Trained
from ganforge.models import bicyclegan
from ganforge.nn.patchgan import fit_layers

LEAST = {"cyclegan": 8, "instagan": 8, "stargan": 8, "bicyclegan": 16, "pix2pix": 8, "regression": 8}


def game(name: str, height: int, width: int, **config: object) -> Game:
    preset = find(name).preset("tiny")
    facts = Facts(3, height, width, labels=("x", "y", "z"), source_channels=3, instances=2)
    torch.manual_seed(0)
    return find(name).game(replace(preset.config, **config), facts)


def play(game: Game) -> None:
    """A step; a map that is too small makes torch raise ValueError or RuntimeError."""
    game.draw = RoundDraw(0, 0, 0, 1, "cpu")
    game.train()
    batches = iter(lambda: type(game).batch_type.example(2, game.facts), None)
    for move in game.play(batches, Clock()):
        assert all(term.isfinite() for term in move.terms.values())


@pytest.mark.parametrize("name", LEAST)
@pytest.mark.parametrize("wide", [False, True])
def test_the_least_side_plays_and_one_below_it_is_a_sentence(name: str, wide: bool):
    least = LEAST[name]
    play(game(name, least, 64 if wide else least))
    below = least - (8 if name == "bicyclegan" else 4)
    with pytest.raises(ModelError, match=r"is --size|Near is --size"):
        game(name, below, 64 if wide else below)


@pytest.mark.parametrize("side", range(8, 65, 8))
@pytest.mark.parametrize("preset", ["small", "paper"])
def test_bicyclegan_scores_every_image_that_its_unet_can_halve(side: int, preset: str):
    config = replace(bicyclegan.presets[preset].config, width=4, judge_width=4)
    facts = Facts(3, side, side, source_channels=3)
    if side == 8:
        with pytest.raises(ModelError, match=r"A side of 8 is too small for a discriminator at 2 scales: .* --size 16"):
            bicyclegan.BicycleGAN(config, facts)
        return
    play(bicyclegan.BicycleGAN(config, facts))


@pytest.mark.parametrize(("scales", "least"), [(1, 8), (2, 16), (3, 24), (4, 48)])
def test_the_least_side_that_is_named_is_the_least_multiple_of_8(scales: int, least: int):
    assert fit_layers(3, least, scales) >= 1
    with pytest.raises(ModelError, match=f"the least is --size {least}."):
        fit_layers(3, least - 8, scales)


@pytest.mark.parametrize("networks", ["resnet6", "unet"])
def test_pix2pix_says_what_its_generator_cannot_halve(networks: str):
    with pytest.raises(ModelError, match="multiples of"):
        game("pix2pix", 18, 18, networks=networks)


@pytest.mark.parametrize("name", ["cyclegan", "instagan", "stargan", "pix2pix"])
@pytest.mark.parametrize("size", [(1, 1), (4, 4), (3, 40), (8, 8)])
def test_small_images_are_padded_and_translated(name: str, size: tuple[int, int]):
    more = {"networks": "resnet6"} if name == "pix2pix" else {}
    run = Trained(game(name, 16, 16, **more), Path("none"), name, 0, torch.device("cpu"))
    masks = torch.ones(2, 1, *size) if name == "instagan" else None
    answers = {"to": "y"} if name == "stargan" else {}
    made = run.translate(torch.rand(2, 3, *size) * 2 - 1, masks=masks, **answers)
    assert made.shape == (2, 3, *size)
    assert made.isfinite().all()
