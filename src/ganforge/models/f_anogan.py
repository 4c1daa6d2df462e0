"""f_anogan: an encoder finds at once what a generator of sound images can draw of an image; the rest is strange.

Schlegl, Seeböck, Waldstein, Langs, Schmidt-Erfurth, 2019.  https://doi.org/10.1016/j.media.2019.01.010

    A(x) = |x - G(E(x))|^2 / n + kappa |f(x) - f(G(E(x)))|^2 / m       (n pixels, m features)

A Wasserstein GAN learns sound images alone; it is the part `generator`, a run of wgan_gp.  Then G and the critic rest,
and only the encoder E is trained, on the same sound images, to make A small (`izi_f`: image to code to image, with the
features f of the critic).  A flaw was never drawn, so G(E(x)) lacks it: A is high, and the residual shows where.  Two
other trainings are compared in the paper: `izi` has no features, `ziz` recovers the code of generated images.

Departures: 1. other sizes than 64 x 64, and colour; 2. the heat map of colour images is the mean of the channels'
absolute residuals; 3. the part may have any networks that wgan_gp has, the paper's are `--config.networks residual`;
4. `small` has narrower networks, a higher learning rate, and a part of strided convolutions, which take a sixth of the
time of residual ones.

Train it small: `ganforge train f_anogan` trains the part first, on `shapes-defects`, then E (minutes each); `ganforge
score RUN shapes-defects OUT` shows what is strange.  On other data: `ganforge train wgan_gp --data sound`, then
`ganforge train f_anogan --config.generator RUN --data sound`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer, RMSprop

from ganforge.batches import Facts, Images
from ganforge.errors import ModelError
from ganforge.game import Clock, Game, Move, OnlyClass, Part
from ganforge.nn.last_layer import features_of
from ganforge.nn.residual import ResidualFeatures, begin
from ganforge.nn.sizes import halve_sides
from ganforge.run import Preset, Run

Bound = Literal["tanh", "clip", "none"]


@dataclass(frozen=True)
class Config:
    """Section 2 and the authors' code."""

    generator: Annotated[str, Part("wgan_gp", needed=True)] = ""
    """The run whose generator draws and whose critic has the features."""
    sound: Annotated[str, OnlyClass()] = ""
    """The class of sound images, of data in classes; the others are not learnt from.  Empty: all images are sound."""
    training: Literal["izi_f", "izi", "ziz"] = "izi_f"
    """What E makes small: residuals of image and features, of the image alone, or of the code."""
    feature_weight: float = 1.0
    """kappa, of the features' residual."""
    width: int = 64
    """Channels of E next to the image; they double at every halving, up to eight times as many."""
    bound: Bound = "tanh"
    """How codes are kept within `reach`; `none` leaves them as they are."""
    reach: float = 1.0
    """The largest value of a code."""
    lr: float = 5e-5
    """RMSProp."""


class Encoder(nn.Module):
    """images (N, C, H, W) -> codes (N, latent): the critic's layers with batch norm."""

    def __init__(
        self,
        width: int,
        channels: int,
        latent: int,
        base: tuple[int, int],
        halvings: int,
        bound: Bound = "tanh",
        reach: float = 1.0,
    ) -> None:
        super().__init__()
        self.body = ResidualFeatures(width, channels, base, halvings, "batch")
        self.head = nn.Linear(self.body.features, latent)
        self.bound, self.reach = bound, reach
        begin(self.head, 1.0)

    def forward(self, images: Tensor) -> Tensor:
        code = self.head(self.body(images))
        if self.bound == "tanh":
            return self.reach * code.tanh()
        return code.clamp(-self.reach, self.reach) if self.bound == "clip" else code


class FAnoGAN(Game[Config, Images]):
    """An encoder into the latents of a GAN that rests."""

    averaged = ("encoder",)
    embedded = "shapes-defects"
    fixed_size = True

    def __init__(self, config: Config, facts: Facts, generator: Game[Any, Any] | None = None) -> None:
        """Raises ModelError without the part, and for sides that halving does not reach."""
        super().__init__(config, facts)
        if generator is None:
            raise ModelError("f_anogan needs a trained GAN: name a run of wgan_gp with --config.generator.")
        self.generator, c = generator, config
        base, halvings = halve_sides(facts.height, facts.width)
        self.latent: int = generator.config.latent
        self.encoder = Encoder(c.width, facts.channels, self.latent, base, halvings, c.bound, c.reach)

    def players(self) -> dict[str, Optimizer]:
        # alpha and eps are TensorFlow's defaults, in which the authors' code was written.
        return {"encoder": RMSprop(self.encoder.parameters(), self.config.lr, alpha=0.9, eps=1e-10)}

    def play(self, batches: Iterator[Images], now: Clock) -> Iterator[Move]:
        real = next(batches).images
        if self.config.training == "ziz":
            code = self.draw.normal(len(real), self.latent)
            with torch.no_grad():
                drawn = self.generate(code)
            yield Move("encoder", code=(code - self.encoder(drawn)).square().mean())
            return
        image, features = self.residuals(real, self.translate(real))
        yield Move("encoder", image=image.mean(), **({} if features is None else {"features": features.mean()}))

    def residuals(self, images: Tensor, drawn: Tensor) -> tuple[Tensor, Tensor | None]:
        """Mean squared residuals (N,) of images (N, C, H, W) and, times kappa, of the features; None in izi."""
        of_image = (images - drawn).square().flatten(1).mean(1)
        if self.config.training == "izi":
            return of_image, None
        with torch.no_grad():
            wanted = features_of(self.generator, images)
        of_features = (wanted - features_of(self.generator, drawn)).square().flatten(1).mean(1)
        return of_image, self.config.feature_weight * of_features

    def generate(self, code: Tensor) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] of codes (N, latent)."""
        return self.generator.generate(code)  # pyright: ignore

    def translate(self, images: Tensor) -> Tensor:
        """G(E(x)): what the generator can draw of images (N, C, H, W) of the facts' size."""
        return self.generate(self.encoder(images))

    def score(self, images: Tensor) -> Tensor:
        """A (N,) of images (N, C, H, W); higher is stranger."""
        image, features = self.residuals(images, self.translate(images))
        return image if features is None else image + features

    def heat(self, images: Tensor) -> Tensor:
        """The absolute residual (N, 1, H, W) of images (N, C, H, W), the mean of their channels."""
        return (images - self.translate(images)).abs().mean(1, keepdim=True)


presets = {
    "tiny": Preset(Config(width=4, lr=1e-3), Run(steps=6, batch=8, size=(16,), log_every=2)),
    "small": Preset(Config(width=16, lr=5e-4), Run(steps=2_000, batch=64, size=(32,), sample_every=250)),
    "paper": Preset(Config(), Run(steps=50_000, batch=64, size=(64,), channels=1, save_every=5_000)),
}
