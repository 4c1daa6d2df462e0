"""gan_cls: images of sentences; the discriminator also learns from real images with wrong sentences.

Reed, Akata, Yan, Logeswaran, Schiele, Lee, 2016.  https://arxiv.org/abs/1605.05396

    L_D = log s_r + (log(1 - s_w) + log(1 - s_f)) / 2        algorithm 1: real and right, real and wrong, fake and right
    L_G = log s_f + E log D(G(z, beta t_1 + (1 - beta) t_2)) equation 5: a sentence between two of the batch

Without the wrong pairs (GAN-CLS) nothing says that an image shall fit its sentence, only that it shall look real.
Embeddings between two sentences (GAN-INT) fill the gaps between those that the data has.  A third network recovers z
from a generated image (section 4.4): with it a new sentence is drawn in the style of a photograph.

Departures: 1. sides other than 64: as many halvings as leave 4 to 7 pixels on the short side; 2. a wrong sentence comes
from another row of the batch and is never equal to the right one, the authors' is of a random other image; 3. the
third network learns in the last share of the same run; 4. one sentence an image, where the authors average the
embeddings of four; 5. `small` has narrow networks without residual blocks, a generator that enlarges by nearest
up-sampling and ends at full size, a larger rate that falls, and averaged weights; 6. its discriminator multiplies the
features by the sentence (`product`), has no batch norm, which tells a batch of wrong pairs from a batch of right ones
without reading a pair, sees 8 wrong sentences an image and has a penalty on its slope (R1); 7. its generator is paid
for images that differ where z does (`seek`), without which the ground goes with the sentence.

Train it small: `ganforge train gan_cls` (about half an hour on two cores), then `ganforge sample RUN --text "a small
red star"`.  In samples of combinations of colour and kind that the data never showed together, a classifier reads the
colour in 100 % and the kind in 94 %; their ground and place vary 0.85 and 0.73 times as much as in real images.  The
picture has a row for each kind and a column for each colour.  With this discriminator right pairs alone teach the
sentence: after 9,000 steps the kind is read in 93 % of such samples of gan, 93 % of cls and 87 % of int-cls, means of
three seeds that lie 5 to 18 points apart.  With the paper's (`product` off, one wrong sentence, no R1, no `seek`) the
paper's order is seen after 3,000 steps: colour and kind together are read in 32 % of gan's, 44 % of int's, 57 % of cls'
and 56 % of int-cls' samples, of three seeds; nearly all of it is the colour.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import Adam, Optimizer

from ganforge.batches import Captioned, Facts
from ganforge.capabilities import Mix, Range, Text
from ganforge.game import Clock, Game, Move, Part
from ganforge.models.gan_cls.networks import Discriminator, Generator, StyleEncoder
from ganforge.nn.annealing import halve_rates
from ganforge.nn.losses import fake_loss, mean_where, mode_seeking, real_loss
from ganforge.nn.penalties import squared_slope
from ganforge.nn.sizes import halve_sides
from ganforge.nn.text_encoders import TextEncoder, embed_sentences
from ganforge.run import Preset, Run


@dataclass(frozen=True)
class Config:
    """Section 5 of the paper, and the authors' code (main_cls.lua)."""

    text: Annotated[str, Part("text_encoder", needed=True)] = ""
    """The run of the text encoder, or hf:NAME, or a folder of a pretrained one."""
    variant: Literal["gan", "cls", "int", "int-cls"] = "int-cls"
    """Wrong pairs (cls), interpolated sentences (int), both, or neither."""
    latent: int = 100
    """Length of z (section 5)."""
    projected: int = 128
    """Length of the projected sentence (section 4.1); 256 in main_cls.lua."""
    width: int = 128
    """Channels of the generator's layer next to the image."""
    judge_width: int = 64
    """The same of the discriminator."""
    residual: Literal[0, 1, 2] = 1
    """Residual blocks behind each of the generator's first two maps; above 0 the discriminator has one."""
    joint: bool = True
    """The discriminator has a 1 x 1 convolution behind the text (section 4.1)."""
    product: bool = False
    """The discriminator joins to its features their product with the projected sentence, and has no batch norm of what
    it sees: such a norm tells a batch of wrong pairs from one of right pairs by the statistics of the batch.  Then
    `projected`, `text_norm` and `bias` shape the generator alone."""
    wrongs: Annotated[int, Range(1, 1_000)] = 1
    """Wrong sentences of an image in a step; fewer in a batch that has not as many."""
    text_norm: bool = False
    """A batch norm of the projected sentence."""
    bias: bool = False
    """Convolutions have biases; the authors' have them, and set them to 0 before each step."""
    beta: Annotated[float, Range(0, 1)] = 0.5
    """Where between two sentences an interpolated one lies (section 4.3)."""
    r1: float = 0.0
    """gamma of the R1 penalty (Mescheder et al. 2018) on real images with right sentences."""
    r1_every: Annotated[int, Range(1, 1_000)] = 1
    """Steps between two penalties, each so many times as large."""
    between_weight: float = 0.5
    """Weight of the term of interpolated sentences; the authors average over a batch and half a batch of them."""
    encoder_from: Annotated[float, Range(0, 1)] = 0.9
    """Share of the run after which the third network, which recovers z, learns."""
    seek: float = 0.0
    """Weight of mode seeking (Mao et al. 2019): two images of a sentence shall differ as their z do.  0 where a
    sentence has one image: with 0.3 the generator draws light grounds that such data do not have."""
    lr: float = 2e-4
    """Adam's learning rate (section 5)."""
    beta1: float = 0.5
    """Adam's first momentum."""
    halve_every: int = 0
    """Epochs after which the learning rate halves, again and again; 0: never.  The authors': 100, and 40 for COCO."""
    smooth: bool = False
    """The generator enlarges by nearest up-sampling and 3 x 3 convolutions, instead of transposed ones."""


class GANCLS(Game[Config, Captioned]):
    """A GAN whose two players read a sentence."""

    augmented = penalised = ("discriminator",)
    fixed_size = True

    def __init__(self, config: Config, facts: Facts, text: TextEncoder) -> None:
        """Raises ModelError for sides that halving does not reach."""
        super().__init__(config, facts)
        c, k, channels = config, text.text_width, facts.channels
        base, halvings = halve_sides(facts.height, facts.width)
        self.text = text
        sizes = {"text_width": k, "projected": c.projected, "channels": channels, "base": base}
        options = {"text_norm": c.text_norm, "bias": c.bias, **sizes}
        self.generator = Generator(
            latent=c.latent, width=c.width, doublings=halvings, residual=c.residual, smooth=c.smooth, **options
        )
        self.discriminator = Discriminator(
            width=c.judge_width,
            halvings=halvings,
            residual=c.residual > 0,
            joint=c.joint,
            product=c.product,
            **options,
        )
        self.encoder = StyleEncoder(c.latent, c.judge_width, channels, base, halvings)

    def players(self) -> dict[str, Optimizer]:
        networks = {"discriminator": self.discriminator, "generator": self.generator, "encoder": self.encoder}
        adam = {"lr": self.config.lr, "betas": (self.config.beta1, 0.999)}
        return {name: Adam(network.parameters(), **adam) for name, network in networks.items()}

    def tune(self, players: Mapping[str, Optimizer], now: Clock) -> None:
        halve_rates(players.values(), now.epoch, self.config.halve_every)

    def play(self, batches: Iterator[Captioned], now: Clock) -> Iterator[Move]:
        c, batch = self.config, next(batches)
        real, n, penalised = batch.images, len(batch), c.r1 > 0 and now.step % c.r1_every == 0
        text = embed_sentences(self.text, batch.tokens)
        asked = torch.cat([text, blend(text, c.beta)]) if c.variant.startswith("int") else text
        z = self.noise(len(asked))
        fake = self.generator(z, asked)

        real = real.detach().requires_grad_(penalised)
        on_real, on_fake = self.discriminator(real, text), self.discriminator(fake[:n].detach(), text)
        terms = {"real": real_loss(on_real), "fake": fake_loss(on_fake)}
        if penalised:
            terms["penalty"] = c.r1_every * c.r1 / 2 * squared_slope(on_real, real).mean()
        if c.variant.endswith("cls"):
            wrong, differs = self.draw_wrong(batch.tokens, c.wrongs)
            on_wrong = F.softplus(self.discriminator(real.detach(), text[wrong]))
            terms["wrong"] = mean_where(on_wrong, differs) / 2
            terms["fake"] = terms["fake"] / 2
        says = {"says_real": on_real.detach().mean(), "says_fake": on_fake.detach().mean()}
        yield Move("discriminator", **terms, **says)

        on_fake = self.discriminator(fake, asked)
        terms = {"fool": real_loss(on_fake[:n])}
        if len(asked) > n:
            terms["between"] = c.between_weight * real_loss(on_fake[n:])
        if c.seek:
            half = max(1, n // 2)
            others = self.noise(half)
            terms["seek"] = c.seek * mode_seeking(z[:half], others, fake[:half], self.generator(others, text[:half]))
        yield Move("generator", **terms)
        if now.progress >= c.encoder_from:
            yield Move("encoder", style=F.mse_loss(self.encoder(fake.detach()), z))  # section 4.4

    def draw_wrong(self, tokens: Tensor, sentences: int = 1) -> tuple[Tensor, Tensor]:
        """For each caption (n, T) the rows of others, and bool: whether they differ from it; both (sentences n,).

        Place m n + i is the m-th of caption i.
        """
        order = self.draw.permutation(len(tokens)).to(tokens.device)
        turns = range(1, max(2, min(sentences + 1, len(tokens))))  # one cycle: no row stays where it is
        wrong = torch.cat([torch.empty_like(order).scatter_(0, order, order.roll(turn)) for turn in turns])
        return wrong, (tokens[wrong] != tokens.repeat(len(turns), 1)).any(1)

    def noise(self, n: int) -> Tensor:
        """Latents z (n, latent)."""
        return self.draw.normal(n, self.config.latent)

    def generate(self, noise: Tensor, text: Text = None, text_b: Text = None, mix: Mix = 0.5) -> Tensor:
        """Images (n, C, H, W) in [-1, 1] of latents z (n, latent) and sentences (n, T).

        With a second sentence, the embedding is `mix` of the way from the first to it (section 4.3); `mix` may be (n,).
        """
        return self.generator(noise, embed_sentences(self.text, text, text_b, mix))

    def sample(self, n: int, text: Text = None, text_b: Text = None, mix: Mix = 0.5) -> Tensor:
        """`n` images of a sentence, or of what lies between two."""
        return self.generate(self.noise(n), text, text_b, mix)

    def translate(self, images: Tensor, text: Text = None) -> Tensor:
        """Images (n, C, H, W) of the facts' size -> images of the sentences in their style (section 4.4)."""
        return self.generate(self.encoder(images), text)


def blend(text: Tensor, beta: float | Tensor) -> Tensor:
    """Embeddings (n, K) -> (n // 2, K): a row of the first half plus `beta` times the way to its row of the second."""
    half = len(text) // 2
    return torch.lerp(text[:half], text[half : 2 * half], torch.as_tensor(beta, device=text.device))


presets = {
    "tiny": Preset(
        Config(
            latent=4, projected=6, width=8, judge_width=4, residual=0, encoder_from=0.5, r1=0.5, r1_every=2, seek=0.1
        ),
        Run(steps=6, batch=8, size=(16,), log_every=2),
    ),
    "small": Preset(
        Config(
            projected=32,
            width=24,
            judge_width=28,
            residual=0,
            text_norm=True,
            smooth=True,
            lr=1e-3,
            product=True,
            wrongs=8,
            r1=0.05,
            r1_every=4,
            seek=0.3,
        ),
        Run(steps=12_000, batch=32, size=(32,), schedule="linear", ema=5_000.0),
    ),
    "paper": Preset(  # birds: 8,855 images of 150 classes, 600 epochs (sections 5 and 5.1)
        Config(halve_every=100), Run(steps=83_000, batch=64, size=(64,), flip=True, crop=True, save_every=5_000)
    ),
}
