"""cgan: generator and discriminator both receive a condition, a class or attributes.

Mirza, Osindero, 2014.  https://arxiv.org/abs/1411.1784
Miyato, Koyama, 2018 (the projection).  https://arxiv.org/abs/1802.05637

    min_G max_D V(D, G) = E_x[log D(x|y)] + E_z[log(1 - D(G(z|y)|y))]                     (equation 2)

The condition y is a one-hot class or a vector of attributes, which may be continuous, depending on the data.
The generator receives it with the noise.  The discriminator receives it with the image, or, with
`discriminator="projection"`, adds to its logit an inner product of the image's features and the condition:

    f(x, y) = y' V phi(x) + psi(phi(x))                        (equation 3 of the 2018 paper)

Departures: 1. convolutional networks by default, since the paper's perceptrons were made for digits; 2. images
are in [-1, 1] and G descends -log D(G(z|y)|y); 3. the projection is a choice of architecture alone: without
spectral norm and hinge loss; 4. the momentum of `paper` grows in 250 epochs, as in the code of the GAN of 2014, and the
run ends when the rate has reached its least, at 300,000 steps: the paper leaves both open.

Train it small: `ganforge train cgan`, then `ganforge sample RUN --label star`.  On Fashion-MNIST a classifier with
89 % accuracy on real images recognises the requested class in 87 % of the samples.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from ganforge.batches import Facts, Labelled
from ganforge.capabilities import Label, MixedLabel
from ganforge.errors import ModelError
from ganforge.game import Clock, Game, Move
from ganforge.nn.annealing import anneal
from ganforge.nn.conditions import as_vectors, draw_labels
from ganforge.nn.losses import fake_loss, real_loss
from ganforge.nn.maxout import Maxout
from ganforge.nn.sizes import halve_sides
from ganforge.nn.strided import StridedFeatures, StridedGenerator
from ganforge.run import Preset, Run


@dataclass(frozen=True)
class Config:
    """Section 4.1 of the paper; DCGAN's numbers for the convolutional pair."""

    latent: int = 100
    """Length of z."""
    width: int = 64
    """Channels of the layer next to the image, doubled at every halving."""
    networks: Literal["strided", "perceptrons"] = "strided"
    """DCGAN's pair, or the paper's perceptrons."""
    discriminator: Literal["concatenate", "projection"] = "concatenate"
    """How the strided discriminator uses the condition: as another channel of the image, or by projection."""
    optimiser: Literal["adam", "sgd"] = "adam"
    """Adam, or the paper's momentum method."""
    lr: float = 2e-4
    """Learning rate; 0.1 in the paper, for sgd."""
    momentum: float = 0.5
    """Momentum, or Adam's beta1."""
    final_momentum: float = 0.0
    """Of sgd: the momentum of epoch 250, to which it grows evenly from epoch 1.  0: it stays as it is."""
    decay: float = 1.0
    """The learning rate is divided by it at every step, down to 1e-6."""
    noise: Literal["normal", "uniform"] = "normal"
    """Of z: normal, or uniform in [0, 1)."""


class Generator(nn.Module):
    """z (N, latent), condition (N, K) -> images (N, C, H, W) in [-1, 1]."""

    def __init__(self, latent: int, k: int, width: int, channels: int, base: tuple[int, int], doublings: int) -> None:
        super().__init__()
        self.body = StridedGenerator(latent + k, width, channels, base, doublings)

    def forward(self, z: Tensor, condition: Tensor) -> Tensor:
        return self.body(torch.cat([z, condition], 1))


class Discriminator(nn.Module):
    """images (N, C, H, W), condition (N, K) -> logits (N,): the condition becomes a channel of the image."""

    def __init__(self, k: int, width: int, facts: Facts, base: tuple[int, int], halvings: int) -> None:
        super().__init__()
        self.plane = nn.Sequential(
            nn.Linear(k, facts.height * facts.width), nn.Unflatten(1, (1, facts.height, facts.width))
        )
        self.body = StridedFeatures(width, facts.channels + 1, halvings)
        self.verdict = nn.Sequential(nn.Conv2d(self.body.features, 1, base, bias=False), nn.Flatten(0))

    def forward(self, images: Tensor, condition: Tensor) -> Tensor:
        return self.verdict(self.body(torch.cat([images, self.plane(condition)], 1)))


class Projection(nn.Module):
    """images (N, C, H, W), condition (N, K) -> logits (N,): equation 3 of the 2018 paper."""

    def __init__(self, k: int, width: int, channels: int, halvings: int) -> None:
        super().__init__()
        self.body = StridedFeatures(width, channels, halvings)
        self.psi = nn.Linear(self.body.features, 1)
        self.v = nn.Linear(k, self.body.features, bias=False)

    def forward(self, images: Tensor, condition: Tensor) -> Tensor:
        phi = self.body(images).sum((2, 3))
        return self.psi(phi).squeeze(1) + (self.v(condition) * phi).sum(1)


class PerceptronGenerator(nn.Module):
    """z (N, latent), condition (N, K) -> images (N, C, H, W) in [-1, 1] (section 4.1)."""

    def __init__(self, latent: int, k: int, image_shape: tuple[int, int, int]) -> None:
        super().__init__()
        channels, height, side = image_shape
        self.of_z = nn.Sequential(nn.Linear(latent, 200), nn.ReLU(), nn.Dropout())
        self.of_condition = nn.Sequential(nn.Linear(k, 1000), nn.ReLU(), nn.Dropout())
        self.both = nn.Sequential(
            nn.Linear(1200, 1200),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(1200, channels * height * side),
            nn.Tanh(),
            nn.Unflatten(1, image_shape),
        )

    def forward(self, z: Tensor, condition: Tensor) -> Tensor:
        return self.both(torch.cat([self.of_z(z), self.of_condition(condition)], 1))


class PerceptronDiscriminator(nn.Module):
    """images (N, C, H, W), condition (N, K) -> logits (N,) (section 4.1)."""

    def __init__(self, k: int, image_shape: tuple[int, int, int]) -> None:
        super().__init__()
        channels, height, side = image_shape
        self.of_images = nn.Sequential(nn.Flatten(), Maxout(channels * height * side, 240, 5), nn.Dropout())
        self.of_condition = nn.Sequential(Maxout(k, 50, 5), nn.Dropout())
        self.both = nn.Sequential(Maxout(290, 240, 4), nn.Dropout(), nn.Linear(240, 1), nn.Flatten(0))

    def forward(self, images: Tensor, condition: Tensor) -> Tensor:
        return self.both(torch.cat([self.of_images(images), self.of_condition(condition)], 1))


class CGAN(Game[Config, Labelled]):
    """The conditional GAN."""

    augmented = ("discriminator",)

    def __init__(self, config: Config, facts: Facts) -> None:
        """Raises ModelError for data without classes and attributes, and for sides that halving does not reach."""
        super().__init__(config, facts)
        c, channels = config, facts.channels
        self.k = len(facts.attributes or facts.labels)
        if not self.k:
            raise ModelError("cgan needs data with classes (one folder a class) or with attributes; this has neither.")
        if c.networks == "perceptrons":
            image_shape = (channels, facts.height, facts.width)
            self.generator = PerceptronGenerator(c.latent, self.k, image_shape)
            self.discriminator = PerceptronDiscriminator(self.k, image_shape)
            return
        base, halvings = halve_sides(facts.height, facts.width)
        self.generator = Generator(c.latent, self.k, c.width, channels, base, halvings)
        if c.discriminator == "projection":
            self.discriminator = Projection(self.k, c.width, channels, halvings)
        else:
            self.discriminator = Discriminator(self.k, c.width, facts, base, halvings)

    def players(self) -> dict[str, Optimizer]:
        def optimiser(net: nn.Module) -> Optimizer:
            c = self.config
            if c.optimiser == "adam":
                return Adam(net.parameters(), c.lr, (c.momentum, 0.999))
            return SGD(net.parameters(), c.lr, c.momentum)

        return {"discriminator": optimiser(self.discriminator), "generator": optimiser(self.generator)}

    def tune(self, players: Mapping[str, Optimizer], now: Clock) -> None:
        c = self.config
        anneal(players.values(), now.step, now.epoch, c.decay, (c.momentum, c.final_momentum))

    def play(self, batches: Iterator[Labelled], now: Clock) -> Iterator[Move]:
        batch = next(batches)
        y = as_vectors(batch.condition, self.k)
        fake = self.generator(self.noise(len(batch)), y)

        on_real, on_fake = self.discriminator(batch.images, y), self.discriminator(fake.detach(), y)
        yield Move(
            "discriminator",
            real=real_loss(on_real),  # equation 2, the ascent of D
            fake=fake_loss(on_fake),
            says_real=on_real.detach().mean(),
            says_fake=on_fake.detach().mean(),
        )
        yield Move("generator", fool=real_loss(self.discriminator(fake, y)))

    def noise(self, n: int) -> Tensor:
        """Latents z (n, latent)."""
        draw = self.draw.uniform if self.config.noise == "uniform" else self.draw.normal
        return draw(n, self.config.latent)

    def generate(self, noise: Tensor, label: MixedLabel = None) -> Tensor:
        """Images (n, C, H, W) in [-1, 1] of latents z (n, latent) with the condition `label`.

        None: a random class for each image, or each attribute present or absent at random.
        """
        if label is None:
            label = draw_labels(self.draw, len(noise), self.k, bool(self.facts.attributes))
        return self.generator(noise, as_vectors(label, self.k))

    def sample(self, n: int, label: Label = None) -> Tensor:
        """`n` images with the condition `label`."""
        return self.generate(self.noise(n), label)


presets = {
    "tiny": Preset(Config(latent=8, width=4), Run(steps=6, batch=8, size=(16,), log_every=2, ema=100.0)),
    "small": Preset(Config(latent=64, width=32), Run(steps=2_500, batch=64, size=(32,), ema=5_000.0)),
    "paper": Preset(
        Config(networks="perceptrons", optimiser="sgd", lr=0.1, noise="uniform", decay=1.00004, final_momentum=0.7),
        Run(steps=300_000, batch=100, size=(28,), channels=1, save_every=10_000),
    ),
}
