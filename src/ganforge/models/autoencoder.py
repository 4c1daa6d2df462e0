"""autoencoder: two networks that squeeze an image through a short code, trained by the squared residual alone.

The baseline of anomaly detection by reconstruction (Baur et al. 2020, section 3.1).  https://arxiv.org/abs/2004.03271

    min_{E,G}  |x - G(E(x))|^2 / n

Trained on sound images, the code has no room for what they lack, so a flaw comes back as a residual.  The networks are
those of `f_anogan` and of its GAN: beside each other they show what the GAN adds.  Without a GAN the generator may
learn to copy flaws as well, and its images are blurred.

Departures: 1. residual networks, those of f_anogan, in place of the paper's; 2. a dense code, without dropout; 3.
`paper` has f_anogan's length, batch and size, and Adam with a rate of 1e-4, twice f_anogan's.

Train it small: `ganforge train autoencoder --data shapes-defects` (minutes), then `ganforge score`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from ganforge.batches import Facts, Images
from ganforge.game import Clock, Game, Move, OnlyClass
from ganforge.nn.residual import ResidualFeatures, ResidualGenerator, begin
from ganforge.nn.sizes import halve_sides
from ganforge.run import Preset, Run


@dataclass(frozen=True)
class Config:
    """Section 4.2, the dense autoencoder."""

    latent: int = 128
    """Length of the code."""
    width: int = 64
    """Channels next to the image; they double at every halving, up to eight times as many."""
    lr: float = 1e-4
    """Adam."""
    sound: Annotated[str, OnlyClass()] = ""
    """The class of sound images, of data in classes; the others are not learnt from.  Empty: all images are sound."""


class Autoencoder(Game[Config, Images]):
    """An encoder and a generator that are trained together, without a discriminator."""

    averaged = ("encoder", "generator")
    embedded = "shapes-defects"
    fixed_size = True

    def __init__(self, config: Config, facts: Facts) -> None:
        """Raises ModelError for sides that halving does not reach."""
        super().__init__(config, facts)
        c, (base, halvings) = config, halve_sides(facts.height, facts.width)
        body = ResidualFeatures(c.width, facts.channels, base, halvings, "batch")
        self.encoder = nn.Sequential(body, nn.Linear(body.features, c.latent))
        self.generator = ResidualGenerator(c.latent, c.width, facts.channels, base, halvings)
        begin(self.encoder[1], 1.0)

    def players(self) -> dict[str, Optimizer]:
        return {"autoencoder": Adam([*self.encoder.parameters(), *self.generator.parameters()], self.config.lr)}

    def play(self, batches: Iterator[Images], now: Clock) -> Iterator[Move]:
        real = next(batches).images
        yield Move("autoencoder", image=(real - self.translate(real)).square().mean())

    def translate(self, images: Tensor) -> Tensor:
        """G(E(x)) of images (N, C, H, W) of the facts' size."""
        return self.generator(self.encoder(images))

    def score(self, images: Tensor) -> Tensor:
        """The mean squared residual (N,) of images (N, C, H, W); higher is stranger."""
        return (images - self.translate(images)).square().flatten(1).mean(1)

    def heat(self, images: Tensor) -> Tensor:
        """The absolute residual (N, 1, H, W), the mean of the channels."""
        return (images - self.translate(images)).abs().mean(1, keepdim=True)


presets = {
    "tiny": Preset(Config(latent=8, width=4, lr=1e-3), Run(steps=6, batch=8, size=(16,), log_every=2)),
    "small": Preset(Config(latent=64, width=16, lr=1e-3), Run(steps=1_000, batch=64, size=(32,), sample_every=250)),
    "paper": Preset(Config(), Run(steps=50_000, batch=64, size=(64,), channels=1, save_every=5_000)),
}
