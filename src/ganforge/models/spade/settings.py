"""Settings of SPADE, and its presets."""

from dataclasses import dataclass, replace
from typing import Literal

from ganforge.models.spade.generator import Layers, Norm
from ganforge.models.spade.losses import Objective
from ganforge.nn.norms import Norm as PatchNorm
from ganforge.run import Preset, Run


@dataclass(frozen=True)
class Config:
    """Sections 3 and 4 and appendix A of the paper, and the authors' code."""

    layers: Layers = "normal"
    """Doublings of the generator: 5, 6 for 512 pixels a side, or 7."""
    norm: Norm = "batch"
    """What SPADE modulates: features with the statistics of the batch, or of each image."""
    width: int = 64
    """Channels of generator and encoder next to the image; the generator's first layers have 16 times as many."""
    hidden: int = 128
    """Channels between the map and its scales and shifts."""
    boundaries: bool = True
    """Whether the networks see the boundaries of instances, where the data has them."""
    use_vae: bool = False
    """A style encoder (section 3, multi-modal synthesis): many images of one map."""
    latent: int = 256
    """Length of the style code."""
    judge_width: int = 64
    """Channels of the discriminator next to the image."""
    judge_layers: int = 4
    """Stages of the discriminator before its scores."""
    judge_norm: PatchNorm = "instance"
    """Of the discriminator."""
    scales: int = 2
    """Scales of the discriminator."""
    gan: Objective = "hinge"
    """Hinge, cross entropy, least squares, or Wasserstein: `hinge`, `original`, `ls` and `w` in the authors' code."""
    features: float = 10.0
    """Weight of the matched features of the discriminator; 0: none."""
    content: Literal["vgg", "classifier", "none"] = "vgg"
    """Whose features G matches beside them: VGG-19's, or those of a network that learns to name the regions."""
    content_weight: float = 10.0
    """Their weight."""
    vgg: str = ""
    """torchvision's file of VGG-19's weights, vgg19-dcbb9e9d.pth; needed for training, not for translating."""
    reader_width: int = 32
    """Channels of the network that names regions, next to the image."""
    kl: float = 0.05
    """Weight of the style codes' divergence from the normal distribution, summed over the batch."""
    lr: float = 2e-4
    """Adam, halved and doubled by `ttur` (section 4)."""
    ttur: bool = True
    """G learns at half of the rate, D at twice (Heusel et al. 2017): 1e-4 and 4e-4."""
    beta1: float = 0.0
    """Adam's first momentum; 0.5 in the authors' code without `ttur`."""
    beta2: float = 0.9
    """Adam's second momentum; 0.999 without `ttur`."""


COCO = Preset(  # COCO-Stuff: 100 epochs of 118,287 images, incomplete batches left out (section 4)
    Config(), Run(steps=100 * 3_696, batch=32, size=(256,), flip=True, crop=True, save_every=5_000)
)
presets = {
    "tiny": Preset(
        Config(width=2, hidden=8, latent=4, judge_width=4, judge_layers=2, reader_width=4, content="classifier",
               use_vae=True),
        Run(steps=6, batch=4, size=(32,), log_every=2),
    ),
    "small": Preset(  # without `ttur` D leads little: mean scores 0.5 and -0.7 at the end
        Config(width=12, hidden=32, latent=16, judge_width=24, reader_width=16, content="classifier", use_vae=True,
               kl=0.01, lr=4e-4, ttur=False),
        Run(steps=2_000, batch=4, size=(64,), flip=True, schedule="linear"),
    ),
    "paper": COCO,
    "paper-coco": COCO,
    "paper-ade": Preset(  # ADE20K: 200 epochs of 20,210 images, and the rate falls from 100 on
        Config(boundaries=False), replace(COCO.run, steps=200 * 631, schedule="linear")
    ),
    "paper-cityscapes": Preset(  # 200 epochs of 2,975 images, resized without a crop
        Config(layers="more"),
        replace(COCO.run, steps=200 * 185, batch=16, size=(256, 512), crop=False, schedule="linear"),
    ),
}  # fmt: skip
