"""Why the saturating loss starves the generator: gradients by formula, and measured while the discriminator learns.

The generator is frozen and the discriminator trains against it, as between two of the generator's steps when the
discriminator is far ahead (Arjovsky and Bottou 2017, https://arxiv.org/abs/1701.04862, section 2.2 and figure 2).  On
the way the gradient of each generator loss is measured: its norm over all of the generator's weights.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn

from ganforge.images.figure import (
    BLUE,
    DASHES,
    GREEN,
    ORANGE,
    PALE,
    RED,
    SOFT,
    Dash,
    label_line_ends,
    new_figure,
    style_axes,
)  # fmt: skip
from ganforge.lab.gaussian_mixtures import ring

BATCH = 512
MEASURE = 4_096  # fakes that a gradient is measured on
PENALTY = 0.1  # weight of the Wasserstein critic's gradient penalty: what its authors use in the plane
Kind = Literal["cross-entropy", "least squares", "wgan-gp"]  # how a discriminator is trained


@dataclass(frozen=True)
class Loss:
    """A generator's loss, and the discriminator that goes with it."""

    name: str
    colour: str
    dash: Dash
    of: Callable[[Tensor], Tensor]
    """Scores of fakes (N,) -> loss (N,)."""
    discriminator: Kind


LOSSES = (
    Loss("saturating: log(1 - D)", RED, "-", lambda a: -F.softplus(a), "cross-entropy"),
    Loss("non-saturating: -log D", BLUE, DASHES[1], lambda a: F.softplus(-a), "cross-entropy"),
    Loss("least squares: (a - 1)² / 2", GREEN, DASHES[3], lambda a: (a - 1).square() / 2, "least squares"),
    Loss("Wasserstein, hinge: -a", ORANGE, DASHES[4], lambda a: -a, "wgan-gp"),
)


@dataclass(frozen=True)
class Starving:
    """Gradient norms of the generator's losses while the discriminator trains."""

    steps: np.ndarray
    """(marks,) steps that the discriminators had made."""
    lengths: dict[str, np.ndarray]
    """{loss: (marks,) norm of its gradient over all of the generator's weights}."""
    says_fake: np.ndarray
    """(marks,) the mean of D(G(z)) of the discriminator trained with cross-entropy."""

    def figure(self) -> Figure:
        """Gradients by formula at the left, measured ones at the right, as a matplotlib figure."""
        figure = new_figure(12, 5.0, "Why the saturating loss starves the generator")
        left, right = figure.subplots(1, 2)
        plot_formulas(left)
        self.plot_measured(right)
        return figure

    def plot_measured(self, ax: Axes) -> None:
        """The right panel."""
        style_axes(ax, "Measured: gradient at a frozen generator", x="steps of the discriminator", y="|gradient|")
        ax.set_yscale("log")
        ax.tick_params(which="minor", length=0)
        ends = []
        for loss in LOSSES:
            lengths = self.lengths[loss.name]
            ax.plot(self.steps, lengths, color=loss.colour, linestyle=loss.dash, linewidth=2)
            name = "Wasserstein + penalty" if loss.discriminator == "wgan-gp" else loss.name.partition(":")[0]
            ends.append((float(lengths[-1]), f"{name}  {lengths[-1]:.1e}", loss.colour))
        ax.set_xlim(0, self.steps[-1])
        label_line_ends(ax, ends)
        ax.annotate(
            f"D(G(z)) falls from {self.says_fake[0]:.2f} to {self.says_fake[-1]:.0e}",
            (0.5, 0.03), xycoords="axes fraction", color=SOFT, fontsize=9, ha="center",
        )  # fmt: skip

    def table(self) -> str:
        """The measured norms, as text."""
        picks = [0, len(self.steps) // 4, len(self.steps) // 2, len(self.steps) - 1]
        head = f"{'|gradient| after so many steps of D':<36}" + "".join(f"{self.steps[k]:>11}" for k in picks)
        rows = [f"{name:<36}" + "".join(f"{v[k]:>11.2e}" for k in picks) for name, v in self.lengths.items()]
        return "\n".join([head, *rows])


def plot_formulas(ax: Axes) -> None:
    """|d loss / d a| over the score a of a fake; with cross-entropy D = sigmoid(a)."""
    style_axes(ax, "By formula: slope of the generator's loss", x="score a of a fake  (logit of D)", y="|d loss / d a|")
    scores = torch.linspace(-8, 4, 241, dtype=torch.float64)
    ax.set_yscale("log")
    ax.set_ylim(2e-4, 4e3)
    ax.axvspan(-8, -3, color=PALE, alpha=0.6, linewidth=0)
    ax.annotate(
        "early in training:\nD is sure of a fake", (-3.2, 3e-4), color=SOFT, fontsize=9, va="bottom", ha="right"
    )
    for loss in LOSSES:
        slopes = slope(loss.of, scores)
        ax.plot(scores, np.maximum(slopes, 1e-9), color=loss.colour, linestyle=loss.dash, linewidth=2, label=loss.name)
    ax.set_xlim(-8, 4)
    ax.legend(frameon=False, fontsize=9, loc="upper left")
    ax.tick_params(which="minor", length=0)


def slope(loss: Callable[[Tensor], Tensor], scores: Tensor) -> np.ndarray:
    """|d loss / d a| at every score."""
    scores = scores.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(scores).sum(), scores)
    return gradient.abs().numpy()


def measure_saturation(
    steps: int = 500, marks: int = 41, seed: int = 0, on_progress: Callable[[int], None] = lambda n: None
) -> Starving:
    """Train three discriminators against a frozen generator; measure the gradients that each would give it.

    `on_progress` is called with 1 after every step of every discriminator.
    """
    torch.manual_seed(seed)
    rng = torch.Generator().manual_seed(seed)
    generator = build_mlp(2, 2).double()
    measured_at = np.unique(np.linspace(0, steps, marks).round().astype(int))
    lengths: dict[str, list[float]] = {loss.name: [] for loss in LOSSES}
    says_fake: list[float] = []
    kinds: tuple[Kind, ...] = ("cross-entropy", "least squares", "wgan-gp")
    for kind in kinds:
        discriminator = build_mlp(2, 1).double()
        adam = torch.optim.Adam(discriminator.parameters(), 1e-3, (0.5, 0.9))
        for step in range(steps + 1):
            if step in measured_at:
                record_gradients(kind, discriminator, generator, lengths, says_fake)
            real = ring().sample(BATCH, rng).double()
            with torch.no_grad():
                fake = generator(torch.randn(BATCH, 2, generator=rng, dtype=torch.float64))
            adam.zero_grad()
            discriminator_loss(kind, discriminator, real, fake).backward()
            adam.step()
            on_progress(1)
    norms = {name: np.array(values) for name, values in lengths.items()}
    return Starving(measured_at, norms, np.array(says_fake))


def record_gradients(
    kind: Kind,
    discriminator: nn.Module,
    generator: nn.Module,
    lengths: dict[str, list[float]],
    says_fake: list[float],
) -> None:
    """Append the gradient norm of every loss that goes with this discriminator, always on the same fakes."""
    z = torch.randn(MEASURE, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for loss in (one for one in LOSSES if one.discriminator == kind):
        scores = discriminator(generator(z))[:, 0]
        gradients = torch.autograd.grad(loss.of(scores).mean(), [*generator.parameters()])
        lengths[loss.name].append(float(torch.cat([g.flatten() for g in gradients]).norm()))
    if kind == "cross-entropy":
        says_fake.append(discriminator(generator(z)).sigmoid().mean().item())


def discriminator_loss(kind: Kind, discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """The loss of a discriminator of that kind."""
    on_real, on_fake = discriminator(real), discriminator(fake)
    if kind == "cross-entropy":
        return F.softplus(-on_real).mean() + F.softplus(on_fake).mean()
    if kind == "least squares":
        return ((on_real - 1).square().mean() + on_fake.square().mean()) / 2
    return on_fake.mean() - on_real.mean() + PENALTY * gradient_penalty(discriminator, real, fake)


def gradient_penalty(critic: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """(|gradient| - 1)^2 at points on lines between real and fake ones (equation 3 of WGAN-GP)."""
    share = torch.linspace(0, 1, len(real), dtype=real.dtype)[:, None]
    between = torch.lerp(real, fake, share).requires_grad_()
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return (gradient.norm(dim=1) - 1).square().mean()


def build_mlp(inputs: int, outputs: int, width: int = 128, layers: int = 2) -> nn.Sequential:
    """An MLP with `layers` hidden layers of `width` ReLUs."""
    sizes: Sequence[int] = (inputs, *[width] * layers)
    hidden = [m for a, b in pairwise(sizes) for m in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*hidden, nn.Linear(sizes[-1], outputs))
