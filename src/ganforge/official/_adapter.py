"""The form that every official network takes."""

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn


class Adapter(nn.Module):
    """Our network in other people's clothes: their arguments, their inputs and outputs, their state dict.

    A subclass bears the official class's name and constructor, and its `forward` is the official one.
    `state_dict()` gives official keys in the official order, and `load_state_dict()` takes them.
    """

    called: ClassVar[tuple[str, ...]] = ()
    """Official names of the class, where they are not its own name alone."""
    file: ClassVar[str] = ""
    """The official file, where two of them have a class of that name."""
    unspoken: ClassVar[tuple[str, ...]] = ()
    """Ends of our keys that theirs do not have: such tensors keep their values, and are not in `state_dict()`."""
    fills: ClassVar[tuple[str, ...]] = ()
    """Networks of our games that weights of this class can become: `cyclegan.to_b`; of one model, the usual first."""
    network: nn.Module
    """Ours."""

    def __init__(self, network: nn.Module, layers: Mapping[str, str]) -> None:
        """`layers` names layers or single tensors in the official order: {theirs: ours}."""
        super().__init__()
        self.network, self.layers = network, dict(layers)
        self.register_state_dict_post_hook(_speak)
        self.register_load_state_dict_pre_hook(_listen)

    def keys(self) -> dict[str, str]:
        """{official key: our key} of every tensor, in the official order."""
        own = self.network.state_dict(keep_vars=True)
        return {
            theirs + key[len(ours) :]: key
            for theirs, ours in self.layers.items()
            for key in own
            if key == ours or key.startswith(f"{ours}.")
        }

    @classmethod
    def arguments(cls, state: Mapping[str, Tensor]) -> dict[str, Any]:
        """The constructor's arguments, read off the keys and shapes of a state dict of this class.

        Raises KeyError, naming the first key that is missing, for the state dict of another.
        """
        raise NotImplementedError

    @classmethod
    def game(cls, place: str, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """(settings of the Config, facts) of the game whose network `place`, one of `fills`, has these arguments.

        Sides belong to the facts only where the network needs them: else they are the paper's.
        """
        raise NotImplementedError

    def weights(self) -> dict[str, Tensor]:
        """What the game's network loads once this one is loaded."""
        return self.network.state_dict()

    def expect(self, state: Mapping[str, Tensor]) -> None:
        """Take those sizes from the weights to come that the official class learns from its first input."""

    def to_ours(self, key: str, tensor: Tensor) -> Tensor:
        """What our network holds where the official one holds `tensor` under `key`."""
        return tensor

    def to_theirs(self, key: str, tensor: Tensor) -> Tensor:
        """The inverse of `to_ours`."""
        return tensor


def _speak(adapter: nn.Module, state: dict[str, Any], prefix: str, _metadata: object) -> None:
    """Rename the tensors that our network has just written."""
    assert isinstance(adapter, Adapter)
    renamed = {
        prefix + theirs: adapter.to_theirs(theirs, state.pop(f"{prefix}network.{ours}"))
        for theirs, ours in adapter.keys().items()
    }
    for key in [key for key in state if key.startswith(f"{prefix}network.") and key.endswith(adapter.unspoken)]:
        del state[key]
    state.update(renamed)


def _listen(adapter: nn.Module, state: dict[str, Any], prefix: str, *_: object) -> None:
    """Rename the tensors that our network is about to read."""
    assert isinstance(adapter, Adapter)
    for theirs, ours in adapter.keys().items():
        if prefix + theirs in state:
            state[f"{prefix}network.{ours}"] = adapter.to_ours(theirs, state.pop(prefix + theirs))
    for key, kept in adapter.network.state_dict().items():
        if key.endswith(adapter.unspoken):
            state[f"{prefix}network.{key}"] = kept
