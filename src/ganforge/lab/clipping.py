"""What weight clipping does to a critic, and a gradient penalty does not (Gulrajani et al. 2017, figure 1).

Two critics learn to tell a ring of Gaussians from the same ring blurred by unit noise, which stands for a frozen
generator.  One has its weights clipped after every step (Arjovsky et al. 2017), one has a gradient penalty.
https://arxiv.org/abs/1704.00028, section 3.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn

from ganforge.images.figure import BLUE, INK, PALE, RED, SOFT, new_figure, style_axes
from ganforge.lab.gaussian_mixtures import Plane, ring
from ganforge.lab.saturation import build_mlp, gradient_penalty

BATCH = 256
SIDE, REACH = 81, 2.6  # points a side, and half the side, of the square that the critics are evaluated on
PENALTY = 10.0
EXTREME = 0.98  # of the clipping bound: a weight beyond this lies at its edge


@dataclass(frozen=True)
class CriticReport:
    """What is measured of a trained critic."""

    name: str
    weights: np.ndarray
    """(weights,) of all its layers, without biases."""
    scores: np.ndarray
    """(SIDE, SIDE) over the square."""
    gradient_norms: np.ndarray
    """(points,) gradient norms on lines between real and blurred points; at the optimum they are 1."""
    by_layer: np.ndarray
    """(layers,) mean norm of the gradient of the score at each hidden layer."""


@dataclass(frozen=True)
class Clipping:
    """The two critics."""

    clipped: CriticReport
    penalised: CriticReport
    box: float
    """The clipping bound: the largest absolute weight of the clipped critic."""

    def at_the_edge(self, critic: CriticReport) -> float:
        """Share of a critic's weights that lie at the clipping bound or beyond it."""
        return float((np.abs(critic.weights) >= EXTREME * self.box).mean())

    def figure(self) -> Figure:
        """Weights and score surfaces of both, as a matplotlib figure."""
        figure = new_figure(12, 7.2, "What weight clipping does to a critic, and what a gradient penalty does")
        axes = figure.subplots(2, 2, height_ratios=(1, 1.25))
        for column, (critic, colour) in enumerate(((self.clipped, RED), (self.penalised, BLUE))):
            self.plot_weights(axes[0, column], critic, colour)
            plot_scores(axes[1, column], critic)
        return figure

    def plot_weights(self, ax: Axes, critic: CriticReport, colour: str) -> None:
        """The histogram of one critic's weights."""
        style_axes(ax, critic.name, x="weight", y="share of the weights")
        reach = self.box * 1.1 if critic is self.clipped else 1.3 * float(np.quantile(np.abs(critic.weights), 0.99))
        shares = np.full(len(critic.weights), 1 / len(critic.weights))
        ax.hist(critic.weights, bins=np.linspace(-reach, reach, 62).tolist(), weights=shares, color=colour)
        for edge in (-self.box, self.box):
            ax.axvline(edge, color=INK, linewidth=1, linestyle=(0, (4, 3)))
        caption = (
            f"{self.at_the_edge(critic):.0%} at the clipping bound"
            if critic is self.clipped
            else f"standard deviation {critic.weights.std():.2f}\ndashed: the clipping bound of the other"
        )
        ax.annotate(
            caption,
            (0.5 if critic is self.clipped else 0.98, 0.95),
            xycoords="axes fraction",
            va="top",
            ha="center" if critic is self.clipped else "right",
            color=SOFT,
            fontsize=9.5,
        )

    def table(self) -> str:
        """What the figure shows, as text."""
        head = f"{'':<24}{'at the bound':>13}{'mean |gradient|':>17}{'its std':>10}{'gradient, first / last layer':>30}"
        rows = [
            f"{c.name:<24}{self.at_the_edge(c) if c is self.clipped else 0:>13.0%}{c.gradient_norms.mean():>17.3f}"
            f"{c.gradient_norms.std():>10.3f}{c.by_layer[0] / c.by_layer[-1]:>30.2e}"
            for c in (self.clipped, self.penalised)
        ]
        return "\n".join([head, *rows])


def plot_scores(ax: Axes, critic: CriticReport) -> None:
    """The critic's scores over the plane, and the modes that it was trained on."""
    style_axes(ax, grid=False)
    line = np.linspace(-REACH, REACH, SIDE)
    ax.contourf(line, line, critic.scores, levels=18, cmap="cividis")
    ax.contour(line, line, critic.scores, levels=18, colors="white", linewidths=0.5, alpha=0.6)
    means = ring(radius=2**0.5).means
    ax.plot(*means.T, "o", color="white", markeredgecolor=INK, markersize=6)
    ax.set_aspect("equal")
    ax.set_xticks([])
    ax.set_yticks([])
    norm = f"{critic.gradient_norms.mean():.3f} ± {critic.gradient_norms.std():.3f}"
    ax.set_xlabel(f"scores; |gradient| between real and fake {norm}, 1 is best", color=SOFT, fontsize=9.5)
    ax.set_facecolor(PALE)


def compare_critics(
    steps: int = 2_500, box: float = 0.1, seed: int = 0, on_progress: Callable[[int], None] = lambda n: None
) -> Clipping:
    """Train the two critics from the same weights on the same points.

    `on_progress` is called with 1 after every step of either.
    """
    plane = ring(radius=2**0.5, spread=0.02 / 2**0.5)
    torch.manual_seed(seed)
    start = build_mlp(2, 1, 64, 4).state_dict()
    reports = []
    for name in ("weight clipping", "gradient penalty"):
        critic = build_mlp(2, 1, 64, 4)
        critic.load_state_dict(start)
        train_critic(critic, plane, box if name == "weight clipping" else 0.0, steps, seed, on_progress)
        title = f"{name}, bound ±{box}" if name == "weight clipping" else f"{name}, weight {PENALTY:g}"
        reports.append(measure_critic(title, critic, plane))
    return Clipping(reports[0], reports[1], box)


def train_critic(
    critic: nn.Sequential, plane: Plane, box: float, steps: int, seed: int, on_progress: Callable[[int], None]
) -> None:
    """Maximise the Wasserstein estimate, with weights clipped to ±box, or with a gradient penalty where `box` is 0."""
    rng = torch.Generator().manual_seed(seed)
    optimiser = (
        torch.optim.RMSprop(critic.parameters(), 5e-4)
        if box
        else torch.optim.Adam(critic.parameters(), 1e-3, (0.0, 0.9))
    )
    for _ in range(steps):
        real, fake = sample_points(plane, BATCH, rng)
        loss = critic(fake).mean() - critic(real).mean()
        if not box:
            loss = loss + PENALTY * gradient_penalty(critic, real, fake)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if box:
            with torch.no_grad():
                for weight in critic.parameters():
                    weight.clamp_(-box, box)
        on_progress(1)


def sample_points(plane: Plane, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Real points (n, 2), and others blurred by unit noise."""
    return plane.sample(n, rng), plane.sample(n, rng) + torch.randn(n, 2, generator=rng)


def measure_critic(name: str, critic: nn.Sequential, plane: Plane) -> CriticReport:
    """Weights, scores and gradients of a trained critic."""
    rng = torch.Generator().manual_seed(1)
    real, fake = sample_points(plane, 2_000, rng)
    between = torch.lerp(real, fake, torch.rand(2_000, 1, generator=rng)).requires_grad_()
    hidden, values = [], between
    for layer in critic:
        values = layer(values)
        if isinstance(layer, nn.ReLU):
            hidden.append(values)
    gradients = torch.autograd.grad(values.sum(), [between, *hidden])
    line = torch.linspace(-REACH, REACH, SIDE)
    square = torch.stack(torch.meshgrid(line, line, indexing="xy"), -1).reshape(-1, 2)
    with torch.no_grad():
        scores = critic(square).reshape(SIDE, SIDE).numpy()
    weights = [p.detach().flatten() for n, p in critic.named_parameters() if n.endswith("weight")]
    return CriticReport(
        name,
        torch.cat(weights).numpy(),
        scores,
        gradients[0].norm(dim=1).numpy(),
        np.array([g.norm(dim=1).mean().item() for g in gradients[1:]]),
    )
