"""Memory layouts and fused optimisers that are faster on a device."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def lay_out_like_parameters(optimiser: torch.optim.Optimizer) -> None:
    """Give an optimiser's moments the memory layout of their parameters: fused optimisers need equal layouts."""
    for parameter, values in optimiser.state.items():
        for key, value in values.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape and value.stride() != parameter.stride():
                values[key] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def prefer_speed(game: nn.Module, players: Mapping[str, torch.optim.Optimizer], device: torch.device) -> None:
    """Choose the faster layouts and optimisers of this device; results differ in the last digits (see benchmarks/)."""
    for layer in (game, *game.modules()):
        if layout := getattr(layer, "layout", torch.channels_last if layer is game else None):
            layer.to(memory_format=layout)  # pyright: ignore[reportCallIssue]
    for optimiser in players.values():
        if "fused" in optimiser.defaults and device.type in ("cpu", "cuda"):
            for group in optimiser.param_groups:
                group["fused"], group["foreach"] = True, False
