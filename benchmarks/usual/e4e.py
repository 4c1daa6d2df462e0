"""e4e as its authors' loop computes it: all networks in eager PyTorch, gradients of the generator's weights as well.

The encoder's layers are GANForge's, which are the authors' own; the generator and the discriminator that compares
images have the reference form of stylegan2.py.
"""

import random

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.program import Program
from benchmarks.usual.stylegan2 import Discriminator, Generator, widths_of
from benchmarks.usual.training import autocast, count, data
from ganforge.models.e4e.encoder import StyleEncoder
from ganforge.nn.ranger import Ranger

WIDTHS, DEPTHS = (32, 64, 128, 128), (1, 2, 2, 1)


class Pool:
    """Past codes, each given back with probability 1/2."""

    def __init__(self, size: int = 50) -> None:
        self.size, self.held = size, list[Tensor]()

    def query(self, codes: Tensor) -> Tensor:
        given = []
        for code in codes.detach():
            if len(self.held) < self.size:
                self.held.append(code.clone())
            elif random.random() < 0.5:
                place = random.randrange(self.size)
                self.held[place], code = code.clone(), self.held[place]
            given.append(code)
        return torch.stack(given)


def compare(judge: Discriminator, made: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """(the distance of features, 1 - their cosine), each computed for itself, as the authors' losses are."""
    one, other = judge.features(made), judge.features(real).detach()
    distance = (one - other).square().sum(1) / other.square().sum(1)
    one, other = judge.features(made), judge.features(real).detach()
    return distance.mean(), (1 - F.cosine_similarity(one, other)).mean()


def loop(
    batch: int = 16, side: int = 64, style: int = 64, capacity: int = 1_024, most: int = 64, precision: str = "fp32"
) -> Program:
    """The usual loop, with all deltas."""
    widths, images = widths_of(side, capacity, most), data(side, 3)
    generator, judge = Generator(widths, style), Discriminator(widths)
    encoder = StyleEncoder(3, side, WIDTHS, DEPTHS, style, generator.layers)
    inner = [layer for _ in range(3) for layer in (nn.Linear(style, style), nn.LeakyReLU(0.2))]
    critic = nn.Sequential(*inner, nn.Linear(style, 1))
    step_e = Ranger(encoder.parameters(), 1e-3)
    step_d = torch.optim.Adam(critic.parameters(), 2e-5)
    made_pool, found_pool = Pool(), Pool()
    mean = generator.styles(torch.randn(1_000, style)).mean(0).detach()

    def play(steps: int) -> None:
        for step in range(steps):
            real = images[torch.randint(len(images), (batch,))]
            with torch.no_grad(), autocast(precision):
                made = made_pool.query(generator.styles(torch.randn(batch, style))[:, 0])
                found = (encoder(real) + mean).float()
                found = found_pool.query(found[torch.arange(batch), torch.randint(generator.layers, (batch,))])
            with autocast(precision):
                loss = F.softplus(-critic(made)).mean() + F.softplus(critic(found)).mean()
            step_d.zero_grad()
            loss.backward()
            step_d.step()
            if step % 16 == 0:
                point = made.float().requires_grad_()
                (slope,) = torch.autograd.grad(critic(point).sum(), point, create_graph=True)
                step_d.zero_grad()
                (5 * 16 * slope.square().sum(1).mean()).backward()
                step_d.step()
            with autocast(precision):
                codes = encoder(real) + mean
                drawn = generator(codes)
                distance, unlike = compare(judge, drawn, real)
                lengths = (codes[:, 1:] - codes[:, :1]).norm(dim=2).sum(1).mean()
                fool = F.softplus(-critic(codes.flatten(0, 1))).mean()
            loss = F.mse_loss(drawn, real) + 0.8 * distance + 0.5 * unlike + 2e-4 * lengths + 0.1 * fool
            step_e.zero_grad()
            loss.backward()
            step_e.step()

    return Program(play, batch, count(encoder, critic))
