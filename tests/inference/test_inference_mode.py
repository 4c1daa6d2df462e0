"""Seeded sampling: image k of a seed is the same, to the bit, whoever samples and in batches of any size."""

from dataclasses import replace
from pathlib import Path

import torch

from ganforge.callbacks.samples import SEED, generate_images
from ganforge.draw import RowDraw
from ganforge.engine import Engine
from ganforge.evaluation.image_sets import sample_images
from ganforge.images import to_uint8
from ganforge.inference.inference_mode import inference_mode, sample_batches
from ganforge.inference.trained import Trained
from tests.support.toys import FACTS, RUN, Config, Toy, make_loader


def test_all_samplers_give_the_same_bits() -> None:
    torch.manual_seed(0)
    game = Toy(Config(), FACTS)
    with torch.inference_mode():
        game.draw = RowDraw(5, 2)
        expected = game.sample(7)  # images 2 ... 8 of seed 5
    assert torch.equal(torch.cat(list(sample_batches(game, 7, 5, "cpu", start=2, batch=3))), expected)
    trained = Trained(game, Path(), "toy", 0)
    assert torch.equal(trained.sample(7, 5, start=2, batch=4), expected)
    evaluated = sample_images(trained, 9, 5, None).rows(2, 9)
    assert (to_uint8(evaluated) == to_uint8(expected)).all()
    engine = Engine(game, replace(RUN, batch=4), make_loader())
    assert (generate_images(engine, 9) == to_uint8(trained.sample(9, SEED))).all()


def test_the_draws_of_a_row_have_not_changed() -> None:
    """Seed 5, row 2: the values of every release."""
    expected = torch.tensor([-0.6888228, 0.1958890, -2.0858309])
    torch.testing.assert_close(RowDraw(5, 2).normal(1, 3), expected[None], rtol=0, atol=1e-6)


def test_inference_mode_restores_modes_and_draws() -> None:
    game = Toy(Config(), FACTS)
    former = game.draw
    with inference_mode(game, RowDraw(3)) as own:
        assert own is game
        assert not game.training
        assert game.draw is not former
        assert torch.is_inference_mode_enabled()
    assert game.training
    assert game.draw is former
    with inference_mode(game):
        assert game.draw is former
