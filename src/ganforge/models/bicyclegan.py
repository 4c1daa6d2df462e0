"""bicyclegan: one image into many, by a latent code that is recoverable from the output.

Zhu, Zhang, Pathak, Darrell, Efros, Wang, Shechtman, 2017.  https://arxiv.org/abs/1711.11586

    G*, E* = min_G,E max_D  L_GAN^VAE + lambda L_1^VAE + L_GAN + lambda_latent L_1^latent + lambda_KL L_KL    (8)

Two GANs with one generator.  cVAE-GAN, B -> z -> B: an encoder sees the target, and its code must suffice to
reconstruct it.  cLR-GAN, z -> B -> z: a random code is drawn, and the encoder must recover it from the output.
The first makes codes meaningful, the second makes random codes give realistic outputs.  The loss of recovered codes
trains the generator alone (section 3.4): otherwise generator and encoder could hide the code invisibly.

One half of a batch is encoded, the other half provides the real images of the cLR-GAN's discriminator.

Departures: 1. sides other than 256 and 128: as many halvings as both sides allow, and an encoder that ends with 8
pixels a side, or 4; 2. the learning rate decays every step, the authors' every epoch; 3. `small` has a larger weight
of L1 and a smaller one of KL, and its discriminators see the source.

Train it small: `ganforge train bicyclegan`, then `ganforge translate RUN in out --n 8`: eight outputs per image.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from ganforge.batches import Facts, Paired
from ganforge.errors import ModelError
from ganforge.game import Clock, Game, Move
from ganforge.nn.init import Initial, initial_weights
from ganforge.nn.losses import Objective, gan_loss, normal_divergence
from ganforge.nn.norms import Norm, make_norm
from ganforge.nn.patchgan import ScaledPatchGAN, fit_layers
from ganforge.nn.unet import ACTIVATIONS, Activation, CodedUNet, max_depth
from ganforge.run import Preset, Run


@dataclass(frozen=True)
class Config:
    """Sections 3 and 4 of the paper, and the authors' code."""

    latent: int = 8
    """Length of the code z (section 4)."""
    inject: Literal["all", "input"] = "all"
    """Where the code enters the generator: at every level, or only at its input (figure 3)."""
    encoder: Literal["resnet", "layers"] = "resnet"
    """E_ResNet or E_CNN (section 4)."""
    norm: Norm = "instance"
    """In all networks."""
    activation: Activation = "relu"
    """Of the generator's decoder."""
    upsample: Literal["basic", "bilinear"] = "basic"
    """Up-sampling by transposed convolutions, or bilinear followed by convolutions."""
    initial: Initial = "xavier"
    """Initial weights, with the authors' gain of 0.02."""
    dropout: bool = False
    """In the generator's inner levels, during training."""
    width: int = 64
    """Channels of the layer next to the image: generator and encoder."""
    judge_width: int = 64
    """The same for the discriminators."""
    judge_layers: int = 3
    """Halvings of a discriminator: patches of 70 pixels (3) or 34 (2) at its first scale."""
    scales: int = 2
    """Number of scales of a discriminator: full size, half size ... (patches of 70 and 140 pixels: section 4)."""
    conditional: bool = False
    """Whether discriminators also see the source."""
    shared: bool = False
    """One discriminator for both GANs, instead of one each."""
    gan: Objective = "lsgan"
    """Least squares (section 4), cross entropy, or scores without a scale."""
    fool: float = 1.0
    """Weight of L_GAN^VAE."""
    fool_random: float = 1.0
    """Weight of L_GAN."""
    l1: float = 10.0
    """lambda (section 4)."""
    code: float = 0.5
    """lambda_latent."""
    kl: float = 0.01
    """lambda_KL."""
    lr: float = 2e-4
    """Adam."""
    beta1: float = 0.5
    """Adam's first momentum."""


class ResidualHalf(nn.Module):
    """x (N, in, H, W) -> (N, out, H/2, W/2), by average pooling."""

    def __init__(self, inputs: int, outputs: int, norm: Norm, activation: Activation) -> None:
        super().__init__()
        self.norm1, self.conv1 = make_norm(norm, inputs), nn.Conv2d(inputs, inputs, 3, 1, 1)
        self.norm2, self.conv2 = make_norm(norm, inputs), nn.Conv2d(inputs, outputs, 3, 1, 1)
        self.short, self.active = nn.Conv2d(inputs, outputs, 1), norm == "none"
        self.activation = ACTIVATIONS[activation]()

    def forward(self, x: Tensor) -> Tensor:
        inner = self.activation(self.norm1(x))
        residual = self.conv2(self.activation(self.norm2(self.conv1(inner))))
        short = inner if self.active else x  # without a norm the authors' in-place activation affects both branches
        return F.avg_pool2d(residual, 2) + self.short(F.avg_pool2d(short, 2))


class Encoder(nn.Module):
    """images (N, C, H, W) -> mean (N, latent), log variance (N, latent) of the code."""

    def __init__(
        self,
        inputs: int,
        latent: int,
        width: int,
        halvings: int,
        norm: Norm = "instance",
        kind: str = "resnet",
        activation: Activation = "lrelu",
    ) -> None:
        super().__init__()
        grow, active = (lambda i: i + 1) if kind == "resnet" else (lambda i: 2**i), ACTIVATIONS[activation]
        widths = [width * min(grow(i), 4) for i in range(halvings)]
        body: list[nn.Module] = [nn.Conv2d(inputs, width, 4, 2, 1)]
        for a, b in pairwise(widths):
            if kind == "resnet":
                body.append(ResidualHalf(a, b, norm, activation))
            else:
                body += [active(), nn.Conv2d(a, b, 4, 2, 1), make_norm(norm, b)]
        self.body = nn.Sequential(*body, active())
        self.mean, self.log_variance = nn.Linear(widths[-1], latent), nn.Linear(widths[-1], latent)
        self.apply(initial_weights("xavier"))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.body(images).mean((2, 3))
        return self.mean(features), self.log_variance(features)


class BicycleGAN(Game[Config, Paired]):
    """cVAE-GAN and cLR-GAN on the same pairs."""

    augmented = ("discriminator", "discriminator_random")
    discriminator_output = "scores"

    def __init__(self, config: Config, facts: Facts) -> None:
        """Raises ModelError for sides that cannot be halved three times, or are too small for the discriminators."""
        super().__init__(config, facts)
        c, source, target = config, facts.source_channels or facts.channels, facts.channels
        side, depth = min(facts.height, facts.width), max_depth(facts.height, facts.width)
        self.multiple = 2**depth
        self.generator = CodedUNet(
            source, target, c.latent, depth, c.width, c.norm, c.activation, c.dropout, c.upsample, c.inject
        )
        self.encoder = Encoder(target, c.latent, c.width, max(2, side.bit_length() - 4), c.norm, c.encoder)
        layers = fit_layers(c.judge_layers, side, c.scales)
        seen = target + source * c.conditional
        self.discriminator = ScaledPatchGAN(seen, c.judge_width, layers, c.norm, c.scales)
        self.discriminator_random = (
            self.discriminator if c.shared else ScaledPatchGAN(seen, c.judge_width, layers, c.norm, c.scales)
        )
        self.apply(initial_weights(c.initial))

    def players(self) -> dict[str, Optimizer]:
        def adam(*networks: nn.Module) -> Optimizer:
            parameters = [p for network in networks for p in network.parameters()]
            return Adam(parameters, self.config.lr, (self.config.beta1, 0.999))

        discriminators = {"discriminator": adam(self.discriminator)}
        if not self.config.shared:
            discriminators["discriminator_random"] = adam(self.discriminator_random)
        return {"generator": adam(self.generator, self.encoder), **discriminators}

    def play(self, batches: Iterator[Paired], now: Clock) -> Iterator[Move]:
        c, pair = self.config, next(batches)
        n = len(pair) // 2
        if 2 * n != len(pair) or not n:
            raise ModelError(
                f"bicyclegan needs an even batch, of which it encodes one half; this one has {len(pair)} images."
            )
        source, target = pair.source[:n], pair.target[:n]
        mean, log_variance = self.encoder(target)
        z = mean + self.draw.normal(n, c.latent) * (log_variance / 2).exp()
        z_random = self.draw.normal(n, c.latent)
        fake, fake_random = self.generator(source, z), self.generator(source, z_random)
        yield Move(
            "generator",
            fool=c.fool * self.loss(self.discriminate(self.discriminator, source, fake), True),
            fool_random=c.fool_random
            * self.loss(self.discriminate(self.discriminator_random, source, fake_random), True),
            l1=c.l1 * F.l1_loss(fake, target),  # equation 3
            kl=c.kl * normal_divergence(mean, log_variance).sum(),  # equation 4
            code=c.code * F.l1_loss(self.recover_code(fake_random), z_random),  # equation 6
        )
        on_fake, on_real = (self.discriminate(self.discriminator, source, images) for images in (fake.detach(), target))
        says = {"says_real": on_real[0].detach().mean(), "says_fake": on_fake[0].detach().mean()}
        encoded = {"fake": self.loss(on_fake, False), "real": self.loss(on_real, True), **says}
        on_fake = self.discriminate(self.discriminator_random, source, fake_random.detach())
        on_real = self.discriminate(self.discriminator_random, pair.source[n:], pair.target[n:])
        random = {"fake_random": self.loss(on_fake, False), "real_random": self.loss(on_real, True)}
        yield Move("discriminator", **encoded, **(random if c.shared else {}))
        if not c.shared:
            yield Move("discriminator_random", **random)

    def discriminate(self, discriminator: nn.Module, source: Tensor, images: Tensor) -> list[Tensor]:
        """Scores of `images`, concatenated with their source if `conditional`."""
        return discriminator(torch.cat([source, images], 1) if self.config.conditional else images)

    def loss(self, scores: list[Tensor], real: bool) -> Tensor:
        """The sum over the scales."""
        return torch.stack([gan_loss(each, real, self.config.gan) for each in scores]).sum()

    def recover_code(self, images: Tensor) -> Tensor:
        """The mean code (N, latent) of images; its gradient reaches the images but not the encoder (section 3.4)."""
        frozen = {name: parameter.detach() for name, parameter in self.encoder.named_parameters()}
        return torch.func.functional_call(self.encoder, frozen, (images,))[0]

    def translate(self, images: Tensor) -> Tensor:
        """Translate sources (n, C', H, W) to (n, C, H, W), sides multiples of `multiple`, with random codes."""
        return self.generator(images, self.draw.normal(len(images), self.config.latent))


presets = {
    "tiny": Preset(
        # After an instance norm the gradient of the weights of a code is rounding noise.
        Config(latent=2, width=4, judge_width=4, judge_layers=1, inject="input"),
        Run(steps=6, batch=4, size=(16,), log_every=2),
    ),
    "small": Preset(  # for small data: discriminators see the source, and larger initial weights
        Config(
            width=16, judge_width=16, judge_layers=2, initial="normal", conditional=True, l1=20.0, kl=0.003, lr=5e-4
        ),
        Run(steps=3_000, batch=8, size=(32,), flip=True, crop=True, schedule="linear", precision="auto"),
    ),
    "paper": Preset(  # facades: 400 pairs, 400 epochs of batches of 2, mirrored but not moved (train_facades.sh)
        Config(dropout=True),
        Run(steps=80_000, batch=2, size=(256,), flip=True, schedule="linear", save_every=5_000),
    ),
}
