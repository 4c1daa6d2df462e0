"""LostGAN-V1 as its authors' program runs: objects as rows, a product of (N, M, C, H, W) in every norm, grid_sample.

ROIAlign is torchvision's.  Without the loss of VGG-19, whose weights are a download.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import spectral_norm

from benchmarks.program import Program, boxes_and_labels
from benchmarks.usual.training import autocast, count, data

WIDTHS = {32: (8, 4, 2, 1), 64: (16, 8, 4, 2, 1)}
BODY = {
    32: ((1, False), (2, True), (4, False), (4, True)),
    64: ((1, False), (2, False), (4, True), (8, True), (16, True)),
}
TAP = 2  # the block of the discriminator after which objects are read


def conv(inputs: int, outputs: int, kernel: int = 3) -> nn.Module:
    return spectral_norm(nn.Conv2d(inputs, outputs, kernel, 1, kernel // 2), eps=1e-4)


class Norm(nn.Module):
    """Batch norm with a weight and a bias for every object, spread over its mask."""

    def __init__(self, channels: int, length: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.weight, self.bias = (spectral_norm(nn.Linear(length, channels)) for _ in range(2))

    def forward(self, x: Tensor, codes: Tensor, masks: Tensor) -> Tensor:
        n, m = masks.shape[:2]
        masks = F.interpolate(masks, x.shape[2:], mode="bilinear")[:, :, None]
        total = masks.sum(1) + 1e-6
        weight, bias = (read(codes).view(n, m, -1, 1, 1) for read in (self.weight, self.bias))
        return ((masks * weight).sum(1) / total + 1) * self.norm(x) + (masks * bias).sum(1) / total


class GeneratorBlock(nn.Module):
    """Doubles the sides."""

    def __init__(self, inputs: int, outputs: int, length: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = Norm(inputs, length), Norm(outputs, length)
        self.conv1, self.conv2, self.short = conv(inputs, outputs), conv(outputs, outputs), conv(inputs, outputs, 1)

    def forward(self, x: Tensor, codes: Tensor, masks: Tensor) -> Tensor:
        inner = self.conv1(F.interpolate(F.relu(self.norm1(x, codes, masks)), scale_factor=2))
        inner = self.conv2(F.relu(self.norm2(inner, codes, masks)))
        return inner + self.short(F.interpolate(x, scale_factor=2))


class MaskNet(nn.Module):
    """codes (N * M, length), boxes (N, M, 4) of x, y, width, height -> masks (N, M, side, side) in their boxes."""

    def __init__(self, length: int, width: int, side: int) -> None:
        super().__init__()
        self.width, self.side = width, side
        self.first = spectral_norm(nn.Linear(length, 16 * width))
        self.stages = nn.ModuleList(
            nn.Sequential(spectral_norm(nn.Conv2d(width, width, 3, 1, 1)), nn.BatchNorm2d(width), nn.ReLU())
            for _ in range(3)
        )
        self.last = spectral_norm(nn.Conv2d(width, 1, 1))

    def forward(self, codes: Tensor, boxes: Tensor) -> Tensor:
        x = self.first(codes).view(-1, self.width, 4, 4)
        for number, stage in enumerate(self.stages):
            x = stage(F.interpolate(x, scale_factor=2, mode="bilinear") if number else x)
        masks, flat = torch.sigmoid(self.last(x)), boxes.view(-1, 4)
        steps = torch.linspace(0, 1, self.side)
        across, down = ((steps - flat[:, i : i + 1]) / flat[:, i + 2 : i + 3] for i in (0, 1))
        pixels = (len(flat), self.side, self.side)
        grid = torch.stack([across[:, None].expand(pixels), down[:, :, None].expand(pixels)], 3) * 2 - 1
        placed = F.grid_sample(masks.float(), grid, align_corners=True)
        return placed.view(*boxes.shape[:2], self.side, self.side)


class Generator(nn.Module):
    """codes (N, M, latent), image codes (N, latent), boxes (N, M, 4), labels (N, M) -> images (N, 3, side, side)."""

    def __init__(self, classes: int, latent: int, embedding: int, width: int, mask_width: int, side: int) -> None:
        super().__init__()
        widths, length = [width * k for k in WIDTHS[side]], latent + embedding
        self.names = nn.Embedding(classes, embedding)
        self.first = spectral_norm(nn.Linear(latent, 16 * widths[0]), eps=1e-4)
        self.blocks = nn.ModuleList(GeneratorBlock(a, b, length) for a, b in pairwise(widths))
        self.last = nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(), conv(width, 3), nn.Tanh())
        self.masks = MaskNet(length, mask_width, side)

    def forward(self, codes: Tensor, image_codes: Tensor, boxes: Tensor, labels: Tensor) -> Tensor:
        rows = torch.cat([codes, self.names(labels)], 2).flatten(0, 1)
        masks = self.masks(rows, boxes)
        x = self.first(image_codes).view(len(codes), -1, 4, 4)
        for block in self.blocks:
            x = block(x, rows, masks)
        return self.last(x)


class JudgeBlock(nn.Module):
    """Keeps or halves the sides."""

    def __init__(self, inputs: int, outputs: int, halves: bool, first: bool = False) -> None:
        super().__init__()
        self.halves, self.first = halves, first
        self.conv1, self.conv2 = conv(inputs, outputs), conv(outputs, outputs)
        self.short = conv(inputs, outputs, 1) if halves or inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        inner = self.conv2(F.relu(self.conv1(x if self.first else F.relu(x))))
        short = self.short(x)
        return F.avg_pool2d(inner, 2) + F.avg_pool2d(short, 2) if self.halves else inner + short


class Discriminator(nn.Module):
    """images (N, 3, H, W), corners (N, M, 4) in pixels, labels (N, M) -> scores (N, 1), and (K, 1) of the objects."""

    def __init__(self, classes: int, width: int, side: int) -> None:
        super().__init__()
        widths = [3, *(width * k for k, _ in BODY[side])]
        halved = [halves for _, halves in BODY[side]]
        self.body = nn.ModuleList(JudgeBlock(widths[i], widths[i + 1], h, i == 0) for i, h in enumerate(halved))
        self.scale = 0.5 ** sum(halved[: TAP + 1])
        self.objects = JudgeBlock(widths[TAP + 1], 8 * width, True)
        self.on_image, self.on_object = (spectral_norm(nn.Linear(n, 1)) for n in (widths[-1], 8 * width))
        self.on_name = spectral_norm(nn.Embedding(classes, 8 * width))

    def forward(self, images: Tensor, corners: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        from torchvision.ops import roi_align  # the rest of the loop can be built without it

        x, seen = images, images
        for number, block in enumerate(self.body):
            x = block(x)
            seen = x if number == TAP else seen
        rows, own = (labels > 0).nonzero()[:, 0], labels > 0
        regions = torch.cat([rows[:, None].float(), corners[own]], 1)
        cells = roi_align(seen.float(), regions, 8, self.scale, -1)
        read = F.relu(self.objects(cells)).sum((2, 3))
        named = (self.on_name(labels[own]) * read).sum(1, keepdim=True)
        return self.on_image(F.relu(x).mean((2, 3))), self.on_object(read) + named


def loop(
    batch: int = 16,
    precision: str = "fp32",
    side: int = 32,
    width: int = 16,
    mask_width: int = 32,
    latent: int = 32,
    embedding: int = 32,
    classes: int = 11,
) -> Program:
    """D by the hinge of images and objects, then G by both scores and the pixels, with the same fake."""
    images = data(side, 3, 1_000)
    all_boxes, all_labels = (torch.from_numpy(x) for x in boxes_and_labels(1_000, classes))
    net_g = Generator(classes, latent, embedding, width, mask_width, side)
    net_d = Discriminator(classes, width, side)
    step_g = torch.optim.Adam(net_g.parameters(), 1e-4, (0.0, 0.999))
    step_d = torch.optim.Adam(net_d.parameters(), 1e-4, (0.0, 0.999))

    def play(steps: int) -> None:
        for _ in range(steps):
            rows = torch.randint(len(images), (batch,))
            real, corners, labels = images[rows], all_boxes[rows] * side, all_labels[rows]
            inside = torch.cat([all_boxes[rows, :, :2], all_boxes[rows, :, 2:] - all_boxes[rows, :, :2]], 2)
            codes = torch.randn(batch, labels.shape[1], latent)

            step_d.zero_grad()
            with autocast(precision):
                on_real, real_objects = net_d(real, corners, labels)
                fake = net_g(codes, torch.randn(batch, latent), inside, labels)
                on_fake, fake_objects = net_d(fake.detach(), corners, labels)
                loss = 0.1 * (F.relu(1 - on_real).mean() + F.relu(1 + on_fake).mean())
                loss = loss + F.relu(1 - real_objects).mean() + F.relu(1 + fake_objects).mean()
            loss.backward()
            step_d.step()

            step_g.zero_grad()
            with autocast(precision):
                on_fake, fake_objects = net_d(fake, corners, labels)
                loss = F.l1_loss(fake, real) - 0.1 * on_fake.mean() - fake_objects.mean()
            loss.backward()
            step_g.step()

    return Program(play, batch, count(net_g, net_d))
