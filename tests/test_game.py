"""The contract refuses what it would otherwise lose in silence."""

from collections.abc import Iterator
from typing import Any

import pytest
from torch import nn
from torch.optim import Optimizer

from ganforge.batches import Facts, Images
from ganforge.errors import ContractError
from ganforge.game import Clock, Game, Move
from tests.support.toys import Config


def define(**attributes: Any) -> type[Game[Config, Images]]:
    """A game with these class attributes."""

    class Own(Game[Config, Images]):
        locals().update(attributes)

        def players(self) -> dict[str, Optimizer]:
            return {}

        def play(self, batches: Iterator[Images], now: Clock) -> Iterator[Move]:
            yield from ()

    return Own


@pytest.mark.parametrize(("old", "new"), [("judges", "augmented"), ("verdicts", "discriminator_output")])
def test_a_name_of_before_is_answered_with_the_new_one(old: str, new: str):
    with pytest.raises(ContractError, match=f"Own defines '{old}', which is now called '{new}'"):
        define(**{old: ("discriminator",)})
    game = define()(Config(), Facts())
    with pytest.raises(ContractError, match=f"Own sets '{old}', which is now called '{new}'"):
        setattr(game, old, ("discriminator",))


@pytest.mark.parametrize("name", ["augmented", "averaged", "draw_", "play", "ema"])
def test_a_network_may_not_hide_behind_an_attribute_of_game(name: str):
    game = define()(Config(), Facts())
    if hasattr(Game, name):
        with pytest.raises(ContractError, match=f"'{name}', a name that Game uses: call it {name}_network"):
            setattr(game, name, nn.Linear(1, 1))
    else:
        setattr(game, name, nn.Linear(1, 1))
        assert isinstance(getattr(game, name), nn.Linear)
