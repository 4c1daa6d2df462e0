"""Initial weights."""

from torch import nn


def normal_weights(layer: nn.Module) -> None:
    """Convolutions from N(0, 0.02), norms from N(1, 0.02): for `Module.apply`.  Radford et al. 2015, section 4."""
    if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(layer.weight, 0.0, 0.02)
    elif isinstance(layer, nn.BatchNorm2d):
        nn.init.normal_(layer.weight, 1.0, 0.02)
