"""anogan: what a generator of sound images cannot draw, after a descent on its latents, is strange.

Schlegl, Seeböck, Waldstein, Schmidt-Erfurth, Langs, 2017.  https://arxiv.org/abs/1703.05921

    A(x) = (1 - lambda) R(x) + lambda D(x)
    R(x) = sum |x - G(z)|                    D(x) = sum |f(x) - f(G(z))|          (equations 3 to 7)

A GAN learns sound images alone.  For an image x, 500 steps of descent on z make A small, with D's features f (section
2.2): feature matching finds what is alike, where the discriminator's verdict would only find what looks real.  A of the
last z is the score, its residual |x - G(z)| shows where.  Nothing but z is learnt here, so a run of this model is the
part `generator` and the settings of the descent; `f_anogan` replaces the descent by an encoder.

Departures: 1. the part may be any unconditional run that samples and judges; f is the input of its discriminator's
last layer; 2. all images start from the same z, so that a score does not depend on the others; 3. the descent's
optimiser, which the paper does not give, is Adam with rate 0.05.

Train it small: `ganforge train dcgan --data shapes-defects` makes the part, then `ganforge train anogan
--config.generator RUN --data shapes-defects` (at once); `ganforge score` descends.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from torch import Tensor
from torch.optim import Optimizer

from ganforge.batches import Facts, Images
from ganforge.capabilities import list_questions
from ganforge.errors import ModelError
from ganforge.game import Clock, Game, Move, OnlyClass, Part
from ganforge.nn.last_layer import features_of
from ganforge.run import Preset, Run


@dataclass(frozen=True)
class Config:
    """Sections 2.2 and 3."""

    generator: Annotated[str, Part("dcgan|*", needed=True, can=("generate", "features"))] = ""
    """The run whose generator draws and whose discriminator has the features: the paper's is one of dcgan."""
    sound: Annotated[str, OnlyClass()] = ""
    """The class of sound images, of data in classes; the others are not learnt from.  Empty: all images are sound."""
    feature_weight: float = 0.1
    """lambda (section 3)."""
    steps: int = 500
    """Of the descent (section 3)."""
    lr: float = 0.05
    """Adam, for z."""


class AnoGAN(Game[Config, Images]):
    """The descent on the latents of a GAN that rests."""

    averaged = ()
    embedded = "shapes-defects"

    def __init__(self, config: Config, facts: Facts, generator: Game[Any, Any] | None = None) -> None:
        """Raises ModelError without the part, and for one that draws from a label or a sentence as well as from z."""
        super().__init__(config, facts)
        if generator is None:
            raise ModelError("anogan needs a trained GAN: name a run, of dcgan for instance, with --config.generator.")
        asked = {question.meaning for question in list_questions(generator.generate)}  # pyright: ignore
        has_labels = generator.labelled and (generator.facts.labels or generator.facts.attributes)
        if "text" in asked or ("label" in asked and has_labels):
            raise ModelError(
                f"anogan descends on the noise, and its part must draw from noise alone; {type(generator).__name__} "
                "also needs a label or a sentence: name an unconditional run with --config.generator."
            )
        self.generator = generator
        self.descent = config.steps, config.lr

    def players(self) -> dict[str, Optimizer]:
        return {}

    def play(self, batches: Iterator[Images], now: Clock) -> Iterator[Move]:
        yield from ()  # the part was trained before, and z is found for each image

    def noise(self, n: int) -> Tensor:
        """Latents (n, latent) of the part."""
        self.generator.draw = self.draw
        return self.generator.noise(n)  # pyright: ignore

    def generate(self, noise: Tensor) -> Tensor:
        """Images (n, C, H, W) in [-1, 1] of latents (n, latent)."""
        return self.generator.generate(noise)  # pyright: ignore

    def mismatch(self, images: Tensor, generated: Tensor) -> Tensor:
        """A (N,) of images and generated ones (N, C, H, W): what the descent makes small (equation 6)."""
        weight = self.config.feature_weight
        residual = (images - generated).abs().flatten(1).sum(1)
        features = (features_of(self.generator, images) - features_of(self.generator, generated)).abs()
        return (1 - weight) * residual + weight * features.flatten(1).sum(1)

    def score(self, images: Tensor, code: Tensor) -> Tensor:
        """A (N,) of images (N, C, H, W) with the codes (N, latent) that the descent has found; higher is stranger."""
        return self.mismatch(images, self.generate(code))

    def heat(self, images: Tensor, code: Tensor) -> Tensor:
        """The absolute residual (N, 1, H, W), the mean of the channels."""
        return (images - self.generate(code)).abs().mean(1, keepdim=True)


presets = {
    "tiny": Preset(Config(steps=4), Run(steps=2, batch=8, size=(16,), log_every=1)),
    "small": Preset(Config(), Run(steps=1, batch=64, size=(32,))),
    "paper": Preset(Config(), Run(steps=1, batch=64, size=(64,), channels=1)),
}
