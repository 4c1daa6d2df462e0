"""StyleGAN2 as its reference code computes it without compiled operators.

Modulated weights are made for each image and applied by a grouped convolution, filters insert zeros, and each phase
draws anew: G, its path length every 4 steps, D, its R1 every 16.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.program import Program
from benchmarks.usual.training import autocast, count, data

ROOT2 = 2**0.5
FILTER = torch.tensor([1.0, 3.0, 3.0, 1.0]).outer(torch.tensor([1.0, 3.0, 3.0, 1.0])) / 64


def upfirdn(x: Tensor, up: int = 1, down: int = 1, pad: tuple[int, int] = (0, 0), gain: float = 1.0) -> Tensor:
    n, c, h, w = x.shape
    x = F.pad(x.reshape(n, c, h, 1, w, 1), (0, up - 1, 0, 0, 0, up - 1)).reshape(n, c, h * up, w * up)
    kernel = (FILTER * gain).to(x.dtype)[None, None].repeat(c, 1, 1, 1)
    return F.conv2d(F.pad(x, (*pad, *pad)), kernel, groups=c)[:, :, ::down, ::down]


def act(x: Tensor, gain: float = ROOT2) -> Tensor:
    return F.leaky_relu(x, 0.2) * gain


class Dense(nn.Module):
    def __init__(self, a: int, b: int, rate: float = 1.0, bias: float = 0.0) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(b, a) / rate), nn.Parameter(torch.full((b,), bias / rate))
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * (self.rate / self.weight.shape[1] ** 0.5), self.bias * self.rate)


class Modulated(nn.Module):
    def __init__(self, a: int, b: int, kernel: int, style: int, up: bool = False) -> None:
        super().__init__()
        self.weight, self.affine, self.up = (
            nn.Parameter(torch.randn(b, a, kernel, kernel)),
            Dense(style, a, bias=1.0),
            up,
        )
        self.bias = nn.Parameter(torch.zeros(b, 1, 1))
        self.strength = nn.Parameter(torch.zeros(())) if kernel > 1 else None

    def forward(self, x: Tensor, w: Tensor, change: Tensor | None = None) -> Tensor:
        n, k = len(x), self.weight.shape[2]
        weight = self.weight if change is None else self.weight * (1 + change)
        weight = weight * self.affine(w)[:, None, :, None, None]
        if k == 1:
            weight = weight / self.weight.shape[1] ** 0.5
        else:
            weight = weight * (weight.square().sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt()
        x = x.reshape(1, -1, *x.shape[2:])
        if self.up:
            x = F.conv_transpose2d(x, weight.transpose(1, 2).flatten(0, 1), stride=2, groups=n)
            x = upfirdn(x.reshape(n, -1, *x.shape[2:]), pad=(1, 1), gain=4)
        else:
            x = F.conv2d(x, weight.flatten(0, 1), padding=k // 2, groups=n)
            x = x.reshape(n, -1, *x.shape[2:])
        if self.strength is None:
            return x + self.bias
        return act(x + self.strength * torch.randn(n, 1, *x.shape[2:]) + self.bias)


class Generator(nn.Module):
    def __init__(self, widths: list[int], style: int) -> None:
        super().__init__()
        self.mapping = nn.ModuleList([Dense(style, style, 0.01), Dense(style, style, 0.01)])
        self.const = nn.Parameter(torch.randn(widths[0], 4, 4))
        ends = list(zip([widths[0], *widths], widths, strict=False))
        self.ups = nn.ModuleList([Modulated(a, b, 3, style, True) for a, b in ends[1:]])
        self.convs = nn.ModuleList([Modulated(b, b, 3, style) for b in widths])
        self.rgbs = nn.ModuleList([Modulated(b, 3, 1, style) for b in widths])
        self.layers = 2 * len(widths)

    def styles(self, z: Tensor) -> Tensor:
        for layer in self.mapping:
            z = act(layer(z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt() if layer is self.mapping[0] else z))
        return z[:, None].repeat(1, self.layers, 1)

    def forward(self, w: Tensor, changes: Sequence[Tensor] = ()) -> Tensor:
        """`changes`: of the weights of the convolutions, in their order."""
        own = iter(changes or [None] * self.layers)
        x = self.convs[0](self.const[None].repeat(len(w), 1, 1, 1), w[:, 0], next(own))
        image = self.rgbs[0](x, w[:, 1])
        for i, (up, conv, rgb) in enumerate(zip(self.ups, self.convs[1:], self.rgbs[1:], strict=True)):
            x = conv(up(x, w[:, 2 * i + 1], next(own)), w[:, 2 * i + 2], next(own))
            image = upfirdn(image, 2, 1, (2, 1), 4) + rgb(x, w[:, 2 * i + 3])
        return image.float()


class Conv(nn.Module):
    def __init__(self, a: int, b: int, kernel: int, down: bool = False, bias: bool = True) -> None:
        super().__init__()
        self.weight, self.down = nn.Parameter(torch.randn(b, a, kernel, kernel)), down
        self.bias = nn.Parameter(torch.zeros(b)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        k, weight = self.weight.shape[2], self.weight / self.weight[0].numel() ** 0.5
        if self.down:
            x = (
                F.conv2d(upfirdn(x, pad=(2, 2)), weight, stride=2)
                if k == 3
                else F.conv2d(upfirdn(x, 1, 2, (1, 1)), weight)
            )
        else:
            x = F.conv2d(x, weight, padding=k // 2)
        return x if self.bias is None else act(x + self.bias[:, None, None])


class Discriminator(nn.Module):
    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        ends = list(zip(widths[::-1], widths[::-1][1:], strict=False))
        self.rgb, top = Conv(3, widths[-1], 1), widths[0]
        self.blocks = nn.ModuleList(
            nn.ModuleList([Conv(a, a, 3), Conv(a, b, 3, True), Conv(a, b, 1, True, False)]) for a, b in ends
        )
        self.conv, self.fc, self.out = Conv(top + 1, top, 3), Dense(16 * top, top), Dense(top, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.features(x))

    def features(self, x: Tensor) -> Tensor:
        """What the last layer sees."""
        x = self.rgb(x)
        for one, two, skip in self.blocks:
            x = (two(one(x)) + skip(x)) / ROOT2
        groups = x.float().reshape(min(4, len(x)), -1, 1, *x.shape[1:])
        deviation = (groups.var(0, correction=0) + 1e-8).sqrt().mean((2, 3, 4))
        x = torch.cat([x, deviation.repeat(min(4, len(x)), 1)[..., None, None].expand(-1, -1, 4, 4).to(x.dtype)], 1)
        return act(self.fc(self.conv(x).flatten(1)))


def widths_of(side: int, capacity: int, most: int) -> list[int]:
    """The generator's channels from 4 x 4 on."""
    return [min(capacity // (4 << i), most) for i in range((side // 4).bit_length())]


def loop(
    batch: int = 16, side: int = 64, style: int = 64, capacity: int = 1_024, most: int = 64, precision: str = "fp32"
) -> Program:
    """The usual loop."""
    widths = widths_of(side, capacity, most)
    images, net_g, net_d = data(side, 3), Generator(widths, style), Discriminator(widths)
    step_g = torch.optim.Adam(net_g.parameters(), 0.004 * 4 / 5, (0.0, 0.99 ** (4 / 5)))
    step_d = torch.optim.Adam(net_d.parameters(), 0.004 * 16 / 17, (0.0, 0.99 ** (16 / 17)))
    path_mean = torch.zeros(())

    def mixed(n: int) -> Tensor:
        w, other = net_g.styles(torch.randn(n, style)), net_g.styles(torch.randn(n, style))
        cut = int(torch.randint(1, w.shape[1], ())) if torch.rand(()) < 0.5 else w.shape[1]
        return torch.cat([w[:, :cut], other[:, cut:]], 1)

    def descend(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()

    def play(steps: int) -> None:
        nonlocal path_mean
        for step in range(steps):
            with autocast(precision):
                loss = F.softplus(-net_d(net_g(mixed(batch)))).mean()
            descend(step_g, loss)
            if step % 4 == 0:
                w = mixed(batch // 2)
                fake = net_g(w)
                noise = torch.randn_like(fake) / side
                (slope,) = torch.autograd.grad((fake * noise).sum(), w, create_graph=True)
                lengths = slope.square().sum(2).mean(1).sqrt()
                path_mean = path_mean.lerp(lengths.mean(), 0.01)
                descend(step_g, 2 * (lengths - path_mean).square().mean())
                path_mean = path_mean.detach()
            real = images[torch.randint(len(images), (batch,))]
            with autocast(precision):
                fake = net_g(mixed(batch)).detach()
                loss = F.softplus(net_d(fake)).mean() + F.softplus(-net_d(real)).mean()
            descend(step_d, loss)
            if step % 16 == 0:
                real = real.detach().requires_grad_()
                (slope,) = torch.autograd.grad(net_d(real).sum(), real, create_graph=True)
                descend(step_d, 40 * slope.square().sum((1, 2, 3)).mean())

    return Program(play, batch, count(net_g, net_d))
