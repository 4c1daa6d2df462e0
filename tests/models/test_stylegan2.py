"""What makes it StyleGAN2: styles act on one layer alone, regularisation is lazy, and codes are edited by layers."""

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.batches import Facts, PerhapsLabelled
from ganforge.capabilities import Codes
from ganforge.draw import RoundDraw, RowDraw
from ganforge.engine import Engine
from ganforge.errors import ModelError
from ganforge.game import Clock
from ganforge.models.stylegan2 import StyleGAN2, generator, presets
from ganforge.models.stylegan2.generator import Mapping, Synthesis
from ganforge.models.stylegan2.layers import MinibatchDeviation, ModulatedConv2d, StyledConv
from ganforge.nn.blur import Blur
from ganforge.nn.upfirdn import make_filter, upfirdn2d
from ganforge.run import Run
from tests.support.witness import RecordedLoader

FACTS = Facts(3, 16, 16)
CONFIG = presets["tiny"].config


def game(facts: Facts = FACTS, **changes: Any) -> StyleGAN2:
    torch.manual_seed(0)
    own = StyleGAN2(replace(CONFIG, **changes), facts)
    own.draw = RoundDraw(0, 0, 0, 1, "cpu")
    return own


def batch(n: int = 4, facts: Facts = FACTS) -> PerhapsLabelled:
    return PerhapsLabelled.example(n, facts)


# -- layers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("resample", ["same", "up", "down"])
def test_scaling_input_and_output_equals_weights_of_each_image(resample: Any):
    """Equations 1 and 3 as they stand: w' = s w, w'' = w' / |w'|, one convolution an image."""
    torch.manual_seed(0)
    layer, blur = ModulatedConv2d(6, 5, 3, 4, resample=resample), Blur()
    x, latent = torch.randn(3, 6, 8, 8), torch.randn(3, 4)
    made, style = layer(x, latent, torch.zeros(5)), layer.style(latent)
    for n in range(3):
        weight = layer.weight * style[n, None, :, None, None]
        weight = weight / (weight.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        if resample == "up":
            one = blur(F.conv_transpose2d(x[n : n + 1], weight.transpose(0, 1), stride=2), 1, 4.0)
        elif resample == "down":
            one = F.conv2d(blur(x[n : n + 1], 2), weight, stride=2)
        else:
            one = F.conv2d(x[n : n + 1], weight, padding=1)
        torch.testing.assert_close(made[n : n + 1], one, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("demodulate", [True, False])
@pytest.mark.parametrize("resample", ["same", "up", "down"])
def test_one_image_without_gradients_has_scaled_weights(
    resample: Any, demodulate: bool, monkeypatch: pytest.MonkeyPatch
):
    """Where its map is larger than they are."""
    torch.manual_seed(0)
    layer = ModulatedConv2d(6, 5, 3, 4, demodulate, resample)
    apart, used = layer.convolve_apart, []
    monkeypatch.setattr(layer, "convolve_apart", lambda *given: used.append(1) or apart(*given))
    bias, latent = torch.randn(5), torch.randn(1, 4)
    for side, count in ((8, 1), (4, 0)):
        x = torch.randn(1, 6, side, side)
        expected = layer(x, latent, bias, gain=0.7)
        assert not used
        with torch.no_grad():
            made = layer(x, latent, bias, gain=0.7)
        assert used == [1] * count
        used.clear()
        torch.testing.assert_close(made, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("form", ["skip", "resnet", "orig"])
def test_large_images_without_gradients_are_made_one_by_one(form: Any, monkeypatch: pytest.MonkeyPatch):
    """The same images, with noise of each or of all, and with weights that a network has changed."""
    torch.manual_seed(0)
    monkeypatch.setattr(generator, "LARGE", 8 * 8 * 8)
    network = Synthesis(4, 3, (4, 4), (8, 8, 4), form)
    for layer in network.modules():
        if isinstance(layer, StyledConv):
            torch.nn.init.ones_(layer.strength)
    sizes: list[int] = []
    network.blocks[0].register_forward_hook(lambda _net, given, _made: sizes.append(len(given[0])))
    styles = torch.randn(3, 6, 4)
    noise = [torch.randn(1 if k == 2 else 3, 1, *side) for k, side in enumerate(network.sides)]
    changes: list[Tensor | None] = [None] * 8
    changes[3] = 0.5 * torch.randn(3, 8, 8, 3, 3)
    for given in ((None, None), (noise, None), (noise, changes)):
        expected = network(styles, *given)
        with torch.no_grad():
            made = network(styles, *given)
        torch.testing.assert_close(made, expected, rtol=1e-4, atol=1e-4)
    assert sizes == [3, 1, 1, 1] * 3


def test_demodulation_keeps_the_variance_whatever_the_style():
    torch.manual_seed(0)
    layer, x = ModulatedConv2d(64, 64, 3, 8), torch.randn(2, 64, 32, 32)
    for size in (0.1, 1.0, 10.0):
        made = layer(x, size * torch.randn(2, 8), torch.zeros(64))
        assert made.std().item() == pytest.approx(1.0, rel=0.1)


def test_the_quick_filters_equal_the_reference():
    x, kernel, blur = torch.randn(2, 3, 6, 10), make_filter((1.0, 3.0, 3.0, 1.0)), Blur()
    torch.testing.assert_close(blur.enlarge(x), upfirdn2d(x, kernel, (2, 2), padding=(2, 1, 2, 1), gain=4.0))
    torch.testing.assert_close(blur.reduce(x), upfirdn2d(x, kernel, down=(2, 2), padding=(1, 1, 1, 1)))
    torch.testing.assert_close(blur(x, 2), upfirdn2d(x, kernel, padding=(2, 2, 2, 2)))


@pytest.mark.parametrize("n", [1, 3, 4, 6])
def test_the_minibatch_deviation_takes_any_batch(n: int):
    made = MinibatchDeviation(4)(torch.randn(n, 2, 4, 4))
    assert made.shape == (n, 3, 4, 4)
    assert made.isfinite().all()
    assert bool(made[:, 2].abs().max() > 0.1) == (n > 1)


@pytest.mark.parametrize("form", ["skip", "resnet", "orig"])
def test_a_style_acts_from_its_layer_on(form: Any):
    torch.manual_seed(0)
    network = Synthesis(4, 3, (4, 4), (8, 8, 4), form).eval()
    seen: dict[int, Tensor] = {}
    for number, block in enumerate(network.blocks):
        block.register_forward_hook(lambda _net, _given, made, number=number: seen.update({number: made}))
    styles = torch.randn(1, 6, 4)
    network(styles)
    before = dict(seen)
    styles = styles.clone()
    styles[:, 3:] += 1
    network(styles)
    assert torch.equal(seen[0], before[0])
    assert not torch.equal(seen[1], before[1])


@pytest.mark.parametrize(
    ("sides", "base"), [((48, 48), (6, 6)), ((64, 96), (4, 6)), ((28, 28), (7, 7)), ((16, 40), (4, 10))]
)
def test_rectangular_sides_begin_with_a_rectangular_constant(sides: tuple[int, int], base: tuple[int, int]):
    own = game(Facts(3, *sides))
    assert own.generator.synthesis.constant.shape[1:] == base
    assert own.sample(2).shape == (2, 3, *sides)
    assert own.discriminator(torch.randn(2, 3, *sides)).shape == (2,)


# -- the game ---------------------------------------------------------------------------------


def test_regularisation_is_lazy_and_follows_the_clock_alone():
    own = game()
    for step in (0, 1, 4, 15, 16):
        now = Clock(step=step, batch=4)
        moves = [(move.player, *move.terms) for move in own.play(iter([batch()]), now)]
        names = [name for _, *terms in moves for name in terms]
        assert ("path" in names) == (step % 4 == 0)
        assert ("r1" in names) == (step % 16 == 0)
        assert [player for player, *_ in moves] == sorted((player for player, *_ in moves), reverse=True)


def test_adam_is_corrected_for_the_additional_steps():
    """Appendix B: with c = k / (k + 1), the rate times c and the momenta to the power of c."""
    own = game(lr=0.002)
    for player, k in (("generator", 4), ("discriminator", 16)):
        group = own.players()[player].param_groups[0]
        assert group["lr"] == pytest.approx(0.002 * k / (k + 1))
        assert group["betas"] == (0.0, pytest.approx(0.99 ** (k / (k + 1))))


def test_what_is_not_set_follows_the_size_and_the_batch():
    """ADA's `auto` at 256 pixels and batches of 16: gamma 0.8192, rate 0.0025, half-life of 5,000 images."""
    auto = presets["auto"]
    assert auto.config.gamma is None
    own = game(Facts(3, 16, 16), gamma=None, lr=None, half_life=None)
    assert own.ema(Clock(batch=16)) == 5_000.0
    assert own.players()["generator"].param_groups[0]["lr"] == pytest.approx(0.0025 * 4 / 5)
    fixed = game(Facts(3, 16, 16), gamma=0.0002 * 256 / 4)
    real = batch()
    rules, numbers = ([*one.play(iter([real]), Clock(batch=4))][-1].terms["r1"] for one in (own, fixed))
    torch.testing.assert_close(rules, numbers)


def test_mixing_gives_later_layers_another_style():
    own = game(mixing=1.0)
    styles = own.draw_styles(64, None)
    changes = (styles[:, 1:] != styles[:, :-1]).any(2)
    assert (changes.sum(1) == 1).all()
    assert changes.any(0).all()  # every cut-off occurs
    assert not (game(mixing=0.0).draw_styles(8, None).diff(dim=1)).any()


def test_the_path_penalty_is_that_of_equation_4():
    own = game(mixing=0.0, layer_noise=False)
    own.path_mean.fill_(0.5)
    own.draw = RowDraw(3)
    styles = own.draw_styles(3, None).detach().requires_grad_()
    images = own.generator.synthesis(styles)
    noise = own.draw.normal(*images.shape) / 16
    lengths = []
    for n in range(3):
        (slope,) = torch.autograd.grad((images[n] * noise[n]).sum(), styles, retain_graph=True)
        lengths.append(slope[n].square().sum(1).mean().sqrt())
    mean = 0.5 + 0.01 * (torch.stack(lengths).mean() - 0.5)
    own.draw = RowDraw(3)
    penalty = own.path_penalty(3, None)
    torch.testing.assert_close(penalty, (torch.stack(lengths) - mean).square().mean(), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(own.path_mean, mean)


def test_frozen_layers_of_the_discriminator_keep_their_weights():
    """FreezeD counts from_rgb, then the first block's convolutions and its shortcut."""
    own = game(freeze=4)
    before = {key: value.clone() for key, value in own.discriminator.state_dict().items()}
    Engine(own, Run(steps=2, batch=4), RecordedLoader([batch()] * 2)).train()
    kept = [key for key, value in own.discriminator.state_dict().items() if torch.equal(value, before[key])]
    assert kept
    assert all(key.startswith("blocks.0.") for key in kept)
    trained = [key for key in before if not key.startswith("blocks.0.")]
    assert not set(trained) & set(kept)


def test_several_micro_batches_are_one_batch():
    made = []
    for shares in (1, 2):
        own = game(group=1, path_weight=0.0)
        Engine(own, Run(steps=1, batch=4, accumulate=shares, fast=False), SharedLoader()).train()
        made.append(own.generator.state_dict())
    for key, value in made[0].items():
        torch.testing.assert_close(made[1][key], value, rtol=1e-3, atol=1e-4)


class SharedLoader:
    count = 4

    def batch(self, number: int, share: int, shares: int) -> PerhapsLabelled:
        rows = 4 // shares
        return PerhapsLabelled(batch().images[share * rows : (share + 1) * rows])


# -- codes and labels -------------------------------------------------------------------------


def test_generate_decodes_codes():
    own = game().eval()
    own.generator.mapping.mean.normal_()
    noise = own.noise(3)
    codes = own.code(noise, 0.7)
    assert isinstance(codes, Codes)
    assert codes.w.shape == (3, own.generator.synthesis.styles, 8)
    torch.testing.assert_close(own.generate(noise, 0.7), own.decode(codes))
    torch.testing.assert_close(own.generate(noise), own.decode(own.code(noise)))
    middle = own.code(noise, 0.0).w
    torch.testing.assert_close(middle, own.generator.mapping.mean.expand_as(middle))


def test_constant_noise_is_the_same_and_random_noise_is_not():
    own = game().eval()
    for layer in own.generator.modules():
        if isinstance(getattr(layer, "strength", None), nn.Parameter):
            nn.init.constant_(layer.strength, 0.5)  # pyright: ignore
    noise = own.noise(2)
    assert torch.equal(own.generate(noise), own.generate(noise))
    assert not torch.equal(own.generate(noise, randomise=True), own.generate(noise, randomise=True))


@pytest.mark.parametrize("facts", [Facts(3, 16, 16, labels=("a", "b", "c")), Facts(3, 16, 16, attributes=("a", "b"))])
def test_conditions_change_images_and_logits(facts: Facts):
    own, given = game(facts, conditional=True), batch(4, facts)
    assert given.condition is not None
    list(own.play(iter([given]), Clock(batch=4)))
    vectors = own.vector(given.condition)
    assert vectors is not None
    noise, other = own.noise(4), 1 - vectors
    assert not torch.equal(own.generate(noise, label=vectors), own.generate(noise, label=other))
    assert not torch.equal(own.discriminator(given.images, vectors), own.discriminator(given.images, other))
    assert own.sample(3).shape == (3, 3, 16, 16)


def test_labels_are_refused_where_there_are_none():
    with pytest.raises(ModelError, match="needs data with classes or attributes"):
        game(conditional=True)
    with pytest.raises(ModelError, match="sees no labels"):
        game().sample(2, label=torch.tensor([0, 1]))


def test_the_mean_style_moves_only_in_training():
    mapping = Mapping(4, 0, 4, 2)
    mapping(torch.randn(8, 4))
    assert not mapping.mean.any()
    mapping.follow(torch.ones(8, 4))
    torch.testing.assert_close(mapping.mean, torch.full((4,), 0.005))


def test_the_generator_is_exported_for_any_batch():
    own = game().eval()
    program = torch.export.export(own.generator, (own.noise(2),), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
    z = own.noise(5)
    with torch.no_grad():
        torch.testing.assert_close(program.module()(z), own.generator(z), rtol=1e-4, atol=1e-5)
