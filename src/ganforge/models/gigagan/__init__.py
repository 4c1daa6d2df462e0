"""gigagan: sentences to images by one GAN at scale, and an upsampler that enlarges images.

Kang, Zhu, Zhang, Park, Shechtman, Paris, Park, 2023.  https://arxiv.org/abs/2303.05511

    w = M(z, t_global),  K = sum_i softmax(W w + b)_i K_i,  x_4 ... x_64 = G(w, t_local)
    V(G, D) = sum over sizes i and stages j below:  log D_ij(x_i, t) + log(1 - D_ij(G(z, t)_i, t))
    L_match = log(1 + exp D(x, t')) + log(1 + exp D(G(z, t), t')),  t' a wrong sentence

A frozen encoder reads a sentence, and learned layers T go on from it: to one vector of the sentence, and one of each
word.  Noise and the sentence's vector give a style w.  Every convolution mixes its kernel, for every image, from a bank
by weights that follow from w (sample-adaptive), and is modulated as in StyleGAN2.  Places attend to places, by
distances, and to words.  The generator gives an image of every size; the discriminator scores each of them at every
stage below its size, once with the sentence and once without.  The upsampler is a U-Net of the same layers.

Two readings.  `paper`, of all presets: non-saturating losses with R1 on all scores, attention by distances with queries
as keys.  `lucidrains`: the networks of gigagan-pytorch, for its weights; trained further, it has the paper's losses.

Departures, since there are no authors' code and weights, and the paper's tables could not be checked: 1. widths,
depths, rates, batches, gamma, all weights of losses, the interval of R1 and the averages are our choice; 2. the
encoder's vector of a sentence takes the place of CLIP's last token; 3. scores are averaged over sizes and stages, not
summed; 4. R1 is that of all sizes of an image together, by mean scores; 5. the scaled residual: the last weights of a
branch with attention are a tenth at first; 6. the contrastive loss uses the embeddings of the text part, the
vision-aided discriminator its layers for images, where it has any; 7. truncation draws w to the mean of 64 styles of
the same sentence; 8. the upsampler adds to the bilinear enlargement of its input, which is not judged, compares pixels
(by squares) or features of VGG-19, not LPIPS, and sees a tenth of the images without a sentence; 9. `small` is narrow,
with short codes and a larger rate; 10. no augmentation, for the discriminator sees pyramids; 11. first weights of He et
al. and StyleGAN2's gain.

Train it small: `ganforge train gigagan` (41 minutes of one core), then `ganforge sample RUN --text "a small red star"`:
the colour is read in 100 % of its samples, the kind in 38 %, and in 19 % where both were never seen together (chance:
10 %). `--preset small-upsampler [--config.no-texts]` (15 minutes) makes edges of shapes sharp: 33.6 dB, bicubic 28.9.
"""

from collections.abc import Iterator
from typing import Annotated, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from ganforge.batches import Batch, Captioned, Facts, Images
from ganforge.capabilities import Mix, Range, Text, only
from ganforge.errors import ModelError, OptionError
from ganforge.game import Clock, Game, Move
from ganforge.models.gigagan.building import (
    Encoded,
    attention_weights,
    encode,
    interpolate,
    make_discriminator,
    make_generator,
    make_upsampler,
)
from ganforge.models.gigagan.generator import Generator, Guide
from ganforge.models.gigagan.losses import average, match, penalise_slopes
from ganforge.models.gigagan.settings import Config
from ganforge.models.gigagan.settings import presets as presets
from ganforge.models.gigagan.upsampler import Upsampler
from ganforge.models.gigagan.vision import ImageEncoder, VisionDiscriminator, contrast, judge_tokens
from ganforge.nn.bicubic import bicubic
from ganforge.nn.sizes import shrink
from ganforge.nn.text_encoders import TextEncoder
from ganforge.nn.vgg import CONTENT, LazyVGG, compare_images

STYLES = 64  # of a sentence, the mean of which truncation goes to


class GigaGAN(Game[Config, Captioned]):
    """A generator of sentences, or an upsampler, against a discriminator of pyramids."""

    penalised = ("discriminator",)

    def __init__(self, config: Config, facts: Facts, text: TextEncoder | None = None) -> None:
        """Raises ModelError for sides that are no powers of two, and for a base without captions."""
        super().__init__(config, facts)
        c = config
        self.extractor = LazyVGG(c.vgg, tuple(CONTENT), "say --config.content pixel")
        if c.networks == "base" and not c.texts:
            raise ModelError("gigagan's base draws from sentences: leave out --config.no-texts.")
        if facts.width != facts.height:
            raise ModelError(f"gigagan makes square images, not {facts.height} x {facts.width}: give --size.")
        self.text = cast(nn.Module, text) if text is not None and c.texts else None
        features = 0 if not c.texts else c.features or (text.text_width if text is not None else 0)
        if c.texts and not features:
            raise ModelError("gigagan needs an encoder of sentences: name one with --config.text.")
        base = c.networks == "base"
        self.generator = make_generator(c, facts, features) if base else make_upsampler(c, facts, features)
        self.discriminator = make_discriminator(c, facts, features)
        self.vision_discriminator = None
        if c.vision and isinstance(self.text, ImageEncoder):
            width = c.judge_text_width if features else 0
            self.vision_discriminator = VisionDiscriminator(self.text.image_width, c.vision_width, width)
        self.multiple = self.least = 1 if base else 2 ** cast(Upsampler, self.generator).halvings

    @classmethod
    def choose_batches(cls, config: Config | None) -> type[Batch]:
        """Without sentences an upsampler learns from images alone."""
        return Images if config is not None and not config.texts else Captioned

    def players(self) -> dict[str, Optimizer]:
        """Raises WeightsError where VGG's weights are needed and missing."""
        c = self.config
        if c.networks == "upsampler" and c.content == "vgg":
            self.extractor.load()

        def adam(*networks: nn.Module | None) -> Optimizer:
            decayed, rest = attention_weights([network for network in networks if network is not None])
            groups = [{"params": rest, "weight_decay": 0.0}, {"params": decayed, "weight_decay": c.decay}]
            return AdamW([group for group in groups if group["params"]], c.lr, (c.beta1, c.beta2))

        judges = (self.discriminator, self.vision_discriminator)
        return {"discriminator": adam(*judges), "generator": adam(self.generator)}

    def play(self, batches: Iterator[Captioned], now: Clock) -> Iterator[Move]:
        c, batch = self.config, next(batches)
        real, n = batch.images, len(batch)
        tokens = batch.tokens if c.texts else torch.zeros(n, 1, dtype=torch.int64)
        if c.texts and c.networks == "upsampler":  # some are blank
            tokens = tokens * (self.draw.uniform(n, 1) >= c.blank).to(tokens.device)
        encoded = self.encode(tokens)
        fakes, reals = self.draw_pyramids(real, encoded)
        sentence = self.discriminator.read_sentence(*encoded)
        on_real, drawn = self.discriminator.read(real, reals)
        on_fake, _ = self.discriminator.read(fakes[-1].detach(), [fake.detach() for fake in fakes[:-1]])
        score = self.discriminator.score
        scores, fake_scores = score(on_real, sentence), score(on_fake, sentence)
        terms = {
            "real": average([F.softplus(-s) for s in scores]),
            "fake": average([F.softplus(s) for s in fake_scores]),
        }
        if sentence is not None and c.matching:
            terms["matching"] = c.matching * match(self.discriminator, on_real, on_fake, sentence, tokens)
        if drawn:
            terms["drawn"] = torch.stack([F.mse_loss(each, real) for each in drawn]).sum()
        if self.vision_discriminator is not None and isinstance(self.text, ImageEncoder):
            both = judge_tokens(self.vision_discriminator, self.text, real, fakes[-1], sentence)
            terms |= {"vision_real": c.vision * both[0], "vision_fake": c.vision * both[1]}
        if not now.step % c.r1_every:
            slopes = penalise_slopes(lambda x: self.discriminator(x[0], x[1:], sentence), [real, *reals])
            terms["penalty"] = c.r1_every * c.r1 / 2 * slopes
        says = {"says_real": average(scores).detach(), "says_fake": average(fake_scores).detach()}
        yield Move("discriminator", **terms, **says)

        sentence = self.discriminator.read_sentence(*encoded)
        scores = self.discriminator(fakes[-1], fakes[:-1], sentence)
        yield Move(
            "generator", fool=average([F.softplus(-s) for s in scores]), **self.compare(fakes[-1], real, encoded)
        )

    def draw_pyramids(self, real: Tensor, encoded: Encoded) -> tuple[list[Tensor], list[Tensor]]:
        """Generated images of all sizes, and the real ones of all sizes but the largest."""
        c, n = self.config, len(real)
        guide = self.generator.guide(self.noise(n), *encoded)
        if isinstance(self.generator, Generator):
            fakes = self.generator(guide, self.draw_noise(n))
        else:
            low = bicubic(real, 1 / c.scale).clamp(-1, 1)
            strength = c.low_noise * self.draw.uniform(n, 1, 1, 1)
            low = low + strength.to(real.device) * self.draw.normal(n, *low.shape[1:])
            fakes = self.generator(low, guide)
        fakes = [fake for fake in fakes if c.networks == "base" or fake.shape[-1] > real.shape[-1] // c.scale]
        return fakes, [shrink(real, fake.shape[-1]) for fake in fakes[:-1]]

    def compare(self, fake: Tensor, real: Tensor, encoded: Encoded) -> dict[str, Tensor]:
        """The generator's other losses: contrast and vision where the text part has them, content of an upsampler."""
        c, terms = self.config, dict[str, Tensor]()
        if c.contrast and encoded[2] is not None and hasattr(self.text, "embed"):
            terms["contrast"] = c.contrast * contrast(self.text.embed(fake), encoded[2])  # pyright: ignore
        if self.vision_discriminator is not None and isinstance(self.text, ImageEncoder):
            scores = self.vision_discriminator(self.text.image_tokens(fake), self.discriminator.read_sentence(*encoded))
            terms["vision"] = c.vision * average([F.softplus(-s) for s in scores])
        if c.networks == "upsampler" and c.content != "none":
            vgg = self.extractor.load().to(real.device) if c.content == "vgg" else None
            content = F.mse_loss(fake, real) if vgg is None else compare_images(vgg, fake, real)
            terms["content"] = c.content_weight * content
        return terms

    def encode(self, tokens: Tensor) -> Encoded:
        """Sentences int64 (n, T) -> what the frozen encoder makes of them; nothing without sentences."""
        return encode(self.text, tokens) if self.config.texts else (None, None, None)

    def noise(self, n: int) -> Tensor:
        """Latents z (n, style)."""
        return self.draw.normal(n, self.config.style)

    def draw_noise(self, n: int) -> list[Tensor]:
        """Noise of the generator's layers, two maps (n, 1, s, s) a stage."""
        return [self.draw.normal(n, 1, s, s) for s in cast(Generator, self.generator).sides for _ in range(2)]

    def find_style(self, noise: Tensor, text: Tensor, truncation: float) -> Guide:
        """The guide of latents (n, style) and sentences (n, T), drawn to the mean of the sentence's styles."""
        encoded = self.encode(text)
        guide = self.generator.guide(noise, *encoded)
        if truncation == 1:
            return guide
        others = self.draw.normal(len(noise), STYLES, noise.shape[1]).flatten(0, 1)
        repeated = [None if each is None else each.repeat_interleave(STYLES, 0) for each in encoded]
        mean = self.generator.guide(others, *repeated).style.unflatten(0, (-1, STYLES)).mean(1)
        return guide._replace(style=torch.lerp(mean, guide.style, truncation))

    @only("networks", "base")
    def generate(
        self,
        noise: Tensor,
        text: Text = None,
        truncation: Annotated[float, Range(0, 1)] = 1.0,
        text_b: Text = None,
        mix: Mix = 0.5,
        fine: Text = None,
        split: Annotated[int, Range(4, 1024)] = 8,
    ) -> Tensor:
        """Images (n, C, H, W) in [-1, 1] of latents (n, style) and sentences (n, T).

        `truncation` below 1: less varied.  `text_b`: style and words lie `mix`, a number or (n,), of the way to those
        of this sentence.  `fine`: maps of more than `split` pixels follow this sentence.
        """
        if text is None:
            lacks = "has no encoder of sentences: name one with --config.text" if self.text is None else "got none"
            raise OptionError(f"gigagan's base draws sentences and {lacks}.")
        layers = self.draw_noise(len(noise))
        guide = self.find_style(noise, text, truncation)
        if text_b is not None:
            guide = interpolate(guide, self.find_style(noise, text_b, truncation), mix)
        other = None if fine is None else self.find_style(noise, fine, truncation)
        return self.generator(guide, layers, other, split)[-1].clamp(-1, 1)

    @only("networks", "base")
    def sample(
        self,
        n: int,
        text: Text = None,
        truncation: Annotated[float, Range(0, 1)] = 1.0,
        text_b: Text = None,
        mix: Mix = 0.5,
        fine: Text = None,
        split: Annotated[int, Range(4, 1024)] = 8,
    ) -> Tensor:
        return self.generate(self.noise(n), text, truncation, text_b, mix, fine, split)

    @only("networks", "upsampler")
    def translate(self, images: Tensor, text: Text = None, truncation: Annotated[float, Range(0, 1)] = 1.0) -> Tensor:
        """Images (n, C, H, W) of any size -> (n, C, scale H, scale W), both in [-1, 1]; None: without a sentence."""
        if text is not None and not self.config.texts:
            raise OptionError("This upsampler was trained without sentences: leave --text out.")
        if text is None:
            text = torch.zeros(len(images), max(1, self.facts.caption_length), dtype=torch.int64, device=images.device)
        guide = self.find_style(self.noise(len(images)), text, truncation)
        return self.generator(images, guide)[-1].clamp(-1, 1)
