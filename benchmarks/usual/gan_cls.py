"""GAN-INT-CLS as its authors' program runs: stored embeddings, plain DCGAN bodies or those with residual blocks.

D sees real images with right and with wrong sentences and a fake, G a batch and half a batch of interpolated sentences;
the network that recovers the noise learns in every step.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.program import Program
from benchmarks.usual.training import autocast, count, data


class Residual(nn.Module):
    """Three convolutions of a quarter of the channels."""

    def __init__(self, channels: int, activation: nn.Module) -> None:
        super().__init__()
        inner, layers = channels // 4, list[nn.Module]()
        for a, b, kernel in ((channels, inner, 1), (inner, inner, 3), (inner, channels, 3)):
            layers += [nn.Conv2d(a, b, kernel, 1, kernel // 2, bias=False), nn.BatchNorm2d(b), activation]
        self.body = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class Generator(nn.Module):
    """Noise and a projected sentence, then four transposed convolutions to 64 x 64, one fewer to 32 x 32."""

    def __init__(self, text: int, projected: int, latent: int, width: int, side: int) -> None:
        super().__init__()
        self.project = nn.Sequential(nn.Linear(text, projected), nn.LeakyReLU(0.2))
        widths = [width * times for times in (8, 4, 2, 1)][-(side.bit_length() - 3) :]
        layers: list[nn.Module] = [nn.ConvTranspose2d(latent + projected, widths[0], 4, bias=False)]
        for number, (a, b) in enumerate(zip(widths, [*widths[1:], 3], strict=True)):
            block = [Residual(a, nn.ReLU())] if number < 2 else []
            layers += [nn.BatchNorm2d(a), *block, nn.ReLU(), nn.ConvTranspose2d(a, b, 4, 2, 1, bias=False)]
        self.body = nn.Sequential(*layers, nn.Tanh())

    def forward(self, noise: Tensor, text: Tensor) -> Tensor:
        return self.body(torch.cat([noise, self.project(text)], 1)[:, :, None, None])


def halve(width: int, side: int, last: bool) -> list[nn.Module]:
    """Strided convolutions down to 4 x 4, without the activation behind the last where that is asked."""
    layers: list[nn.Module] = [nn.Conv2d(3, width, 4, 2, 1, bias=False), nn.LeakyReLU(0.2)]
    for i in range(side.bit_length() - 4):
        a = width * 2**i
        layers += [nn.Conv2d(a, 2 * a, 4, 2, 1, bias=False), nn.BatchNorm2d(2 * a), nn.LeakyReLU(0.2)]
    return layers if last else layers[:-1]


class Discriminator(nn.Module):
    """Features of the image, then the sentence at every place."""

    def __init__(self, text: int, projected: int, width: int, side: int) -> None:
        super().__init__()
        deep, leaky = width * side // 8, nn.LeakyReLU(0.2)
        self.features = nn.Sequential(*halve(width, side, False), Residual(deep, leaky), leaky)
        self.project = nn.Sequential(nn.Linear(text, projected), leaky)
        self.judge = nn.Sequential(
            *(nn.Conv2d(deep + projected, deep, 1, bias=False), nn.BatchNorm2d(deep), leaky),
            *(nn.Conv2d(deep, 1, 4, bias=False), nn.Sigmoid(), nn.Flatten(0)),
        )

    def forward(self, images: Tensor, text: Tensor) -> Tensor:
        tiled = self.project(text)[:, :, None, None].repeat(1, 1, 4, 4)
        return self.judge(torch.cat([self.features(images), tiled], 1))


def loop(
    batch: int = 32,
    precision: str = "fp32",
    side: int = 64,
    width: int = 32,
    latent: int = 100,
    projected: int = 128,
    text: int = 8,
) -> Program:
    """D, G and the network of the noise, a step each."""
    images = data(side, 3, 4_000 * 64**2 // max(64, side) ** 2)
    embeddings = torch.randn(len(images), text)
    net_g, net_d = Generator(text, projected, latent, width, side), Discriminator(text, projected, width, side)
    net_s = nn.Sequential(*halve(width, side, True), nn.Conv2d(width * side // 8, latent, 4), nn.Flatten())
    step_g, step_d, step_s = (torch.optim.Adam(net.parameters(), 2e-4, (0.5, 0.999)) for net in (net_g, net_d, net_s))
    half = batch // 2

    def judge(answers: Tensor, real: float) -> Tensor:
        return F.binary_cross_entropy(answers.float(), torch.full_like(answers, real, dtype=torch.float32))

    def play(steps: int) -> None:
        for _ in range(steps):
            rows = torch.randint(len(images), (batch,))
            real, right, wrong = images[rows], embeddings[rows], embeddings[torch.randint(len(images), (batch,))]
            asked = torch.cat([right, (right[:half] + right[half : 2 * half]) / 2])
            noise = torch.randn(len(asked), latent)

            step_d.zero_grad()
            with autocast(precision):
                fake = net_g(noise, asked)
                on_real, on_wrong = net_d(real, right), net_d(real, wrong)
                on_fake = net_d(fake[:batch].detach(), right)
            loss = judge(on_real, 1.0) + 0.5 * judge(on_wrong, 0.0) + 0.5 * judge(on_fake, 0.0)
            loss.backward()
            step_d.step()

            step_g.zero_grad()
            with autocast(precision):
                on_fake = net_d(fake, asked)
            judge(on_fake, 1.0).backward()
            step_g.step()

            step_s.zero_grad()
            with autocast(precision):
                error = F.mse_loss(net_s(fake.detach()), noise)
            error.backward()
            step_s.step()

    return Program(play, batch, count(net_g, net_d, net_s))
