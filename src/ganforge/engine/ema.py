"""Averaged copies of a game's networks."""

import copy
from typing import Any

from torch import Tensor

from ganforge.game import Game


def averaged_twin(game: Game[Any, Any]) -> Game[Any, Any]:
    """A second view of `game` whose averaged networks are its own and whose other parts are shared.

    All of them are copied in one call, so that what they share they go on sharing.
    """
    twin = copy.copy(game)
    copies = copy.deepcopy({name: getattr(game, name) for name in game.averaged})
    twin._modules = {**game._modules, **{name: net.requires_grad_(False) for name, net in copies.items()}}
    return twin


def averaged_tensors(game: Game[Any, Any]) -> list[Tensor]:
    """Parameters and buffers of the averaged networks, each once."""
    tensors = [t for name in game.averaged for t in getattr(game, name).state_dict(keep_vars=True).values()]
    return list({id(t): t.detach() for t in tensors if isinstance(t, Tensor)}.values())
