"""Walks between images that were picked end in these images: their labels and sentences are kept, or mixed."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ganforge.batches import Facts
from ganforge.capabilities import Label, Text, list_questions
from ganforge.catalogue import find, names
from ganforge.errors import OptionError
from ganforge.inference.trained import Trained
from tests.inference.test_sentences import Config, Echo, run  # noqa: F401  a fixture

CLASSES = Facts(3, 16, 16, ("circle", "square", "star"))
ATTRIBUTES = Facts(3, 16, 16, attributes=("red", "large"))
SETTINGS = {"stylegan2": {"conditional": True}, "r3gan": {"conditional": True}}
LABELLED = [
    name
    for name in names()
    if hasattr(find(name).game, "generate")
    and any(question.meaning == "label" for question in list_questions(find(name).game.generate))
]


def build(name: str, facts: Facts, path: Path) -> Trained:
    """An untrained run of a model that takes labels."""
    model = find(name)
    torch.manual_seed(0)
    config = replace(model.preset("tiny").config, **SETTINGS.get(name, {}))
    return Trained(model.game(config, facts).eval(), path, name, 0)


def test_there_are_models_with_labels():
    assert {"cgan", "r3gan", "stylegan2"} <= {*LABELLED}


@pytest.mark.parametrize("facts", [CLASSES, ATTRIBUTES], ids=["classes", "attributes"])
@pytest.mark.parametrize("name", LABELLED)
def test_a_walk_ends_in_the_images_that_were_picked(name: str, facts: Facts, tmp_path: Path):
    trained = build(name, facts, tmp_path)
    images, numbers = trained.sample(8, 3), (6, 0, 1, 2, 3, 4, 5)
    walk = trained.interpolate(steps=3, seed=3, between=numbers)
    around = trained.interpolate(steps=3, seed=3, between=numbers, closed=True)
    torch.testing.assert_close(walk[:, 0], images[[*numbers[:-1]]], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(walk[:, -1], images[[*numbers[1:]]], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(around[:, 0], images[[*numbers]], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(around[-1, -1], images[6], rtol=1e-4, atol=1e-5)
    given = trained.interpolate(steps=3, seed=3, between=numbers, label=0 if facts.labels else "red")
    assert (given - walk).abs().max() > 1e-4


def test_codes_have_the_labels_of_their_images(tmp_path: Path):
    trained = build("stylegan2", CLASSES, tmp_path)
    images, walk = trained.sample(8, 3), trained.interpolate_codes(steps=2, seed=3, between=(7, 2))
    torch.testing.assert_close(walk[0], images[[7, 2]], rtol=1e-4, atol=1e-5)


class Painted(Echo):
    """Draws its label into every pixel, and cannot draw what lies between two."""

    def generate(self, noise: Tensor, label: Label = None) -> Tensor:  # pyright: ignore
        label = self.draw.choice(len(noise), 3) if label is None else label
        assert label.dtype == torch.int64
        return label.view(-1, 1, 1, 1).expand(-1, 1, 2, 4) / 4 + 0 * noise[:, :, None, None]

    def sample(self, n: int, label: Label = None) -> Tensor:  # pyright: ignore
        return self.generate(self.noise(n), label)


def test_classes_that_a_game_cannot_mix_are_kept_or_refused(tmp_path: Path):
    trained = Trained(Painted(Config(), Facts(1, 2, 4, ("circle", "square", "star"))), tmp_path, "painted", 0)
    shown = (4 * trained.sample(12)[:, 0, 0, 0]).long().tolist()
    same, other = shown.index(shown[0], 1), next(k for k in range(12) if shown[k] != shown[0])
    assert (4 * trained.interpolate(steps=4, between=(0, same)) == shown[0]).all()
    told = rf"Images {same} and {other} show '\w+' and '\w+', which painted cannot mix: choose one with --label"
    with pytest.raises(OptionError, match=told):
        trained.interpolate(steps=4, between=(0, same, other))
    assert (4 * trained.interpolate(steps=4, between=(0, other), label="star") == 2).all()


def test_sentences_of_two_images_are_mixed(run: Trained):  # noqa: F811
    images = run.sample(4)  # even images show the first caption
    walk = run.interpolate(steps=5, between=(3, 2))
    torch.testing.assert_close(walk[0, 0, 0, 0], images[3, 0, 0])
    torch.testing.assert_close(walk[0, -1, 0, 0], images[2, 0, 0])
    torch.testing.assert_close(walk[0, :, 0, 1, 0], torch.linspace(0, 1, 5))
    torch.testing.assert_close(walk[0, [0, -1], 0, 1, 1], images[[3, 2], 0, 1, 1])
    kept = run.interpolate(steps=5, between=(3, 1))
    assert (kept[0, :, 0, 0] == images[1, 0, 0]).all()
    with pytest.raises(OptionError, match="leave `between` or `text_b` out"):
        run.interpolate(between=(3, 2), text_b="a red star")


class Reader(Echo):
    """Cannot draw what lies between two sentences."""

    def generate(self, noise: Tensor, text: Text = None) -> Tensor:  # pyright: ignore
        return Echo.generate(self, noise, text)


def test_sentences_that_a_game_cannot_mix_are_refused(run: Trained, tmp_path: Path):  # noqa: F811
    options: dict[str, Any] = {"tokeniser": run.tokeniser, "captions": run.captions}
    trained = Trained(Reader(Config(), run.facts), tmp_path, "reader", 0, **options)
    told = "Images 3 and 2 show 'a blue disc' and 'a red star', which reader cannot mix: choose one sentence with"
    with pytest.raises(OptionError, match=told):
        trained.interpolate(between=(3, 2))
    assert trained.interpolate(steps=2, between=(3, 1)).shape[:2] == (1, 2)
