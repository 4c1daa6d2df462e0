"""The best checkpoint is kept and the run ends when nothing improves, and training itself is unchanged, bit for bit."""

import math
from pathlib import Path

import pytest
import torch

from ganforge.callbacks.best_checkpoint import BestCheckpoint, CheckpointMetric
from ganforge.callbacks.log import read_rows
from ganforge.engine import Engine
from ganforge.game import Game
from ganforge.run import Run
from ganforge.runs.checkpoint import Checkpoints
from tests.support.toys import FACTS, Config, Toy, make_loader, run, weights

RUN = run(steps=12, select="figure", every=2, keep=2, log_every=100)


class Scripted:
    """A metric with given values, one a measurement, that records the weights it was given."""

    def __init__(self, *values: float) -> None:
        self.values, self.measured = list(values), []

    def __call__(self, game: Game) -> float:
        self.measured.append(weights(game).clone())
        return self.values[len(self.measured) - 1]


def engine(folder: Path, settings: Run, of, better="lower", which: str = "latest", say=lambda _: None) -> Engine:
    """A toy with a BestCheckpoint; it continues from its checkpoints where there are some."""
    torch.manual_seed(0)
    checkpoints = Checkpoints(folder / "checkpoints", settings.keep)
    callback = BestCheckpoint(folder / "scores.jsonl", CheckpointMetric("figure", better, of), say)
    made = Engine(Toy(Config(), FACTS), settings, make_loader(settings), checkpoints, [callback])
    if checkpoints.steps():
        made.restore(checkpoints.load(which)[1])
    return made


def size(game: Game) -> float:
    """A metric that follows from the weights."""
    return float(weights(game).square().sum())


def record(folder: Path) -> list[tuple[float, float]]:
    return [(row["step"], row["figure"]) for row in read_rows(folder / "scores.jsonl")]


def stop_at(made: Engine, step: int) -> Engine:
    """Make a run stop after a step."""
    play = made.train_step

    def until() -> None:
        play()
        made.stopping = "Enough." if made.step == step else made.stopping

    made.train_step = until
    return made


@pytest.mark.parametrize(("better", "best"), [("lower", 4), ("higher", 8)])
def test_the_best_checkpoint_is_kept_and_named(tmp_path, better, best):
    of = Scripted(5, 1, 3, 9, 4, 4)
    engine(tmp_path, RUN, of, better).train()
    checkpoints = Checkpoints(tmp_path / "checkpoints", 2)
    assert record(tmp_path) == [(2, 5), (4, 1), (6, 3), (8, 9), (10, 4), (12, 4)]
    assert checkpoints.find("best") == best
    assert set(checkpoints.steps()) == {best, 10, 12}  # keep=2 keeps the newest two, and the best
    game = Toy(Config(), FACTS)
    game.load_state_dict(checkpoints.load("best")[1].tensors["game"])
    assert torch.equal(weights(game), of.measured[best // 2 - 1])  # the kept checkpoint is the measured one


def test_selecting_changes_no_bit(tmp_path):
    torch.manual_seed(0)
    alone = Engine(Toy(Config(), FACTS), run(steps=12), make_loader())
    alone.train()

    def drawing(game: Game) -> float:
        torch.rand(7)
        return size(game)

    measured = engine(tmp_path, RUN, drawing)
    measured.train()
    assert torch.equal(weights(measured.game), weights(alone.game))


def test_the_averaged_networks_are_measured(tmp_path):
    of = Scripted(*range(6))
    made = engine(tmp_path, run(steps=12, select="figure", every=2, ema=100.0), of)
    made.train()
    assert torch.equal(of.measured[-1], weights(made.averaged))
    assert not torch.equal(of.measured[-1], weights(made.game))


def test_a_run_that_no_longer_improves_stops_and_says_why(tmp_path):
    said = []
    made = engine(
        tmp_path, run(steps=40, select="figure", every=2, patience=2), Scripted(5, 3, 3, 4, 1), say=said.append
    )
    made.train()
    assert made.step == 8  # 3 at step 4, then an equal one and a worse one
    assert "figure has not improved in 2 measurements on the 3 of step 4" in made.stopping
    assert f"resume {tmp_path} --patience 4" in made.stopping
    assert said == [f"The best figure is 3, of step 4: {tmp_path}@best."]


def test_it_stays_stopped_until_there_is_more_patience(tmp_path):
    settings = run(steps=40, select="figure", every=2, patience=2)
    engine(tmp_path, settings, Scripted(1, 2, 3)).train()
    again = engine(tmp_path, settings, Scripted())
    again.train()
    assert again.step == 6
    assert again.stopping
    patient = engine(tmp_path, run(steps=40, select="figure", every=2, patience=4), Scripted(2, 2))
    patient.train()
    assert patient.step == 10


def test_without_patience_a_run_trains_to_its_end(tmp_path):
    made = engine(tmp_path, RUN, Scripted(1, 2, 3, 4, 5, 6))
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


def test_a_run_killed_between_checkpoint_and_measurement_measures_on_resume(tmp_path):
    class Killed(Exception):
        pass

    def killed(game: Game) -> float:
        raise Killed

    with pytest.raises(Killed):
        engine(tmp_path, RUN, killed).train()
    assert record(tmp_path) == []
    engine(tmp_path, RUN, Scripted(6, 5, 4, 3, 2, 1)).train()
    assert record(tmp_path) == [(2, 6), (4, 5), (6, 4), (8, 3), (10, 2), (12, 1)]


def test_going_back_forgets_what_came_later(tmp_path):
    engine(tmp_path, run(steps=12, select="figure", every=2, keep=9), Scripted(6, 5, 4, 3, 2, 1)).train()
    back = engine(tmp_path, run(steps=12, select="figure", every=2, keep=9), Scripted(7, 7, 7, 7), which="4")
    back.train()
    assert record(tmp_path) == [(2, 6), (4, 5), (6, 7), (8, 7), (10, 7), (12, 7)]
    assert Checkpoints(tmp_path / "checkpoints").find("best") == 4


def test_the_last_step_is_measured_too(tmp_path):
    engine(tmp_path, run(steps=5, select="figure", every=2), Scripted(3, 2, 1)).train()
    assert record(tmp_path) == [(2, 3), (4, 2), (5, 1)]
    assert Checkpoints(tmp_path / "checkpoints").find("best") == 5


def test_nan_is_never_the_best(tmp_path):
    for better in ("lower", "higher"):
        folder = tmp_path / better
        engine(folder, run(steps=6, select="figure", every=2), Scripted(math.nan, 2, math.nan), better).train()
        assert Checkpoints(folder / "checkpoints").find("best") == 4
