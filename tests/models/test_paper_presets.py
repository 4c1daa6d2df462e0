"""Each paper's published settings, with their source, against what the preset of that paper does."""

import pytest
import torch
from torch import nn

from ganforge.batches import Facts, Images
from ganforge.catalogue import find, names
from ganforge.draw import RowDraw
from ganforge.game import Clock, parameters
from ganforge.models import dcgan, gan
from tests.models.published.checks import Check, built
from tests.models.published.codes import CODES
from tests.models.published.generation import GENERATION
from tests.models.published.sentences import SENTENCES
from tests.models.published.translation import TRANSLATION

TABLE = GENERATION | TRANSLATION | SENTENCES | CODES
ROWS = [
    pytest.param(model, preset, check, id=f"{model}-{preset}-{what} ({source})")
    for (model, preset), rows in TABLE.items()
    for what, source, check in rows
]


@pytest.mark.parametrize(("model", "preset", "check"), ROWS)
def test_a_preset_has_the_published_setting(model: str, preset: str, check: Check) -> None:
    check(built(model, preset))


def test_every_paper_is_in_the_table() -> None:
    assert {model for model, preset in TABLE if preset == "paper"} == set(names())


def test_regression_trains_as_pix2pix_does() -> None:
    one, other = find("regression").presets, find("pix2pix").presets
    for preset in ("small", "paper"):
        assert one[preset].run == other[preset].run
        assert one[preset].config.lr == other[preset].config.lr


# -- settings that only show in a step ------------------------------------------------------------------


def test_the_output_bias_of_gan_makes_the_mean_image() -> None:
    """With weights of 0 the first fakes are the mean of the first batches, in both ranges of pixels."""
    facts = Facts(1, 4, 4)
    means = torch.linspace(-0.9, 0.9, 16).view(1, 1, 4, 4)
    for output in ("sigmoid", "tanh"):
        game = gan.GAN(gan.Config(latent=4, width=8, units=4, output=output, marginals=2), facts)
        nn.init.zeros_(game.generator[4].weight)
        nn.init.zeros_(game.generator[4].bias)
        game.draw = RowDraw(0)
        drawn = []
        batches = (drawn.append(k) or Images(means + (-1) ** k * 0.05) for k in range(9))
        next(game.play(batches, Clock()))
        assert len(drawn) == 3  # two for the mean, one for D
        torch.testing.assert_close(game.sample(2), means.expand(2, -1, -1, -1), rtol=0, atol=1e-5)
        next(game.play(batches, Clock(step=1)))
        assert len(drawn) == 4  # later steps do not measure again


def test_the_discriminator_of_gan_sees_pixels_of_its_own_range() -> None:
    facts, seen = Facts(1, 4, 4), []
    game = gan.GAN(gan.Config(latent=4, width=8, units=4, output="sigmoid"), facts).eval()
    game.discriminator[2].register_forward_hook(lambda _net, inputs, _out: seen.append(inputs[0]))
    game.discriminator(torch.linspace(-1, 1, 16).view(1, 1, 4, 4))
    torch.testing.assert_close(seen[0], torch.linspace(0, 1, 16)[None])


def test_the_cost_of_gan_s_discriminator_is_halved() -> None:
    values = []
    for weight in (1.0, 0.5):
        torch.manual_seed(0)
        config = gan.Config(latent=4, width=8, units=4, discriminator_weight=weight)
        game = gan.GAN(config, Facts(1, 4, 4)).eval()
        game.draw = RowDraw(0)
        move = next(game.play(iter([Images.example(6, Facts(1, 4, 4))]), Clock()))
        values.append(move.terms["real"] + move.terms["fake"])
    torch.testing.assert_close(values[1], values[0] / 2)


def test_a_step_of_the_chapter_is_a_step_of_keras() -> None:
    """D on real images, D on fakes of a generator at rest, then G, in training, on the same noise."""
    game = dcgan.DCGAN(find("dcgan").preset("chapter").config, Facts(1, 8, 8))
    for norm in (layer for layer in game.generator.modules() if isinstance(layer, nn.BatchNorm2d)):
        nn.init.constant_(norm.get_buffer("running_mean"), 0.3)  # far from the statistics of any batch
    game.draw = RowDraw(0)
    noise = game.noise(6)
    game.draw, seen, modes = RowDraw(0), [], []
    game.discriminator.register_forward_hook(lambda _net, inputs, _out: seen.append(inputs[0].detach().clone()))
    game.generator.register_forward_hook(lambda net, _in, _out: modes.append(net.training))
    before = {name: buffer.clone() for name, buffer in game.generator.named_buffers()}
    moves, batch = [], Images.example(6, Facts(1, 8, 8))
    for move in game.play(iter([batch]), Clock()):
        moves.append((move.player, *move.terms))
        if len(moves) == 2:
            assert all(torch.equal(buffer, before[name]) for name, buffer in game.generator.named_buffers())
    assert moves == [
        ("discriminator", "real", "says_real"),
        ("discriminator", "fake", "says_fake"),
        ("generator", "fool"),
    ]
    assert modes == [False, True]
    assert game.generator.training
    torch.testing.assert_close(seen[0], batch.images)
    game.generator.load_state_dict(before, strict=False)
    with torch.no_grad():
        torch.testing.assert_close(seen[1], game.generator.eval()(noise))
        torch.testing.assert_close(seen[2], game.generator.train()(noise))
    assert not torch.allclose(seen[1], seen[2])


def test_old_configs_keep_their_networks_and_rates() -> None:
    """New settings have defaults under which a run that was begun without them goes on as before."""
    strided = dcgan.DCGAN(dcgan.Config(), Facts(3, 64, 64))
    assert parameters(strided) == {"generator": 3_576_704, "discriminator": 2_765_568}
    plain = gan.GAN(gan.Config(), Facts(1, 8, 8))
    assert [type(layer).__name__ for layer in plain.discriminator][:2] == ["Flatten", "Dropout"]
    assert [type(layer).__name__ for layer in plain.generator][-2:] == ["Tanh", "Unflatten"]
    rbdn = find("rbdn")
    old = rbdn.game(rbdn.game.Config(width=4), Facts(1, 16, 16, source_channels=1)).players()["generator"]
    assert [(g["lr"], g["weight_decay"]) for g in old.param_groups] == [
        (1e-7, 5e-4), (pytest.approx(1e-8), 0.0), (pytest.approx(1e-8), 5e-4), (pytest.approx(1e-8), 0.0)
    ]  # fmt: skip
