"""What makes it CycleGAN: the way there and back, a pool of the past, and a rate that falls in the second half."""

from dataclasses import replace

import pytest
import torch

from ganforge.batches import Facts, Unpaired
from ganforge.draw import RoundDraw
from ganforge.engine import Engine
from ganforge.errors import ModelError
from ganforge.game import Clock
from ganforge.models.cyclegan import Config, CycleGAN
from ganforge.nn.pool import ImagePool
from ganforge.run import Run
from tests.support.toys import make_loader

FACTS = Facts(3, 16, 16)
SMALL = Config(width=2, judge_width=2, patch=16, blocks=6, pool=3)
RUN = Run(steps=4, batch=4, log_every=4, save_every=0)


def game(**config) -> CycleGAN:
    torch.manual_seed(0)
    made = CycleGAN(replace(SMALL, **config), FACTS)
    made.draw = RoundDraw(0, 0, 0, 1, "cpu")
    return made


def test_the_papers_networks_have_the_authors_counts():
    with torch.device("meta"):
        paper = CycleGAN(Config(), Facts(3, 256, 256))
    counts = {name: sum(p.numel() for p in net.parameters()) for name, net in paper.named_children()}
    assert counts["to_a"] == counts["to_b"] == 11_378_179
    assert counts["is_a"] == counts["is_b"] == 2_764_737
    assert not counts["past_a"]


def test_generators_that_change_nothing_have_nothing_to_answer_for_but_being_found_out():
    made, batch = game(), Unpaired.example(2, FACTS)
    made.to_a = made.to_b = torch.nn.Identity()
    terms = next(made.play(iter([batch]), Clock())).terms
    assert terms.keys() == {"identity_a", "identity_b", "cycle_a", "cycle_b", "fool_a", "fool_b"}
    assert all((terms[name] == 0) == (not name.startswith("fool")) for name in terms)


def test_the_cycle_is_there_and_back_and_weighs_ten():
    made, batch = game(), Unpaired.example(2, FACTS)
    terms = next(made.play(iter([batch]), Clock())).terms
    home = made.to_a(made.to_b(batch.a))
    torch.testing.assert_close(terms["cycle_a"], 10 * (home - batch.a).abs().mean())
    torch.testing.assert_close(terms["identity_b"], 5 * (made.to_b(batch.b) - batch.b).abs().mean())
    torch.testing.assert_close(made.translate(batch.a), made.to_b(batch.a))
    torch.testing.assert_close(made.translate(batch.a, reverse=True), made.to_a(batch.a))


@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
def test_one_call_for_two_batches_gives_the_numbers_of_two_calls(norm):
    made, batch = game(norm=norm, dropout=False), Unpaired.example(2, FACTS)
    first, second = made.each(made.to_b, batch.a, batch.b)
    torch.testing.assert_close(first, made.to_b(batch.a))
    torch.testing.assert_close(second, made.to_b(batch.b))


def test_a_pool_fills_and_then_gives_half_of_the_past_back():
    pool, given = ImagePool(50, (1, 1, 1)), torch.arange(1.0, 1001.0).view(-1, 1, 1, 1)
    got = torch.cat([pool(part, RoundDraw(0, k, 0, 1, "cpu")) for k, part in enumerate(given.split(4))])
    assert torch.equal(got[:50], given[:50])
    fresh = (got == given)[50:].float().mean().item()
    assert fresh == pytest.approx(0.5, abs=0.06)
    assert (got <= given).all()
    # An image comes back at most once, and what is neither back nor in the pool went straight through.
    late = got[50:][got[50:] != given[50:]]
    assert len(late.unique()) == len(late)
    assert not set(late.tolist()) & set(pool.images.flatten().tolist())


def test_a_pool_of_no_size_remembers_nothing():
    pool = ImagePool(0, (1, 2, 2))
    fakes = torch.rand(3, 1, 2, 2, requires_grad=True)
    assert torch.equal(pool(fakes, RoundDraw(0, 0, 0, 1, "cpu")), fakes)
    assert not pool(fakes, RoundDraw(0, 0, 0, 1, "cpu")).requires_grad


def test_pools_of_several_micro_batches_keep_whole_images():
    """Averaging two shares' pools, as is right for running means, would blend images."""
    engine = Engine(game(), replace(RUN, accumulate=2), make_loader(RUN, FACTS, Unpaired), device="cpu")
    shown: list[torch.Tensor] = []
    engine.game.past_a.register_forward_pre_hook(lambda _, args: shown.extend(args[0].detach()))
    engine.train()
    pool = engine.game.past_a
    assert (pool.written > 0).all()
    assert pool.written.sum() >= 8 - 2
    for picture in pool.images:
        assert any(torch.equal(picture, one) for one in shown)


def test_the_rate_is_constant_for_half_of_the_run_and_falls_to_nothing():
    made = game()
    for progress, factor in [(0.0, 1.0), (0.5, 1.0), (0.75, 0.5), (0.999, 0.002)]:
        players = made.players()
        made.tune(players, Clock(progress=progress))
        for optimiser in players.values():
            assert optimiser.param_groups[0]["lr"] == pytest.approx(2e-4 * factor)


def test_odd_sides_are_refused():
    with pytest.raises(ModelError, match="30 x 32 are not multiples of 4"):
        CycleGAN(SMALL, Facts(3, 30, 32))
