"""Initial weights."""

from collections.abc import Callable
from functools import partial
from typing import Literal

from torch import nn

Initial = Literal["normal", "xavier", "kaiming", "orthogonal"]


def normal_weights(layer: nn.Module) -> None:
    """Convolutions from N(0, 0.02), norms from N(1, 0.02): for `Module.apply`.  Radford et al. 2015, section 4."""
    if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(layer.weight, 0.0, 0.02)
    elif isinstance(layer, nn.BatchNorm2d):
        nn.init.normal_(layer.weight, 1.0, 0.02)


def initial_weights(kind: Initial = "normal", gain: float = 0.02) -> Callable[[nn.Module], None]:
    """For `Module.apply`: convolutions and linear layers as the pix2pix family begins, biases 0, norms N(1, gain).

    `gain` is the deviation of "normal", the gain of "xavier" and "orthogonal"; "kaiming" has none.
    """
    draw = {
        "normal": partial(nn.init.normal_, std=gain),
        "xavier": partial(nn.init.xavier_normal_, gain=gain),
        "kaiming": nn.init.kaiming_normal_,
        "orthogonal": partial(nn.init.orthogonal_, gain=gain),
    }[kind]

    def begin(layer: nn.Module) -> None:
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            draw(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, gain)
            nn.init.zeros_(layer.bias)

    return begin
