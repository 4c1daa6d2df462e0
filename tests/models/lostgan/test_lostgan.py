"""What makes it LostGAN: a code for each object, a score for each object, and objects that can be moved alone."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ganforge.batches import Facts, LaidOut
from ganforge.draw import RoundDraw, RowDraw
from ganforge.errors import ModelError, WeightsError
from ganforge.game import Clock, Game
from ganforge.inference.inference_mode import inference_mode
from ganforge.models import lostgan
from ganforge.models.lostgan import LostGAN, presets
from ganforge.models.lostgan.discriminator import ObjectDiscriminator
from ganforge.models.lostgan.layouts import to_inside
from ganforge.nn.spectral_norm import SpectralNorm
from ganforge.nn.vgg import CONTENT, VGG

NAMES = ("", "disc", "star", "ring", "tree")
FACTS = Facts(3, 16, 16, objects=NAMES, most=3)
CONFIG = presets["tiny"].config


def game(facts: Facts = FACTS, **changes: object) -> LostGAN:
    torch.manual_seed(0)
    own = LostGAN(replace(CONFIG, **changes), facts)
    own.draw = RoundDraw(0, 0, 0, 1, "cpu")
    return own


def batch(facts: Facts = FACTS, n: int = 4) -> LaidOut:
    """Images with two objects each, and a third of no name."""
    made = LaidOut.example(n, facts)
    labels = torch.tensor([1, 2, 0]).expand(n, -1).clone()
    return replace(made, box_labels=labels)


def answer(own: LostGAN, boxes: Tensor, labels: Tensor, seed: int = 0, **more: Any) -> Tensor:
    with inference_mode(own):
        own.draw = RowDraw(seed)
        return own.translate(boxes, labels, **more)


# -- the game ---------------------------------------------------------------------------------


def test_both_players_see_the_same_fake_and_the_discriminator_moves_first():
    own, seen = game(), list[Tensor]()
    own.discriminator.register_forward_pre_hook(lambda _net, given: seen.append(given[0].detach().clone()))
    real = batch()
    moves = list(own.play(iter([real]), Clock()))
    assert [move.player for move in moves] == ["discriminator", "generator"]
    assert torch.equal(seen[0], real.images)
    assert torch.equal(seen[1], seen[2])
    assert [*moves[0].terms] == ["real", "fake", "real_objects", "fake_objects", "says_real", "says_fake"]
    assert [*moves[1].terms] == ["fool", "fool_objects", "pixel"]


def test_the_weights_of_the_terms():
    plain, changed = game(), game(object_weight=3.0, image_weight=0.2, pixel_weight=5.0)
    for one, other in zip(*(own.play(iter([batch()]), Clock()) for own in (plain, changed)), strict=True):
        for name, term in one.terms.items():
            times = {"pixel": 5.0}.get(name, 3.0 if "objects" in name else 1.0 if "says" in name else 2.0)
            torch.testing.assert_close(other.terms[name], times * term)


def test_real_objects_under_wrong_labels_are_one_more_term():
    games = game(), game(wrong_labels=True), game(wrong_labels=True, object_weight=2.0)
    plain, one, twice = (next(own.play(iter([batch()]), Clock())).terms for own in games)
    assert [*one] == [*twice] == [*[*plain][:4], "wrong_label_objects", *[*plain][4:]]
    for name, term in plain.items():  # those under the right labels stay
        torch.testing.assert_close(one[name], term)
        torch.testing.assert_close(twice[name], term * (2 if "objects" in name else 1))
    torch.testing.assert_close(twice["wrong_label_objects"], 2 * one["wrong_label_objects"])
    under_the_same = 2 - plain["real_objects"]  # what it would be under the right labels, as max(0, 1 + s) = 1 + s
    assert abs(one["wrong_label_objects"] - under_the_same) > 1e-3


def test_wrong_labels_are_all_others():
    labels = torch.tensor([1, 2, 0]).expand(200, -1)
    wrong = game().draw_wrong(labels)
    assert [set(column.tolist()) for column in wrong.T] == [{2, 3, 4}, {1, 3, 4}, {0}]


def test_of_one_class_there_is_no_wrong_label():
    facts = replace(FACTS, objects=("", "disc"))
    game(facts)
    with pytest.raises(ModelError, match=r"--config\.wrong-labels False"):
        game(facts, wrong_labels=True)


def test_objects_are_scored_under_several_labels():
    torch.manual_seed(0)
    network = ObjectDiscriminator(5, 1, 128).eval()
    images, boxes = torch.rand(2, 3, 128, 128), torch.tensor([[0.1, 0.1, 0.2, 0.2], [0.2, 0.1, 0.7, 0.8]])
    boxes = boxes.expand(2, 2, 4)
    names = torch.tensor([[1, 2], [3, 0]]), torch.tensor([[4, 3], [2, 0]])
    with torch.no_grad():
        both = network(images, boxes, names[0], names[1:])[1]
        one, other = (network(images, boxes, labels)[1] for labels in names)
    torch.testing.assert_close(both, torch.cat([one, other]))


def test_a_batch_is_not_changed_by_a_step():
    real = batch()
    before = {name: getattr(real, name).clone() for name in ("images", "boxes", "box_labels")}
    list(game().play(iter([real]), Clock()))
    assert all(torch.equal(getattr(real, name), value) for name, value in before.items())


def test_the_box_of_no_object_changes_nothing():
    own, real = game(), batch()
    moved = replace(real, boxes=real.boxes.clone())
    moved.boxes[:, 2] = torch.tensor([0.0, 0.0, 1.0, 1.0])
    one, other = ([m.terms for m in game().play(iter([given]), Clock())] for given in (real, moved))
    torch.testing.assert_close(one, other)
    torch.testing.assert_close(*(answer(own, given.boxes, given.box_labels) for given in (real, moved)))


def test_only_objects_are_scored():
    own, real = game(), batch()
    images, objects = own.discriminator(real.images, to_inside(real.boxes, real.box_labels), real.box_labels)
    assert images.shape == (4,)
    assert objects.shape == (8,)


@pytest.mark.parametrize("wrong_labels", [False, True])
def test_images_without_objects_play(wrong_labels: bool):
    own, real = game(wrong_labels=wrong_labels), batch()
    empty = replace(real, box_labels=torch.zeros_like(real.box_labels))
    for move in own.play(iter([empty]), Clock()):
        assert all(term.isfinite() for term in move.terms.values())
        assert all(float(term.detach()) == 0 for name, term in move.terms.items() if name.endswith("objects"))


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("side", [16, 32, 64, 128])
def test_every_size_plays(version: Any, side: int):
    facts = replace(FACTS, height=side, width=side, channels=1)
    own = game(facts, version=version, width=1, judge_width=1)
    moves = list(own.play(iter([batch(facts, 2)]), Clock()))
    assert all(term.isfinite() for move in moves for term in move.terms.values())
    made = answer(own, batch(facts, 2).boxes, batch(facts, 2).box_labels)
    assert made.shape == (2, 1, side, side)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"objects": ()}, "needs data with named objects in boxes"),
        ({"width": 32}, "square images, not 16 x 32: give --size 16"),
        ({"height": 48, "width": 48}, "16, 32, 64, 128, 256 pixels a side, not of 48"),
    ],
)
def test_what_it_cannot_make_is_a_sentence(changes: dict[str, Any], said: str):
    with pytest.raises(ModelError, match=said):
        game(replace(FACTS, **changes))


def test_vgg_without_weights_is_a_sentence(tmp_path: Path):
    with pytest.raises(WeightsError, match=r"leave VGG out with --config.content none"):
        game(content="vgg", vgg=str(tmp_path / "none.pth")).players()


# -- objects ----------------------------------------------------------------------------------


def test_large_objects_are_scored_first():
    torch.manual_seed(0)
    network = ObjectDiscriminator(5, 1, 128).eval()
    images = torch.rand(1, 3, 128, 128) * 2 - 1
    boxes = torch.tensor([[[0.1, 0.1, 0.2, 0.2], [0.2, 0.1, 0.6, 0.3], [0.5, 0.5, 0.4, 0.4]]])
    labels = torch.tensor([[1, 2, 3]])
    with torch.no_grad():
        together = network(images, boxes, labels)[1]
        alone = [network(images, boxes[:, i : i + 1], labels[:, i : i + 1])[1] for i in range(3)]
    torch.testing.assert_close(together, torch.cat([alone[1], alone[0], alone[2]]))  # 0.6 x 128 pixels are large


def test_an_objects_score_depends_on_its_label_and_its_box():
    torch.manual_seed(0)
    network = ObjectDiscriminator(5, 4, 32).eval()
    images, box = torch.rand(1, 3, 32, 32), torch.tensor([[[0.0, 0.0, 0.5, 0.5]]])
    with torch.no_grad():
        score = network(images, box, torch.tensor([[1]]))[1]
        assert not torch.allclose(score, network(images, box, torch.tensor([[2]]))[1])
        far = images.clone()
        far[..., 28:, 28:] = -1  # outside of the box and of the receptive fields at its edge
        torch.testing.assert_close(score, network(far, box, torch.tensor([[1]]))[1])
        near = images.clone()
        near[..., :8, :8] = -1
        assert not torch.allclose(score, network(near, box, torch.tensor([[1]]))[1])


def codes_of(own: Game, boxes: Tensor, labels: Tensor, seed: int = 3) -> tuple[Tensor, Tensor]:
    """The codes (n, M, latent) of the objects, and that of the image (n, latent), with which a layout is drawn."""
    given = list[tuple[Tensor, Tensor]]()
    handle = own.generator.register_forward_pre_hook(lambda _net, inputs: given.append(inputs[:2]))
    answer(own, boxes, labels, seed)  # pyright: ignore[reportArgumentType]
    handle.remove()
    return given[0]


@pytest.mark.parametrize("whole", [False, True])
def test_a_seed_keeps_the_code_of_every_object(whole: bool):
    own, real = game(whole_image=whole), batch()
    codes, image = codes_of(own, real.boxes, real.box_labels)
    shifted, removed = real.boxes.clone(), real.box_labels.clone()
    shifted[:, 0] = shifted[:, 0] * 0.5
    removed[:, 0] = 0
    longer = torch.cat([real.boxes, torch.rand(4, 2, 2, 2).sort(2).values.flatten(2)], 1)
    named = torch.cat([real.box_labels, torch.tensor([[3, 4]]).expand(4, -1)], 1)
    for boxes, labels in ((shifted, real.box_labels), (real.boxes, removed), (longer, named)):
        again, same = codes_of(own, boxes, labels)
        assert torch.equal(again[:, : codes.shape[1]], codes)
        assert torch.equal(same, image)
    assert not torch.equal(codes_of(own, real.boxes, real.box_labels, seed=4)[0], codes)
    assert len(codes.flatten(0, 1).unique(dim=0)) == codes.shape[0] * codes.shape[1]  # and objects differ


def test_an_object_changes_its_own_place_most():
    """With V1's norms at evaluation, an object out of reach of a pixel does not change it: only the image code does."""
    facts = replace(FACTS, height=64, width=64)
    own = game(facts, version=1, width=4)
    boxes = torch.tensor([[[0.0, 0.0, 0.2, 0.2], [0.7, 0.7, 1.0, 1.0]]])
    labels = torch.tensor([[1, 2]])
    first, other = (answer(own, boxes, labels.where(labels != 1, name)) for name in (1, 3))
    change = (first - other).abs().mean(1)[0]
    assert change[:12, :12].mean() > 10 * change[48:, 48:].mean()


def test_the_whole_image_is_an_object_that_covers_every_pixel():
    own, given = game(whole_image=True), list[Any]()
    own.generator.register_forward_pre_hook(lambda _net, inputs: given.append(inputs))
    real = batch()
    answer(own, real.boxes, real.box_labels)
    codes, _, boxes, labels = given[0]
    assert codes.shape[1] == boxes.shape[1] == labels.shape[1] == 4
    assert boxes[:, 0].tolist() == [[0, 0, 1, 1]] * 4
    assert labels[:, 0].tolist() == [0] * 4


# -- codes ------------------------------------------------------------------------------------


def test_truncated_codes_lie_inside_and_keep_their_order():
    codes = torch.randn(5_000, generator=torch.Generator().manual_seed(0))
    inside = lostgan.truncate(codes, 1.5)
    assert inside.abs().max() <= 1.5
    assert torch.equal(inside.argsort(), codes.argsort())
    assert inside.std() == pytest.approx(0.7426, abs=0.02)  # of the truncated normal distribution
    torch.testing.assert_close(lostgan.truncate(codes, 9.0), codes, rtol=0, atol=1e-4)
    assert lostgan.truncate(torch.tensor([50.0, -50.0]), 2.0).tolist() == [2.0, -2.0]


def test_truncation_can_be_left_out():
    own, real = game(), batch()
    free, near = (answer(own, real.boxes, real.box_labels, truncation=limit) for limit in (0.0, 9.0))
    torch.testing.assert_close(free, near, rtol=0, atol=1e-3)
    assert not torch.allclose(free, answer(own, real.boxes, real.box_labels, truncation=0.2))


# -- first weights ----------------------------------------------------------------------------


def test_first_weights_are_orthogonal_and_biases_0():
    own = game(replace(FACTS, height=32, width=32))
    for name, parameter in own.named_parameters():
        if parameter.ndim > 1:
            flat = parameter.detach().flatten(1)
            flat = flat if len(flat) <= flat.shape[1] else flat.T
            torch.testing.assert_close(flat @ flat.T, torch.eye(len(flat)), rtol=0, atol=1e-5)
        elif name.endswith("bias"):
            assert parameter.detach().abs().max() == 0, name
    share = own.generator.shares[0].detach()
    assert share.norm().item() == pytest.approx(1, abs=1e-5)  # so the shares do not begin at a half
    layers = [layer for layer in own.modules() if isinstance(layer, SpectralNorm)]
    norms = torch.stack([layer.u @ (layer.weight.flatten(1) @ layer.v) for layer in layers])
    torch.testing.assert_close(norms, torch.ones(len(layers)))


def test_large_discriminators_keep_the_first_weights_of_torch():
    own = game(replace(FACTS, height=128, width=128), judge_width=2)
    weight = own.discriminator.body[1].conv1.weight.detach().flatten(1)  # pyright: ignore
    assert not torch.allclose(weight @ weight.T, torch.eye(len(weight)), atol=1e-2)
    first = own.generator.blocks[0].conv1.weight.detach().flatten(1)  # pyright: ignore
    torch.testing.assert_close(first @ first.T, torch.eye(len(first)), rtol=0, atol=1e-5)


# -- VGG --------------------------------------------------------------------------------------


def test_vgg_is_a_term_with_a_gradient_and_a_weight():
    extractor, terms = VGG(19, tuple(CONTENT)), list[Tensor]()
    for weight in (1.0, 2.0):
        own = game(content="vgg", vgg_weight=weight)
        own.extractor.vgg = extractor
        *_, move = own.play(iter([batch()]), Clock())
        terms.append(move.terms["vgg"])
        assert {key.split(".")[0] for key in own.state_dict()} == {"generator", "discriminator"}  # not VGG
    assert terms[0].requires_grad
    torch.testing.assert_close(terms[1], 2 * terms[0])


# -- presets ----------------------------------------------------------------------------------


def test_small_is_small():
    preset = presets["small"]
    assert preset.config.content == "none"
    assert max(preset.run.size) <= 64


@pytest.mark.parametrize("version", [1, 2])
def test_it_plays_in_bf16(version: Any):
    own = game(replace(FACTS, height=32, width=32), version=version)
    with torch.autocast("cpu", torch.bfloat16):
        for move in own.play(iter([batch(own.facts)]), Clock()):
            loss = torch.stack([term.float() for term in move.terms.values()]).sum()
            loss.backward(retain_graph=True)
            assert loss.isfinite()
