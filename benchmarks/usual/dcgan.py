"""DCGAN in the form of PyTorch's examples: probabilities, BCE, D on real, D on fake, then G through D."""

import torch
from torch import nn

from benchmarks.program import Program
from benchmarks.usual.strided import discriminator, generator
from benchmarks.usual.training import autocast, count, data


def loop(batch: int = 16, precision: str = "fp32", side: int = 64, latent: int = 100, width: int = 64) -> Program:
    """The usual three passes."""
    images, net_g = data(side, 3), generator(latent, width, 3, side)
    net_d = nn.Sequential(discriminator(width, 3, side), nn.Flatten(0))
    step_g = torch.optim.Adam(net_g.parameters(), 2e-4, (0.5, 0.999))
    step_d = torch.optim.Adam(net_d.parameters(), 2e-4, (0.5, 0.999))
    criterion = nn.BCELoss() if precision == "fp32" else nn.BCEWithLogitsLoss()  # autocast refuses BCELoss
    if precision == "fp32":
        net_d.append(nn.Sigmoid())

    def play(steps: int) -> None:
        for _ in range(steps):
            net_d.zero_grad()
            real = images[torch.randint(len(images), (batch,))]
            label = torch.full((batch,), 1.0)
            with autocast(precision):
                loss = criterion(net_d(real), label)
            loss.backward()
            with autocast(precision):
                fake = net_g(torch.randn(batch, latent, 1, 1))
                loss = criterion(net_d(fake.detach()), label.fill_(0.0))
            loss.backward()
            step_d.step()

            net_g.zero_grad()
            with autocast(precision):
                loss = criterion(net_d(fake), label.fill_(1.0))
            loss.backward()
            step_g.step()

    return Program(play, batch, count(net_g, net_d))
