"""The networks of StackGAN's two stages (Zhang et al. 2017, sections 3.2 to 3.4, and the authors' code, model.py)."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from ganforge.nn.conditions import tile
from ganforge.nn.cpu.convolutions import UpConv2d

Norms = Literal["all", "features", "none"]  # all maps, those before the condition, or no map
Answer = tuple[Tensor, Tensor, Tensor]  # images (N, C, H, W), mean (N, K) and log variance (N, K) of the condition


class Augmentation(nn.Module):
    """text (N, inputs), noise (N, K) -> condition, its mean and its log variance, each (N, K) (section 3.2).

    `rectified`: a ReLU follows the layer, as in the authors' code, so that what it gives is not negative.  `norm`: a
    batch norm of the mean, so that sentences lie as far apart as latents z.  `deviation` is that of the condition where
    the layer gives 0: about the first one, and with `rectified` the least.
    """

    def __init__(
        self, inputs: int, condition: int, rectified: bool = True, norm: bool = False, deviation: float = 1.0
    ) -> None:
        super().__init__()
        self.layer = nn.Sequential(nn.Linear(inputs, 2 * condition), nn.ReLU() if rectified else nn.Identity())
        self.norm = nn.BatchNorm1d(condition) if norm else nn.Identity()
        self.deviation = deviation

    def forward(self, text: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, log_variance = self.layer(text).float().chunk(2, 1)
        mean, log_variance = self.norm(mean), log_variance + 2 * math.log(self.deviation)
        return mean + (log_variance / 2).exp() * noise, mean, log_variance


def enlarge(inputs: int, outputs: int) -> nn.Sequential:
    """(N, inputs, H, W) -> (N, outputs, 2H, 2W)."""
    return nn.Sequential(UpConv2d(inputs, outputs, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())


def shrink(inputs: int, outputs: int, activation: nn.Module, norm: bool = True) -> list[nn.Module]:
    """(N, inputs, H, W) -> (N, outputs, H/2, W/2)."""
    return follow(nn.Conv2d(inputs, outputs, 4, 2, 1, bias=not norm), outputs, activation, norm)


def keep(inputs: int, outputs: int, activation: nn.Module, norm: bool = True) -> list[nn.Module]:
    """(N, inputs, H, W) -> (N, outputs, H, W)."""
    return follow(nn.Conv2d(inputs, outputs, 3, 1, 1, bias=not norm), outputs, activation, norm)


def follow(layer: nn.Module, outputs: int, activation: nn.Module, norm: bool) -> list[nn.Module]:
    """A layer, a batch norm if asked, and an activation."""
    return [layer, nn.BatchNorm2d(outputs) if norm else nn.Identity(), activation]


class FirstStage(nn.Module):
    """text (N, inputs), z (N, latent), noise of the condition (N, K) -> Answer, from `base` (h, w) by `doublings`."""

    def __init__(
        self,
        inputs: int,
        condition: int,
        latent: int,
        width: int,
        channels: int,
        base: tuple[int, int],
        doublings: int,
        rectified: bool = True,
        text_norm: bool = False,
        deviation: float = 1.0,
    ) -> None:
        super().__init__()
        self.augmentation = Augmentation(inputs, condition, rectified, text_norm, deviation)
        widths = [width * 2**i // 2 for i in reversed(range(doublings + 1))]
        units = widths[0] * base[0] * base[1]
        self.start = nn.Sequential(
            nn.Linear(latent + condition, units, bias=False),
            nn.BatchNorm1d(units),
            nn.ReLU(),
            nn.Unflatten(1, (widths[0], *base)),
        )
        self.up = nn.Sequential(*(enlarge(a, b) for a, b in pairwise(widths)))
        self.image = nn.Sequential(nn.Conv2d(widths[-1], channels, 3, 1, 1, bias=False), nn.Tanh())
        self.apply(first_weights)

    def forward(self, text: Tensor, z: Tensor, noise: Tensor) -> Answer:
        condition, mean, log_variance = self.augmentation(text, noise)
        return self.image(self.up(self.start(torch.cat([z, condition], 1)))), mean, log_variance


class Residual(nn.Module):
    """x (N, C, H, W) -> the same shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *keep(channels, channels, nn.ReLU()), nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        )
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.norm(self.body(x)))


class SecondStage(nn.Module):
    """images of Stage I (N, C, H, W), text (N, inputs), noise of the condition (N, K) -> Answer with 4H x 4W pixels."""

    def __init__(
        self,
        inputs: int,
        condition: int,
        width: int,
        channels: int,
        blocks: int,
        rectified: bool = True,
        text_norm: bool = False,
        deviation: float = 1.0,
    ) -> None:
        super().__init__()
        self.augmentation = Augmentation(inputs, condition, rectified, text_norm, deviation)
        self.down = nn.Sequential(
            nn.Conv2d(channels, width, 3, 1, 1, bias=False),
            nn.ReLU(),
            *shrink(width, 2 * width, nn.ReLU()),
            *shrink(2 * width, 4 * width, nn.ReLU()),
        )
        self.joint = nn.Sequential(*keep(4 * width + condition, 4 * width, nn.ReLU()))
        self.blocks = nn.Sequential(*(Residual(4 * width) for _ in range(blocks)))
        widths = [4 * width, 2 * width, width, width // 2, width // 4]
        self.up = nn.Sequential(*(enlarge(a, b) for a, b in pairwise(widths)))
        self.image = nn.Sequential(nn.Conv2d(widths[-1], channels, 3, 1, 1, bias=False), nn.Tanh())
        self.apply(first_weights)

    def forward(self, images: Tensor, text: Tensor, noise: Tensor) -> Answer:
        condition, mean, log_variance = self.augmentation(text, noise)
        features = self.down(images)
        features = self.joint(torch.cat([features, tile(condition, features)], 1))
        return self.image(self.up(self.blocks(features))), mean, log_variance


class Discriminator(nn.Module):
    """images (N, C, H, W), condition (N, K) -> logits (N,) of the pairs; with `alone` those (N,) of the images too.

    Given further conditions (M, K), the logits (M,) of the first M images with each of them follow, one behind the
    other.  Features are halved down to `base` (h, w); where that takes more than four halvings, they are narrowed again
    to eight widths.  `norm` says which maps have a batch norm; `product`: the condition also multiplies the features.
    """

    def __init__(
        self,
        condition: int,
        width: int,
        channels: int,
        base: tuple[int, int],
        halvings: int,
        alone: bool,
        norm: Norms = "all",
        product: bool = False,
    ) -> None:
        super().__init__()
        leaky, normed = nn.LeakyReLU(0.2), norm != "none"
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1, bias=False), leaky]
        for i in range(1, halvings):
            layers += shrink(width * 2 ** (i - 1), width * 2**i, leaky, normed)
        for i in range(halvings - 1, 3, -1):
            layers += keep(width * 2**i, width * 2 ** (i - 1), leaky, normed)
        last = width * 2 ** min(3, halvings - 1)
        self.features = nn.Sequential(*layers)
        joint = keep((2 if product else 1) * last + condition, last, leaky, norm == "all")
        self.pair = nn.Sequential(*joint, nn.Conv2d(last, 1, base), nn.Flatten(0))
        self.alone = nn.Sequential(nn.Conv2d(last, 1, base), nn.Flatten(0)) if alone else None
        self.factors = nn.Linear(condition, last) if product else None
        if normed:
            self.apply(first_weights)
        if self.factors is not None:
            nn.init.normal_(self.factors.weight, std=condition**-0.5)

    def forward(self, images: Tensor, condition: Tensor, wrong: Sequence[Tensor] = ()) -> list[Tensor]:
        features = self.features(images)
        answers = [self.judge(features, condition)]
        if self.alone:
            answers.append(self.alone(features))
        if wrong:
            answers.append(self.judge(torch.cat([features[: len(each)] for each in wrong]), torch.cat([*wrong])))
        return answers

    def judge(self, features: Tensor, condition: Tensor) -> Tensor:
        """Logits (N,) of pairs of features (N, F, h, w) and conditions (N, K)."""
        joint = torch.cat([features, tile(condition, features)], 1)
        if self.factors is not None:
            joint = torch.cat([features * self.factors(condition)[..., None, None], joint], 1)
        return self.pair(joint)


def first_weights(layer: nn.Module) -> None:
    """Weights from N(0, 0.02), norms from N(1, 0.02), biases of norms and linear layers 0: the authors' code."""
    if isinstance(layer, (nn.Conv2d, nn.Linear)):
        nn.init.normal_(layer.weight, 0.0, 0.02)
    elif isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
        nn.init.normal_(layer.weight, 1.0, 0.02)
    if isinstance(layer, nn.Linear) and layer.bias is not None:
        nn.init.zeros_(layer.bias)
