"""What a move logs: which terms are descended, and the first that is not finite, however many there are."""

from collections.abc import Iterator

import pytest
import torch

from ganforge.batches import Images
from ganforge.callbacks.log import losses
from ganforge.callbacks.loss_curves import draw_curves
from ganforge.callbacks.progress_bar import format_losses
from ganforge.catalogue import find
from ganforge.engine import Callback, Engine
from ganforge.errors import NotFiniteError
from ganforge.game import Move
from ganforge.runs.checkpoint import Checkpoints
from tests.support.toys import FACTS, Config, Toy, make_loader, run
from tests.test_catalogue import engine_of


class Wordy(Toy):
    """A move with many terms, of which one breaks in step 3."""

    terms, bad = 40, 20

    def play(self, batches, now) -> Iterator[Move]:
        score = self.critic(next(batches).images).mean()
        broken = {self.bad: torch.tensor(torch.nan)} if now.step == 3 else {}
        yield Move("critic", **{f"t{k}": score * broken.get(k, 1.0) for k in range(self.terms)})


Wordy.Config, Wordy.batch_type = Config, Images


@pytest.mark.parametrize(("terms", "bad"), [(16, 15), (17, 16), (40, 20), (40, 0), (40, 39), (80, 64)])
def test_a_move_of_many_terms_names_the_one_that_broke(terms: int, bad: int):
    game = Wordy(Config(), FACTS)
    game.terms, game.bad = terms, bad
    with pytest.raises(NotFiniteError, match=rf"^critic/t{bad} became NaN or infinite in step 3\."):
        Engine(game, run(), make_loader()).train()


def test_every_term_of_such_a_move_is_logged():
    game, rows = Wordy(Config(), FACTS), []

    class Reading(Callback):
        def log(self, engine, row):
            rows.append(row)

    Engine(game, run(steps=2), make_loader(), callbacks=[Reading()]).train()
    assert [name for name in rows[0] if "/" in name] == [f"critic/t{k}" for k in range(40)]


@pytest.mark.parametrize("model", ["wgan", "wgan_gp", "dcgan"])
def test_the_bar_and_the_curves_sum_what_is_descended(model: str):
    engine = engine_of(find(model))
    engine.train_step()
    logged, row = engine.means.logged_only, engine.means.take()
    player = "discriminator" if model == "dcgan" else "critic"
    terms = {"wgan": ("real", "fake"), "wgan_gp": ("real", "fake", "penalty"), "dcgan": ("real", "fake")}[model]
    expected = sum(row[f"{player}/{term}"] for term in terms)
    assert losses(row, logged)[player] == pytest.approx(expected, abs=1e-6)
    assert abs(expected) > 1e-4  # the sum with the detached distance would be 0, or the penalty alone
    assert f"{player} {expected:.2f}" in format_losses(row, logged)
    if model == "wgan":
        assert logged == {"critic/distance", "critic/says_real", "critic/says_fake"}
        figure = draw_curves([{"step": 1, **row}, {"step": 2, **row}], "scores", logged)
        drawn = {round(float(y), 5) for line in figure.axes[0].lines for y in line.get_ydata()}
        assert round(expected, 5) in drawn


class Late(Toy):
    """A penalty that is only there in every second step: zero, and without a gradient, in the others."""

    def play(self, batches, now) -> Iterator[Move]:
        score = self.critic(next(batches).images).mean()
        yield Move(
            "critic", gap=score, penalty=score.square() if now.step % 2 else torch.zeros(()), size=score.detach()
        )


Late.Config, Late.batch_type = Config, Images


def test_a_term_that_has_a_gradient_now_and_then_is_descended_and_a_resumed_run_knows(tmp_path):
    torch.manual_seed(0)
    engine = Engine(Late(Config(), FACTS), run(steps=2), make_loader(), Checkpoints(tmp_path))
    engine.train()
    assert engine.means.logged_only == {"critic/size"}
    again = Engine(Late(Config(), FACTS), run(steps=4), make_loader())
    again.restore(Checkpoints(tmp_path).load()[1])
    assert again.means.logged_only == {"critic/size"}
