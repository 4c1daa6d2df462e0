"""e4e: codes begin at the mean as one for all layers, deltas come one after another, codes are judged by a pool."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from ganforge.batches import Facts, Images
from ganforge.catalogue import build_stand_ins, find
from ganforge.draw import RowDraw
from ganforge.errors import ModelError
from ganforge.game import Clock, Move
from ganforge.models.e4e import E4E, Config, presets
from ganforge.models.hyperstyle import HyperStyle
from ganforge.models.hyperstyle import presets as hyperstyle
from ganforge.models.stylegan2 import StyleGAN2
from ganforge.models.stylegan2 import presets as stylegan2
from ganforge.nn.likeness import Likeness

FACTS = Facts(3, 16, 16)


def build(**config: Any) -> Any:
    torch.manual_seed(0)
    settings = replace(presets["tiny"].config, **config)
    game = E4E(settings, FACTS, **build_stand_ins(find("e4e"), settings, FACTS))
    game.draw = RowDraw(1)
    return game


def play(game: Any, step: int, n: int = 4) -> list[Move]:
    images = torch.rand(n, 3, 16, 16, generator=torch.Generator().manual_seed(2)) * 2 - 1
    return [*game.play(iter([Images(images)]), Clock(step=step))]


def test_layers_get_deltas_one_after_another():
    game = build(wait=3, every=2)
    assert [game.stage(Clock(step=step)) for step in (0, 2, 3, 4, 5, 7, 100)] == [0, 0, 1, 1, 2, 3, 5]
    images = torch.rand(2, 3, 16, 16)
    codes = game.encode(images, 2)
    assert torch.equal(codes[:, 3], codes[:, 0])
    assert not torch.allclose(codes[:, 2], codes[:, 0])
    assert "deltas" not in play(game, 0)[-1].terms
    assert "deltas" in play(game, 3)[-1].terms


def test_codes_start_from_the_generators_mean():
    game = build(space="w")
    game.generator.generator.mapping.mean.fill_(0.5)
    again = E4E(game.config, FACTS, generator=game.generator)
    assert torch.equal(again.encoder.mean_code, torch.full((6, 8), 0.5))
    codes = again.invert(torch.rand(2, 3, 16, 16)).w
    assert torch.equal(codes[:, 0], codes[:, 5])
    assert not torch.equal(codes[0], codes[1])


def test_the_terms_have_the_papers_weights():
    game = build(adversarial=0.1, mse_weight=1.0)
    plain, heavy = play(game, 1)[-1].terms, play(build(mse_weight=3.0), 1)[-1].terms
    torch.testing.assert_close(heavy["mse"], 3 * plain["mse"])
    c = Config()
    assert (c.mse_weight, c.perceptual_weight, c.identity_weight, c.adversarial, c.delta_weight) == (
        1.0, 0.8, 0.5, 0.1, 2e-4,
    )  # fmt: skip
    assert (c.wait, c.every, c.pool, c.gamma, c.r1_every, c.lr, c.critic_lr) == (
        20_000,
        2_000,
        50,
        10.0,
        16,
        1e-4,
        2e-5,
    )


def test_the_discriminator_sees_codes_and_is_flat_every_so_often():
    game = build(r1_every=2)
    moves = [[(move.player, *sorted(move.terms)) for move in play(game, step)] for step in (0, 1)]
    assert moves[0][1] == ("discriminator", "r1")
    assert [player for player, *_ in moves[1]] == ["discriminator", "encoder"]
    assert int((game.made_pool.written > 0).sum()) == game.config.pool
    assert not hasattr(build(adversarial=0.0), "discriminator")


def test_psp_has_a_code_for_each_layer_from_the_beginning():
    game = build(relative=False, adversarial=0.0)
    moves = play(game, 0)
    assert [move.player for move in moves] == ["encoder"]
    assert "deltas" not in moves[0].terms
    codes = game.encode(torch.rand(2, 3, 16, 16), 0)
    assert not torch.allclose(codes[:, 1], codes[:, 0])


def test_without_a_pyramid_all_layers_read_the_last_map_and_any_size_works():
    assert not hasattr(build(pyramid=False).encoder, "middle")
    assert play(build(pyramid=False), 3)
    facts = Facts(3, 16, 32)
    settings = replace(presets["tiny"].config, side=16)
    game = E4E(settings, facts, **build_stand_ins(find("e4e"), settings, facts))
    assert game.translate(torch.rand(2, 3, 16, 32)).shape == (2, 3, 16, 32)
    assert [move.player for move in game.play(iter([Images(torch.rand(2, 3, 16, 32))]), Clock(step=1))]


def test_it_needs_its_part():
    with pytest.raises(ModelError, match=r"name a run of stylegan2 with --config\.generator"):
        E4E(Config(), FACTS)


@pytest.mark.parametrize(("perception", "identity"), [("own", "own"), ("own", "none"), ("lpips", "own")])
def test_the_discriminator_sees_whole_images_and_published_networks_averaged_ones(
    perception: str, identity: str, monkeypatch: pytest.MonkeyPatch
):
    seen = dict[str, tuple[int, ...]]()

    def stand_in(_made: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        seen["lpips"] = tuple(real.shape)
        return torch.zeros(len(real))

    monkeypatch.setattr(Likeness, "load_lpips", lambda _: SimpleNamespace(to=lambda _: stand_in))
    game = build(side=8, adversarial=0.0, perception=perception, identity=identity)
    first = game.generator.discriminator.blocks[0].read
    first.register_forward_pre_hook(lambda _, given: seen.update(own=tuple(given[0].shape)))
    terms = play(game, 0)[-1].terms
    assert ("identity" in terms) == (identity == "own")
    assert seen == {
        **({"lpips": (4, 3, 8, 8)} if perception == "lpips" else {}),
        "own": (4, 3, 16, 16),
    }


def test_a_discriminator_that_needs_labels_compares_no_identities():
    facts = Facts(3, 16, 16, labels=("a", "b"))
    part = StyleGAN2(replace(stylegan2["tiny"].config, conditional=True), facts)
    with pytest.raises(ModelError, match=r"StyleGAN2 needs them: name an unconditional run"):
        E4E(presets["tiny"].config, facts, generator=part)
    game = E4E(replace(presets["tiny"].config, identity="none"), facts, generator=part)
    game.draw = RowDraw(1)
    assert play(game, 0)[-1].terms["perceptual"] > 0
    encoder = E4E(replace(game.config, space="w"), facts, generator=part)
    with pytest.raises(ModelError, match=r"--config\.identity face, or none"):
        HyperStyle(hyperstyle["tiny"].config, facts, encoder=encoder)
