"""Checkpoints by time: agreed by all processes, replaced by the next, and without a trace in the bits of the run."""

import torch

from ganforge.catalogue import find
from ganforge.engine import Callback
from ganforge.run import Run
from ganforge.runs.checkpoint import Checkpoints
from tests.test_catalogue import engine_of


class Steps(Callback):
    """Notes which checkpoints there are after each that is written."""

    def __init__(self) -> None:
        self.seen: list[list[int]] = []

    def saved(self, engine) -> None:
        self.seen.append(engine.checkpoints.steps())


def trained(folder, minutes: float, **changes):
    engine = engine_of(find("dcgan"), Checkpoints(folder, keep=2), save_minutes=minutes, augment="ada", **changes)
    engine.callbacks = [notes := Steps()]
    engine.train()
    return engine, notes.seen


def test_a_checkpoint_by_time_changes_no_bit_and_gives_way_to_the_next(tmp_path):
    changes = {"steps": 19, "save_every": 6, "accumulate": 2}
    (one, without), (two, seen) = (trained(tmp_path / str(m), m, **changes) for m in (0.0, 1e-9))
    assert without == [[6], [6, 12], [12, 18], [18, 19]]
    assert seen == [[4], [6], [6, 8], [6, 12], [6, 12, 16], [12, 18], [18, 19]]
    # 4, 8 and 16 are by time; 12 is the run's own; 6, 12 and 18 stay as without them
    for group, tensors in one.state().tensors.items():
        for key, tensor in tensors.items():
            assert torch.equal(tensor, two.state().tensors[group][key]), key


def test_resuming_from_one_equals_not_stopping(tmp_path):
    class Stop(Callback):
        def after_step(self, engine):
            engine.stopping = "now" if engine.step == 5 else ""

    whole, _ = trained(tmp_path / "whole", 0.0, steps=9, save_every=0)
    first = engine_of(
        find("dcgan"), Checkpoints(tmp_path / "cut"), save_minutes=1e-9, augment="ada", steps=9, save_every=0
    )
    first.callbacks = [Stop()]
    first.train()
    second = engine_of(find("dcgan"), augment="ada", steps=9, save_every=0)
    _, state = Checkpoints(tmp_path / "cut").load()
    second.restore(state)
    second.train()
    assert all(
        torch.equal(a, b)
        for a, b in zip(whole.game.state_dict().values(), second.game.state_dict().values(), strict=True)
    )


def test_ten_minutes_are_the_default_and_a_fast_run_makes_none(tmp_path):
    assert Run().save_minutes == 10
    _, seen = trained(tmp_path, 10.0, steps=9, save_every=0)
    assert seen == [[9]]
