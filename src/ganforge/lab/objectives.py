"""What the players of the mode contest minimise, each objective as its paper has it.

A loss takes scores (S, N) of S seeds and gives one number a seed, (S,); the players descend the sum over seeds.
Scores of packed points (PacGAN) are one a pack.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Judge = Callable[[Tensor], Tensor]  # points (S, N, 2) -> scores (S, N)
JudgeLoss = Callable[[Tensor, Tensor], Tensor]  # scores of real and of fake -> (S,)
Penalty = Callable[[Judge, Tensor, Tensor, Tensor], Tensor]  # judge, real, fake, uniform (S, N, 1) -> (S,)


@dataclass(frozen=True)
class Objective:
    """One way to play: losses, and what comes with them."""

    title: str
    paper: str
    judge: JudgeLoss
    generator: JudgeLoss
    """Of scores of real and of fake."""
    compares: bool = False
    """Whether the generator's loss looks at the real ones: they are not scored for nothing."""
    penalty: Penalty | None = None
    weight: float = 0.0
    """Of the penalty."""
    moves: int = 1
    """Of the judge, before each of the generator's."""
    clip: float = 0.0
    """Largest absolute weight of the judge; 0: unlimited."""
    pack: int = 1
    """Points that the judge sees at once."""
    unroll: int = 0
    """Steps of the judge that the generator looks ahead."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Of Adam."""
    method: Literal["adam", "rmsprop"] = "adam"


def likelihood(real: Tensor, fake: Tensor) -> Tensor:
    """-log D(x) - log(1 - D(G(z))): the discriminator of 2014."""
    return F.softplus(-real).mean(1) + F.softplus(fake).mean(1)


def saturating(real: Tensor, fake: Tensor) -> Tensor:
    """log(1 - D(G(z)))."""
    return -F.softplus(fake).mean(1)


def non_saturating(real: Tensor, fake: Tensor) -> Tensor:
    """-log D(G(z))."""
    return F.softplus(-fake).mean(1)


def squares(real: Tensor, fake: Tensor) -> Tensor:
    """Half the squares of the distances to 1 and 0 (equation 9 of LSGAN)."""
    return ((real - 1).square().mean(1) + fake.square().mean(1)) / 2


def square(real: Tensor, fake: Tensor) -> Tensor:
    """Half the square of the distance to 1."""
    return (fake - 1).square().mean(1) / 2


def hinge(real: Tensor, fake: Tensor) -> Tensor:
    """Points beyond the margin of 1 count nothing."""
    return F.relu(1 - real).mean(1) + F.relu(1 + fake).mean(1)


def difference(real: Tensor, fake: Tensor) -> Tensor:
    """The critic's: minus the distance it sees."""
    return fake.mean(1) - real.mean(1)


def score(real: Tensor, fake: Tensor) -> Tensor:
    """Minus the score of the fakes."""
    return -fake.mean(1)


def paired(real: Tensor, fake: Tensor) -> Tensor:
    """Relativistic pairing: a real point should beat a fake one."""
    return F.softplus(fake - real).mean(1)


def paired_back(real: Tensor, fake: Tensor) -> Tensor:
    """The same the other way round."""
    return F.softplus(real - fake).mean(1)


def slope(judge: Judge, points: Tensor) -> Tensor:
    """(S, N) squared lengths of the judge's slope at points (S, N, 2), differentiable."""
    points = points.detach().requires_grad_()
    (found,) = torch.autograd.grad(judge(points).sum(), points, create_graph=True)
    return found.square().sum(2)


def slope_one(judge: Judge, real: Tensor, fake: Tensor, chance: Tensor) -> Tensor:
    """(|slope| - 1)^2 on lines between real and fake points (equation 3 of WGAN-GP)."""
    return (slope(judge, torch.lerp(real, fake, chance)).add(1e-12).sqrt() - 1).square().mean(1)


def flat_at_real(judge: Judge, real: Tensor, fake: Tensor, chance: Tensor) -> Tensor:
    """R1, half the squared slope at real points (Mescheder et al. 2018, equation 9)."""
    return slope(judge, real).mean(1) / 2


def flat_at_both(judge: Judge, real: Tensor, fake: Tensor, chance: Tensor) -> Tensor:
    """R1 + R2: at fake points too."""
    return flat_at_real(judge, real, fake, chance) + slope(judge, fake).mean(1) / 2


OBJECTIVES: dict[str, Objective] = {
    "saturating": Objective("saturating", "Goodfellow 2014, eq. 1", likelihood, saturating),
    "non-saturating": Objective("non-saturating", "Goodfellow 2014, sec. 3", likelihood, non_saturating),
    "least-squares": Objective("least squares", "Mao 2017", squares, square),
    "hinge": Objective("hinge", "Lim & Ye 2017", hinge, score),
    "wasserstein": Objective(
        "Wasserstein, clipped", "Arjovsky 2017", difference, score, moves=5, clip=0.1, method="rmsprop"
    ),
    "wgan-gp": Objective(
        "WGAN-GP", "Gulrajani 2017", difference, score, penalty=slope_one, weight=0.1, moves=5, betas=(0.0, 0.9)
    ),
    "r1": Objective(
        "non-saturating + R1", "Mescheder 2018", likelihood, non_saturating, penalty=flat_at_real, weight=0.1
    ),
    "relativistic": Objective(
        "relativistic + R1 + R2", "Huang 2024", paired, paired_back, True, flat_at_both, 0.1, betas=(0.0, 0.99)
    ),
    "pacgan": Objective("PacGAN, pairs", "Lin 2018", likelihood, non_saturating, pack=2),
    "unrolled": Objective("unrolled, 5 steps", "Metz 2017", likelihood, non_saturating, unroll=5),
}
"""Every objective of the contest, by name."""
