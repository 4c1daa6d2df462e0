"""stackgan: first the rough shape and colours of a sentence, then the same sentence again for a large image.

Zhang, Xu, Li, Zhang, Wang, Huang, Metaxas, 2017.  https://arxiv.org/abs/1612.03242

    L_D = -log D(x, t) - log(1 - D(G(z, c), t)),   c = mu(t) + sigma(t) eps                         (equations 3 and 5)
    L_G = -log D(G(z, c), t) + lambda KL(N(mu(t), sigma(t)^2) || N(0, 1))                           (equations 4 and 6)

Stage I draws small images.  Stage II is a second run, whose part is a run of Stage I: it reads that run's image and the
sentence again, and draws details at four times the side.  Conditioning augmentation: the condition is drawn from a
normal distribution around the sentence, so that near sentences have near images and few pairs suffice.

`objective` says which terms: `released`, the authors' code, adds real images with the next row's condition as wrong
pairs, in Stage II logits of images alone, and the mean of the divergence over its dimensions with weight 2; `printed`
is the paper's, with the sum over dimensions and weight 1.

Departures: 1. sides other than 64 and 256: Stage I begins with 4 to 7 pixels; 2. a wrong pair is never an equal
sentence; 3. G learns by -log D, as in the authors' code, not by log(1 - D), and D reads mu, not a projection of its
own, with the printed objective too; 4. `small` is narrow, 16 pixels and then 64, with one residual block, five
times the rate and averaged weights; mu and log sigma^2 have both signs, a batch norm and a smaller weight; D has no
batch norm, its features are also multiplied by the condition, and it sees R1 and up to eight wrong pairs an image; two
images of a sentence are held apart (mode seeking).

Train it small: `ganforge train stackgan`, then `ganforge train stackgan --preset small-stage-2 --config.stage1 RUN`
(a quarter and half an hour of one core).  In samples of combinations of colour and kind that the data never showed
together, a classifier reads the colour in 100 % and the kind in 67 %; in Stage I's, enlarged, in 30 %.  The picture has
a row for each kind and a column for each colour.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import Adam, Optimizer

from ganforge.batches import Captioned, Facts
from ganforge.capabilities import Mix, Range, Text
from ganforge.errors import ModelError, OptionError
from ganforge.game import Clock, Game, Move, Part
from ganforge.models.stackgan.first_stage import check_first_stage
from ganforge.models.stackgan.networks import Discriminator, FirstStage, Norms, SecondStage
from ganforge.nn.annealing import halve_rates
from ganforge.nn.losses import fake_loss, mean_where, mode_seeking, normal_divergence, real_loss
from ganforge.nn.penalties import squared_slope
from ganforge.nn.sizes import halve_sides
from ganforge.nn.text_encoders import TextEncoder, embed_sentences
from ganforge.run import Preset, Run


@dataclass(frozen=True)
class Config:
    """Section 3.4 of the paper, and the authors' code (birds)."""

    text: Annotated[str, Part("text_encoder", needed=lambda config: config.stage == 1)] = ""  # pyright: ignore
    """The run of the text encoder, or hf:NAME, or a folder of a pretrained one.  Stage II has that of its Stage I."""
    stage: Literal[1, 2] = 1
    """Stage I, or Stage II on a run of it."""
    stage1: Annotated[
        str,
        Part("stackgan", needed=lambda config: config.stage == 2, free=("height", "width")),  # pyright: ignore
    ] = ""
    """Stage II: the run of Stage I, at a quarter of the side."""
    objective: Literal["released", "printed"] = "released"
    """The terms of the authors' code, or of the paper."""
    latent: int = 100
    """Length of z, N_z.  Stage II has that of its Stage I."""
    condition: int = 128
    """Length of the condition c, N_g."""
    width: int = 128
    """Channels of the generator: twice those of Stage I's last maps, and those of Stage II's first."""
    judge_width: int = 64
    """Channels of the discriminator's first maps."""
    blocks: int = 4
    """Residual blocks of Stage II."""
    text_norm: bool = False
    """A batch norm of mu.  Embeddings of `text_encoder` have a length of about 1, and the first weights
    suit larger ones, as the authors have."""
    rectified: bool = True
    """Whether a ReLU follows the layer of mu and log sigma^2, as in the authors' code; the paper has none."""
    deviation: Annotated[float, Range(0.01, 1)] = 1.0
    """sigma where the layer gives 0: about the first one, and where rectified the least."""
    judge_norm: Norms = "all"
    """Which maps of the discriminator have a batch norm: all, as in the authors' code, those before the condition, or
    none, with torch's first weights.  By one behind it wrong pairs are told from right ones without reading them."""
    product: bool = False
    """Whether the condition also multiplies the discriminator's features, by factors that it learns."""
    wrongs: Annotated[int, Range(1, 1_000)] = 1
    """Wrong pairs of a real image: with the conditions of up to so many next rows, as far as the batch has them."""
    r1: Annotated[float, Range(0, 1e6)] = 0.0
    """gamma of the R1 penalty (Mescheder et al. 2018) on real images with right sentences."""
    r1_every: Annotated[int, Range(1, 1_000)] = 1
    """Steps between two penalties, each so many times as large."""
    seek: Annotated[float, Range(0, 1e6)] = 0.0
    """Weight of mode seeking (Mao et al. 2019): two images of a sentence, each with a condition, differ as their z."""
    kl_weight: float = 0.0
    """lambda.  0: the objective's own, 2 of the mean over dimensions (released) or 1 of their sum (printed)."""
    halve_every: int = 0
    """Epochs after which the learning rate halves, again and again; 0: never.  100 in the paper, 20 for COCO."""
    lr: float = 2e-4
    """Adam's learning rate."""
    beta1: float = 0.5
    """Adam's first momentum."""


class StackGAN(Game[Config, Captioned]):
    """One stage of StackGAN."""

    augmented = ("discriminator",)

    def __init__(
        self, config: Config, facts: Facts, text: TextEncoder | None = None, stage1: "StackGAN | None" = None
    ) -> None:
        """Raises ModelError for sides that the stage cannot make, and for parts that do not fit."""
        super().__init__(config, facts)
        c, channels = config, facts.channels
        base, halvings = halve_sides(facts.height, facts.width)
        reading = c.rectified, c.text_norm, c.deviation
        if c.stage == 2:
            self.stage1: StackGAN = check_first_stage(stage1, text, facts)
            self.text = self.stage1.text
            self.generator = SecondStage(self.text.text_width, c.condition, c.width, channels, c.blocks, *reading)
        elif text is None:
            raise ModelError("Stage I of stackgan needs a text encoder: `ganforge train text_encoder` trains one.")
        else:
            self.text = text
            self.generator = FirstStage(
                text.text_width,
                c.condition,
                c.latent,
                c.width,
                channels,
                base,
                halvings,
                *reading,
            )
        alone = c.stage == 2 and c.objective == "released"
        self.discriminator = Discriminator(
            c.condition, c.judge_width, channels, base, halvings, alone, c.judge_norm, c.product
        )

    def players(self) -> dict[str, Optimizer]:
        c = self.config
        networks = {"discriminator": self.discriminator, "generator": self.generator}
        return {name: Adam(net.parameters(), c.lr, (c.beta1, 0.999)) for name, net in networks.items()}

    def tune(self, players: Mapping[str, Optimizer], now: Clock) -> None:
        halve_rates(players.values(), now.epoch, self.config.halve_every)

    def play(self, batches: Iterator[Captioned], now: Clock) -> Iterator[Move]:
        c, batch = self.config, next(batches)
        released, penalised = c.objective == "released", c.r1 > 0 and now.step % c.r1_every == 0
        z, text = self.noise(len(batch)), embed_sentences(self.text, batch.tokens)
        fake, mean, log_variance = self.draw_images(z, text)
        condition, real = mean.detach(), batch.images.detach().requires_grad_(penalised)

        rows = range(1, 1 + max(1, min(c.wrongs, len(batch) - 1))) if released else ()
        on_real, *more_real = self.discriminator(real, condition, [condition[k:] for k in rows])
        on_fake, *more_fake = self.discriminator(fake.detach(), condition)
        terms = {"real": real_loss(on_real), "fake": fake_loss(on_fake)}
        if released:
            tokens = batch.tokens  # a row's image with the sentences of the next rows
            differs = torch.cat([(tokens[k:] != tokens[:-k]).any(1) for k in rows])
            terms["wrong"] = mean_where(F.softplus(more_real.pop()), differs)
            if more_real:  # Stage II's logits of images alone
                terms |= {"real_alone": real_loss(more_real[0]), "fake_alone": fake_loss(more_fake[0])}
            terms = {name: term / share_of(name, c.stage) for name, term in terms.items()}
        if penalised:
            terms["penalty"] = c.r1_every * c.r1 / 2 * squared_slope(on_real, real).mean()
        yield Move("discriminator", **terms, says_real=on_real.detach().mean(), says_fake=on_fake.detach().mean())
        on_fake, *more_fake = self.discriminator(fake, condition)
        terms = {"fool": real_loss(on_fake)} | ({"fool_alone": real_loss(more_fake[0])} if more_fake else {})
        if c.seek:
            others = self.noise(half := max(1, len(batch) // 2))
            drawn = self.draw_images(others, text[:half])[0]
            terms["seek"] = c.seek * mode_seeking(z[:half], others, fake[:half], drawn)
        yield Move("generator", **terms, kl=self.divergence(mean, log_variance))

    def divergence(self, mean: Tensor, log_variance: Tensor) -> Tensor:
        """The weighted KL term of means and log variances (n, K)."""
        c, each = self.config, normal_divergence(mean, log_variance)
        if c.objective == "released":
            return (c.kl_weight or 2.0) * each.mean()
        return (c.kl_weight or 1.0) * each.sum(1).mean()

    def draw_images(self, noise: Tensor, text: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Images, means and log variances of latents z (n, latent of Stage I) and embeddings (n, K)."""
        own = self.draw.normal(len(noise), self.config.condition)
        if self.config.stage == 1:
            return self.generator(text, noise, own)
        return self.generator(self.draw_first(noise, text), text, own)

    def draw_first(self, noise: Tensor, text: Tensor) -> Tensor:
        """The images of Stage I."""
        with torch.no_grad():
            own = self.draw.normal(len(noise), self.stage1.config.condition)
            return self.stage1.generator(text, noise, own)[0]

    def noise(self, n: int) -> Tensor:
        """Latents z (n, latent)."""
        return self.draw.normal(n, self.stage1.config.latent if self.config.stage == 2 else self.config.latent)

    def generate(
        self, noise: Tensor, text: Text = None, text_b: Text = None, mix: Mix = 0.5, both: bool = False
    ) -> Tensor:
        """Images (n, C, H, W) in [-1, 1] of latents z (n, latent) and sentences (n, T).

        With a second sentence, the embedding is `mix` of the way from the first to it; `mix` may be (n,).  `both`:
        Stage I's images, enlarged, to the left of Stage II's, (n, C, H, 2W).
        """
        asked = embed_sentences(self.text, text, text_b, mix)
        if not both:
            return self.draw_images(noise, asked)[0]
        if self.config.stage == 1:
            raise OptionError("Only Stage II has images of two stages to show: leave --both out.")
        own = self.draw.normal(len(noise), self.config.condition)
        first = self.draw_first(noise, asked)
        return torch.cat([F.interpolate(first, scale_factor=4.0), self.generator(first, asked, own)[0]], 3)

    def sample(self, n: int, text: Text = None, text_b: Text = None, mix: Mix = 0.5, both: bool = False) -> Tensor:
        """`n` images of a sentence, or of what lies between two; `both`: of Stage I and Stage II, side by side."""
        return self.generate(self.noise(n), text, text_b, mix, both)


def share_of(term: str, stage: int) -> float:
    """By what the released objective divides a term of the discriminator."""
    if stage == 1:
        return 1.0 if term == "real" else 2.0
    return 2.0 if term.startswith("real") else 3.0


BIRDS = Run(steps=83_000, batch=64, flip=True, crop=True, save_every=5_000)  # 8,855 images, 600 epochs
SMALL = Config(
    width=64, judge_width=48, blocks=1, text_norm=True, rectified=False, judge_norm="none",
    product=True, wrongs=8, r1=0.05, r1_every=4, seek=0.3, deviation=0.2, kl_weight=0.02, lr=1e-3,
)  # fmt: skip
presets = {
    "tiny": Preset(
        Config(latent=4, condition=4, width=4, judge_width=4, blocks=1),
        Run(steps=6, batch=4, size=(16,), log_every=2),
    ),
    "small": Preset(replace(SMALL, latent=32), Run(steps=8_000, batch=32, size=(16,), schedule="linear", ema=5_000.0)),
    "small-stage-2": Preset(
        replace(SMALL, stage=2, width=32, judge_width=24), Run(steps=5_000, batch=16, size=(64,), ema=1_500.0)
    ),
    "paper": Preset(Config(halve_every=100), replace(BIRDS, size=(64,))),
    "paper-stage-2": Preset(Config(stage=2, halve_every=100), replace(BIRDS, size=(256,))),
}
