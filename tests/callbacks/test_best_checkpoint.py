"""The best checkpoint is kept and the run ends when nothing improves, without a bit of the training changing."""

import math
from pathlib import Path

import pytest
import torch

from ganforge.callbacks.best_checkpoint import CheckpointMetric, Selection
from ganforge.callbacks.log import rows
from ganforge.engine import Engine
from ganforge.game import Game
from ganforge.run import Run
from ganforge.runs.checkpoint import Checkpoints
from tests.support.toys import FACTS, Config, Toy, deck, run, weights

RUN = run(steps=12, select="figure", every=2, keep=2, log_every=100)


class Said:
    """A criterion that says what was written down, one figure a measurement, and notes what it was shown."""

    def __init__(self, *figures: float) -> None:
        self.figures, self.shown = list(figures), []

    def __call__(self, game: Game) -> float:
        self.shown.append(weights(game).clone())
        return self.figures[len(self.shown) - 1]


def engine(folder: Path, settings: Run, of, better="lower", which: str = "latest", say=lambda _: None) -> Engine:
    """A toy with a selection; it goes on where its checkpoints stand."""
    torch.manual_seed(0)
    checkpoints = Checkpoints(folder / "checkpoints", settings.keep)
    watcher = Selection(folder / "scores.jsonl", CheckpointMetric("figure", better, of), say)
    made = Engine(Toy(Config(), FACTS), settings, deck(settings), checkpoints, [watcher])
    if checkpoints.steps():
        made.restore(checkpoints.load(which)[1])
    return made


def size(game: Game) -> float:
    """A criterion that follows from the weights."""
    return float(weights(game).square().sum())


def record(folder: Path) -> list[tuple[float, float]]:
    return [(row["step"], row["figure"]) for row in rows(folder / "scores.jsonl")]


def stop_at(made: Engine, step: int) -> Engine:
    """Let a run be interrupted after a round."""
    play = made.play_round

    def until() -> None:
        play()
        made.stopping = "Enough." if made.step == step else made.stopping

    made.play_round = until
    return made


@pytest.mark.parametrize(("better", "best"), [("lower", 4), ("higher", 8)])
def test_the_best_checkpoint_stays_and_is_pointed_at(tmp_path, better, best):
    of = Said(5, 1, 3, 9, 4, 4)
    engine(tmp_path, RUN, of, better).train()
    checkpoints = Checkpoints(tmp_path / "checkpoints", 2)
    assert record(tmp_path) == [(2, 5), (4, 1), (6, 3), (8, 9), (10, 4), (12, 4)]
    assert checkpoints.find("best") == best
    assert set(checkpoints.steps()) == {best, 10, 12}  # keep=2 keeps the newest two, and the best
    game = Toy(Config(), FACTS)
    game.load_state_dict(checkpoints.load("best")[1].tensors["game"])
    assert torch.equal(weights(game), of.shown[best // 2 - 1])  # what was measured is what was kept


def test_selecting_changes_no_bit(tmp_path):
    torch.manual_seed(0)
    alone = Engine(Toy(Config(), FACTS), run(steps=12), deck())
    alone.train()

    def rude(game: Game) -> float:
        torch.rand(7)
        return size(game)

    watched = engine(tmp_path, RUN, rude)
    watched.train()
    assert torch.equal(weights(watched.game), weights(alone.game))


def test_what_is_measured_are_the_averages(tmp_path):
    of = Said(*range(6))
    made = engine(tmp_path, run(steps=12, select="figure", every=2, ema=100.0), of)
    made.train()
    assert torch.equal(of.shown[-1], weights(made.averaged))
    assert not torch.equal(of.shown[-1], weights(made.game))


def test_a_run_that_no_longer_improves_stops_and_says_why(tmp_path):
    said = []
    made = engine(tmp_path, run(steps=40, select="figure", every=2, patience=2), Said(5, 3, 3, 4, 1), say=said.append)
    made.train()
    assert made.step == 8  # 3 at step 4, then an equal one and a worse one
    assert "figure has not improved in 2 measurements on the 3 of step 4" in made.stopping
    assert f"resume {tmp_path} --patience 4" in made.stopping
    assert said == [f"The best figure is 3, of step 4: {tmp_path}@best."]


def test_it_stays_stopped_until_there_is_more_patience(tmp_path):
    settings = run(steps=40, select="figure", every=2, patience=2)
    engine(tmp_path, settings, Said(1, 2, 3)).train()
    again = engine(tmp_path, settings, Said())
    again.train()
    assert again.step == 6
    assert again.stopping
    patient = engine(tmp_path, run(steps=40, select="figure", every=2, patience=4), Said(2, 2))
    patient.train()
    assert patient.step == 10


def test_without_patience_a_run_plays_to_its_end(tmp_path):
    made = engine(tmp_path, RUN, Said(1, 2, 3, 4, 5, 6))
    made.train()
    assert made.step == 12
    assert not made.stopping


@pytest.mark.parametrize("stop", [3, 4, 7])
def test_stopping_and_resuming_equals_not_stopping(tmp_path, stop):
    whole = engine(tmp_path / "whole", RUN, size)
    whole.train()
    stop_at(engine(tmp_path / "cut", RUN, size), stop).train()
    cut = engine(tmp_path / "cut", RUN, size)
    cut.train()
    assert record(tmp_path / "cut") == record(tmp_path / "whole")
    assert len(record(tmp_path / "cut")) == 6
    found = [Checkpoints(tmp_path / name / "checkpoints").find("best") for name in ("whole", "cut")]
    assert found[0] == found[1]
    assert torch.equal(weights(cut.game), weights(whole.game))


def test_a_run_killed_between_checkpoint_and_measurement_measures_when_it_goes_on(tmp_path):
    class Killed(Exception):
        pass

    def killed(game: Game) -> float:
        raise Killed

    with pytest.raises(Killed):
        engine(tmp_path, RUN, killed).train()
    assert record(tmp_path) == []
    engine(tmp_path, RUN, Said(6, 5, 4, 3, 2, 1)).train()
    assert record(tmp_path) == [(2, 6), (4, 5), (6, 4), (8, 3), (10, 2), (12, 1)]


def test_going_back_forgets_what_came_later(tmp_path):
    engine(tmp_path, run(steps=12, select="figure", every=2, keep=9), Said(6, 5, 4, 3, 2, 1)).train()
    back = engine(tmp_path, run(steps=12, select="figure", every=2, keep=9), Said(7, 7, 7, 7), which="4")
    back.train()
    assert record(tmp_path) == [(2, 6), (4, 5), (6, 7), (8, 7), (10, 7), (12, 7)]
    assert Checkpoints(tmp_path / "checkpoints").find("best") == 4


def test_the_last_round_is_measured_too(tmp_path):
    engine(tmp_path, run(steps=5, select="figure", every=2), Said(3, 2, 1)).train()
    assert record(tmp_path) == [(2, 3), (4, 2), (5, 1)]
    assert Checkpoints(tmp_path / "checkpoints").find("best") == 5


def test_a_figure_that_is_no_number_is_never_the_best(tmp_path):
    for better in ("lower", "higher"):
        folder = tmp_path / better
        engine(folder, run(steps=6, select="figure", every=2), Said(math.nan, 2, math.nan), better).train()
        assert Checkpoints(folder / "checkpoints").find("best") == 4
