"""WGAN-GP as its one-file implementations have it: several critic steps with the penalty, then one of G."""

import torch
from torch import Tensor, nn

from benchmarks.program import Program
from benchmarks.usual.strided import discriminator, generator
from benchmarks.usual.training import count, data


def loop(batch: int = 64, side: int = 32, latent: int = 64, width: int = 16, critic_moves: int = 5) -> Program:
    """The usual loop, in fp32."""
    images, net_g = data(side, 3), generator(latent, width, 3, side)
    critic = discriminator(width, 3, side, norm=False)
    step_g = torch.optim.Adam(net_g.parameters(), 5e-4, (0.0, 0.9))
    step_c = torch.optim.Adam(critic.parameters(), 5e-4, (0.0, 0.9))

    def play(steps: int) -> None:
        for _ in range(steps):
            for _ in range(critic_moves):
                real = images[torch.randint(len(images), (batch,))]
                fake = net_g(torch.randn(batch, latent, 1, 1)).detach()
                step_c.zero_grad()
                loss = critic(fake).mean() - critic(real).mean() + 10 * gradient_penalty(critic, real, fake)
                loss.backward()
                step_c.step()
            step_g.zero_grad()
            loss = -critic(net_g(torch.randn(batch, latent, 1, 1))).mean()
            loss.backward()
            step_g.step()

    return Program(play, critic_moves * batch, count(net_g, critic))


def gradient_penalty(critic: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """The mean of (|slope| - 1)^2 at random points between real and fake."""
    alpha = torch.rand(len(real), 1, 1, 1)
    points = (alpha * real + (1 - alpha) * fake).requires_grad_(True)
    scores = critic(points)
    slopes = torch.autograd.grad(scores, points, torch.ones_like(scores), create_graph=True, retain_graph=True)[0]
    return ((slopes.view(len(slopes), -1).norm(2, dim=1) - 1) ** 2).mean()
