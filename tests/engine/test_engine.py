"""The engine, on games whose sums can be checked."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ganforge.batches import Images
from ganforge.catalogue import find
from ganforge.draw import RoundDraw, mix
from ganforge.engine import Callback, Engine
from ganforge.errors import ContractError, NotFiniteError, OptionError
from ganforge.game import Clock, Game, Move
from ganforge.inference.inference_mode import inference_mode
from ganforge.runs.checkpoint import Checkpoints
from tests.support.toys import FACTS, Config, Holding, Toy, make_loader, run, weights


def played(game: Game, r=None, **kw) -> Game:
    r = r or run()
    engine = Engine(game, r, make_loader(r), **kw)
    engine.train()
    return game


def toy(cls=Toy, **kw) -> Game:
    torch.manual_seed(0)
    return cls(Config(), FACTS, **kw)


def test_five_steps_equal_a_loop_written_by_hand_bit_for_bit():
    model = find("dcgan")
    preset = model.presets["tiny"]
    r = run(steps=5, batch=8, size=(16,), fast=False, ema=0.0)
    facts = FACTS.__class__(3, 16, 16)
    torch.manual_seed(1)
    ours = model.game(preset.config, facts)
    torch.manual_seed(1)
    plain = model.game(preset.config, facts)
    cards = make_loader(r, facts)
    Engine(ours, r, cards).train()

    G, D = plain.generator.train(), plain.discriminator.train()
    moving_d = torch.optim.Adam(D.parameters(), 2e-4, (0.5, 0.999))
    moving_g = torch.optim.Adam(G.parameters(), 2e-4, (0.5, 0.999))
    for step in range(5):
        z = torch.randn(8, 8, generator=torch.Generator().manual_seed(mix(r.seed, step, 1)))
        real, fake = cards.batch(step).images, G(z)
        moving_d.zero_grad()
        (F.softplus(-D(real)).mean() + F.softplus(D(fake.detach())).mean()).backward()
        moving_d.step()
        moving_g.zero_grad()
        F.softplus(-D(fake)).mean().backward()
        moving_g.step()
    assert torch.equal(weights(ours), weights(plain))


def test_micro_batches_equal_the_whole_batch():
    whole, pieces = played(toy()), played(toy(), run(accumulate=4))
    torch.testing.assert_close(weights(pieces), weights(whole), rtol=1e-5, atol=1e-6)


def test_a_held_gradient_joins_the_next_move():
    torch.testing.assert_close(weights(played(toy(Holding))), weights(played(toy(Holding, hold=False))))


def test_bf16_stays_near_fp32():
    torch.testing.assert_close(
        weights(played(toy(), run(precision="bf16"))), weights(played(toy())), rtol=0.1, atol=0.02
    )


def test_clipping_limits_the_step():
    before, after = weights(toy()), weights(played(toy(), run(steps=1, clip=1e-3)))
    assert 0 < (after - before).norm() <= 0.1 * 1e-3 * 2**0.5 + 1e-6  # lr times clip, two players


@pytest.mark.parametrize(("schedule", "last"), [("linear", 1 / 3), ("cosine", 0.0670), ("constant", 1.0)])
def test_the_learning_rate_follows_its_schedule(schedule, last):
    engine = Engine(toy(), run(schedule=schedule), make_loader())
    engine.train()
    assert engine.players["critic"].param_groups[0]["lr"] == pytest.approx(0.1 * last, rel=1e-3)


def test_a_warm_up_begins_small():
    engine = Engine(toy(), run(steps=1, warmup=9), make_loader())
    engine.train()
    assert engine.players["critic"].param_groups[0]["lr"] == pytest.approx(0.01)


def test_averaged_weights_lie_between_start_and_end_and_keep_sharing():
    class Twins(Toy):
        averaged = ("generator", "again")

        def __init__(self, config, facts):
            super().__init__(config, facts)
            self.again = nn.Sequential(self.generator, nn.BatchNorm2d(3))

    Twins.Config, Twins.batch_type = Config, Images
    game = toy(Twins)
    start = game.generator.weight.detach().clone()
    engine = Engine(game, run(ema=1e4, steps=20), make_loader())
    mean = engine.train()
    assert mean.again[0] is mean.generator
    assert mean.critic is game.critic
    moved, averaged = game.generator.weight - start, mean.generator.weight - start
    assert 0 < averaged.norm() < moved.norm()


def test_the_average_has_the_half_life_it_names():
    game = toy()
    engine = Engine(game, run(ema=80.0), make_loader())
    with torch.no_grad():
        engine.averaged.generator.weight.zero_()
        game.generator.weight.fill_(1.0)
    engine.batches_drawn = 10**6  # past the short averages of the beginning
    for _ in range(10):  # 10 steps of 8 images
        engine.update_averages()
    torch.testing.assert_close(engine.averaged.generator.weight, torch.full_like(game.generator.weight, 0.5))


def one_move(terms, player: str = "critic"):
    class Odd(Toy):
        def play(self, batches, now) -> Iterator[Move]:
            real = next(batches).images
            yield Move(player, **terms(self, real))

    Odd.Config, Odd.batch_type = Config, Images
    return toy(Odd)


def test_nan_is_reported_with_its_step_and_term(tmp_path):
    class Sick(Toy):
        def play(self, batches, now):
            real = next(batches).images
            ill = torch.tensor(float("inf" if now.step == 3 else 0.0))
            yield Move("critic", gap=self.critic(real).mean(), penalty=self.critic(real).mean() * ill)

    Sick.Config, Sick.batch_type = Config, Images
    checkpoints = Checkpoints(tmp_path)
    engine = Engine(toy(Sick), run(save_every=2, log_every=50), make_loader(), checkpoints)
    with pytest.raises(
        NotFiniteError, match=r"critic/penalty became NaN or infinite in step 3.*good checkpoint is step 2"
    ):
        engine.train()
    assert checkpoints.steps() == [2]


def test_yielding_inside_no_grad_is_refused():
    class Closed(Toy):
        def play(self, batches, now):
            with torch.no_grad():
                yield Move("critic", gap=self.critic(next(batches).images).mean())

    Closed.Config, Closed.batch_type = Config, Images
    with pytest.raises(ContractError, match=r"yields inside no_grad"):
        played(toy(Closed))
    assert torch.is_grad_enabled()


def test_a_move_without_a_gradient_names_its_player():
    with pytest.raises(ContractError, match=r"'critic' moves, but no term"):
        played(one_move(lambda game, real: {"gap": game.critic(real).mean().detach()}))


def test_an_unknown_player_is_named():
    with pytest.raises(ContractError, match=r"no player 'judge'; the players are critic, generator"):
        played(one_move(lambda game, real: {"gap": game.critic(real).mean()}, "judge"))


def test_moves_that_depend_on_data_are_refused():
    class Moody(Toy):
        calls = 0

        def play(self, batches, now):
            real = next(batches).images
            type(self).calls += 1
            yield Move("critic" if self.calls % 2 else "generator", gap=self.critic(self.generator(real)).mean())

    Moody.Config, Moody.batch_type = Config, Images
    with pytest.raises(ContractError, match=r"made different moves"):
        played(toy(Moody), run(accumulate=2))


def test_a_batch_that_cannot_be_split_is_refused():
    with pytest.raises(OptionError, match=r"8 cannot be split into 3"):
        Engine(toy(), run(accumulate=3), make_loader())


def test_a_stale_graph_is_noticed_also_with_fused_optimisers():
    class Stale(Game[Config, Images]):
        averaged = ()

        def __init__(self, config, facts):
            super().__init__(config, facts)
            self.critic = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 1, 1))

        def players(self):
            return {"critic": torch.optim.Adam(self.critic.parameters(), 0.1, fused=True)}

        def play(self, batches, now):
            real = next(batches).images
            before, stale = self.critic(real).mean(), self.critic(real).mean()
            yield Move("critic", first=before)
            yield Move("critic", again=stale)  # made with the weights of before the step

    with pytest.raises(RuntimeError, match=r"inplace operation"):
        played(toy(Stale))


class Sampling(Callback):
    """Draws images after every step."""

    def after_step(self, engine):
        with inference_mode(engine.averaged) as game:
            game.draw = RoundDraw(7, 7, 0, 1, "cpu")
            game.sample(3)


def test_looking_on_changes_nothing():
    model = find("dcgan")
    results = []
    for callbacks in ([], [Sampling()]):
        r = run(size=(16,), ema=100.0)
        facts = FACTS.__class__(3, 16, 16)
        torch.manual_seed(0)
        engine = Engine(model.game(model.presets["tiny"].config, facts), r, make_loader(r, facts), callbacks=callbacks)
        engine.train()
        results.append(torch.cat([weights(engine.game), weights(engine.averaged)]))
    assert torch.equal(*results)


def test_performing_puts_everything_back():
    game = toy().train()
    draw = game.draw
    with inference_mode(game):
        assert not game.generator.training
        assert torch.is_inference_mode_enabled()
        game.draw = RoundDraw(0, 0, 0, 1, "cpu")
    assert game.generator.training
    assert game.draw is draw


def test_the_clock_counts_steps_images_epochs_and_progress():
    clocks: list[Clock] = []

    class Telling(Toy):
        def play(self, batches, now):
            clocks.append(now)
            yield Move("critic", gap=self.critic(next(batches).images + next(batches).images).mean())

    Telling.Config, Telling.batch_type = Config, Images
    played(toy(Telling))
    assert [(t.step, t.seen, t.epoch) for t in clocks[:4]] == [(0, 0, 0), (1, 16, 0), (2, 32, 0), (3, 48, 1)]
    assert clocks[3].progress == 0.5


def test_the_log_holds_means_and_detached_terms():
    rows = []

    class Reading(Callback):
        def log(self, engine, row):
            rows.append(row)

    played(toy(), callbacks=[Reading()])
    assert [row["step"] for row in rows] == [2, 4, 6]
    assert {"critic/gap", "critic/size", "critic/brightness", "generator/fool", "seen", "seconds"} <= set(rows[0])


def test_stopping_ends_after_the_step_with_a_checkpoint(tmp_path: Path):
    class Stopping(Callback):
        def after_step(self, engine):
            engine.stopping = "It is enough." if engine.step == 3 else ""

    checkpoints = Checkpoints(tmp_path)
    engine = Engine(toy(), run(), make_loader(), checkpoints, [Stopping()])
    engine.train()
    assert checkpoints.steps() == [3]


def test_draws_of_a_share_are_rows_of_the_whole_draw():
    whole = RoundDraw(3, 5, 0, 1, "cpu")
    shares = [RoundDraw(3, 5, i, 4, "cpu") for i in range(4)]
    for draw in ("normal", "uniform"):
        rows = torch.cat([getattr(s, draw)(2, 3) for s in shares])
        assert torch.equal(rows, getattr(whole, draw)(8, 3))
    assert not torch.equal(whole.normal(8, 3), RoundDraw(3, 6, 0, 1, "cpu").normal(8, 3))
