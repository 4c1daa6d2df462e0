"""regression: image-to-image translation by a pixel loss alone, without a discriminator.

The baseline of Isola, Zhu, Zhou, Efros, 2016, table 1 and figure 4 ("L1").  https://arxiv.org/abs/1611.07004

    min_G  E|y - G(x)|        or        min_G  E(y - G(x))^2        (equation 3)

Where a source has several possible targets, the expected loss is least for their median (L1) or mean (L2): colours
are right but muted, and edges are blurred.  `pix2pix` is the same U-Net with a discriminator.

Departures: 1. dropout is off in evaluation, since the output is a single median; 2. sides other than 256: as
many halvings as both sides allow, at most 8; 3. `small` and `paper` are as pix2pix's, and as long: the rate of `paper`
is constant, that of the authors' port to PyTorch falls from epoch 100 on (`--schedule linear`).

Train it small: `ganforge train regression` (minutes on two cores; expect a small L1, and blur).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from torch import Tensor
from torch.optim import Adam, Optimizer

from ganforge.batches import Facts, Paired
from ganforge.game import Clock, Game, Move
from ganforge.nn.norms import Norm
from ganforge.nn.unet import UNet, max_depth
from ganforge.run import Preset, Run


@dataclass(frozen=True)
class Config:
    """pix2pix's generator and optimiser (section 3 and appendix 6 of its paper)."""

    distance: Literal["l1", "l2"] = "l1"
    """Absolute or squared difference of pixels."""
    skips: bool = True
    """A U-Net; without them an encoder-decoder (section 4.3)."""
    norm: Norm = "batch"
    """After nearly every convolution."""
    dropout: bool = True
    """In the layers next to the innermost, during training."""
    width: int = 64
    """Channels of the layer next to the image (section 6.1)."""
    lr: float = 2e-4
    """Adam (section 3.3)."""
    beta1: float = 0.5
    """Adam's first momentum (section 3.3)."""


class Regression(Game[Config, Paired]):
    """A single network and a pixel loss."""

    def __init__(self, config: Config, facts: Facts) -> None:
        """Raises ModelError for sides that cannot be halved often enough."""
        super().__init__(config, facts)
        depth = max_depth(facts.height, facts.width)
        dropouts = max(1, depth - 5) if config.dropout else 0
        source = facts.source_channels or facts.channels
        self.generator = UNet(source, facts.channels, config.width, depth, config.norm, dropouts, config.skips)
        self.multiple = 2**depth

    def players(self) -> dict[str, Optimizer]:
        return {"generator": Adam(self.generator.parameters(), self.config.lr, (self.config.beta1, 0.999))}

    def play(self, batches: Iterator[Paired], now: Clock) -> Iterator[Move]:
        pair = next(batches)
        distance = {"l1": F.l1_loss, "l2": F.mse_loss}[self.config.distance]
        yield Move("generator", **{self.config.distance: distance(self.generator(pair.source), pair.target)})

    def translate(self, images: Tensor) -> Tensor:
        """Translate sources (n, C', H, W) to (n, C, H, W), H and W multiples of `multiple`."""
        return self.generator(images)


presets = {
    "tiny": Preset(Config(width=4), Run(steps=6, batch=4, size=(16,), log_every=2)),
    "small": Preset(
        Config(width=24, norm="instance", lr=6e-4),
        Run(steps=3_000, batch=4, size=(64,), flip=True, crop=True, schedule="linear", precision="auto"),
    ),
    "paper": Preset(Config(), Run(steps=80_000, batch=1, size=(256,), flip=True, crop=True, save_every=5_000)),
}
