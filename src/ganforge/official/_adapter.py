"""The base class of all adapters."""

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from ganforge.text.tokeniser import Tokeniser

BESIDE = ("latent_avg",)
"""Tensors that files have beside a state dict: StyleGAN2's mean code."""


class Adapter(nn.Module):
    """Our network with an official interface: arguments, inputs and outputs, and state dict.

    A subclass has the official class's name, constructor and `forward`.  `state_dict()` returns official keys in the
    official order, and `load_state_dict()` accepts them.
    """

    called: ClassVar[tuple[str, ...]] = ()
    """Official names of the class, where they differ from its own name."""
    file: ClassVar[str] = ""
    """The official file, where two of them have a class of that name."""
    unmapped: ClassVar[tuple[str, ...]] = ()
    """Suffixes of our keys without an official counterpart: such tensors keep their values, outside `state_dict()`."""
    fills: ClassVar[tuple[str, ...]] = ()
    """Networks of our games that can take weights of this class: `cyclegan.to_b`; of one model, the usual one first."""
    entry: ClassVar[str] = ""
    """The entry of the official files that holds this network, where they hold several: `G_ema`."""
    prefix: ClassVar[str] = ""
    """What stands before its keys in files of several networks, `encoder.`; without such keys all are its own."""
    beside: ClassVar[tuple[str, ...]] = ()
    """Names of tensors that files have beside the state dict, for `take`."""
    network: nn.Module
    """Ours."""

    def __init__(self, network: nn.Module, layers: Mapping[str, str]) -> None:
        """`layers` names layers or single tensors in the official order: {theirs: ours}."""
        super().__init__()
        self.network, self.layers = network, dict(layers)
        self.register_state_dict_post_hook(_rename_to_theirs)
        self.register_load_state_dict_pre_hook(_rename_to_ours)

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
        """The constructor's arguments, from the keys and shapes of a state dict of this class.

        Raises KeyError, naming the first missing key, for the state dict of another class.
        """
        raise NotImplementedError

    @classmethod
    def select(cls, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors of this class in the state dict of a file, without what stands beside it."""
        own = {key.removeprefix(cls.prefix): value for key, value in state.items() if key.startswith(cls.prefix)}
        return own if cls.prefix and own else {key: value for key, value in state.items() if key not in BESIDE}

    def take(self, beside: Mapping[str, Tensor]) -> None:
        """Keep the tensors that a file has beside the state dict, for our game.

        Raises WeightsError for loaded weights of a network that no Config describes.
        """

    @classmethod
    def complete(cls, state: Mapping[str, Tensor], given: Mapping[str, Any]) -> dict[str, Any]:
        """The constructor's arguments: those `given`, and the others from a state dict of this class."""
        return {**cls.arguments(state), **given}

    @classmethod
    def assumed(cls, state: Mapping[str, Tensor], given: Mapping[str, Any]) -> tuple[str, ...]:
        """Names of the arguments that follow neither from the shapes nor from those `given`, and change our game."""
        return ()

    @classmethod
    def game(cls, place: str, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """(settings of the Config, facts) of the game whose network `place`, one of `fills`, has these arguments.

        The facts contain sides only where the network depends on them; else they are the paper's.
        """
        raise NotImplementedError

    def weights(self) -> dict[str, Tensor]:
        """The state dict for the game's network, once this one is loaded."""
        return self.network.state_dict()

    def tokeniser(self) -> Tokeniser | None:
        """What makes tokens of sentences, of a network that reads them by the authors' own alphabet."""
        return None

    def expect(self, state: Mapping[str, Tensor]) -> None:
        """Take sizes from the weights that the official class infers from its first input."""

    def to_ours(self, key: str, tensor: Tensor) -> Tensor:
        """Convert the official `tensor` under `key` to ours."""
        return tensor

    def to_theirs(self, key: str, tensor: Tensor) -> Tensor:
        """The inverse of `to_ours`."""
        return tensor


def _rename_to_theirs(adapter: nn.Module, state: dict[str, Any], prefix: str, _metadata: object) -> None:
    """Rename the tensors of our network's state dict to official keys."""
    assert isinstance(adapter, Adapter)
    renamed = {
        prefix + theirs: adapter.to_theirs(theirs, state.pop(f"{prefix}network.{ours}"))
        for theirs, ours in adapter.keys().items()
    }
    for key in [key for key in state if key.startswith(f"{prefix}network.") and key.endswith(adapter.unmapped)]:
        del state[key]
    state.update(renamed)


def _rename_to_ours(adapter: nn.Module, state: dict[str, Any], prefix: str, *_: object) -> None:
    """Rename official keys to those of our network before loading."""
    assert isinstance(adapter, Adapter)
    for theirs, ours in adapter.keys().items():
        if prefix + theirs in state:
            state[f"{prefix}network.{ours}"] = adapter.to_ours(theirs, state.pop(prefix + theirs))
    for key, kept in adapter.network.state_dict().items():
        if key.endswith(adapter.unmapped):
            state[f"{prefix}network.{key}"] = kept
