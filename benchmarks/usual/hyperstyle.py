"""HyperStyle as its authors' loop computes it: each pass is differentiated for itself, and so are the generator's
weights.

The hypernetwork's layers are GANForge's, which are the authors' own; the generator and the discriminator that compares
images have the reference form of stylegan2.py.
"""

import torch
import torch.nn.functional as F

from benchmarks.program import Program
from benchmarks.usual.e4e import compare
from benchmarks.usual.stylegan2 import Discriminator, Generator, widths_of
from benchmarks.usual.training import autocast, count, data
from ganforge.models.e4e.encoder import WEncoder
from ganforge.models.hyperstyle.hypernetwork import HyperNetwork
from ganforge.nn.ranger import Ranger


def loop(
    batch: int = 16, side: int = 64, style: int = 64, capacity: int = 1_024, most: int = 64, precision: str = "fp32"
) -> Program:
    """The usual loop."""
    widths, images = widths_of(side, capacity, most), data(side, 3)
    generator, judge = Generator(widths, style), Discriminator(widths)
    encoder = WEncoder(3, (4, 8, 8, 8), (1, 1, 1, 1), style, generator.layers).eval()
    pairs = zip([widths[0], *widths], widths, strict=False)
    shapes = [(b, into, 3) for k, (a, b) in enumerate(pairs) for into in ((b,) if k == 0 else (a, b))]
    network = HyperNetwork(6, side, dict(enumerate(shapes)), (32, 64, 128, 128), (1, 1, 2, 1), 64)
    optimiser = Ranger(network.parameters(), 1e-3)

    def play(steps: int) -> None:
        for _ in range(steps):
            real = images[torch.randint(len(images), (batch,))]
            with torch.no_grad(), autocast(precision):
                codes = encoder(real)
                drawn, changes = generator(codes), None
            optimiser.zero_grad()
            for _ in range(5):
                with autocast(precision):
                    more = network(torch.cat([real, drawn], 1))
                    more = [change.expand(-1, -1, -1, 3, 3) for change in more]
                    changes = more if changes is None else [a + b for a, b in zip(changes, more, strict=True)]
                    drawn = generator(codes, changes)
                    distance, unlike = compare(judge, drawn, real)
                loss = F.mse_loss(drawn, real) + 0.8 * distance + 0.1 * unlike
                loss.backward()
                drawn, changes = drawn.detach(), [change.detach() for change in changes]
            optimiser.step()

    return Program(play, batch, count(network))
