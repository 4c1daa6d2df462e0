"""Stage I of StackGAN as its authors' program runs: stored embeddings, nearest up-sampling, features of D once."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.program import Program
from benchmarks.usual.training import autocast, count, data


class Condition(nn.Module):
    """Mean and log variance of a sentence, and a draw."""

    def __init__(self, text: int, length: int) -> None:
        super().__init__()
        self.length, self.fc = length, nn.Linear(text, 2 * length)

    def forward(self, text: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        both = F.relu(self.fc(text))
        mean, log_variance = both[:, : self.length], both[:, self.length :]
        return mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean), mean, log_variance


class Generator(nn.Module):
    """64 x 64 from 4 x 4."""

    def __init__(self, text: int, length: int, latent: int, width: int) -> None:
        super().__init__()
        deep = 8 * width
        self.condition = Condition(text, length)
        self.fc = nn.Sequential(nn.Linear(latent + length, 16 * deep, bias=False), nn.BatchNorm1d(16 * deep), nn.ReLU())
        layers: list[nn.Module] = []
        for i in range(4):
            a, b = deep // 2**i, deep // 2 ** (i + 1)
            layers += [nn.Upsample(scale_factor=2), nn.Conv2d(a, b, 3, 1, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
        self.up = nn.Sequential(*layers, nn.Conv2d(deep // 16, 3, 3, 1, 1, bias=False), nn.Tanh())
        self.deep = deep

    def forward(self, text: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        condition, mean, log_variance = self.condition(text)
        return self.up(self.fc(torch.cat([noise, condition], 1)).view(-1, self.deep, 4, 4)), mean, log_variance


class Discriminator(nn.Module):
    """Features, and the answer to features with a condition."""

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, width, 4, 2, 1, bias=False), nn.LeakyReLU(0.2)]
        for i in range(3):
            a = width * 2**i
            layers += [nn.Conv2d(a, 2 * a, 4, 2, 1, bias=False), nn.BatchNorm2d(2 * a), nn.LeakyReLU(0.2)]
        self.features, deep = nn.Sequential(*layers), 8 * width
        self.answer = nn.Sequential(
            *(nn.Conv2d(deep + length, deep, 3, 1, 1, bias=False), nn.BatchNorm2d(deep), nn.LeakyReLU(0.2)),
            *(nn.Conv2d(deep, 1, 4), nn.Sigmoid(), nn.Flatten(0)),
        )

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        return self.answer(torch.cat([features, condition[:, :, None, None].repeat(1, 1, 4, 4)], 1))


def loop(
    batch: int = 16,
    precision: str = "fp32",
    width: int = 64,
    judge_width: int = 32,
    latent: int = 100,
    condition: int = 128,
    text: int = 8,
) -> Program:
    """D, then G with the same fake."""
    images = data(64, 3)
    embeddings = torch.randn(len(images), text)
    net_g, net_d = Generator(text, condition, latent, width), Discriminator(condition, judge_width)
    step_g, step_d = (torch.optim.Adam(net.parameters(), 2e-4, (0.5, 0.999)) for net in (net_g, net_d))

    def judge(answers: Tensor, real: float) -> Tensor:
        return F.binary_cross_entropy(answers.float(), torch.full_like(answers, real, dtype=torch.float32))

    def play(steps: int) -> None:
        for _ in range(steps):
            rows = torch.randint(len(images), (batch,))
            step_d.zero_grad()
            with autocast(precision):
                fake, mean, log_variance = net_g(embeddings[rows], torch.randn(batch, latent))
                told = mean.detach()
                real_features, fake_features = net_d.features(images[rows]), net_d.features(fake.detach())
                on_real, on_wrong = net_d(real_features, told), net_d(real_features[:-1], told[1:])
                on_fake = net_d(fake_features, told)
            (judge(on_real, 1.0) + 0.5 * (judge(on_wrong, 0.0) + judge(on_fake, 0.0))).backward()
            step_d.step()

            step_g.zero_grad()
            with autocast(precision):
                on_fake = net_d(net_d.features(fake), told)
            divergence = -0.5 * torch.mean(1 + log_variance - mean.pow(2) - log_variance.exp())
            (judge(on_fake, 1.0) + 2.0 * divergence).backward()
            step_g.step()

    return Program(play, batch, count(net_g, net_d))
