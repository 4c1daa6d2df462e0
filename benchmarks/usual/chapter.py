"""The chapter's networks in a plain PyTorch loop."""

import torch
from torch import nn

from benchmarks.program import Program
from benchmarks.usual.training import autocast, count, data


def generator(latent: int = 100) -> nn.Module:
    """z (N, latent) -> images (N, 1, 28, 28)."""
    return nn.Sequential(
        nn.Linear(latent, 128 * 7 * 7),
        nn.ReLU(),
        nn.Unflatten(1, (128, 7, 7)),
        nn.Upsample(scale_factor=2),
        nn.Conv2d(128, 128, 3, padding=1),
        nn.BatchNorm2d(128, 1e-3, 0.2),
        nn.ReLU(),
        nn.Upsample(scale_factor=2),
        nn.Conv2d(128, 64, 3, padding=1),
        nn.BatchNorm2d(64, 1e-3, 0.2),
        nn.ReLU(),
        nn.Conv2d(64, 1, 3, padding=1),
        nn.Tanh(),
    )


def discriminator() -> nn.Module:
    """images (N, 1, 28, 28) -> logits (N, 1)."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Dropout(0.25),
        nn.Conv2d(32, 64, 3, 2, 1),
        nn.ZeroPad2d((0, 1, 0, 1)),
        nn.BatchNorm2d(64, 1e-3, 0.2),
        nn.LeakyReLU(0.2),
        nn.Dropout(0.25),
        nn.Conv2d(64, 128, 3, 2, 1),
        nn.BatchNorm2d(128, 1e-3, 0.2),
        nn.LeakyReLU(0.2),
        nn.Dropout(0.25),
        nn.Conv2d(128, 256, 3, 1, 1),
        nn.BatchNorm2d(256, 1e-3, 0.2),
        nn.LeakyReLU(0.2),
        nn.Dropout(0.25),
        nn.Flatten(),
        nn.Linear(256 * 4 * 4, 1),
    )


def loop(batch: int = 32, precision: str = "fp32", latent: int = 100) -> Program:
    """Two backward passes and a step for D, one backward pass through both networks and a step for G."""
    images, net_g, net_d = data(28, 1), generator(latent), discriminator()
    step_g = torch.optim.Adam(net_g.parameters(), 2e-4, (0.5, 0.999))
    step_d = torch.optim.Adam(net_d.parameters(), 2e-4, (0.5, 0.999))
    criterion = nn.BCEWithLogitsLoss()
    ones, zeros = torch.ones(batch, 1), torch.zeros(batch, 1)

    def play(steps: int) -> None:
        for _ in range(steps):
            real = images[torch.randint(len(images), (batch,))]
            step_d.zero_grad()
            with autocast(precision):
                loss = criterion(net_d(real), ones)
            loss.backward()
            with autocast(precision):
                fake = net_g(torch.randn(batch, latent))
                loss = criterion(net_d(fake.detach()), zeros)
            loss.backward()
            step_d.step()

            step_g.zero_grad()
            with autocast(precision):
                loss = criterion(net_d(fake), ones)
            loss.backward()
            step_g.step()

    return Program(play, batch, count(net_g, net_d))
