"""An engine with recorded batches and random numbers, which records every term and gradient norm."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ganforge import official
from ganforge.batches import Batch, Images
from ganforge.draw import Draw, Recorded
from ganforge.engine import Engine, LossMeans
from ganforge.game import Move
from ganforge.run import Run
from tests.support import goldens


class RecordedLoader:
    """Recorded batches."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        self.batches, self.count = batches, len(batches)

    def batch(self, number: int, share: int, shares: int) -> Batch:
        return self.batches[number]


def as_images(batches: Tensor) -> list[Batch]:
    return [Images(images) for images in batches]


class Witness(Engine):
    """The engine with recorded random numbers; records every move's terms and gradient norm."""

    def __init__(self, game: Any, batches: Sequence[Batch], noise: Sequence[Sequence[Tensor]] = ()) -> None:
        run = Run(steps=len(noise or batches), batch=len(batches[0]), fast=False)
        super().__init__(game, run, RecordedLoader(batches))
        self.noise = noise or [[]] * len(batches)
        self.lengths, self.norms = dict[str, Tensor](), dict[str, Tensor]()  # of a player's gradient, of a network's
        self.means = self.recorded = RecordedMeans(self.device)

    def make_draw(self, step: int, share: int) -> Draw:
        return Recorded(*self.noise[step])

    def step_player(self, player: str) -> None:
        gradients = [p.grad for p in self.parameters[player] if p.grad is not None]
        self.lengths.setdefault(player, nn.utils.get_total_norm(gradients))  # the tables hold the first move's
        for name, network in self.game.named_children():
            if grads := [p.grad for p in network.parameters() if p.grad is not None]:
                self.norms.setdefault(name, nn.utils.get_total_norm(grads))
        super().step_player(player)


class RecordedMeans(LossMeans):
    """Records the terms of every move."""

    def __init__(self, device: torch.device) -> None:
        super().__init__(device)
        self.rows: list[tuple[str, dict[str, Tensor]]] = []

    def add(self, step: int, move: Move, terms: Tensor) -> None:
        self.rows.append((move.player, dict(zip(move.terms, terms, strict=True))))
        super().add(step, move, terms)

    def of(self, player: str) -> list[dict[str, Tensor]]:
        return [terms for name, terms in self.rows if name == player]


def compare(measured: dict[str, Tensor], table: goldens.Table, start: str = "") -> None:
    expected = {key: value.squeeze() for key, value in goldens.pick(table.values, start).items()}
    assert measured.keys() == expected.keys()
    for key, value in expected.items():
        torch.testing.assert_close(
            measured[key], value, **table.tolerance, msg=lambda message, key=key: f"{key}: {message}"
        )


def ours(system: str, class_name: str, weights: Mapping[str, Tensor], **arguments: Any) -> dict[str, Tensor]:
    return official.load(official.network(system, class_name, **arguments), weights).network.state_dict()
