"""Exponential moving averages of a game's networks."""

import copy
from typing import Any

from torch import Tensor

from ganforge.game import Game, resting_ids


def averaged_twin(game: Game[Any, Any]) -> Game[Any, Any]:
    """A shallow copy of `game` with copies of its averaged networks; all others, and its parts, are shared.

    The networks are copied in one call, so that modules shared between them stay shared.
    """
    twin = copy.copy(game)
    shared = {id(module): module for module in game.resting}
    shared |= {id(t): t for module in game.resting for t in (*module.parameters(), *module.buffers())}
    copies = copy.deepcopy({name: getattr(game, name) for name in game.averaged}, shared)
    twin._modules = {**game._modules, **{name: net.requires_grad_(False) for name, net in copies.items()}}
    return twin


def averaged_tensors(game: Game[Any, Any]) -> list[Tensor]:
    """Parameters and buffers of the averaged networks, each once, without those of parts."""
    resting = resting_ids(game)
    tensors = [t for name in game.averaged for t in getattr(game, name).state_dict(keep_vars=True).values()]
    own = [t for t in tensors if isinstance(t, Tensor) and id(t) not in resting]
    return list({id(t): t.detach() for t in own}.values())
