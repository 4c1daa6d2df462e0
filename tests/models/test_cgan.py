"""What makes it a conditional GAN: both players see the condition, and the image follows it."""

from pathlib import Path

import pytest
import torch

from ganforge.batches import Facts, Labelled
from ganforge.draw import RowDraw
from ganforge.engine import Engine
from ganforge.errors import ModelError, OptionError
from ganforge.game import Clock
from ganforge.inference.inference_mode import inference_mode
from ganforge.inference.trained import Trained
from ganforge.models.cgan import CGAN, Config, Projection
from ganforge.nn.conditions import as_vectors
from tests.support.toys import make_loader, run

CLASSES = Facts(3, 8, 8, labels=("circle", "square", "star"))
ATTRIBUTES = Facts(3, 8, 8, attributes=("red", "large", "round", "dark"))
FORMS = [("strided", "concatenate"), ("strided", "projection"), ("perceptrons", "concatenate")]


def game(facts: Facts = CLASSES, **changes: object) -> CGAN:
    torch.manual_seed(0)
    return CGAN(Config(latent=8, width=4, **changes), facts)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("facts", [CLASSES, ATTRIBUTES], ids=["classes", "attributes"])
@pytest.mark.parametrize(("networks", "discriminator"), FORMS)
def test_both_players_see_the_condition(networks, discriminator, facts):
    own = game(facts, networks=networks, discriminator=discriminator).eval()
    pictures, z = torch.randn(3, 3, 8, 8), own.noise(1).expand(3, -1)
    y = as_vectors(torch.eye(4)[:3] if facts.attributes else torch.arange(3), own.k)
    for answers in (own.generator(z, y), own.discriminator(pictures[:1].expand(3, -1, -1, -1), y)):
        assert not torch.allclose(answers[0], answers[1])
        assert not torch.allclose(answers[1], answers[2])


@pytest.mark.parametrize(("networks", "discriminator"), FORMS)
def test_fakes_are_scored_with_their_own_condition(networks, discriminator):
    own, given = game(networks=networks, discriminator=discriminator), []
    for net in (own.generator, own.discriminator):
        net.register_forward_pre_hook(lambda _net, arguments: given.append(arguments[1]))
    batch = make_loader(facts=CLASSES, kind=Labelled).batch(0)
    assert isinstance(batch, Labelled)
    assert [move.player for move in own.play(iter([batch]), Clock())] == ["discriminator", "generator"]
    assert len(given) == 4
    assert all(torch.equal(y.argmax(1), batch.condition) for y in given)


def test_the_projection_is_its_formula():
    net = Projection(k=3, width=4, channels=3, halvings=1).eval()
    pictures, y = torch.randn(5, 3, 8, 8), torch.rand(5, 3)
    phi = net.body(pictures).sum((2, 3))
    expected = torch.einsum("nk,fk,nf->n", y, net.v.weight, phi) + phi @ net.psi.weight[0] + net.psi.bias
    torch.testing.assert_close(net(pictures, y), expected)


@pytest.mark.parametrize("discriminator", ["concatenate", "projection"])
def test_it_learns_what_a_label_means(discriminator):
    # Two classes, dark and bright: after a few steps the label decides the brightness.
    facts = Facts(1, 8, 8, labels=("dark", "bright"))
    own = CGAN(Config(latent=4, width=8, lr=2e-3, discriminator=discriminator), facts)

    class Lamps:
        count = 64

        def batch(self, number: int, share: int, shares: int) -> Labelled:
            labels = torch.arange(16) % 2
            return Labelled((labels * 1.2 - 0.6)[:, None, None, None].expand(16, 1, 8, 8).contiguous(), labels)

    Engine(own, run(steps=200, batch=16, fast=False), Lamps()).train()
    with inference_mode(own):
        own.draw = RowDraw(0)
        dark, bright = (float(own.sample(16, torch.full((16,), label)).mean()) for label in (0, 1))
    assert dark < -0.3 < 0.3 < bright


def test_an_owner_asks_in_words(tmp_path: Path):
    own = Trained(game(), tmp_path, "cgan", 0)
    star = own.sample(3, label="star")
    assert torch.equal(star, own.sample(3, label="2"))
    assert torch.equal(star, own.sample(3, label=2))
    assert not torch.equal(star, own.sample(3, label="circle"))
    walk = own.interpolate(rows=1, steps=3, label="star")
    torch.testing.assert_close(walk[0, 0], star[0], rtol=1e-4, atol=1e-5)
    with pytest.raises(OptionError, match="There is no class 'moon'; there are circle, square, star"):
        own.sample(1, label="moon")


def test_an_owner_asks_for_attributes(tmp_path: Path):
    own = Trained(game(ATTRIBUTES), tmp_path, "cgan", 0)
    both = own.sample(2, label="red,round")
    assert torch.equal(both, own.sample(2, label="1,0,1,0"))
    assert torch.equal(both, own.sample(2, label=(1, 0, 1, 0)))
    half = own.sample(2, label="red=0.5, round")
    assert torch.equal(half, own.sample(2, label="0.5,0,1,0"))
    assert not torch.equal(both, half)
    assert own.sample(3).shape == (3, 3, 8, 8)
    for wrong in ("green", "red=much", "1,0", "red=nan"):
        with pytest.raises(OptionError, match=r"is no attribute .* red, large, round, dark"):
            own.sample(1, label=wrong)


def test_data_without_conditions_is_refused():
    with pytest.raises(ModelError, match="needs data with classes"):
        game(Facts(3, 8, 8))
