"""What makes it WGAN: a critic whose weights never leave the box, whose climb is a distance."""

from dataclasses import replace
from itertools import islice
from typing import Any

import pytest
import torch
from torch.optim import Optimizer

from ganforge.batches import Facts, Images
from ganforge.engine import Engine
from ganforge.errors import ModelError
from ganforge.game import Clock, parameters_of
from ganforge.models.wgan import WGAN, Config, presets
from ganforge.run import Run


class FixedLoader:
    """Deals white images."""

    count = 8

    def batch(self, number: int, share: int, shares: int) -> Images:
        return Images(torch.ones(8 // shares, 1, 16, 16))


def game(**changes: Any) -> WGAN:
    torch.manual_seed(0)
    return WGAN(replace(Config(latent=4, width=4), **changes), Facts(1, 16, 16))


@pytest.mark.parametrize("clip", ["after", "before"])
def test_the_box(clip: str):
    own = game(clip=clip, thorough_moves=3, lr=1e-3)
    Engine(own, Run(steps=2, batch=8, fast=False), FixedLoader()).train()
    largest = max(float(p.detach().abs().max()) for p in own.critic.parameters())
    if clip == "after":
        assert largest == pytest.approx(0.01)
    else:
        assert 0.01 < largest < 0.03  # the last step leads out of the box; the next move begins inside


def test_the_critic_climbs_the_distance_and_the_generator_shortens_it():
    own = game(networks="perceptrons", width=32, limit=0.1, lr=1e-2, thorough_moves=40)
    players, distances = own.players(), []
    moves = own.play(iter(lambda: FixedLoader().batch(0, 0, 1), None), Clock())
    for move in islice(moves, 40):
        descend(players["critic"], move.terms["real"] + move.terms["fake"])
        own.after("critic")
        distances.append(move.terms["distance"])
    assert not distances[-1].requires_grad
    assert distances[-1] > 10 * distances[0].abs()

    descend(players["generator"], next(moves).terms["fool"])
    with torch.no_grad():
        shorter = own.critic(torch.ones(8, 1, 16, 16)).mean() - own.critic(own.generator(own.noise(8))).mean()
    assert shorter < distances[-1]
    assert next(moves, None) is None


def descend(player: Optimizer, loss: torch.Tensor) -> None:
    player.zero_grad()
    loss.backward(inputs=list(parameters_of(player)))
    player.step()


def test_the_critic_is_thorough_at_the_start_and_now_and_then():
    own = WGAN(presets["paper"].config, Facts(3, 64, 64))
    moves = [own.critic_moves(Clock(step)) for step in range(1001)]
    assert [step for step, n in enumerate(moves) if n == 100] == [*range(25), 500, 1000]
    assert {n for n in moves if n != 100} == {5}


def test_micro_batches_play_the_same_game_without_norms():
    def weights(accumulate: int) -> torch.Tensor:
        own = game(generator_norm=False, critic_norm=False, clip="before", thorough_moves=2)
        Engine(own, Run(steps=2, batch=8, accumulate=accumulate, fast=False), FixedLoader()).train()
        return torch.cat([p.detach().flatten() for p in own.parameters()])

    torch.testing.assert_close(weights(1), weights(2), rtol=1e-3, atol=1e-5)


def test_sizes_that_cannot_be_made_are_answered_with_sizes_that_can():
    with pytest.raises(ModelError, match="28, 32"):
        WGAN(Config(), Facts(3, 30, 31))
    assert WGAN(Config(latent=4, width=4, networks="perceptrons"), Facts(1, 9, 7)).sample(2).shape == (2, 1, 9, 7)
    assert WGAN(Config(latent=4, width=4, extra_layers=1), Facts(2, 20, 40)).sample(3).shape == (3, 2, 20, 40)


def test_a_perceptrons_samples_are_clamped_and_its_fakes_are_not():
    own = game(networks="perceptrons")
    with torch.no_grad():
        own.generator.get_parameter("0.6.bias").fill_(3.0)
        assert own.sample(2).amax() == 1
        assert own.generator(own.noise(2)).amax() > 2
