"""A conditional DCGAN as its one-file implementations have it: the class joins z, and becomes a plane for D."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.program import Program
from benchmarks.usual.strided import discriminator, generator
from benchmarks.usual.training import autocast, count, data


class Judge(nn.Module):
    """images (N, 3, side, side), one-hot (N, classes) -> logits (N,)."""

    def __init__(self, width: int, side: int, classes: int) -> None:
        super().__init__()
        self.side = side
        self.plane = nn.Linear(classes, side * side)
        self.main = discriminator(width, 4, side)

    def forward(self, images: Tensor, onehot: Tensor) -> Tensor:
        plane = self.plane(onehot).view(-1, 1, self.side, self.side)
        return self.main(torch.cat([images, plane], 1)).view(-1)


def loop(
    batch: int = 64, precision: str = "fp32", side: int = 32, latent: int = 64, width: int = 32, classes: int = 10
) -> Program:
    """The usual three passes, with labels."""
    images, net_g, net_d = data(side, 3), generator(latent + classes, width, 3, side), Judge(width, side, classes)
    labels = torch.arange(len(images)) % classes
    step_g = torch.optim.Adam(net_g.parameters(), 2e-4, (0.5, 0.999))
    step_d = torch.optim.Adam(net_d.parameters(), 2e-4, (0.5, 0.999))
    criterion = nn.BCEWithLogitsLoss()
    ones, zeros = torch.ones(batch), torch.zeros(batch)

    def play(steps: int) -> None:
        for _ in range(steps):
            rows = torch.randint(len(images), (batch,))
            real, y = images[rows], F.one_hot(labels[rows], classes).float()
            step_d.zero_grad()
            with autocast(precision):
                loss = criterion(net_d(real, y), ones)
            loss.backward()
            with autocast(precision):
                fake = net_g(torch.cat([torch.randn(batch, latent), y], 1)[:, :, None, None])
                loss = criterion(net_d(fake.detach(), y), zeros)
            loss.backward()
            step_d.step()

            step_g.zero_grad()
            with autocast(precision):
                loss = criterion(net_d(fake, y), ones)
            loss.backward()
            step_g.step()

    return Program(play, batch, count(net_g, net_d))
