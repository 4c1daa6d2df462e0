"""e4e: an encoder finds the code of a photograph, near enough to the generator's own codes that it can be edited.

Tov, Alaluf, Nitzan, Patashnik, Cohen-Or, 2021.  https://arxiv.org/abs/2102.02766
`space: w`: the W-encoder of Alaluf, Tov, Mokady, Gal, Bermano, 2022 (HyperStyle).  https://arxiv.org/abs/2111.15666

    E(x) = mean + (w, w + d_1, ..., w + d_L)
    min_E  |x - G(E(x))|^2 / n + 0.8 LPIPS + 0.5 (1 - cos) + 2e-4 sum |d_i| + 0.1 E[softplus(-D(E(x)_i))]
    min_D  E[softplus(-D(w))] + E[softplus(D(E(x)_i))] + 5 E[|grad D(w)|^2]       (w of the mapping network)

A code for each layer shows a photograph better than a single w, and is edited worse, for the generator has never seen
such codes.  So the encoder begins with one code for all layers; from step 20,000 on one more layer every 2,000 steps
gets a delta, which is kept small; and a discriminator of codes, with a pool of past ones, keeps each code among those
that the mapping network makes.  The generator, a run of stylegan2, rests.  `ganforge invert` finds codes with it,
`ganforge edit` moves them, and hyperstyle goes on from a run with `--config.space w`.

Departures: 1. images of other sides, averaged to at most `side`; 2. the delta of the newest layer is kept small too, in
the authors' code from its successor on; 3. D judges codes with the mean code added, in the authors' code without;
4. without published weights, `--config.perception own --config.identity own` compares features of the generator's own
discriminator; 5. `small` has a narrow body and earlier deltas, and starts Ranger at 1e-3.

Train it small: `ganforge train stylegan2 --data photos`, then
`ganforge train e4e --config.generator RUN --data photos`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from ganforge.batches import Facts, Images
from ganforge.capabilities import Codes, Range
from ganforge.errors import ModelError
from ganforge.game import Clock, Game, Move, Part
from ganforge.models.e4e.encoder import StyleEncoder, WEncoder
from ganforge.nn.likeness import Identity, Likeness, Perception
from ganforge.nn.losses import fake_loss, real_loss
from ganforge.nn.penalties import gradient_square
from ganforge.nn.pool import ImagePool
from ganforge.nn.ranger import Ranger
from ganforge.nn.sizes import shrink
from ganforge.run import Preset, Run

Psi = Annotated[float, Range(-2, 2)]


@dataclass(frozen=True)
class Config:
    """Sections 4 and 5, and the authors' code."""

    generator: Annotated[str, Part("stylegan2|*", needed=True, can=("code", "decode"))] = ""
    """The run whose codes are found."""
    space: Literal["w", "w+"] = "w+"
    """One code for all layers, HyperStyle's W-encoder, or a code for each."""
    widths: tuple[int, ...] = (64, 128, 256, 512)
    """Channels of the body's stages."""
    depths: tuple[int, ...] = (3, 4, 14, 3)
    """Units of the stages."""
    pyramid: bool = True
    """Whether later layers read larger maps (pSp, section 3)."""
    relative: bool = True
    """Whether codes are the first one plus deltas; False: pSp, where each stands for itself from the beginning."""
    side: int = 256
    """Largest side of the images that are encoded and compared; larger ones are averaged."""
    mse_weight: float = 1.0
    """Of the squared difference of pixels."""
    perception: Perception = "lpips"
    """LPIPS on AlexNet, from `weights`, or the features of the generator's discriminator."""
    perceptual_weight: float = 0.8
    """Of the perceptual distance."""
    identity: Identity = "face"
    """Vectors of a face network, from `weights`, or the last features of the generator's discriminator."""
    identity_weight: float = 0.5
    """Of 1 - cosine; 0.1 in the code's defaults."""
    weights: str = ""
    """Folder of alexnet-owt-7be5be79.pth, alex.pth and model_ir_se50.pth; empty: the working directory."""
    adversarial: float = 0.1
    """Weight of what the discriminator of codes says; 0: there is none."""
    delta_weight: float = 2e-4
    """Of the deltas' lengths."""
    wait: int = 20_000
    """Steps before the first delta."""
    every: Annotated[int, Range(1, 1e9)] = 2_000
    """Steps between two more."""
    pool: int = 50
    """Past codes, real and found, that the discriminator also sees."""
    gamma: float = 10.0
    """Weight of R1, halved."""
    r1_every: Annotated[int, Range(1, 1e9)] = 16
    """Steps between two R1 penalties."""
    lr: float = 1e-4
    """Ranger's learning rate."""
    critic_lr: float = 2e-5
    """Adam's, of the discriminator of codes."""


def judge_codes(style: int, layers: int = 4) -> nn.Sequential:
    """Codes (N, style) -> logits (N,): whether the mapping network makes such a code."""
    inner = [layer for _ in range(layers - 1) for layer in (nn.Linear(style, style), nn.LeakyReLU(0.2))]
    return nn.Sequential(*inner, nn.Linear(style, 1), nn.Flatten(0))


class E4E(Game[Config, Images]):
    """An encoder against a discriminator of codes, in front of a generator that rests."""

    averaged = ("encoder",)
    penalised = ("discriminator",)
    fixed_size = True

    def __init__(self, config: Config, facts: Facts, generator: Game[Any, Any] | None = None) -> None:
        """Raises ModelError without the part, and with `identity` `own` for one whose discriminator needs labels."""
        super().__init__(config, facts)
        if generator is None:
            raise ModelError("e4e needs a trained generator: name a run of stylegan2 with --config.generator.")
        self.generator, c = generator, config
        with torch.no_grad():
            noise = self.noise(1).to(next(generator.parameters()))  # which are meta where sizes alone are asked for
            mean = self.code(noise, 0.0).w[0]
        count, style = mean.shape
        sizes = (facts.channels, c.widths, c.depths, style, count)
        if c.space == "w":
            self.encoder = WEncoder(*sizes)
        else:
            side = min(c.side, max(facts.height, facts.width))
            self.encoder = StyleEncoder(sizes[0], side, *sizes[1:], pyramid=c.pyramid, relative=c.relative)
        self.encoder.mean_code.copy_(mean)
        self.likeness = Likeness(c.perception, c.identity, c.weights)
        self.likeness.check(generator)
        if c.adversarial:
            self.discriminator = judge_codes(style)
            self.made_pool, self.found_pool = ImagePool(c.pool, (style,)), ImagePool(c.pool, (style,))

    def players(self) -> dict[str, Optimizer]:
        players: dict[str, Optimizer] = {"encoder": Ranger(self.encoder.parameters(), self.config.lr)}
        if self.config.adversarial:
            players["discriminator"] = Adam(self.discriminator.parameters(), self.config.critic_lr)
        return players

    def stage(self, now: Clock) -> int:
        """The number of layers that have deltas in a step."""
        c = self.config
        if c.space == "w" or now.step < c.wait:
            return 0
        return min(1 + (now.step - c.wait) // c.every, len(self.encoder.mean_code) - 1)

    def play(self, batches: Iterator[Images], now: Clock) -> Iterator[Move]:
        c, images = self.config, next(batches).images
        real, stage = shrink(images, c.side), self.stage(now)
        last = stage if c.relative else len(self.encoder.mean_code) - 1
        if c.adversarial:
            yield from self.judge(real, stage, last, now)
        codes = self.encode(real, stage)
        made = shrink(self.decode(Codes(codes)), c.side)
        terms = {"mse": c.mse_weight * (made - real).square().mean()}
        sides, weights = (self.facts.height, self.facts.width), (c.perceptual_weight, c.identity_weight)
        terms |= self.likeness.terms(self.generator, made, real, sides, weights)
        if stage and c.relative:
            lengths = (codes[:, 1 : stage + 1] - codes[:, :1]).norm(dim=2)
            terms["deltas"] = c.delta_weight * lengths.sum(1).mean()
        if c.adversarial:
            terms["fool"] = c.adversarial * real_loss(self.discriminator(codes[:, : last + 1].flatten(0, 1)))
        yield Move("encoder", **terms)

    def judge(self, real: Tensor, stage: int, last: int, now: Clock) -> Iterator[Move]:
        """The discriminator's moves: codes of the mapping network against one layer's of each image."""
        n = len(real)
        with torch.no_grad():
            found = self.encode(real, stage)
            chosen = found[torch.arange(n, device=found.device), self.draw.choice(n, last + 1)]
            made = self.made_pool(self.code(self.noise(n)).w[:, 0], self.draw)
            found = self.found_pool(chosen, self.draw)
        on_made, on_found = self.discriminator(made), self.discriminator(found)
        says = {"says_real": on_made.detach().mean(), "says_fake": on_found.detach().mean()}
        yield Move("discriminator", real=real_loss(on_made), fake=fake_loss(on_found), **says)
        if now.step % self.config.r1_every == 0:
            square = gradient_square(self.discriminator, made)
            yield Move("discriminator", r1=self.config.gamma / 2 * self.config.r1_every * square)

    def encode(self, images: Tensor, stage: int = 10**6) -> Tensor:
        """Codes (N, L, style) of images of at most `side`, with the deltas of the first `stage` layers."""
        return self.encoder.mean_code + self.encoder(images, stage)

    def noise(self, n: int) -> Tensor:
        """Latents (n, latent) of the generator."""
        self.generator.draw = self.draw
        return self.generator.noise(n)  # pyright: ignore

    def code(self, noise: Tensor, truncation: Psi = 1.0) -> Codes:
        """The generator's codes of latents; `truncation` 0 is the mean code."""
        self.generator.draw = self.draw
        return self.generator.code(noise, truncation)  # pyright: ignore

    def decode(self, codes: Codes) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] of codes."""
        return self.generator.decode(codes)  # pyright: ignore

    def invert(self, images: Tensor) -> Codes:
        """The codes of images (N, C, H, W) in [-1, 1]."""
        return Codes(self.encode(shrink(images, self.config.side)))

    def style_weights(self) -> Tensor:
        """The weights (outputs of all layers, style) of the generator that read a code."""
        return self.generator.style_weights()  # pyright: ignore

    def translate(self, images: Tensor) -> Tensor:
        """G(E(x)): what the generator draws of images (N, C, H, W) of the facts' size."""
        return self.decode(self.invert(images))


OWN = Config(perception="own", identity="own")
PAPER = Run(batch=8, size=(1024,), flip=True, steps=200_000, save_every=5_000)
presets = {
    "tiny": Preset(
        replace(OWN, widths=(4, 8, 8, 8), depths=(1, 1, 1, 1), wait=2, every=1, pool=4, lr=1e-3),
        Run(steps=6, batch=8, size=(16,), log_every=2),
    ),
    "small": Preset(
        replace(OWN, widths=(32, 64, 128, 128), depths=(1, 2, 2, 1), wait=1_000, every=100, lr=1e-3),
        Run(steps=4_000, batch=16, size=(64,), flip=True, sample_every=500),
    ),
    "paper": Preset(Config(), PAPER),
    "psp": Preset(
        replace(Config(), relative=False, adversarial=0.0, identity_weight=0.1), replace(PAPER, steps=500_000)
    ),
}
