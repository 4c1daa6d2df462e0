"""gan: a generator and a discriminator, trained against each other.

Goodfellow, Pouget-Abadie, Mirza, Xu, Warde-Farley, Ozair, Courville, Bengio, 2014.
https://arxiv.org/abs/1406.2661

    min_G max_D V(D, G) = E_x[log D(x)] + E_z[log(1 - D(G(z)))]                      (equation 1)

For a given generator the best discriminator is D*(x) = p_data / (p_data + p_g); the equilibrium
is p_g = p_data, where D = 1/2 everywhere and V = -log 4 (theorem 1).

`paper` has the authors' settings for MNIST (goodfeli/adversarial, mnist.yaml): uniform noise, D's cost halved, first
weights from small ranges, the generator's output biases from the mean image, a falling rate, a growing momentum.

Departures: 1. D and G move in turn, G on new noise, as in algorithm 1: the authors' code moves both at once on the same
fakes; 2. the mean image is of as many images as there are in 500 batches, drawn before the first step, which then count
as seen; 3. the authors leave the length open: `paper` has 300,000 steps; 4. `small` has Gaussian noise, images in
[-1, 1] up to the networks, and Adam, which was published half a year later and needs no schedule.

Train it small: `ganforge train gan` (2 minutes on two cores: soft but recognisable shapes, some speckle).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from ganforge.batches import Facts, Images
from ganforge.game import Clock, Game, Move
from ganforge.nn.annealing import anneal
from ganforge.nn.losses import fake_loss, real_loss
from ganforge.nn.maxout import Maxout
from ganforge.run import Preset, Run


@dataclass(frozen=True)
class Config:
    """Section 5 and the released settings for MNIST."""

    latent: int = 100
    """Length of z."""
    width: int = 1200
    """Units of each of the generator's two hidden layers."""
    units: int = 240
    """Maxout units of each of the discriminator's two hidden layers."""
    pieces: int = 5
    """Linear pieces of a maxout unit."""
    dropout: float = 0.5
    """Share of hidden units the discriminator drops (a fifth of the pixels, too, when it is not 0)."""
    objective: Literal["non-saturating", "minimax"] = "non-saturating"
    """What G descends: -log D(G(z)), or log(1 - D(G(z))), whose gradient vanishes early in training (section 3)."""
    discriminator_moves: int = 1
    """k of algorithm 1."""
    optimiser: Literal["sgd", "adam"] = "sgd"
    """The paper's momentum method, or Adam."""
    lr: float = 0.1
    """Learning rate; for Adam 2e-4 is usual."""
    momentum: float = 0.5
    """Momentum, or Adam's beta1."""
    final_momentum: float = 0.0
    """Of sgd: the momentum of epoch 250, to which it grows evenly from epoch 1.  0: it stays as it is."""
    decay: float = 1.0
    """The learning rate is divided by it at every step, down to 1e-6."""
    noise: Literal["normal", "uniform"] = "normal"
    """Of z, with mean 0 and deviation 1: normal, or uniform in +-sqrt(3)."""
    discriminator_weight: float = 1.0
    """Weight of D's cost."""
    initial: Literal["torch", "uniform"] = "torch"
    """First weights: torch's, or uniform in +-0.05 (G) and +-0.005 (D) with biases of 0."""
    output: Literal["tanh", "sigmoid"] = "tanh"
    """The generator's last activation, and with it the pixels that D sees: in [-1, 1], or in [0, 1]."""
    marginals: int = 0
    """Batches whose mean image, before the first step, sets the biases of the generator's outputs.  0: none."""


class Scaled(nn.Module):
    """x -> scale * x + shift."""

    def __init__(self, scale: float, shift: float) -> None:
        super().__init__()
        self.scale, self.shift = scale, shift

    def forward(self, input: Tensor) -> Tensor:
        return self.scale * input + self.shift


class Marginals(nn.Module):
    """outputs (N, P) before the sigmoid or tanh -> outputs + the bias at which each pixel has its mean over the data.

    The mean is a buffer, so that processes and micro-batches, each with its own images, agree on it after the step.
    """

    mean: Tensor

    def __init__(self, pixels: int, output: str) -> None:
        super().__init__()
        self.register_buffer("mean", torch.full((pixels,), 0.5))
        self.slope = 1.0 if output == "sigmoid" else 0.5  # tanh(x) = 2 sigmoid(2 x) - 1

    def forward(self, input: Tensor) -> Tensor:
        return input + self.slope * self.mean.clamp(1e-7, 1 - 1e-7).logit()


class Generator(nn.Sequential):
    """z (N, latent) -> images (N, C, H, W) in [-1, 1]."""

    def __init__(
        self,
        latent: int,
        width: int,
        image_shape: tuple[int, int, int],
        output: str = "tanh",
        marginals: bool = False,
    ) -> None:
        channels, height, side = image_shape
        super().__init__(
            nn.Linear(latent, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, channels * height * side),
            *([Marginals(channels * height * side, output)] if marginals else []),
            *([nn.Sigmoid(), Scaled(2, -1)] if output == "sigmoid" else [nn.Tanh()]),
            nn.Unflatten(1, image_shape),
        )


class Discriminator(nn.Sequential):
    """images (N, C, H, W) -> logits (N,) of being real."""

    def __init__(
        self, units: int, pieces: int, dropout: float, image_shape: tuple[int, int, int], output: str = "tanh"
    ) -> None:
        channels, height, side = image_shape
        super().__init__(
            nn.Flatten(),
            *([Scaled(0.5, 0.5)] if output == "sigmoid" else []),
            nn.Dropout(0.2 if dropout else 0.0),
            Maxout(channels * height * side, units, pieces),
            nn.Dropout(dropout),
            Maxout(units, units, pieces),
            nn.Dropout(dropout),
            nn.Linear(units, 1),
            nn.Flatten(0),
        )


class GAN(Game[Config, Images]):
    """The original GAN."""

    augmented = ("discriminator",)

    def __init__(self, config: Config, facts: Facts) -> None:
        super().__init__(config, facts)
        c, image_shape = config, (facts.channels, facts.height, facts.width)
        self.generator = Generator(c.latent, c.width, image_shape, c.output, c.marginals > 0)
        self.discriminator = Discriminator(c.units, c.pieces, c.dropout, image_shape, c.output)
        if c.initial == "uniform":
            for network, reach in ((self.generator, 0.05), (self.discriminator, 0.005)):
                for parameter in network.parameters():
                    nn.init.uniform_(parameter, -reach, reach) if parameter.ndim > 1 else nn.init.zeros_(parameter)

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

    def play(self, batches: Iterator[Images], now: Clock) -> Iterator[Move]:
        if now.step == 0:
            self.measure_marginals(batches)
        weight = self.config.discriminator_weight
        reals = [next(batches).images for _ in range(self.config.discriminator_moves)]
        for real in reals:
            on_real, on_fake = self.discriminator(real), self.discriminator(self.sample(len(real)).detach())
            yield Move(
                "discriminator",
                real=weight * real_loss(on_real),  # algorithm 1, the ascent of D
                fake=weight * fake_loss(on_fake),
                says_real=on_real.detach().mean(),
                says_fake=on_fake.detach().mean(),
            )
        logits = self.discriminator(self.sample(len(reals[0])))  # algorithm 1 draws new noise here
        if self.config.objective == "minimax":
            yield Move("generator", fool=-fake_loss(logits))  # algorithm 1, the descent of G
        else:
            yield Move("generator", fool=real_loss(logits))  # the end of section 3

    @torch.no_grad()
    def measure_marginals(self, batches: Iterator[Images]) -> None:
        """Set the generator's output biases by the mean of the first `marginals` batches."""
        layers = [layer for layer in self.generator if isinstance(layer, Marginals)]
        for layer in layers:
            means = (next(batches).images.flatten(1).mean(0) for _ in range(self.config.marginals))
            layer.mean.copy_((sum(means, torch.zeros_like(layer.mean)) / self.config.marginals + 1) / 2)

    def noise(self, n: int) -> Tensor:
        """Latents z (n, latent)."""
        if self.config.noise == "uniform":
            return (self.draw.uniform(n, self.config.latent) * 2 - 1) * 3**0.5
        return self.draw.normal(n, self.config.latent)

    def generate(self, noise: Tensor) -> Tensor:
        """Images (n, C, H, W) in [-1, 1] of latents z (n, latent)."""
        return self.generator(noise)

    def sample(self, n: int) -> Tensor:
        """`n` images."""
        return self.generate(self.noise(n))


presets = {
    "tiny": Preset(Config(latent=8, width=32, units=8, pieces=2), Run(steps=6, batch=8, size=(8,), log_every=2)),
    "small": Preset(
        Config(latent=64, width=512, optimiser="adam", lr=2e-4, dropout=0.3),
        Run(steps=6_000, batch=64, size=(28,), channels=1, ema=10_000.0),
    ),
    "paper": Preset(
        Config(
            noise="uniform", discriminator_weight=0.5, initial="uniform", output="sigmoid", marginals=500,
            decay=1.000004, final_momentum=0.7,
        ),
        Run(steps=300_000, batch=100, size=(28,), channels=1, save_every=10_000),
    ),
}  # fmt: skip
