"""Exponential moving averages of a game's networks."""

import copy
from typing import Any

from torch import Tensor

from ganforge.game import Game


def averaged_twin(game: Game[Any, Any]) -> Game[Any, Any]:
    """A shallow copy of `game` with copies of its averaged networks; all other parts are shared.

    The networks are copied in one call, so that modules shared between them stay shared.
    """
    twin = copy.copy(game)
    copies = copy.deepcopy({name: getattr(game, name) for name in game.averaged})
    twin._modules = {**game._modules, **{name: net.requires_grad_(False) for name, net in copies.items()}}
    return twin


def averaged_tensors(game: Game[Any, Any]) -> list[Tensor]:
    """Parameters and buffers of the averaged networks, each once."""
    tensors = [t for name in game.averaged for t in getattr(game, name).state_dict(keep_vars=True).values()]
    return list({id(t): t.detach() for t in tensors if isinstance(t, Tensor)}.values())
