"""SPADE as its authors' program runs: maps resized by every layer, a new fake for D, gradients that D throws away.

Without the losses of VGG-19, whose weights are a download.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import spectral_norm

from benchmarks.program import Program, maps
from benchmarks.usual.training import autocast, count, data


class Modulation(nn.Module):
    """x (N, C, H, W), maps (N, K, h, w) -> (N, C, H, W): batch norm, then a scale and a shift at every place."""

    def __init__(self, channels: int, planes: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.shared = nn.Sequential(nn.Conv2d(planes, hidden, 3, 1, 1), nn.ReLU())
        self.gamma, self.beta = (nn.Conv2d(hidden, channels, 3, 1, 1) for _ in range(2))

    def forward(self, x: Tensor, planes: Tensor) -> Tensor:
        hidden = self.shared(F.interpolate(planes, x.shape[2:], mode="nearest"))
        return self.norm(x) * (1 + self.gamma(hidden)) + self.beta(hidden)


class Block(nn.Module):
    """Two convolutions and a shortcut, each behind a modulation."""

    def __init__(self, inputs: int, outputs: int, planes: int, hidden: int) -> None:
        super().__init__()
        middle = min(inputs, outputs)
        self.norms = nn.ModuleList(Modulation(n, planes, hidden) for n in (inputs, middle))
        self.conv_0 = spectral_norm(nn.Conv2d(inputs, middle, 3, 1, 1))
        self.conv_1 = spectral_norm(nn.Conv2d(middle, outputs, 3, 1, 1))
        self.short = nn.ModuleList()
        if inputs != outputs:
            self.short.append(Modulation(inputs, planes, hidden))
            self.short.append(spectral_norm(nn.Conv2d(inputs, outputs, 1, bias=False)))

    def forward(self, x: Tensor, planes: Tensor) -> Tensor:
        short = self.short[1](self.short[0](x, planes)) if self.short else x
        inner = self.conv_0(F.leaky_relu(self.norms[0](x, planes), 0.2))
        return short + self.conv_1(F.leaky_relu(self.norms[1](inner, planes), 0.2))


class Generator(nn.Module):
    """maps (N, K, H, W), codes (N, latent) or None -> images (N, 3, H, W), by five doublings."""

    def __init__(self, planes: int, width: int, hidden: int, latent: int, side: int) -> None:
        super().__init__()
        widths = [width * k for k in (16, 16, 16, 16, 8, 4, 2, 1)]
        self.grid = side // 32
        places = self.grid**2
        self.first = nn.Linear(latent, widths[0] * places) if latent else nn.Conv2d(planes, widths[0], 3, 1, 1)
        self.blocks = nn.ModuleList(Block(a, b, planes, hidden) for a, b in pairwise(widths))
        self.last = nn.Conv2d(widths[-1], 3, 3, 1, 1)

    def forward(self, planes: Tensor, codes: Tensor | None) -> Tensor:
        sides = (self.grid, self.grid)
        if codes is None:
            x = self.first(F.interpolate(planes, sides, mode="nearest"))
        else:
            x = self.first(codes).view(len(codes), -1, *sides)
        for number, block in enumerate(self.blocks):
            x = F.interpolate(x, scale_factor=2) if number not in (0, 2) else x
            x = block(x, planes)
        return torch.tanh(self.last(F.leaky_relu(x, 0.2)))


class Encoder(nn.Module):
    """images (N, 3, side, side) -> mean and log variance (N, latent) of their style."""

    def __init__(self, width: int, latent: int, side: int) -> None:
        super().__init__()
        widths = [3, *(width * min(2**i, 8) for i in range(side.bit_length() - 3))]
        layers: list[nn.Module] = []
        for a, b in pairwise(widths):
            conv = spectral_norm(nn.Conv2d(a, b, 3, 2, 1, bias=False))
            layers += [conv, nn.InstanceNorm2d(b), nn.LeakyReLU(0.2)]
        self.body = nn.Sequential(*layers, nn.Flatten())
        self.mean, self.log_variance = (nn.Linear(16 * widths[-1], latent) for _ in range(2))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.body(images)
        return self.mean(features), self.log_variance(features)


class Discriminator(nn.Module):
    """maps and images (N, K + 3, H, W) -> for each of two scales the outputs of all stages."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.scales = nn.ModuleList(self.stages(inputs, width) for _ in range(2))

    @staticmethod
    def stages(inputs: int, width: int) -> nn.ModuleList:
        stages = [nn.Sequential(nn.Conv2d(inputs, width, 4, 2, 2), nn.LeakyReLU(0.2))]
        for a, b, stride in ((1, 2, 2), (2, 4, 2), (4, 8, 1)):
            conv = spectral_norm(nn.Conv2d(a * width, b * width, 4, stride, 2, bias=False))
            stages.append(nn.Sequential(conv, nn.InstanceNorm2d(b * width), nn.LeakyReLU(0.2)))
        return nn.ModuleList([*stages, nn.Sequential(nn.Conv2d(8 * width, 1, 4, 1, 2))])

    def forward(self, x: Tensor) -> list[list[Tensor]]:
        outputs = []
        for stages in self.scales:
            inner, found = x, []
            for stage in stages:
                inner = stage(inner)
                found.append(inner)
            outputs.append(found)
            x = F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)
        return outputs


def planes_of(label_map: Tensor, instance_map: Tensor, regions: int) -> Tensor:
    """A plane a region, and one of the boundaries of instances: (N, regions + 1, H, W)."""
    n, height, width = label_map.shape
    planes = torch.zeros(n, regions, height, width).scatter_(1, label_map[:, None].long(), 1.0)
    edge = torch.zeros(n, 1, height, width, dtype=torch.bool)
    t = instance_map[:, None]
    for half in (slice(1, None), slice(None, -1)):
        edge[:, :, :, half] |= t[:, :, :, 1:] != t[:, :, :, :-1]
        edge[:, :, half] |= t[:, :, 1:] != t[:, :, :-1]
    return torch.cat([planes, edge.float()], 1)


def loop(
    batch: int = 8,
    precision: str = "fp32",
    side: int = 64,
    width: int = 12,
    hidden: int = 32,
    latent: int = 16,
    judge_width: int = 24,
    regions: int = 10,
) -> Program:
    """G by the fooled D, its features and the codes' divergence; D by a fake made anew.  `latent` 0: no encoder."""
    images = data(side, 3, 1_000)
    label_maps, instance_maps = (torch.from_numpy(maps(side, regions, 1_000, seed)) for seed in (1, 2))
    net_g, net_d = Generator(regions + 1, width, hidden, latent, side), Discriminator(regions + 4, judge_width)
    net_e = Encoder(width, latent, side) if latent else nn.Identity()
    step_g = torch.optim.Adam([*net_g.parameters(), *net_e.parameters()], 2e-4, (0.0, 0.9))
    step_d = torch.optim.Adam(net_d.parameters(), 8e-4, (0.0, 0.9))

    def generate(planes: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        if not latent:
            return net_g(planes, None), torch.zeros(())
        mean, log_variance = net_e(real)
        codes = mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)
        divergence = -0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp())
        return net_g(planes, codes), divergence

    def discriminate(planes: Tensor, fake: Tensor, real: Tensor) -> list[tuple[list[Tensor], list[Tensor]]]:
        both = net_d(torch.cat([torch.cat([planes, fake], 1), torch.cat([planes, real], 1)]))
        return [([x[:batch] for x in scale], [x[batch:] for x in scale]) for scale in both]

    def play(steps: int) -> None:
        for _ in range(steps):
            rows = torch.randint(len(images), (batch,))
            real, planes = images[rows], planes_of(label_maps[rows], instance_maps[rows], regions)
            step_g.zero_grad()
            with autocast(precision):
                fake, divergence = generate(planes, real)
                loss = 0.01 * divergence
                for on_fake, on_real in discriminate(planes, fake, real):
                    loss = loss - on_fake[-1].mean() / 2
                    for a, b in zip(on_fake[:-1], on_real[:-1], strict=True):
                        loss = loss + 10 * F.l1_loss(a, b.detach()) / 2
            loss.backward()
            step_g.step()

            step_d.zero_grad()
            with autocast(precision):
                with torch.no_grad():
                    fake, _ = generate(planes, real)
                loss = torch.zeros(())
                for on_fake, on_real in discriminate(planes, fake, real):
                    loss = loss + (F.relu(1 + on_fake[-1]).mean() + F.relu(1 - on_real[-1]).mean()) / 2
            loss.backward()
            step_d.step()

    return Program(play, batch, count(net_g, net_e, net_d))
