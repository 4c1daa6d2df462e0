"""pix2pix as repositories have it: levels inside levels, every network frozen and thawed, one backward pass a term."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.program import Program
from benchmarks.usual.training import autocast, count, data


class Level(nn.Module):
    """One level of the U-Net around the next: halve, apply the inner level, double, and concatenate the input."""

    def __init__(self, around: int, within: int, inner: nn.Module | None, dropout: bool = False) -> None:
        super().__init__()
        down = [nn.LeakyReLU(0.2, True), nn.Conv2d(around, within, 4, 2, 1, bias=False)]
        up = [nn.ReLU(True), nn.ConvTranspose2d(2 * within if inner else within, around, 4, 2, 1, bias=False)]
        up.append(nn.BatchNorm2d(around))
        middle = [nn.BatchNorm2d(within), inner] if inner else []
        self.model = nn.Sequential(*down, *middle, *up, *([nn.Dropout(0.5)] if dropout else []))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.model(x)], 1)


def generator(width: int, halvings: int) -> nn.Sequential:
    """images (N, 3, H, W) -> images (N, 3, H, W)."""
    level = Level(8 * width, 8 * width, None)
    for _ in range(halvings - 5):
        level = Level(8 * width, 8 * width, level, dropout=True)
    for around in (4, 2, 1):
        level = Level(around * width, 2 * around * width, level)
    last = [nn.ReLU(True), nn.ConvTranspose2d(2 * width, 3, 4, 2, 1), nn.Tanh()]
    return nn.Sequential(nn.Conv2d(3, width, 4, 2, 1, bias=False), level, *last)


def discriminator(width: int, channels: int, norm: type[nn.Module]) -> nn.Sequential:
    """images (N, channels, H, W) -> scores (N, 1, h, w) of patches of 70 pixels."""
    layers: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2, True)]
    for times, stride in ((1, 2), (2, 2), (4, 1)):
        a, b = times * width, 2 * times * width
        layers += [nn.Conv2d(a, b, 4, stride, 1, bias=norm is nn.InstanceNorm2d), norm(b), nn.LeakyReLU(0.2, True)]
    return nn.Sequential(*layers, nn.Conv2d(8 * width, 1, 4, 1, 1))


def movable(network: nn.Module, yes: bool) -> None:
    """Freeze or thaw."""
    for parameter in network.parameters():
        parameter.requires_grad = yes


def loop(batch: int = 1, precision: str = "fp32", side: int = 256, width: int = 64) -> Program:
    """A fake; D on the fake and on the real pair; G through the new D and by L1."""
    images = data(side, 3, 200)
    halvings = side.bit_length() - 1
    net_g, net_d = generator(width, halvings), discriminator(width, 6, nn.BatchNorm2d)
    step_g = torch.optim.Adam(net_g.parameters(), 2e-4, (0.5, 0.999))
    step_d = torch.optim.Adam(net_d.parameters(), 2e-4, (0.5, 0.999))
    criterion = nn.BCEWithLogitsLoss()

    def verdict(pair: Tensor, real: bool) -> Tensor:
        scores = net_d(pair)
        return criterion(scores, torch.full_like(scores, float(real)))

    def play(steps: int) -> None:
        for _ in range(steps):
            source, target = images[torch.randint(len(images), (2, batch))]
            with autocast(precision):
                fake = net_g(source)
            movable(net_d, True)
            step_d.zero_grad()
            with autocast(precision):
                on_fake = verdict(torch.cat([source, fake.detach()], 1), False)
                loss = (on_fake + verdict(torch.cat([source, target], 1), True)) * 0.5
            loss.backward()
            step_d.step()

            movable(net_d, False)
            step_g.zero_grad()
            with autocast(precision):
                loss = verdict(torch.cat([source, fake], 1), True) + 100 * F.l1_loss(fake, target)
            loss.backward()
            step_g.step()

    return Program(play, batch, count(net_g, net_d))
