"""What the last layer of a network sees: the features that a discriminator has found when it decides."""

from typing import Any

from torch import Tensor, nn

from ganforge.errors import ContractError


def features_of(gan: Any, images: Tensor) -> Tensor:
    """What a trained GAN's first discriminator has found in images (N, C, H, W) when it decides, with gradients.

    That is the input of its last layer, or what the game's own method `features(images)` returns.  Raises ContractError
    for a game that has neither.
    """
    if own := getattr(type(gan), "features", None):
        return own(gan, images)
    if not gan.augmented:
        raise ContractError(
            f"{type(gan).__name__} has no features of images: it has neither a discriminator, named by `augmented`, "
            "nor a method `features`."
        )
    return read_last_input(getattr(gan, gan.augmented[0]), images)


def read_last_input(network: nn.Module, *inputs: Tensor) -> Tensor:
    """The input, with its gradient, of the layer with weights that `network` runs last.

    Raises ContractError for a network that runs no layer with weights.
    """
    seen: list[Tensor] = []

    def record(_layer: nn.Module, given: tuple[Any, ...]) -> None:
        seen[:] = [given[0]]

    layers = [m for m in network.modules() if not [*m.children()] and [*m.parameters(recurse=False)]]
    hooks = [layer.register_forward_pre_hook(record) for layer in layers]
    try:
        network(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    if not seen:
        raise ContractError(f"{type(network).__name__} runs no layer with weights, so it has no features.")
    return seen[0]
