"""Buffers in a step of several micro-batches or processes: changed in place they count, replaced they are named."""

from collections.abc import Iterator

import pytest
import torch
from torch import nn

from ganforge import distributed
from ganforge.batches import Images
from ganforge.engine import Engine
from ganforge.engine.buffers import Buffers
from ganforge.errors import ContractError
from ganforge.game import Move
from tests.support.toys import FACTS, Config, Toy, make_loader, run


class Balanced(Toy):
    """BEGAN's k, without the rest of it: a buffer that follows what a step has seen."""

    in_place = True

    def __init__(self, config, facts):
        super().__init__(config, facts)
        self.register_buffer("k", torch.zeros(()))

    def play(self, batches, now) -> Iterator[Move]:
        real = next(batches).images
        yield Move("critic", gap=self.critic(real).mean() * (1 + self.k.clone()))
        with torch.no_grad():
            moved = self.k + 0.1 * (1 + real.mean())
            if self.in_place:
                self.k.copy_(moved)
            else:
                self.k = moved


Balanced.Config, Balanced.batch_type = Config, Images


def k_after(in_place: bool, **changes) -> float:
    torch.manual_seed(0)
    game = Balanced(Config(), FACTS)
    game.in_place = in_place
    r = run(**changes)
    Engine(game, r, make_loader(r)).train()
    return float(game.k)


def test_a_buffer_changed_in_place_is_the_same_in_micro_batches():
    assert k_after(True) == k_after(False) == pytest.approx(k_after(True, accumulate=2), rel=1e-5)
    assert k_after(True) > 0.4


@pytest.mark.parametrize("accumulate", [2, 4])
def test_a_buffer_that_is_replaced_is_named_where_its_value_would_be_lost(accumulate: int):
    with pytest.raises(ContractError, match=r"place of its buffer k during a step.* self\.k\.copy_\("):
        k_after(False, accumulate=accumulate)


class Nested(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.BatchNorm1d(1)


@pytest.mark.parametrize("micro_batches", [1, 2])
def test_it_is_named_with_its_module_also_with_one_micro_batch_of_several_processes(monkeypatch, micro_batches: int):
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    game = Nested()
    buffers = Buffers(game, micro_batches)
    game.inner.running_mean = torch.ones(1)
    with pytest.raises(ContractError, match=r"buffer inner\.running_mean"):
        buffers.activate(1) if micro_batches == 2 else buffers.merge()


def test_a_buffer_that_appears_during_a_step_is_named():
    game = Nested()
    buffers = Buffers(game, 2)
    game.inner.register_buffer("late", torch.zeros(1))
    with pytest.raises(ContractError, match=r"buffer inner\.late"):
        buffers.merge()


def test_one_process_without_micro_batches_copies_nothing():
    game = Nested()
    buffers = Buffers(game, 1)
    game.inner.running_mean = torch.ones(1)
    buffers.merge()
    assert game.inner.running_mean == 1
