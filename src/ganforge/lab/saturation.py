"""Why the saturating loss starves the generator: slopes by formula, and measured while D learns to be sure.

The generator stands still and the judge learns against it, as between two of the generator's steps when the judge is
far ahead (Arjovsky and Bottou 2017, https://arxiv.org/abs/1701.04862, section 2.2 and figure 2).  What reaches
the generator's weights is measured on the way: the length of the gradient of each loss over all of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor, nn

from ganforge.lab import style
from ganforge.lab.gaussian_mixtures import ring
from ganforge.lab.style import BLUE, GREEN, ORANGE, RED, SOFT, canvas, dress

BATCH = 512
MEASURE = 4_096  # fakes that a gradient is measured on
PENALTY = 0.1  # of the Wasserstein critic's slope: the weight that its authors use in the plane


@dataclass(frozen=True)
class Loss:
    """A generator's loss, and the judge that goes with it."""

    name: str
    colour: str
    dash: style.Dash
    of: Callable[[Tensor], Tensor]
    """Scores of fakes (N,) -> loss (N,)."""
    judge: str
    """How its judge learns: logits, squares or slope."""


LOSSES = (
    Loss("saturating: log(1 - D)", RED, "-", lambda a: -F.softplus(a), "logits"),
    Loss("non-saturating: -log D", BLUE, style.DASHES[1], lambda a: F.softplus(-a), "logits"),
    Loss("least squares: (a - 1)² / 2", GREEN, style.DASHES[3], lambda a: (a - 1).square() / 2, "squares"),
    Loss("Wasserstein, hinge: -a", ORANGE, style.DASHES[4], lambda a: -a, "slope"),
)


@dataclass(frozen=True)
class Starving:
    """What was measured."""

    steps: np.ndarray
    """(marks,) steps that the judges had made."""
    lengths: dict[str, np.ndarray]
    """{loss: (marks,) length of its gradient over all of the generator's weights}."""
    says_fake: np.ndarray
    """(marks,) the mean of D(G(z)) of the judge that speaks logits."""

    def figure(self) -> Figure:
        """Slopes by formula at the left, measured gradients at the right, as a matplotlib figure."""
        figure = canvas(12, 5.0, "Why the saturating loss starves the generator")
        left, right = figure.subplots(1, 2)
        by_formula(left)
        self.measured(right)
        return figure

    def measured(self, ax: style.Axes) -> None:
        """The right panel."""
        dress(ax, "Measured: what reaches a generator that stands still", x="steps of the judge", y="|gradient|")
        ax.set_yscale("log")
        ax.tick_params(which="minor", length=0)
        ends = []
        for loss in LOSSES:
            lengths = self.lengths[loss.name]
            ax.plot(self.steps, lengths, color=loss.colour, linestyle=loss.dash, linewidth=2)
            name = "Wasserstein + penalty" if loss.judge == "slope" else loss.name.partition(":")[0]
            ends.append((float(lengths[-1]), f"{name}  {lengths[-1]:.1e}", loss.colour))
        ax.set_xlim(0, self.steps[-1])
        style.name_ends(ax, ends)
        ax.annotate(
            f"D(G(z)) falls from {self.says_fake[0]:.2f} to {self.says_fake[-1]:.0e}",
            (0.5, 0.03), xycoords="axes fraction", color=SOFT, fontsize=9, ha="center",
        )  # fmt: skip

    def table(self) -> str:
        """The measured lengths, as text."""
        picks = [0, len(self.steps) // 4, len(self.steps) // 2, len(self.steps) - 1]
        head = f"{'|gradient| after so many steps of D':<36}" + "".join(f"{self.steps[k]:>11}" for k in picks)
        rows = [f"{name:<36}" + "".join(f"{v[k]:>11.2e}" for k in picks) for name, v in self.lengths.items()]
        return "\n".join([head, *rows])


def by_formula(ax: style.Axes) -> None:
    """|d loss / d a| over the score a that the judge gives a fake; D = sigmoid(a) where it speaks logits."""
    dress(ax, "By formula: slope of the generator's loss", x="score a of a fake  (logit of D)", y="|d loss / d a|")
    scores = torch.linspace(-8, 4, 241, dtype=torch.float64)
    ax.set_yscale("log")
    ax.set_ylim(2e-4, 4e3)
    ax.axvspan(-8, -3, color=style.PALE, alpha=0.6, linewidth=0)
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
    (found,) = torch.autograd.grad(loss(scores).sum(), scores)
    return found.abs().numpy()


def starve(steps: int = 500, marks: int = 41, seed: int = 0, told: Callable[[int], None] = lambda n: None) -> Starving:
    """Let three judges learn against a generator that stands still, and measure what it would learn from each.

    `told` hears of every step of every judge.
    """
    torch.manual_seed(seed)
    source = torch.Generator().manual_seed(seed)
    generator = perceptron(2, 2).double()
    at = np.unique(np.linspace(0, steps, marks).round().astype(int))
    lengths: dict[str, list[float]] = {loss.name: [] for loss in LOSSES}
    says: list[float] = []
    for kind in ("logits", "squares", "slope"):
        judge = perceptron(2, 1).double()
        adam = torch.optim.Adam(judge.parameters(), 1e-3, (0.5, 0.9))
        for step in range(steps + 1):
            if step in at:
                measure(kind, judge, generator, lengths, says)
            real = ring().sample(BATCH, source).double()
            with torch.no_grad():
                fake = generator(torch.randn(BATCH, 2, generator=source, dtype=torch.float64))
            adam.zero_grad()
            judges_loss(kind, judge, real, fake).backward()
            adam.step()
            told(1)
    return Starving(at, {name: np.array(found) for name, found in lengths.items()}, np.array(says))


def measure(
    kind: str, judge: nn.Module, generator: nn.Module, lengths: dict[str, list[float]], says: list[float]
) -> None:
    """Note the gradient of every loss that goes with this judge, always over the same fakes."""
    z = torch.randn(MEASURE, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for loss in (one for one in LOSSES if one.judge == kind):
        scores = judge(generator(z))[:, 0]
        slopes = torch.autograd.grad(loss.of(scores).mean(), [*generator.parameters()])
        lengths[loss.name].append(float(torch.cat([s.flatten() for s in slopes]).norm()))
    if kind == "logits":
        says.append(judge(generator(z)).sigmoid().mean().item())


def judges_loss(kind: str, judge: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """What a judge of that kind descends."""
    on_real, on_fake = judge(real), judge(fake)
    if kind == "logits":
        return F.softplus(-on_real).mean() + F.softplus(on_fake).mean()
    if kind == "squares":
        return ((on_real - 1).square().mean() + on_fake.square().mean()) / 2
    return on_fake.mean() - on_real.mean() + PENALTY * slope_penalty(judge, real, fake)


def slope_penalty(critic: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """(|slope| - 1)^2 at points on lines between real and fake ones (equation 3 of WGAN-GP)."""
    share = torch.linspace(0, 1, len(real), dtype=real.dtype)[:, None]
    between = torch.lerp(real, fake, share).requires_grad_()
    (found,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return (found.norm(dim=1) - 1).square().mean()


def perceptron(inputs: int, outputs: int, width: int = 128, layers: int = 2) -> nn.Sequential:
    """Hidden layers of ReLUs between two numbers of numbers."""
    sizes: Sequence[int] = (inputs, *[width] * layers)
    hidden = [m for a, b in pairwise(sizes) for m in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*hidden, nn.Linear(sizes[-1], outputs))
