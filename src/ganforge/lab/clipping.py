"""What weight clipping does to a critic, and a penalty on its slope does not (Gulrajani et al. 2017, figure 1).

Two critics learn to tell a ring of Gaussians from the same ring blurred by unit noise, which stands for a generator
that does not move.  One is clipped after every step (Arjovsky et al. 2017), one is penalised.
https://arxiv.org/abs/1704.00028, section 3.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn

from ganforge.lab.gaussian_mixtures import Plane, ring
from ganforge.lab.saturation import perceptron, slope_penalty
from ganforge.lab.style import BLUE, INK, PALE, RED, SOFT, canvas, dress

BATCH = 256
SIDE, REACH = 81, 2.6  # the square that the critics are looked at in
PENALTY = 10.0
EXTREME = 0.98  # of the box: a weight beyond this lies at its edge


@dataclass(frozen=True)
class Critic:
    """A trained critic, looked at."""

    name: str
    weights: np.ndarray
    """(weights,) of all its layers, biases left out."""
    scores: np.ndarray
    """(SIDE, SIDE) over the square."""
    slopes: np.ndarray
    """(points,) lengths of its slope on lines between real and blurred points; at the optimum they are 1."""
    by_layer: np.ndarray
    """(layers,) length of the gradient that comes back to each hidden layer, for one unit at the score."""


@dataclass(frozen=True)
class Clipping:
    """The two critics."""

    clipped: Critic
    penalised: Critic
    box: float
    """Largest weight of the clipped one."""

    def at_the_edge(self, critic: Critic) -> float:
        """Share of a critic's weights that lie at the edge of the box or outside it."""
        return float((np.abs(critic.weights) >= EXTREME * self.box).mean())

    def figure(self) -> Figure:
        """Weights and score surfaces of both, as a matplotlib figure."""
        figure = canvas(12, 7.2, "What clipping does to a critic, and what a penalty on its slope does")
        axes = figure.subplots(2, 2, height_ratios=(1, 1.25))
        for column, (critic, colour) in enumerate(((self.clipped, RED), (self.penalised, BLUE))):
            self.histogram(axes[0, column], critic, colour)
            surface(axes[1, column], critic)
        return figure

    def histogram(self, ax: Axes, critic: Critic, colour: str) -> None:
        """The weights of one critic."""
        dress(ax, critic.name, x="weight", y="share of the weights")
        reach = self.box * 1.1 if critic is self.clipped else 1.3 * float(np.quantile(np.abs(critic.weights), 0.99))
        shares = np.full(len(critic.weights), 1 / len(critic.weights))
        ax.hist(critic.weights, bins=np.linspace(-reach, reach, 62).tolist(), weights=shares, color=colour)
        for edge in (-self.box, self.box):
            ax.axvline(edge, color=INK, linewidth=1, linestyle=(0, (4, 3)))
        said = (
            f"{self.at_the_edge(critic):.0%} at the edge of the box"
            if critic is self.clipped
            else f"spread {critic.weights.std():.2f}\ndashed: the other's box"
        )
        ax.annotate(
            said,
            (0.5 if critic is self.clipped else 0.98, 0.95),
            xycoords="axes fraction",
            va="top",
            ha="center" if critic is self.clipped else "right",
            color=SOFT,
            fontsize=9.5,
        )

    def table(self) -> str:
        """What the figure shows, as text."""
        head = f"{'':<24}{'at the edge':>12}{'mean |slope|':>14}{'its spread':>12}{'gradient, first / last layer':>30}"
        rows = [
            f"{c.name:<24}{self.at_the_edge(c) if c is self.clipped else 0:>12.0%}{c.slopes.mean():>14.3f}"
            f"{c.slopes.std():>12.3f}{c.by_layer[0] / c.by_layer[-1]:>30.2e}"
            for c in (self.clipped, self.penalised)
        ]
        return "\n".join([head, *rows])


def surface(ax: Axes, critic: Critic) -> None:
    """The critic's scores over the plane, and the modes it learnt from."""
    dress(ax, grid=False)
    line = np.linspace(-REACH, REACH, SIDE)
    ax.contourf(line, line, critic.scores, levels=18, cmap="cividis")
    ax.contour(line, line, critic.scores, levels=18, colors="white", linewidths=0.5, alpha=0.6)
    means = ring(radius=2**0.5).means
    ax.plot(*means.T, "o", color="white", markeredgecolor=INK, markersize=6)
    ax.set_aspect("equal")
    ax.set_xticks([])
    ax.set_yticks([])
    said = f"its scores; slope {critic.slopes.mean():.3f} ± {critic.slopes.std():.3f} between real and fake, 1 is best"
    ax.set_xlabel(said, color=SOFT, fontsize=9.5)
    ax.set_facecolor(PALE)


def clip_and_penalise(
    steps: int = 2_500, box: float = 0.1, seed: int = 0, told: Callable[[int], None] = lambda n: None
) -> Clipping:
    """Train the two critics from the same weights on the same points.  `told` hears of every step of either."""
    plane = ring(radius=2**0.5, spread=0.02 / 2**0.5)
    torch.manual_seed(seed)
    start = perceptron(2, 1, 64, 4).state_dict()
    found = []
    for name in ("weight clipping", "gradient penalty"):
        critic = perceptron(2, 1, 64, 4)
        critic.load_state_dict(start)
        train(critic, plane, box if name == "weight clipping" else 0.0, steps, seed, told)
        title = f"{name}, box ±{box}" if name == "weight clipping" else f"{name}, weight {PENALTY:g}"
        found.append(looked_at(title, critic, plane))
    return Clipping(found[0], found[1], box)


def train(critic: nn.Sequential, plane: Plane, box: float, steps: int, seed: int, told: Callable[[int], None]) -> None:
    """Climb the Wasserstein distance, clipped to the box, or penalised where there is none."""
    source = torch.Generator().manual_seed(seed)
    mover = (
        torch.optim.RMSprop(critic.parameters(), 5e-4)
        if box
        else torch.optim.Adam(critic.parameters(), 1e-3, (0.0, 0.9))
    )
    for _ in range(steps):
        real, fake = points(plane, BATCH, source)
        loss = critic(fake).mean() - critic(real).mean()
        if not box:
            loss = loss + PENALTY * slope_penalty(critic, real, fake)
        mover.zero_grad()
        loss.backward()
        mover.step()
        if box:
            with torch.no_grad():
                for weight in critic.parameters():
                    weight.clamp_(-box, box)
        told(1)


def points(plane: Plane, n: int, source: torch.Generator) -> tuple[Tensor, Tensor]:
    """Real points (n, 2), and other ones blurred by unit noise."""
    return plane.sample(n, source), plane.sample(n, source) + torch.randn(n, 2, generator=source)


def looked_at(name: str, critic: nn.Sequential, plane: Plane) -> Critic:
    """What is told about a trained critic."""
    source = torch.Generator().manual_seed(1)
    real, fake = points(plane, 2_000, source)
    between = torch.lerp(real, fake, torch.rand(2_000, 1, generator=source)).requires_grad_()
    seen, values = [], between
    for layer in critic:
        values = layer(values)
        if isinstance(layer, nn.ReLU):
            seen.append(values)
    slopes = torch.autograd.grad(values.sum(), [between, *seen])
    line = torch.linspace(-REACH, REACH, SIDE)
    square = torch.stack(torch.meshgrid(line, line, indexing="xy"), -1).reshape(-1, 2)
    with torch.no_grad():
        scores = critic(square).reshape(SIDE, SIDE).numpy()
    weights = [p.detach().flatten() for n, p in critic.named_parameters() if n.endswith("weight")]
    return Critic(
        name,
        torch.cat(weights).numpy(),
        scores,
        slopes[0].norm(dim=1).numpy(),
        np.array([s.norm(dim=1).mean().item() for s in slopes[1:]]),
    )
