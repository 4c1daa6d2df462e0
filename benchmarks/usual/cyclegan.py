"""CycleGAN as repositories have it: six passes through generators, four through discriminators, a pool in a list."""

import itertools
import random

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.program import Program
from benchmarks.usual.pix2pix import discriminator, movable
from benchmarks.usual.training import autocast, count, data


class Block(nn.Module):
    """x + F(x)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        half = [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width)]
        other = [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width)]
        self.block = nn.Sequential(*half, nn.ReLU(True), *other)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.block(x)


def generator(width: int, blocks: int) -> nn.Sequential:
    """images (N, 3, H, W) -> images (N, 3, H, W)."""
    layers = [nn.ReflectionPad2d(3), nn.Conv2d(3, width, 7), nn.InstanceNorm2d(width), nn.ReLU(True)]
    for a in (width, 2 * width):
        layers += [nn.Conv2d(a, 2 * a, 3, 2, 1), nn.InstanceNorm2d(2 * a), nn.ReLU(True)]
    layers += [Block(4 * width) for _ in range(blocks)]
    for a in (4 * width, 2 * width):
        layers += [nn.ConvTranspose2d(a, a // 2, 3, 2, 1, 1), nn.InstanceNorm2d(a // 2), nn.ReLU(True)]
    return nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh())


class Pool:
    """Fifty past images."""

    def __init__(self) -> None:
        self.images: list[Tensor] = []

    def query(self, images: Tensor) -> Tensor:
        answers = []
        for image in images.detach().split(1):
            if len(self.images) < 50:
                self.images.append(image)
            elif random.random() > 0.5:
                place = random.randrange(50)
                image, self.images[place] = self.images[place].clone(), image
            answers.append(image)
        return torch.cat(answers)


def loop(batch: int = 1, precision: str = "fp32", side: int = 128, width: int = 64, blocks: int = 9) -> Program:
    """Both generators by six terms, then both discriminators, one after the other."""
    images = data(side, 3, 200)
    to_b, to_a = generator(width, blocks), generator(width, blocks)
    is_a, is_b = (discriminator(width, 3, nn.InstanceNorm2d) for _ in range(2))
    both = itertools.chain(to_a.parameters(), to_b.parameters())
    step_g = torch.optim.Adam(both, 2e-4, (0.5, 0.999))
    step_d = torch.optim.Adam(itertools.chain(is_a.parameters(), is_b.parameters()), 2e-4, (0.5, 0.999))
    past_a, past_b = Pool(), Pool()

    def verdict(judge: nn.Module, pictures: Tensor, real: bool) -> Tensor:
        scores = judge(pictures)
        return F.mse_loss(scores, torch.full_like(scores, float(real)))

    def play(steps: int) -> None:
        for _ in range(steps):
            a, b = images[torch.randint(len(images), (2, batch))]
            with autocast(precision):
                fake_b, fake_a = to_b(a), to_a(b)
                home_a, home_b = to_a(fake_b), to_b(fake_a)
            movable(is_a, False)
            movable(is_b, False)
            step_g.zero_grad()
            with autocast(precision):
                loss = 5 * F.l1_loss(to_b(b), b) + 5 * F.l1_loss(to_a(a), a)
                loss = loss + verdict(is_b, fake_b, True) + verdict(is_a, fake_a, True)
                loss = loss + 10 * F.l1_loss(home_a, a) + 10 * F.l1_loss(home_b, b)
            loss.backward()
            step_g.step()

            movable(is_a, True)
            movable(is_b, True)
            step_d.zero_grad()
            for judge, real, fake in ((is_b, b, past_b.query(fake_b)), (is_a, a, past_a.query(fake_a))):
                with autocast(precision):
                    loss = (verdict(judge, real, True) + verdict(judge, fake, False)) * 0.5
                loss.backward()
            step_d.step()

    return Program(play, batch, count(to_a, to_b, is_a, is_b))
