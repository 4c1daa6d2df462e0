"""What a learnt loss, skips and a cycle are good for, each on held-out images and against its plain alternative."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import ganforge
from ganforge.batches import Facts
from ganforge.data.dataset import DataSet
from ganforge.data.loader import to_images
from ganforge.data.open import open_data
from ganforge.evaluation.report import Report
from ganforge.inference.trained import Trained
from ganforge.metrics.extractors.classifier import load_or_train_classifier
from tests.support.kept_runs import train_once

pytestmark = pytest.mark.quality


@pytest.fixture(scope="module")
def read() -> dict[str, Report]:
    """What is read off label maps that three translators made into scenes; all learned as long."""
    found = dict[str, Report]()
    asked: dict[str, dict[str, Any]] = {
        "regression": {"model": "regression"},
        "pix2pix": {"model": "pix2pix"},
        "encoder-decoder": {"model": "pix2pix", "config": {"networks": "encoder-decoder"}},
    }
    for name, settings in asked.items():
        run = train_once(data="shapes-pairs", **settings)
        found[name] = ganforge.evaluate(run.path, metrics=["l1", "fcn"], n=300, held_out=True)
        print(name, {figure.name: round(figure.value, 3) for figure in found[name].figures})
    return found


def test_a_learnt_loss_makes_scenes_that_can_be_read_and_regression_lies_nearer(read: dict[str, Report]):
    learnt, plain = read["pix2pix"], read["regression"]
    assert learnt["fcn_class_iou"].value > plain["fcn_class_iou"].value + 0.05
    assert learnt["fcn_class_iou"].value <= learnt["real_fcn_class_iou"].value + 0.05
    assert plain["l1"].value < learnt["l1"].value


def test_skips_carry_shapes_that_the_bottleneck_loses(read: dict[str, Report]):
    assert read["pix2pix"]["fcn_class_iou"].value > read["encoder-decoder"]["fcn_class_iou"].value + 0.05


@pytest.fixture(scope="module")
def cycle() -> Trained:
    return train_once("cyclegan", "shapes-unpaired")


def sides(held_out: bool, rows: int = 2_000) -> dict[str, np.ndarray]:
    """{a: scenes by day, b: in neon}, (n, 64, 64, 3) of 0 ... 255."""
    columns = open_data("shapes-unpaired", size=(64, 64), channels=3, held_out=held_out, needed=("a", "b")).columns
    return {side: columns[side][:rows].copy() for side in "ab"}


@pytest.mark.parametrize("side", ["a", "b"])
def test_cycles_return_nearer_to_their_start_than_to_any_training_image(cycle: Trained, side: str):
    start, seen = to_images(sides(True, 60)[side]), to_images(sides(False)[side])
    there = cycle.translate(start, reverse=side == "b")
    home = cycle.translate(there, reverse=side == "a")
    own = (home - start).abs().flatten(1).mean(1)
    nearest = torch.stack([distances(picture, seen).min() for picture in home])
    other = torch.stack([distances(picture, seen).min() for picture in start])
    print(
        f"{side}: {own.mean():.3f} from the start; the nearest training pictures are {nearest.mean():.3f} from the end "
        f"and {other.mean():.3f} from the start"
    )
    assert (own < nearest).float().mean() >= 0.9
    assert (own < other).float().mean() >= 0.8
    # A cycle of generators that do nothing leads home as well: the image must have changed more on the way.
    assert ((there - start).abs().flatten(1).mean(1) > own).float().mean() >= 0.9


def distances(picture: Tensor, others: Tensor) -> Tensor:
    return (others - picture).abs().flatten(1).mean(1)


def test_translations_pass_for_the_other_kind(cycle: Trained):
    """A classifier of the two domains, trained on real images alone."""
    known, new = sides(False), sides(True, 100)
    labels = np.repeat([0, 1], [len(known["a"]), len(known["b"])])
    columns = {"images": np.concatenate([known["a"], known["b"]]), "condition": labels}
    classifier = load_or_train_classifier(
        DataSet("day and neon", Facts(3, 64, 64, labels=("day", "neon")), columns, "day and neon scenes")
    )
    for k, side in enumerate("ab"):
        real = to_images(new[side])
        assert (classifier.predict_classes(real) == k).float().mean() >= 0.95
        passed = (classifier.predict_classes(cycle.translate(real, reverse=side == "b")) != k).float().mean()
        print(f"{side}: {passed:.0%} of the translations pass")
        assert passed >= 0.9
