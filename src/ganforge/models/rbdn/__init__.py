"""rbdn: image-to-image regression without a discriminator, with branches of growing receptive field.

Santhanam, Morariu, Davis, 2016: Generalized Deep Image to Image Regression.  https://arxiv.org/abs/1612.03268

    min_F  1/2N sum |F(source) - target|^2    (section 3)

A chain of convolutions at half the size does the regression.  Before it, branches see the image at ever lower
resolution: branch k halves the maps of branch k - 1, and its output is un-pooled, with every maximum at its original
position, and concatenated with the input of the branch.  The least squared error is the mean of all possible
targets, so where there are several the output is blurred: the reason for adversarial losses.

`paper`, also called `denoising`, is the authors' denoiser of grey photographs, of which windows are cut at their own
scale: `ganforge train rbdn --preset denoising --make noise --data photos`.  `relighting` is their second experiment,
`colouring` the third: `ganforge train rbdn --preset colouring --make grey --data photos` (colour.py).

Departures: 1. norms keep running statistics, the authors estimate theirs after training and fold them into scale and
shift; 2. images of other sizes are padded and cropped back, the authors use sliding windows; 3. `colouring`:
the 313 cells of the authors and the frequencies of colours are a file of Zhang et al., which is no part of the
publication: here the cells are the 261 that a colour of sRGB lies in, and the frequencies a running mean over the data.
The side of its windows is not published: 224, as for relighting.  The authors' network and weights run in
`official.rbdn.Colour`; 4. `small` scales pixels to 0 ... 1, not 255, and uses Adam; its norms learn at a tenth of the
rate, and only its weights decay.

Train it small: `ganforge train rbdn --data path/to/pairs`, then `ganforge translate RUN in/ out/`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from ganforge.batches import Facts, Paired
from ganforge.errors import ModelError
from ganforge.game import Clock, Game, Move
from ganforge.models.rbdn.colour import ColourNet, lightness
from ganforge.run import Preset, Run


@dataclass(frozen=True)
class Config:
    """Sections 3 and 4, and the authors' settings for denoising."""

    branches: int = 3
    """Depth of the nested branches: 3 for denoising and relighting, 4 for colour."""
    width: int = 64
    """Channels of every layer."""
    depth: int = 9
    """Convolutions of the regression chain."""
    white: float = 255.0
    """The network's pixel value of white; black is 0."""
    optimiser: Literal["sgd", "adam"] = "sgd"
    """SGD with momentum 0.9, or Adam."""
    lr: float = 1e-7
    """Learning rate of weights; that of biases is a tenth of it, and that of norms, too, without `authors_rates`."""
    last_lr: float = 0.1
    """Of the last layer, as a share of the others'."""
    weight_decay: float = 5e-4
    """Of weights; biases and norms have none without `authors_rates`."""
    authors_rates: bool = False
    """Norms learn at the full rate, and biases and norms decay like weights, as in the authors' definitions."""
    drop_every: int = 100_000
    """Steps after which the learning rate falls.  0: never."""
    drop: float = 0.1
    """Factor by which it falls."""
    beta2: float = 0.999
    """Adam's second momentum."""
    colours: bool = False
    """Predict the colour of the target from the lightness of the source, as a class."""


class Layer(nn.Sequential):
    """A convolution (transposed with `back`), a norm and an activation; keeps the size."""

    def __init__(self, a: int, b: int, kernel: int, back: bool = False) -> None:
        kind = nn.ConvTranspose2d if back else nn.Conv2d
        super().__init__(kind(a, b, kernel, 1, kernel // 2), nn.BatchNorm2d(b, eps=1e-9), nn.ReLU())
        self.apply(small_weights)


class Branch(nn.Module):
    """Maps (N, width, H, W) -> (N, 2 * width, H, W): the input, and its features from up to `deeper` halvings."""

    def __init__(self, width: int, deeper: int) -> None:
        super().__init__()
        self.near = Layer(width, width, 3)
        self.far = Branch(width, deeper - 1) if deeper > 1 else nn.Identity()
        self.merge = Layer(2 * width if deeper > 1 else width, width, 3)
        self.back = Layer(width, width, 3, back=True)

    def forward(self, maps: Tensor) -> Tensor:
        pooled, places = F.max_pool2d(self.near(maps), 2, return_indices=True)
        return torch.cat([maps, self.back(F.max_unpool2d(self.merge(self.far(pooled)), places, (2, 2)))], 1)


class Trunk(nn.Module):
    """source (N, C, H, W) -> maps (N, width, H / 2, W / 2), and the indices of the first pooling."""

    def __init__(self, channels: int, width: int, branches: int, depth: int) -> None:
        super().__init__()
        self.first, self.branch = Layer(channels, width, 9), Branch(width, branches)
        self.line = nn.Sequential(Layer(2 * width, width, 3), *(Layer(width, width, 3) for _ in range(depth - 1)))

    def forward(self, source: Tensor) -> tuple[Tensor, Tensor]:
        pooled, places = F.max_pool2d(self.first(source), 2, return_indices=True)
        return self.line(self.branch(pooled)), places


class RBDNet(nn.Module):
    """source (N, A, H, W) -> target (N, B, H, W), sides multiples of 2 ** (branches + 1) (figure 2)."""

    def __init__(self, source: int, target: int, width: int, branches: int, depth: int) -> None:
        super().__init__()
        self.trunk = Trunk(source, width, branches, depth)
        self.last = nn.ConvTranspose2d(width, target, 9, 1, 4)
        self.last.apply(small_weights)

    def forward(self, source: Tensor) -> Tensor:
        maps, places = self.trunk(source)
        return self.last(F.max_unpool2d(maps, places, (2, 2)))


class RBDN(Game[Config, Paired]):
    """A single network and a squared error."""

    def __init__(self, config: Config, facts: Facts) -> None:
        """Raises ModelError for sides that the branches cannot halve often enough."""
        super().__init__(config, facts)
        c, self.multiple = config, 2 ** (config.branches + 1)
        if facts.height % self.multiple or facts.width % self.multiple:
            raise ModelError(
                f"{c.branches} branches halve {c.branches + 1} times, and {facts.height} x {facts.width} cannot be "
                f"halved so often: make --size a multiple of {self.multiple}."
            )
        if c.colours and facts.channels != 3:
            raise ModelError(
                f"--config.colours predicts colours, and the targets have {facts.channels} channels, not 3."
            )
        source = facts.source_channels or facts.channels
        if c.colours:
            trunk, back = Trunk(1, c.width, c.branches, c.depth), Layer(c.width, c.width, 5, back=True)
            self.generator = ColourNet(trunk, back, c.width)
            self.generator.last.apply(small_weights)
        else:
            self.generator = RBDNet(source, facts.channels, c.width, c.branches, c.depth)

    def players(self) -> dict[str, Optimizer]:
        c, last = self.config, self.generator.last
        own = {id(p) for p in last.parameters()}
        norms = [layer for layer in self.generator.modules() if isinstance(layer, nn.BatchNorm2d)]
        apart = [p for norm in norms for p in norm.parameters()] if c.authors_rates else []
        plain = [p for p in self.generator.parameters() if id(p) not in own and not any(p is norm for norm in apart)]
        decay = c.weight_decay if c.authors_rates else 0.0  # of biases and norms
        groups = [
            {"params": [p for p in plain if p.ndim > 1], "lr": c.lr, "weight_decay": c.weight_decay},
            {"params": [p for p in plain if p.ndim == 1], "lr": c.lr / 10, "weight_decay": decay},
            {"params": [last.weight], "lr": c.lr * c.last_lr, "weight_decay": c.weight_decay},
            {"params": [last.bias], "lr": c.lr * c.last_lr, "weight_decay": decay},
            *([{"params": apart, "lr": c.lr, "weight_decay": decay}] if apart else []),
        ]
        return {"generator": SGD(groups, c.lr, 0.9) if c.optimiser == "sgd" else Adam(groups, c.lr, (0.9, c.beta2))}

    def tune(self, players: Mapping[str, Optimizer], now: Clock) -> None:
        drops = now.step // self.config.drop_every if self.config.drop_every else 0
        for group in players["generator"].param_groups:
            group["lr"] *= self.config.drop**drops

    def play(self, batches: Iterator[Paired], now: Clock) -> Iterator[Move]:
        pair = next(batches)
        if isinstance(self.generator, ColourNet):
            yield Move("generator", colour=self.generator.error(self.generator(lightness(pair.source)), pair.target))
            return
        output, target = self.generator(self.to_network_range(pair.source)), self.to_network_range(pair.target)
        yield Move("generator", error=(output - target).square().sum() / (2 * len(target)))

    def to_network_range(self, images: Tensor) -> Tensor:
        """Scale images from [-1, 1] to the network's range, 0 to `white`."""
        return (images + 1) * (self.config.white / 2)

    def translate(self, images: Tensor) -> Tensor:
        """Sources (N, A, H, W) of any size -> targets (N, B, H, W), both in [-1, 1]."""
        height, width = images.shape[2:]
        padding = (0, -width % self.multiple, 0, -height % self.multiple)
        images = F.pad(images, padding, mode="replicate")
        if isinstance(self.generator, ColourNet):
            return self.generator.draw(images)[..., :height, :width]
        output = self.generator(self.to_network_range(images))
        return (output[..., :height, :width] * (2 / self.config.white) - 1).clamp(-1, 1)


def small_weights(layer: nn.Module) -> None:
    """Gaussian weights of deviation 0.001, no bias, norms with weight 1 and bias 0.001."""
    if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(layer.weight, 0.0, 1e-3)
        nn.init.zeros_(layer.bias)  # pyright: ignore[reportArgumentType]
    elif isinstance(layer, nn.BatchNorm2d):
        nn.init.constant_(layer.bias, 1e-3)


DENOISING = Preset(  # ImageNet and COCO, windows of the unresized photographs (training/denoising)
    Config(authors_rates=True),
    Run(steps=500_000, batch=64, size=(128,), channels=1, native=True, crop=True, flip=True, save_every=5_000),
)
SMALL = Config(width=24, depth=4, white=1.0, optimiser="adam", lr=2e-3, last_lr=1.0, weight_decay=0.0, drop_every=0)
presets = {
    "tiny": Preset(
        Config(branches=2, width=4, depth=2, white=1.0, optimiser="adam", lr=1e-3),
        Run(steps=6, batch=4, size=(16,), log_every=2),
    ),
    "small": Preset(SMALL, Run(steps=1_500, batch=8, size=(64,), schedule="linear", precision="auto")),
    "paper": DENOISING,
    "denoising": DENOISING,
    "relighting": Preset(
        Config(authors_rates=True, drop_every=12_000),
        Run(steps=40_000, batch=64, accumulate=2, size=(224,), crop=True, flip=True, save_every=5_000),
    ),
    "colouring": Preset(
        Config(
            branches=4,
            optimiser="adam",
            lr=3.16e-3,
            beta2=0.99,
            weight_decay=1e-3,
            authors_rates=True,
            drop_every=45_000,
            drop=0.316,
            colours=True,
        ),
        Run(steps=184_000, batch=128, size=(224,), crop=True, flip=True, save_every=5_000),
    ),
}
