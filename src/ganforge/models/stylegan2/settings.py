"""Settings of StyleGAN2, and its presets: config f of the paper, and the table of ADA."""

from dataclasses import dataclass, replace
from typing import Annotated

from ganforge.capabilities import Range
from ganforge.models.stylegan2.generator import Form
from ganforge.run import Preset, Run


@dataclass(frozen=True)
class Config:
    """Config f of the paper (tables 1 and 3, appendix B).  None: what ADA's `auto` takes for the size and the batch."""

    latent: int = 512
    """Length of z."""
    style: int = 512
    """Length of w."""
    mapping_layers: int = 8
    """Layers from z to w; 2 in ADA's `auto` and `cifar`."""
    capacity: int | None = 32_768
    """A layer's channels times its side, up to `most`.  None: 32,768 from 512 pixels on, else 16,384."""
    most: int = 512
    """Largest number of channels."""
    generator_form: Form = "skip"
    """How the generator's blocks are joined (figure 7)."""
    discriminator_form: Form = "resnet"
    """How the discriminator's blocks are joined; `orig` in ADA's `cifar`."""
    layer_noise: bool = True
    """Whether noise is added in the generator's layers."""
    clamp: float = 0.0
    """Largest magnitude of activations: 256 in ADA, for half precision; 0: no limit."""
    mixing: Annotated[float, Range(0, 1)] = 0.9
    """Share of the generated images whose later layers have another style."""
    group: int = 4
    """Images over which the discriminator's minibatch deviation is computed."""
    conditional: bool = False
    """Whether the networks see the labels or attributes of the data."""
    gamma: float | None = 10.0
    """Weight of R1, halved.  None: 0.0002 pixels / batch."""
    r1_every: int = 16
    """Steps between two R1 penalties of the discriminator (appendix B, lazy regularisation)."""
    path_weight: float = 2.0
    """Weight of the path length regularisation, in units of the lengths' squared deviation; 0: none."""
    path_every: int = 4
    """Steps between two of them."""
    path_decay: Annotated[float, Range(0, 1)] = 0.01
    """By which share the mean path length follows that of a batch."""
    path_shrink: int = 2
    """The path length is computed for a batch this many times smaller."""
    lr: float | None = 0.002
    """Adam's learning rate, of both.  None: 0.002 from 1,024 pixels on, else 0.0025."""
    beta2: float = 0.99
    """Adam's second momentum; the first is 0."""
    half_life: float | None = 10_000.0
    """Half-life, in images, of the averaged generator.  None: 312.5 batches."""
    freeze: int = 0
    """FreezeD: the discriminator's first convolutions, so many, keep their weights; for training from --init-from."""


FFHQ = Run(batch=32, size=(1024,), flip=True, steps=781_250, ema_rampup=None, save_every=5_000)
ADA = Config(clamp=256.0)
AUTO = replace(ADA, mapping_layers=2, capacity=None, gamma=None, lr=None, half_life=None)
presets = {
    "tiny": Preset(
        Config(latent=8, style=8, mapping_layers=2, capacity=64, most=8),
        Run(steps=6, batch=8, size=(16,), log_every=2),
    ),
    "small": Preset(
        Config(
            latent=64, style=64, mapping_layers=2, capacity=1_024, most=64, mixing=0.5, gamma=5.0, path_weight=0.5,
            lr=0.004,
        ),
        Run(steps=3_500, batch=16, size=(64,), schedule="linear", precision="auto"),
    ),
    "auto": Preset(AUTO, Run(steps=1_562_500, batch=16, size=(256,), augment="ada", save_every=5_000)),
    "paper": Preset(Config(), FFHQ),  # 25 million images
    "paper256": Preset(
        replace(ADA, capacity=16_384, gamma=1.0, group=8, lr=0.0025, half_life=20_000.0),
        replace(FFHQ, batch=64, size=(256,), steps=390_625, augment="ada"),
    ),
    "paper512": Preset(
        replace(ADA, gamma=0.5, group=8, lr=0.0025, half_life=20_000.0),
        replace(FFHQ, batch=64, size=(512,), steps=390_625, augment="ada"),
    ),
    "paper1024": Preset(replace(ADA, gamma=2.0), replace(FFHQ, augment="ada")),
    "cifar": Preset(  # 100 million images
        replace(
            ADA, mapping_layers=2, discriminator_form="orig", mixing=0.0, group=32, gamma=0.01, path_weight=0.0,
            lr=0.0025, half_life=500_000.0,
        ),
        Run(batch=64, size=(32,), steps=1_562_500, augment="ada", save_every=5_000),
    ),
}  # fmt: skip
