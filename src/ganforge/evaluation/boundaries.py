"""InterFaceGAN: directions of labels, which a classifier of the data's own labels reads from what the run draws.

Shen, Yang, Tang, Zhou 2020, https://arxiv.org/abs/2005.09635.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ganforge.capabilities import Codes
from ganforge.inference.codes import Photograph
from ganforge.inference.directions import Direction, name_direction
from ganforge.inference.trained import Trained
from ganforge.metrics.extractors.classifier import Classifier

SURE, ENOUGH = 0.1, 500  # the share of the samples, at either end, from which a boundary is learned, and the least
STEPS, PENALTY = 300, 1e-3
SIZE = 3.0  # standard deviations, of the edits by which a direction is measured
FEWEST = 8  # samples at either end, without which there is no boundary


@dataclass(frozen=True)
class Boundary:
    """The boundary of a label in codes."""

    label: str
    normal: Tensor
    """(K,) of length 1, from images without the label to those with it."""
    accuracy: float
    """Share of the samples on the right side, of all."""


def find_boundaries(codes: Tensor, logits: Tensor, labels: Sequence[str]) -> list[Boundary]:
    """The boundary of each label between the surest samples with it and those without.

    `codes` (n, K) and the classifier's `logits` (n, labels) of their images.  Labels that too few samples show, or all,
    have none.
    """
    found, middle, spread = [], codes.mean(0), codes.std(0).clamp_min(1e-6)
    scaled = (codes - middle) / spread
    for k, label in enumerate(labels):
        values = logits[:, k]
        most = min(int((values > 0).sum()), int((values < 0).sum()), max(ENOUGH, int(SURE * len(values))))
        if most < FEWEST:
            continue
        order = values.argsort()
        rows = torch.cat([order[:most], order[-most:]])
        truth = torch.cat([torch.zeros(most), torch.ones(most)])
        weight, bias = fit_line(scaled[rows], truth)
        right = ((scaled @ weight + bias > 0) == (values > 0)).float().mean()
        normal = weight / spread
        found.append(Boundary(label, normal / normal.norm(), float(right)))
    return found


def fit_line(points: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """(weights (K,), bias) of a logistic regression by L-BFGS; the same for the same points."""
    weight, bias = torch.zeros(points.shape[1], requires_grad=True), torch.zeros((), requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = F.binary_cross_entropy_with_logits(points @ weight + bias, truth) + PENALTY * weight.square().sum()
        value.backward()
        return value

    optimiser.step(loss)  # pyright: ignore[reportArgumentType]
    return weight.detach(), bias.detach()


def find_moves(boundaries: Sequence[Boundary], codes: Tensor, opposed: Tensor | None) -> list[Tensor]:
    """For each boundary the most likely move across it, of length 1, that stays beside the others (section 3.3).

    The paper projects a boundary's normal.  Here it is projected where the `codes` (n, K) are uncorrelated and deviate
    equally, so that the move goes where codes are: across few deviations of them, not along what hardly varies.

    `opposed` (labels, labels) of bools: labels that exclude each other, such as two colours, stay in each other's way,
    for the one must go where the other comes.  None: no boundary is stayed beside.
    """
    values, axes = torch.linalg.eigh(torch.cov(codes.T))
    root = axes * values.clamp_min(0).sqrt() @ axes.T
    normals = F.normalize(torch.stack([one.normal for one in boundaries]) @ root)
    made = []
    for k, normal in enumerate(normals):
        others = normals[[j for j in range(len(normals)) if j != k and opposed is not None and not opposed[k, j]]]
        if len(others):
            across = torch.linalg.svd(others, full_matrices=False)[2]
            kept = normal - across.T @ (across @ normal)
            normal = kept if kept.norm() > 0.1 else normal  # else the others leave nothing of it
        made.append(F.normalize(root @ normal, dim=0))
    return made


def opposed_labels(truth: Tensor) -> Tensor:
    """bool (K, K): labels (n, K) of which no image, or hardly one in a hundred of the rarer, has both."""
    together = truth.T @ truth
    rarer = torch.minimum(together.diagonal()[:, None], together.diagonal()[None])
    return (together < 0.01 * rarer) | (rarer == 0)


@torch.no_grad()
def read_labels(classifier: Classifier, images: Tensor, batch: int = 256) -> Tensor:
    """float (n, labels): logits; of classes, the margin to the best of the others."""
    rows = torch.cat([classifier.network(part.to(classifier.device)).cpu() for part in images.split(batch)])
    if not classifier.exclusive:
        return rows
    best = rows.topk(2, 1)
    others = torch.where(rows == best.values[:, :1], best.values[:, 1:], best.values[:, :1])
    return rows - others


@dataclass(frozen=True)
class Movement:
    """What an edit of SIZE standard deviations does to the labels that the classifier reads."""

    reached: float
    """Share of the images without the label that show it afterwards."""
    kept: float
    """Share of the other labels that stay, without those that exclude the asked one."""


def measure(
    trained: Trained, vector: Tensor, label: int, photographs: Sequence[Photograph], before: Tensor, opposed: Tensor,
    classifier: Classifier,
) -> Movement:  # fmt: skip
    """How far the asked label and the others move.  `before` (n, labels) are the logits without the edit."""
    rows = [k for k in range(len(photographs)) if before[k, label] < 0]
    if not rows:
        return Movement(float("nan"), float("nan"))
    after = read_labels(classifier, trained.decode([photographs[k].move(SIZE * vector[None]) for k in rows]))
    others = [j for j in range(before.shape[1]) if j != label and not opposed[label, j]]
    same = (after[:, others] > 0) == (before[rows][:, others] > 0)
    return Movement(float((after[:, label] > 0).float().mean()), float(same.float().mean()))


def describe(boundary: Boundary, movement: Movement) -> str:
    """A sentence about a direction."""
    stay = "" if math.isnan(movement.kept) else f", and {movement.kept:.1%} of the others stay"  # all exclude it
    right = f"InterFaceGAN: the boundary is right for {boundary.accuracy:.1%} of the samples"
    if math.isnan(movement.reached):  # every image shows the label
        return right
    return f"{right}; {SIZE:g} deviations bring the label to {movement.reached:.1%} of the images without it{stay}"


def to_direction(boundary: Boundary, move: Tensor, codes: Tensor, about: str) -> Direction:
    """A boundary's move in units of the deviation of codes (n, K) along it."""
    return Direction(name_direction(boundary.label), move * ((codes - codes.mean(0)) @ move).std(), about)


def as_photographs(codes: Tensor, layers: int) -> list[Photograph]:
    """Codes (n, K) of all layers alike."""
    return [Photograph(Codes(row[None, None].expand(1, layers, -1))) for row in codes]
