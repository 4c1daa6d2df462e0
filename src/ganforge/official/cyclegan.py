"""CycleGAN comes from the same file of junyanz/pytorch-CycleGAN-and-pix2pix as pix2pix: so do its networks."""

from ganforge.official.pix2pix import (
    GANLoss,
    NLayerDiscriminator,
    PixelDiscriminator,
    ResnetGenerator,
    UnetGenerator,
    define_D,
    define_G,
)

__all__ = [
    "GANLoss",
    "NLayerDiscriminator",
    "PixelDiscriminator",
    "ResnetGenerator",
    "UnetGenerator",
    "define_D",
    "define_G",
]
