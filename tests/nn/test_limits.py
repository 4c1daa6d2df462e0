"""Images are cut to [-1, 1] to the last bit, and their gradient is not cut, in every game that descents go through."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from ganforge.batches import Facts
from ganforge.catalogue import build_stand_ins, find
from ganforge.draw import RowDraw
from ganforge.nn.limits import limit

FACTS = Facts(3, 16, 16)
SETTINGS = {"wgan": {"networks": "perceptrons"}, "wgan_gp": {"networks": "perceptrons"}}


def test_values_are_those_of_a_clamp_and_gradients_are_not_cut():
    values = torch.randn(1000, generator=torch.Generator().manual_seed(0)) * 3
    given = values.clone().requires_grad_()
    made = limit(given)
    assert torch.equal(made, values.clamp(-1, 1))
    assert torch.equal(limit(values), values.clamp(-1, 1))
    made.sum().backward()
    assert torch.equal(given.grad, torch.ones(1000))


def draw(model: str, method: str) -> tuple[Tensor, Tensor]:
    """Images that a tiny game draws far beyond the limits, and what it drew them of."""
    torch.manual_seed(0)
    found, own = find(model), replace(find(model).presets["tiny"].config, **SETTINGS.get(model, {}))
    game: Any = found.game(own, FACTS, **build_stand_ins(found, own, FACTS)).eval()
    game.draw = RowDraw(1)
    network = game.generator.generator if model == "hyperstyle" else game.generator
    getattr(network, "synthesis", network).register_forward_hook(lambda _module, _given, made: 1e6 * made)
    noise = game.noise(2)
    if method == "generate":
        return game.generate(noise.requires_grad_()), noise
    codes = game.invert(torch.zeros(2, 3, 16, 16)) if model == "hyperstyle" else game.code(noise)
    codes = replace(codes, w=codes.w.detach().requires_grad_())
    return game.decode(codes), codes.w


@pytest.mark.parametrize(
    ("model", "method"),
    [
        ("stylegan2", "generate"), ("stylegan2", "decode"), ("r3gan", "generate"), ("hyperstyle", "decode"),
        ("wgan", "generate"), ("wgan_gp", "generate"),
    ],
)  # fmt: skip
def test_images_beyond_the_limits_still_say_where_to_go(model: str, method: str):
    made, given = draw(model, method)
    assert made.abs().max() == 1
    outside = made.abs() == 1
    assert outside.float().mean() > 0.9
    (slope,) = torch.autograd.grad(made[outside].sum(), given)
    assert slope.abs().sum() > 0
