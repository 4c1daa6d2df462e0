"""hyperstyle: weights change by a factor, five iterations keep their gradients for one step."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from ganforge.batches import Facts, Images
from ganforge.capabilities import Codes
from ganforge.catalogue import build_stand_ins, find
from ganforge.draw import RowDraw
from ganforge.errors import ModelError
from ganforge.game import Clock, Hold, Move
from ganforge.models.hyperstyle import ChangedCodes, Config, HyperStyle, presets
from ganforge.training.chain import list_stages

FACTS = Facts(3, 16, 16)


def build(**config: Any) -> Any:
    torch.manual_seed(0)
    settings = replace(presets["tiny"].config, **config)
    game = HyperStyle(settings, FACTS, **build_stand_ins(find("hyperstyle"), settings, FACTS))
    game.draw = RowDraw(1)
    return game.eval()


IMAGES = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(2)) * 2 - 1


def test_all_iterations_but_the_last_only_keep_their_gradient():
    game = build(iterations=5)
    moves = [*game.play(iter([Images(IMAGES)]), Clock())]
    assert [type(move) for move in moves] == [Hold] * 4 + [Move]
    first = moves[0].terms["mse"]
    assert first.requires_grad
    with torch.no_grad():
        game.hypernetwork.heads["0"].linear.bias.add_(1.0)
    later = [*game.play(iter([Images(IMAGES)]), Clock())]
    assert not torch.equal(later[0].terms["mse"], first)


def test_the_iterations_do_not_share_a_graph():
    game = build(iterations=2)
    one, two = game.play(iter([Images(IMAGES)]), Clock())
    weights = [*game.hypernetwork.parameters()]
    for move in (one, two):  # the second would fail where it reached into the first
        torch.autograd.grad(move.terms["mse"], weights, allow_unused=True)


def test_changes_multiply_weights_and_none_of_them_leaves_images_as_they_are():
    game = build()
    codes = game.invert(IMAGES)
    none = replace(codes, changes=torch.zeros_like(codes.changes))
    torch.testing.assert_close(game.decode(none), game.generator.decode(Codes(codes.w)))
    changes = game.unpack(codes.changes)
    synthesis = game.generator.generator.synthesis
    kept = synthesis.first.conv.weight.detach().clone()
    with torch.no_grad():
        synthesis.first.conv.weight.mul_(1 + changes[0][0])
        only = [change if layer else None for layer, change in changes.items()]
        places = dict(zip(changes, only, strict=True))
        other = synthesis(
            codes.w[:1], None, [None if (c := places.get(k)) is None else c[:1] for k in range(game.places)]
        )
        synthesis.first.conv.weight.copy_(kept)
    torch.testing.assert_close(other.clamp(-1, 1), game.decode(codes)[:1], rtol=1e-4, atol=1e-5)


def test_the_network_sees_what_was_drawn_before():
    game = build(iterations=2)
    w = game.encoder.invert(IMAGES).w
    first = game.predict(IMAGES, game.draw_images(w))
    second = game.predict(IMAGES, game.draw_images(w, first))
    total = torch.cat([(first[k] + second[k]).flatten(1) for k in first], 1)
    torch.testing.assert_close(game.invert(IMAGES).changes, total)


def test_layers_to_images_do_not_change_and_layers_can_be_chosen():
    assert [*build().layers] == [0, 2, 3, 5, 6]
    game = build(layers=(1, 3))
    assert game.decode(game.invert(IMAGES)).shape == IMAGES.shape
    with pytest.raises(ModelError, match="numbers from 0 to 7"):
        build(layers=(8,))


@pytest.mark.parametrize("config", [{"separable": True}, {"side": 8}])
def test_other_heads_and_sides(config: dict[str, Any]):
    game = build(**config)
    codes = game.invert(IMAGES)
    assert isinstance(codes, ChangedCodes)
    torch.testing.assert_close(game.translate(IMAGES), game.decode(codes))
    assert [*game.play(iter([Images(IMAGES)]), Clock())]


def test_its_chain_trains_an_encoder_of_one_code():
    stages = list_stages(find("hyperstyle"), "tiny", presets["tiny"].config)
    assert [(stage.name, stage.model, stage.settings) for stage in stages] == [
        ("generator", "stylegan2", {}), ("encoder", "e4e", {"space": "w"}),
    ]  # fmt: skip
    with pytest.raises(ModelError, match="run of e4e with space w"):
        HyperStyle(Config(), FACTS)


def test_the_weights_of_the_terms_are_the_settings():
    one, three = (build(side=8, perceptual_weight=weight, identity_weight=weight) for weight in (1.0, 3.0))
    small, large = (next(game.play(iter([Images(IMAGES)]), Clock())).terms for game in (one, three))
    for name in ("perceptual", "identity"):
        torch.testing.assert_close(large[name], 3 * small[name])
