"""What makes it WGAN-GP: the slope of the critic is drawn to one, image by image, between real and fake."""

from itertools import islice

import pytest
import torch
from torch import Tensor, nn

from ganforge.batches import Facts
from ganforge.catalogue import find
from ganforge.draw import RowDraw
from ganforge.game import Clock
from ganforge.models.wgan_gp import WGANGP, Config, slope_penalty
from tests.support.toys import make_loader

FACTS = Facts(3, 8, 8)


class Slope(nn.Module):
    """f(x) = slope * sum(x) / sqrt(pixels): climbs by `slope` wherever one stands."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(slope))

    def forward(self, images: Tensor) -> Tensor:
        return self.slope * images.flatten(1).sum(1) / images[0].numel() ** 0.5


@pytest.mark.parametrize(("slope", "penalty"), [(1.0, 0.0), (-1.0, 0.0), (3.0, 4.0), (0.5, 0.25), (0.0, 1.0)])
def test_the_penalty_is_the_squared_distance_of_the_slope_from_one(slope, penalty):
    critic = Slope(slope)
    found = slope_penalty(critic, torch.randn(4, 3, 8, 8))
    assert float(found.detach()) == pytest.approx(penalty, abs=1e-5)
    found.backward()
    assert critic.slope.grad is not None
    if slope > 0:
        assert float(critic.slope.grad) == pytest.approx(2 * (slope - 1), abs=1e-4)


def test_the_penalty_stays_in_fp32():
    critic, points = nn.Sequential(nn.Flatten(), nn.Linear(12, 1)), torch.randn(5, 3, 2, 2)
    exact = slope_penalty(critic, points)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(slope_penalty(critic, points), exact)


def test_slopes_are_measured_on_the_lines_between_real_and_fake(monkeypatch):
    own = WGANGP(Config(latent=4, width=8, critic_moves=1, networks="perceptrons"), FACTS)
    own.draw, seen = RowDraw(0), []
    monkeypatch.setattr("ganforge.models.wgan_gp.slope_penalty", lambda _c, x: seen.append(x) or x.sum() * 0)
    real = make_loader(facts=FACTS).batch(0).images
    next(own.play(iter([make_loader(facts=FACTS).batch(0)]), Clock()))
    own.draw = RowDraw(0)
    fake = own.generator(own.noise(len(real)))
    along, whole = (seen[0] - real).flatten(1), (fake - real).flatten(1)
    share = (along * whole).sum(1, keepdim=True) / whole.square().sum(1, keepdim=True)
    torch.testing.assert_close(along, share * whole, rtol=0, atol=1e-5)
    assert share.min() >= 0
    assert share.max() <= 1
    assert share.std() > 0.1


@pytest.mark.parametrize("networks", ["strided", "perceptrons"])
def test_the_critic_scores_each_image_by_itself(networks):
    own = WGANGP(Config(latent=4, width=8, networks=networks), FACTS).train()
    pictures = torch.randn(6, 3, 8, 8)
    torch.testing.assert_close(own.critic(pictures)[:2], own.critic(pictures[:2]))


def test_five_critic_moves_to_one_of_the_generator_and_the_distance_is_only_logged():
    own = WGANGP(Config(latent=4, width=8), FACTS)
    moves = list(own.play(iter(make_loader(facts=FACTS).batch(k) for k in range(5)), Clock()))
    assert [move.player for move in moves] == ["critic"] * 5 + ["generator"]
    for move in islice(moves, 5):
        assert not move.terms["distance"].requires_grad
        torch.testing.assert_close(move.terms["distance"], -(move.terms["real"] + move.terms["fake"]).detach())
    paper = find("wgan_gp").preset("paper").config
    assert (paper.penalty, paper.lr, paper.beta1, paper.beta2) == (10, 1e-4, 0, 0.9)


def test_points_in_the_plane_are_images_of_one_pixel():
    own = WGANGP(Config(latent=2, width=8, networks="perceptrons"), Facts(2, 1, 1))
    assert own.sample(5).shape == (5, 2, 1, 1)
