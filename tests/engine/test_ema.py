"""The half-life of averaged networks: of the run, of the game, a function of the clock; with and without a ramp."""

import math

import pytest
import torch

from ganforge.engine import Engine
from ganforge.errors import ContractError, NotFiniteError
from ganforge.run import Run
from ganforge.runs.checkpoint import Checkpoints
from tests.support.toys import FACTS, Config, Toy, make_loader, run


def averaging(game: Toy, **changes) -> Engine:
    """An engine whose average is 0, and whose live weight is 1."""
    engine = Engine(game, run(**changes), make_loader())
    with torch.no_grad():
        engine.averaged.generator.weight.zero_()
        game.generator.weight.fill_(1.0)
    return engine


def weight_after(engine: Engine, batches: int) -> float:
    """The average after a batch, which is the `batches`-th of the run."""
    engine.batches_drawn = engine.step = batches
    engine.update_averages()
    return float(engine.averaged.generator.weight.detach().mean())


def test_the_ramp_is_a_setting_whose_default_is_that_of_old_runs():
    assert Run().ema_rampup == 0.05
    ramped = 1 - 0.5 ** (8 / (0.05 * 10 * 8))
    assert weight_after(averaging(Toy(Config(), FACTS), ema=80.0), 10) == pytest.approx(ramped)
    half = averaging(Toy(Config(), FACTS), ema=80.0, ema_rampup=0.5)
    assert weight_after(half, 10) == pytest.approx(1 - 0.5 ** (8 / 40))
    none = averaging(Toy(Config(), FACTS), ema=80.0, ema_rampup=None)
    assert weight_after(none, 10) == pytest.approx(1 - 0.5 ** (8 / 80))


class Falling(Toy):
    """Images seen: half a life."""

    def ema(self, now):  # pyright: ignore
        return now.seen / 2


def test_a_game_may_say_its_half_life_by_the_clock():
    engine = averaging(Falling(Config(), FACTS), ema_rampup=None)
    assert weight_after(engine, 20) == pytest.approx(1 - 0.5 ** (8 / 80))
    assert Engine(Falling(Config(), FACTS), run(ema=0.0), make_loader()).averaged.generator is not engine.averaged
    fixed = averaging(Falling(Config(), FACTS), ema=40.0, ema_rampup=None)
    assert weight_after(fixed, 20) == pytest.approx(1 - 0.5 ** (8 / 40))  # the run's own number goes first


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -1.0])
def test_a_half_life_that_is_none_is_refused(wrong):
    class Wrong(Toy):
        def ema(self, now):  # pyright: ignore
            return wrong

    with pytest.raises(ContractError, match=r"Wrong.ema gave .*: a half-life is 0 images or more"):
        Engine(Wrong(Config(), FACTS), run(), make_loader()).train()


def test_an_average_that_is_not_finite_is_in_no_checkpoint(tmp_path):
    engine = averaging(Toy(Config(), FACTS), ema=80.0)
    engine.checkpoints = Checkpoints(tmp_path)
    with torch.no_grad():
        engine.averaged.generator.weight.fill_(math.nan)
    with pytest.raises(NotFiniteError, match=r"The average of generator\.weight is NaN or infinite"):
        engine.save()
