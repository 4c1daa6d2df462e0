"""The loop of R3GAN as its authors have it: depthwise filters, biases beside activations, two real batches a step."""

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.program import Program
from benchmarks.usual.training import autocast, count, data

WIDTHS = (64, 64, 32, 16)
GROUP, GAIN = 16, math.sqrt(2 / 1.04)


class Activation(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x + self.bias.view(1, -1, 1, 1), 0.2)


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        inner = 2 * width
        self.body = nn.Sequential(
            nn.Conv2d(width, inner, 1, bias=False),
            Activation(inner),
            nn.Conv2d(inner, inner, 3, padding=1, groups=inner // GROUP, bias=False),
            Activation(inner),
            nn.Conv2d(inner, width, 1, bias=False),
        )
        nn.init.zeros_(self.body[4].weight)  # pyright: ignore

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class Resample(nn.Module):
    def __init__(self, up: bool) -> None:
        super().__init__()
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
        self.register_buffer("kernel", taps[:, None] * taps)
        self.up = up

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        kernel = self.kernel[None, None].to(x.dtype).repeat(c, 1, 1, 1)  # pyright: ignore
        if not self.up:
            return F.conv2d(F.pad(x, (1, 1, 1, 1)), kernel, stride=2, groups=c)
        x = F.pad(x.reshape(n, c, h, 1, w, 1), (0, 1, 0, 0, 0, 1)).reshape(n, c, 2 * h, 2 * w)
        return F.conv2d(F.pad(x, (2, 1, 2, 1)), 4 * kernel, groups=c)


class Basis(nn.Module):
    def __init__(self, latent: int, width: int) -> None:
        super().__init__()
        self.basis = nn.Parameter(torch.randn(width, 4, 4))
        self.linear = nn.Linear(latent, width, bias=False)

    def forward(self, z: Tensor) -> Tensor:
        return self.basis[None] * self.linear(z)[:, :, None, None]


def change(a: int, b: int) -> list[nn.Module]:
    return [nn.Conv2d(a, b, 1, bias=False)] if a != b else []


def networks(latent: int) -> tuple[nn.Sequential, nn.Sequential]:
    """The generator and the discriminator of 32 x 32 images, of the widths of the preset `small`."""
    up: list[nn.Module] = [Basis(latent, WIDTHS[0]), Block(WIDTHS[0])]
    down: list[nn.Module] = []
    for a, b in pairwise(WIDTHS):
        up += [*change(a, b), Resample(up=True), Block(b)]
        down = [Block(b), Resample(up=False), *change(b, a), *down]
    first, last = WIDTHS[0], WIDTHS[-1]
    down = [
        nn.Conv2d(3, last, 1, bias=False),
        *down,
        Block(first),
        nn.Conv2d(first, first, 4, groups=first, bias=False),
    ]
    return (
        nn.Sequential(*up, nn.Conv2d(last, 3, 1, bias=False)),
        nn.Sequential(*down, nn.Flatten(), nn.Linear(first, 1, bias=False), nn.Flatten(0)),
    )


def slope(scores: Tensor, images: Tensor) -> Tensor:
    (gradient,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
    return gradient.square().sum([1, 2, 3])


def loop(batch: int = 32, latent: int = 64, precision: str = "fp32") -> Program:
    """The authors' loop, without augmentation and averages."""
    images, (net_g, net_d) = data(32, 3), networks(latent)
    step_g, step_d = (torch.optim.Adam(net.parameters(), 1e-3, (0.0, 0.9)) for net in (net_g, net_d))

    def real_batch() -> Tensor:
        return images[torch.randint(len(images), (batch,))]

    def play(steps: int) -> None:
        for _ in range(steps):
            step_d.zero_grad()
            real = real_batch().requires_grad_()
            with autocast(precision):
                fake = net_g(torch.randn(batch, latent)).detach().float().requires_grad_()
                on_real, on_fake = net_d(real), net_d(fake)
                loss = F.softplus(on_fake - on_real) + 0.25 * (slope(on_real, real) + slope(on_fake, fake))
            loss.mean().backward()
            step_d.step()
            step_g.zero_grad()
            with autocast(precision):
                fake = net_g(torch.randn(batch, latent))
                loss = F.softplus(net_d(real_batch()) - net_d(fake))
            loss.mean().backward()
            step_g.step()

    return Program(play, batch, count(net_g, net_d))
