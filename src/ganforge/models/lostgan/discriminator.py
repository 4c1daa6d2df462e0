"""The discriminators of LostGAN: one score for the image, one for each object in it.

Sun and Wu 2019 (https://arxiv.org/abs/1908.07500).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.errors import ModelError
from ganforge.models.lostgan.layouts import to_corners
from ganforge.models.lostgan.roi_align import roi_align
from ganforge.nn.spectral_norm import SpectralNormConv2d, SpectralNormEmbedding, SpectralNormLinear

CELLS = 8
"""Sides of an object's features."""
EPS = 1e-4


class DiscriminatorBlock(nn.Module):
    """x (N, in, H, W) -> (N, out, H, W), or half the sides.  The first block of a network has no ReLU in front."""

    def __init__(self, inputs: int, outputs: int, halves: bool, first: bool = False) -> None:
        super().__init__()
        self.halves, self.first = halves, first
        self.conv1, self.conv2 = (SpectralNormConv2d(i, outputs, 3, EPS) for i in (inputs, outputs))
        changes = halves or inputs != outputs
        self.short = SpectralNormConv2d(inputs, outputs, 1, EPS) if changes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        inner = self.conv2(self.conv1(x if self.first else x.relu()).relu())
        if self.halves:
            return F.avg_pool2d(inner, 2) + self.short(F.avg_pool2d(x, 2))
        return inner + self.short(x)


@dataclass(frozen=True)
class Plan:
    """The shape of a discriminator; channels are multiples of its width."""

    body: tuple[tuple[int, bool], ...]
    """(channels, whether it halves) of every block of the image's path."""
    taps: tuple[int, ...]
    """Numbers of the blocks whose features objects are read from: those of large objects first, then of small ones."""
    near: tuple[int, ...]
    """Channels of blocks that only the features for small objects pass."""
    shared: tuple[int, ...]
    """Channels of blocks that the features for all objects pass, in front of ROIAlign."""
    last: int
    """Channels of the block behind ROIAlign."""
    mean: bool = False
    """Whether the image's features are averaged over places, and not summed."""


PLANS = {
    16: Plan(((1, False), (2, False), (4, False), (8, True)), (2,), (), (), 8, mean=True),
    32: Plan(((1, False), (2, True), (4, False), (4, True)), (2,), (), (), 8, mean=True),
    64: Plan(((1, False), (2, False), (4, True), (8, True), (16, True)), (2,), (), (), 8, mean=True),
    128: Plan(((1, True), (2, True), (4, True), (8, True), (16, True), (16, False)), (2, 1), (4,), (8,), 16),
    256: Plan(((1, True), (2, True), (4, True), (8, True), (8, True), (16, True), (16, False)), (3, 2), (8,), (8,), 16),
}
"""{side: plan}: those of 64, 128 and 256 are the authors'."""


class ObjectDiscriminator(nn.Module):
    """Images (N, C, side, side), boxes, labels -> scores of the images (N,) and of the objects (K,).

    Boxes (N, M, 4) are x, y, width, height; labels are int64 (N, M), and objects with label 0 have no score.  Where
    small objects are read from finer features than large ones, all large objects come first.

    An object's score is linear in its features, plus their product with the embedding of its label: a projection
    discriminator (Miyato and Koyama 2018).
    """

    def __init__(self, classes: int, width: int = 64, side: int = 128, channels: int = 3) -> None:
        """Raises ModelError for a side that has no plan."""
        super().__init__()
        if side not in PLANS:
            raise ModelError(
                f"A discriminator of layouts reads images of {', '.join(map(str, PLANS))} pixels a side, not of "
                f"{side}: choose one of them with --size."
            )
        self.plan = plan = PLANS[side]
        widths = [channels, *(width * times for times, _ in plan.body)]
        self.body = nn.ModuleList(
            DiscriminatorBlock(widths[i], widths[i + 1], halves, i == 0) for i, (_, halves) in enumerate(plan.body)
        )
        self.image_score = SpectralNormLinear(widths[-1], 1)
        self.near = chain(widths[plan.taps[-1] + 1], [width * times for times in plan.near])
        self.shared = chain(widths[plan.taps[0] + 1], [width * times for times in plan.shared])
        read = (width * plan.shared[-1]) if plan.shared else widths[plan.taps[0] + 1]
        self.last = DiscriminatorBlock(read, width * plan.last, True)
        self.object_score = SpectralNormLinear(width * plan.last, 1)
        self.label_score = SpectralNormEmbedding(classes, width * plan.last)
        halvings = [sum(halves for _, halves in plan.body[: tap + 1]) for tap in plan.taps]
        self.scales = [0.5**n for n in halvings]

    def forward(
        self, images: Tensor, boxes: Tensor, labels: Tensor, others: tuple[Tensor, ...] = ()
    ) -> tuple[Tensor, Tensor]:
        """With `others`, more labels (N, M) for the same objects, their scores under these follow: (2 K,), (3 K,)."""
        maps, x = list[Tensor](), images
        for block in self.body:
            x = block(x)
            maps.append(x)
        summed = x.relu().mean((2, 3)) if self.plan.mean else x.relu().sum((2, 3))
        return self.image_score(summed)[:, 0], self.score_objects(maps, boxes, (labels, *others), images.shape[-1])

    def score_objects(self, maps: list[Tensor], boxes: Tensor, names: tuple[Tensor, ...], side: int) -> Tensor:
        """The scores of the objects under each of `names`, from the features after every block."""
        fine = self.shared(self.near(maps[self.plan.taps[-1]]))
        features = [fine] if len(self.plan.taps) == 1 else [self.shared(maps[self.plan.taps[0]]), fine]
        corners, present = to_corners(boxes) * side, names[0] > 0
        small = ((corners[..., 2:] - corners[..., :2]) < side // 2).all(-1)
        chosen = [present] if len(features) == 1 else [present & ~small, present & small]
        cells = [
            roi_align(f, corners, CELLS, scale)[rows]
            for f, rows, scale in zip(features, chosen, self.scales, strict=True)
        ]
        read = self.last(torch.cat(cells)).relu().sum((2, 3)).repeat(len(names), 1)
        named = self.label_score(torch.cat([labels[rows] for labels in names for rows in chosen]))
        return self.object_score(read)[:, 0] + (named * read).sum(1)


def chain(inputs: int, widths: list[int]) -> nn.Sequential:
    """Blocks of these channels that keep the sides."""
    ends = zip([inputs, *widths], widths, strict=False)
    return nn.Sequential(*(DiscriminatorBlock(a, b, False) for a, b in ends))
