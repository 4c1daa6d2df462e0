"""The losses of the mode contest, each objective as its paper has it.

A loss takes scores (S, N) of S seeds and returns one number a seed, (S,); the optimisers descend the sum over seeds.
Scores of packed points (PacGAN) are one a pack.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Discriminator = Callable[[Tensor], Tensor]  # points (S, N, 2) -> scores (S, N)
ScoreLoss = Callable[[Tensor, Tensor], Tensor]  # scores of real and of fake -> (S,)
Penalty = Callable[[Discriminator, Tensor, Tensor, Tensor], Tensor]
"""discriminator, real (S, N, 2), fake (S, N, 2), uniform (S, N, 1) -> (S,)"""


@dataclass(frozen=True)
class Objective:
    """The losses and training settings of one GAN objective."""

    title: str
    paper: str
    discriminator: ScoreLoss
    generator: ScoreLoss
    compares: bool = False
    """Whether the generator's loss uses the scores of real points; they are not computed otherwise."""
    penalty: Penalty | None = None
    weight: float = 0.0
    """Of the penalty."""
    moves: int = 1
    """Steps of the discriminator before each step of the generator."""
    clip: float = 0.0
    """Largest absolute weight of the discriminator; 0: unlimited."""
    pack: int = 1
    """Points that the discriminator scores together."""
    unroll: int = 0
    """Steps of the discriminator that the generator's loss is unrolled over."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Of Adam."""
    method: Literal["adam", "rmsprop"] = "adam"


def cross_entropy(real: Tensor, fake: Tensor) -> Tensor:
    """-log D(x) - log(1 - D(G(z))): the discriminator of 2014."""
    return F.softplus(-real).mean(1) + F.softplus(fake).mean(1)


def saturating(real: Tensor, fake: Tensor) -> Tensor:
    """log(1 - D(G(z)))."""
    return -F.softplus(fake).mean(1)


def non_saturating(real: Tensor, fake: Tensor) -> Tensor:
    """-log D(G(z))."""
    return F.softplus(-fake).mean(1)


def least_squares_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Half the squared distances to 1 (real) and 0 (fake), equation 9 of LSGAN."""
    return ((real - 1).square().mean(1) + fake.square().mean(1)) / 2


def least_squares_generator(real: Tensor, fake: Tensor) -> Tensor:
    """Half the squared distance of fakes to 1."""
    return (fake - 1).square().mean(1) / 2


def hinge(real: Tensor, fake: Tensor) -> Tensor:
    """The discriminator's hinge loss: scores beyond the margin of 1 add nothing."""
    return F.relu(1 - real).mean(1) + F.relu(1 + fake).mean(1)


def wasserstein_critic(real: Tensor, fake: Tensor) -> Tensor:
    """The critic's loss: minus its estimate of the Wasserstein distance."""
    return fake.mean(1) - real.mean(1)


def negative_score(real: Tensor, fake: Tensor) -> Tensor:
    """The generator's loss of hinge and Wasserstein: minus the mean score of fakes."""
    return -fake.mean(1)


def relativistic_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Relativistic pairing: a real point should score above a fake one."""
    return F.softplus(fake - real).mean(1)


def relativistic_generator(real: Tensor, fake: Tensor) -> Tensor:
    """Relativistic pairing with the roles swapped: a fake point should score above a real one."""
    return F.softplus(real - fake).mean(1)


def squared_gradient_norm(discriminator: Discriminator, points: Tensor) -> Tensor:
    """(S, N) squared norms of the discriminator's gradient at points (S, N, 2), differentiable."""
    points = points.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(points).sum(), points, create_graph=True)
    return gradient.square().sum(2)


def gradient_penalty(discriminator: Discriminator, real: Tensor, fake: Tensor, uniform: Tensor) -> Tensor:
    """(|gradient| - 1)^2 on lines between real and fake points (equation 3 of WGAN-GP)."""
    between = torch.lerp(real, fake, uniform)
    return (squared_gradient_norm(discriminator, between).add(1e-12).sqrt() - 1).square().mean(1)


def r1_penalty(discriminator: Discriminator, real: Tensor, fake: Tensor, uniform: Tensor) -> Tensor:
    """R1, half the squared gradient norm at real points (Mescheder et al. 2018, equation 9)."""
    return squared_gradient_norm(discriminator, real).mean(1) / 2


def r1_r2_penalty(discriminator: Discriminator, real: Tensor, fake: Tensor, uniform: Tensor) -> Tensor:
    """R1 + R2: the same at fake points, added."""
    r1 = r1_penalty(discriminator, real, fake, uniform)
    return r1 + squared_gradient_norm(discriminator, fake).mean(1) / 2


OBJECTIVES: dict[str, Objective] = {
    "saturating": Objective("saturating", "Goodfellow 2014, eq. 1", cross_entropy, saturating),
    "non-saturating": Objective("non-saturating", "Goodfellow 2014, sec. 3", cross_entropy, non_saturating),
    "least-squares": Objective("least squares", "Mao 2017", least_squares_discriminator, least_squares_generator),
    "hinge": Objective("hinge", "Lim & Ye 2017", hinge, negative_score),
    "wasserstein": Objective(
        "Wasserstein, clipped",
        "Arjovsky 2017",
        wasserstein_critic,
        negative_score,
        moves=5,
        clip=0.1,
        method="rmsprop",
    ),
    "wgan-gp": Objective(
        "WGAN-GP",
        "Gulrajani 2017",
        wasserstein_critic,
        negative_score,
        penalty=gradient_penalty,
        weight=0.1,
        moves=5,
        betas=(0.0, 0.9),
    ),
    "r1": Objective(
        "non-saturating + R1", "Mescheder 2018", cross_entropy, non_saturating, penalty=r1_penalty, weight=0.1
    ),
    "relativistic": Objective(
        "relativistic + R1 + R2",
        "Huang 2024",
        relativistic_discriminator,
        relativistic_generator,
        compares=True,
        penalty=r1_r2_penalty,
        weight=0.1,
        betas=(0.0, 0.99),
    ),
    "pacgan": Objective("PacGAN, pairs", "Lin 2018", cross_entropy, non_saturating, pack=2),
    "unrolled": Objective("unrolled, 5 steps", "Metz 2017", cross_entropy, non_saturating, unroll=5),
}
"""Every objective of the contest, by name."""
