"""What makes it the GAN of 2014: the objective, and the discriminator at rest."""

import math

import pytest
import torch

from ganforge.batches import Facts, Images
from ganforge.draw import RoundDraw
from ganforge.game import Clock
from ganforge.models.gan import GAN, Config, Maxout

FACTS = Facts(1, 4, 4)


def moves(config: Config):
    game = GAN(config, FACTS).eval()
    game.draw = RoundDraw(0, 0, 0, 1, "cpu")
    batches = iter(lambda: Images.example(6, FACTS), None)
    return game, list(game.play(batches, Clock()))


def test_k_discriminator_moves_come_before_the_generators():
    _, played = moves(Config(latent=4, width=8, units=4, discriminator_moves=3))
    assert [m.player for m in played] == ["discriminator"] * 3 + ["generator"]


def test_a_discriminator_that_knows_nothing_is_worth_log_4():
    """D = 1/2 everywhere gives V = -log 4 (theorem 1)."""
    config = Config(latent=4, width=8, units=4)
    game = GAN(config, FACTS)
    for parameter in game.discriminator.parameters():
        parameter.data.zero_()
    game.draw = RoundDraw(0, 0, 0, 1, "cpu")
    first = next(game.play(iter(lambda: Images.example(6, FACTS), None), Clock()))
    assert (first.terms["real"] + first.terms["fake"]).item() == pytest.approx(math.log(4))


def test_both_objectives_of_the_generator_pull_the_same_way_with_other_force():
    gradients = {}
    for objective in ("minimax", "non-saturating"):
        torch.manual_seed(0)
        game, played = moves(Config(latent=4, width=8, units=4, objective=objective))
        played[-1].terms["fool"].backward()
        gradients[objective] = torch.cat([p.grad.flatten() for p in game.generator.parameters()])
    cosine = torch.cosine_similarity(gradients["minimax"], gradients["non-saturating"], dim=0)
    assert cosine > 0.9
    assert not torch.allclose(gradients["minimax"], gradients["non-saturating"])


def test_maxout_is_the_largest_of_its_pieces():
    unit = Maxout(3, 2, 5)
    x = torch.randn(7, 3)
    pieces = unit.linear(x).view(7, 2, 5)
    torch.testing.assert_close(unit(x), pieces.max(2).values)
