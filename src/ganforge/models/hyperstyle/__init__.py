"""hyperstyle: a network that changes the generator's weights until it draws a photograph, whose code stays editable.

Alaluf, Tov, Mokady, Gal, Bermano, 2022.  https://arxiv.org/abs/2111.15666

    w = E(x),  y_0 = G(w; theta),  D_t = D_{t-1} + H(x, y_{t-1}),  y_t = G(w; theta (1 + D_t)),  t = 1 ... 5  (eq. 2, 3)
    min_H  sum_t |x - y_t|^2 / n + 0.8 LPIPS + 0.1 (1 - cos)                                              (eq. 4)

Codes near the generator's own are edited well and show a photograph badly; tuning the generator to one photograph shows
it well, and takes a minute.  A hypernetwork H learns that tuning: it sees the photograph beside what is drawn so far
and says by which factor each weight changes.  A factor for each pair of channels, heads that share their last layers,
and no change of layers to images keep H small enough.  Five times what is drawn is compared again; each time its
gradient is kept, and Ranger takes one step for all.  The encoder, a run of e4e with `space: w`, and its generator rest.

`ganforge invert` and `ganforge edit` work on its runs as on any: an edit moves w, and the changes stay.

Departures: 1. images of other sides, averaged to at most `side`, and heads with as many halvings as their map allows;
2. without published weights, `--config.perception own --config.identity own` compares features of the generator's own
discriminator; 3. the body starts from random weights, the authors' from ResNet34 trained on ImageNet; 4. `small` is
narrow and starts Ranger at 1e-3.

Train it small: `ganforge train hyperstyle --config.encoder RUN --data photos`, of a run of e4e with `--config.space w`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from ganforge.batches import Facts, Images
from ganforge.capabilities import Codes, Range
from ganforge.errors import ModelError
from ganforge.game import Clock, Game, Hold, Move, Part
from ganforge.models.hyperstyle.hypernetwork import HyperNetwork, Shape
from ganforge.nn.likeness import Identity, Likeness, Perception
from ganforge.nn.limits import limit
from ganforge.nn.ranger import Ranger
from ganforge.nn.sizes import shrink
from ganforge.run import Preset, Run

Psi = Annotated[float, Range(-2, 2)]


@dataclass(frozen=True)
class Config:
    """Sections 3 and 4, and the authors' code."""

    encoder: Annotated[str, Part("e4e", needed=True, having=(("space", "w"),))] = ""
    """The run that finds the first code."""
    generator: Annotated[str, Part("stylegan2")] = ""
    """The run whose weights are changed; empty: the encoder's own.  Another of the same shape, trained on from it,
    draws the same photographs in another domain (section 4.3)."""
    iterations: Annotated[int, Range(1, 100)] = 5
    """How often what is drawn is compared with the photograph again."""
    layers: Annotated[tuple[int, ...], Range(0, 100)] = ()
    """Numbers of the layers whose weights change, in the order of the generator; empty: all but those to images."""
    widths: tuple[int, ...] = (64, 128, 256, 512)
    """Channels of the stages of H's body."""
    depths: tuple[int, ...] = (3, 4, 6, 3)
    """Their blocks: ResNet34."""
    vector: int = 512
    """Length of the vectors from which the shared layers make kernels."""
    separable: bool = False
    """Heads whose kernels are products of two factors, where they share no layers."""
    side: int = 256
    """Largest side of the images that are compared; larger ones are averaged."""
    mse_weight: float = 1.0
    """Of the squared difference of pixels."""
    perception: Perception = "lpips"
    """LPIPS on AlexNet, from `weights`, or the features of the generator's discriminator."""
    perceptual_weight: float = 0.8
    """Of the perceptual distance."""
    identity: Identity = "face"
    """Vectors of a face network, from `weights`, or the last features of the generator's discriminator."""
    identity_weight: float = 0.1
    """Of 1 - cosine; 0.5 for other images than faces."""
    weights: str = ""
    """Folder of alexnet-owt-7be5be79.pth, alex.pth and model_ir_se50.pth; empty: the working directory."""
    lr: float = 1e-4
    """Ranger's learning rate."""


@dataclass(frozen=True)
class ChangedCodes(Codes):
    """Codes with the changes of the weights that their images are drawn with."""

    changes: Tensor | None = None
    """(N, P): the numbers of all layers one after the other; None: the weights as they are."""


class HyperStyle(Game[Config, Images]):
    """A hypernetwork in front of a generator that rests."""

    averaged = ("hypernetwork",)
    fixed_size = True

    def __init__(
        self,
        config: Config,
        facts: Facts,
        encoder: Game[Any, Any] | None = None,
        generator: Game[Any, Any] | None = None,
    ) -> None:
        """Raises ModelError without an encoder that gives one code for all layers, for layers that the generator has
        not, and for a generator whose discriminator needs labels where `identity` is `own`."""
        super().__init__(config, facts)
        if encoder is None:
            raise ModelError("hyperstyle needs a run of e4e with space w: name it with --config.encoder.")
        self.encoder, c = encoder, config
        self.generator: Any = encoder.generator if generator is None else generator
        shapes = list_shapes(self.generator.generator.synthesis)
        chosen = c.layers or [number for number, shape in enumerate(shapes) if shape and shape[2] > 1]
        if missing := [number for number in chosen if not 0 <= number < len(shapes) or shapes[number] is None]:
            raise ModelError(
                f"This generator has no layer {missing[0]}: --config.layers are numbers from 0 to {len(shapes) - 1}."
            )
        self.layers: dict[int, Shape] = {number: shape for number in chosen if (shape := shapes[number])}
        self.places = len(shapes)
        self.hypernetwork = HyperNetwork(
            2 * facts.channels, min(c.side, max(facts.height, facts.width)), self.layers, c.widths, c.depths, c.vector,
            separable=c.separable,
        )  # fmt: skip
        self.likeness = Likeness(c.perception, c.identity, c.weights)
        self.likeness.check(self.generator)

    def players(self) -> dict[str, Optimizer]:
        return {"hypernetwork": Ranger(self.hypernetwork.parameters(), self.config.lr)}

    def play(self, batches: Iterator[Images], now: Clock) -> Iterator[Move]:
        c, images = self.config, next(batches).images
        real = shrink(images, c.side)
        sides, weights = (self.facts.height, self.facts.width), (c.perceptual_weight, c.identity_weight)
        with torch.no_grad():
            w = self.encoder.invert(images).w  # pyright: ignore
            made = self.draw_images(w)
        changes: dict[int, Tensor] = {}
        for number in range(c.iterations):
            changes = self.add(changes, self.predict(real, made))
            made = self.draw_images(w, changes)
            seen = shrink(made, c.side)
            terms = {"mse": c.mse_weight * (seen - real).square().mean()}
            terms |= self.likeness.terms(self.generator, seen, real, sides, weights)
            yield (Move if number == c.iterations - 1 else Hold)("hypernetwork", **terms)
            made, changes = made.detach(), {layer: change.detach() for layer, change in changes.items()}

    def predict(self, real: Tensor, made: Tensor) -> dict[int, Tensor]:
        """The change of each layer, from the photographs and what is drawn so far."""
        seen = self.hypernetwork(torch.cat([real, shrink(made, self.config.side)], 1))
        return dict(zip(self.layers, seen, strict=True))

    def add(self, changes: dict[int, Tensor], more: dict[int, Tensor]) -> dict[int, Tensor]:
        """The sums of two sets of changes, of which the first may be empty."""
        return {layer: changes[layer] + change if changes else change for layer, change in more.items()}

    def draw_images(self, w: Tensor, changes: dict[int, Tensor] | None = None) -> Tensor:
        """Images of codes (N, L, style) with changed weights, not limited to [-1, 1]."""
        each = [None if changes is None else changes.get(number) for number in range(self.places)]
        return self.generator.generator.synthesis(w, None, each)

    def noise(self, n: int) -> Tensor:
        """Latents (n, latent) of the generator."""
        self.generator.draw = self.draw
        return self.generator.noise(n)

    def code(self, noise: Tensor, truncation: Psi = 1.0) -> ChangedCodes:
        """The generator's codes of latents; `truncation` 0 is the mean code."""
        self.generator.draw = self.draw
        return ChangedCodes(self.generator.code(noise, truncation).w)

    def decode(self, codes: Codes) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] of codes, with the changes that they have."""
        flat = codes.changes if isinstance(codes, ChangedCodes) else None
        if flat is None:
            return self.generator.decode(codes)
        return limit(self.draw_images(codes.w, self.unpack(flat)))

    def unpack(self, flat: Tensor) -> dict[int, Tensor]:
        """The changes of each layer in (N, P)."""
        shapes = {layer: (out, into, *self.kernel(layer)) for layer, (out, into, _) in self.layers.items()}
        sizes = [out * into * k * k for out, into, k, _ in shapes.values()]
        parts = flat.split(sizes, 1)
        return {layer: part.unflatten(1, shape) for (layer, shape), part in zip(shapes.items(), parts, strict=True)}

    def kernel(self, layer: int) -> tuple[int, int]:
        """The sides of a layer's change: of its kernel, or 1 where all places change alike."""
        shape, first = self.layers[layer], next(iter(self.layers.values()))
        alike = shape != first and not self.config.separable
        return (1, 1) if alike else (shape[2], shape[2])

    def invert(self, images: Tensor) -> ChangedCodes:
        """The codes of images (N, C, H, W) in [-1, 1], and the changes after all iterations."""
        real, w = shrink(images, self.config.side), self.encoder.invert(images).w  # pyright: ignore
        made, changes = self.draw_images(w), dict[int, Tensor]()
        for _ in range(self.config.iterations):
            changes = self.add(changes, self.predict(real, made))
            made = self.draw_images(w, changes)
        return ChangedCodes(w, torch.cat([change.flatten(1) for change in changes.values()], 1))

    def style_weights(self) -> Tensor:
        """The weights (outputs of all layers, style) of the generator that read a code."""
        return self.generator.style_weights()  # pyright: ignore

    def translate(self, images: Tensor) -> Tensor:
        """What the changed generator draws of images (N, C, H, W) of the facts' size."""
        return self.decode(self.invert(images))


def list_shapes(synthesis: Any) -> list[Shape | None]:
    """The shapes of the generator's layers: a convolution, its image, then two convolutions and an image a block."""
    images = [*synthesis.to_images]
    images = images if len(images) > 1 else [None] * len(synthesis.blocks) + images  # the last block's image alone
    layers: Sequence[Any] = [synthesis.first.conv, images[0] and images[0].conv]
    for block, image in zip(synthesis.blocks, images[1:], strict=True):
        layers = [*layers, block.up.conv, block.conv.conv, image and image.conv]
    return [layer and (*layer.weight.shape[:2], layer.weight.shape[2]) for layer in layers]


OWN = Config(perception="own", identity="own")
presets = {
    "tiny": Preset(
        replace(OWN, iterations=2, widths=(4, 8, 8, 8), depths=(1, 1, 1, 1), vector=8, lr=1e-3),
        Run(steps=6, batch=8, size=(16,), log_every=2),
    ),
    "small": Preset(
        replace(OWN, widths=(32, 64, 128, 128), depths=(1, 1, 2, 1), vector=64, lr=1e-3),
        Run(steps=2_000, batch=16, size=(64,), flip=True, sample_every=500),
    ),
    "paper": Preset(Config(), Run(batch=8, size=(1024,), flip=True, steps=500_000, save_every=5_000)),
}
