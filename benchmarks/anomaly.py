"""Scores of images by AnoGAN: the descent of all images of a batch together, or one image after the other."""

import torch

from benchmarks.program import Program, pictures
from ganforge.batches import Facts
from ganforge.data.loader import to_images
from ganforge.inference.scoring import judge
from ganforge.models.anogan import AnoGAN, Config
from ganforge.models.dcgan import DCGAN
from ganforge.models.dcgan import Config as PartConfig


def ours(batch: int = 16, side: int = 32, width: int = 16, descent: int = 20) -> Program:
    """`descent` steps on the codes of all images at once."""
    game = build(side, width, descent)
    images = to_images(pictures(side, 3, batch))

    def play(steps: int) -> None:
        for _ in range(steps):
            judge(game, images, torch.device("cpu"), batch=batch)

    return Program(play, batch, count(game))


def usual(batch: int = 16, side: int = 32, width: int = 16, descent: int = 20) -> Program:
    """The usual loop: an optimiser for each image, gradients for every weight of both networks."""
    game = build(side, width, descent).requires_grad_(True)
    generator, judging = game.generator.generator, game.generator.discriminator  # pyright: ignore
    body = torch.nn.Sequential(*[*judging.children()][:-2])  # pyright: ignore
    images = to_images(pictures(side, 3, batch))

    def play(steps: int) -> None:
        for _ in range(steps):
            for image in images.split(1):
                z = torch.randn(1, game.generator.config.latent, requires_grad=True)
                optimiser = torch.optim.Adam([z], 0.05)
                for _ in range(descent + 1):  # the last one is the score
                    drawn = generator(z)
                    residual = (image - drawn).abs().sum()
                    loss = 0.9 * residual + 0.1 * (body(image) - body(drawn)).abs().sum()
                    optimiser.zero_grad()
                    loss.backward()
                    optimiser.step()

    return Program(play, batch, count(game))


def build(side: int, width: int, descent: int) -> AnoGAN:
    """AnoGAN on an untrained DCGAN."""
    torch.manual_seed(0)
    facts = Facts(3, side, side)
    part = DCGAN(PartConfig(width=width), facts).eval().requires_grad_(False)
    return AnoGAN(Config(steps=descent), facts, generator=part).eval()


def count(game: AnoGAN) -> int:
    """Numbers in both networks."""
    return sum(p.numel() for p in game.parameters())
