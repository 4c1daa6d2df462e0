"""The U-Net of pix2pix, and the encoder-decoder that it becomes without its skips (Isola et al. 2017, section 3.2).

image -> down -> down -> ... -> down        every down halves the sides, every up doubles them;
           |       |              |         a skip connects each down with the up of the same size
image <-  up  <-  up  <- ... <-  up
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.errors import ModelError
from ganforge.nn.conditions import tile
from ganforge.nn.cpu.convolutions import DoublingConv2d, Dropout, HalvingConv2d, LiveDropout
from ganforge.nn.diffaug import Chance
from ganforge.nn.init import initial_weights
from ganforge.nn.norms import Norm, make_norm, needs_bias


class Down(nn.Module):
    """(N, in, H, W) -> (N, out, H/2, W/2), before its activation."""

    def __init__(self, inputs: int, outputs: int, norm: Norm, bias: bool, live: bool) -> None:
        super().__init__()
        self.conv = HalvingConv2d(inputs, outputs, bias)
        self.norm = make_norm(norm, outputs, live)

    def forward(self, input: Tensor) -> Tensor:
        return self.norm(self.conv(input))


class Up(nn.Module):
    """(N, in, H, W), already activated -> (N, out, 2H, 2W)."""

    def __init__(self, inputs: int, outputs: int, norm: Norm, bias: bool, live: bool, dropout: float) -> None:
        super().__init__()
        self.conv = DoublingConv2d(inputs, outputs, bias)
        self.norm = make_norm(norm, outputs, live)
        self.drop = LiveDropout(dropout)

    def forward(self, input: Tensor, chance: Chance | None) -> Tensor:
        return self.drop(self.norm(self.conv(input)), chance)


class UNet(nn.Module):
    """source (N, inputs, H, W) -> images (N, outputs, H, W) in [-1, 1]; both sides multiples of 2 ** depth.

    Widths double from `width` to eight times that.  The innermost `down` has no norm, since a single
    pixel would become 0.  The `dropouts` `up`s next to the innermost one drop half of their features: the paper's
    only noise.  With `live` every image is normalised by its own statistics also in evaluation mode, and features
    are dropped there when `chance` is given.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        width: int = 64,
        depth: int = 8,
        norm: Norm = "batch",
        dropouts: int = 3,
        skips: bool = True,
        live: bool = True,
    ) -> None:
        super().__init__()
        self.skips = skips
        widths = [width * min(2**i, 8) for i in range(depth)]
        bias, last = needs_bias(norm), depth - 1
        self.downs, self.ups = nn.ModuleList(), nn.ModuleList()  # both from the outermost to the innermost
        for i, (a, b) in enumerate(zip([inputs, *widths], widths, strict=False)):
            self.downs.append(Down(a, b, norm if 0 < i < last else "none", bias, live))
            doubled = 2 * b if skips and i < last else b
            drop = 0.5 if last - dropouts <= i < last else 0.0
            self.ups.append(Up(doubled, a if i else outputs, norm if i else "none", bias or not i, live, drop))
        self.apply(initial_weights())

    def forward(self, input: Tensor, chance: Chance | None = None) -> Tensor:
        kept = [self.downs[0](input)]
        for down in list(self.downs)[1:]:
            kept.append(down(F.leaky_relu(kept[-1], 0.2)))
        x = self.ups[-1](kept.pop().relu(), chance)
        for up in list(self.ups)[-2::-1]:
            skip = kept.pop()
            x = up((torch.cat([skip, x], 1) if self.skips else x).relu(), chance)
        return x.tanh()


Activation = Literal["relu", "lrelu", "elu"]
ACTIVATIONS: dict[Activation, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "lrelu": lambda: nn.LeakyReLU(0.2),
    "elu": nn.ELU,
}


class CodedUp(nn.Module):
    """(N, in, H, W), already activated -> (N, out, 2H, 2W)."""

    def __init__(self, inputs: int, outputs: int, norm: Norm, upsample: str, dropout: bool) -> None:
        super().__init__()
        self.bilinear = upsample == "bilinear"
        grow = None if self.bilinear else DoublingConv2d(inputs, outputs)
        self.conv, self.norm = grow or nn.Conv2d(inputs, outputs, 3), make_norm(norm, outputs)
        self.drop = Dropout(0.5 if dropout else 0.0)

    def forward(self, x: Tensor) -> Tensor:
        if self.bilinear:
            x = F.pad(F.interpolate(x, scale_factor=2.0, mode="bilinear"), (1, 1, 1, 1), "reflect")
        return self.drop(self.norm(self.conv(x)))


class CodedUNet(nn.Module):
    """source (N, inputs, H, W), z (N, latent) -> images (N, outputs, H, W); both sides multiples of 2 ** depth.

    The U-Net of BicycleGAN.  The code is concatenated as planes: to the source, and with `inject="all"` at every level.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        latent: int,
        depth: int = 8,
        width: int = 64,
        norm: Norm = "instance",
        activation: Activation = "relu",
        dropout: bool = False,
        upsample: str = "basic",
        inject: str = "all",
    ) -> None:
        super().__init__()
        self.inject = inject == "all" and latent > 0
        self.activation, more = ACTIVATIONS[activation](), latent if self.inject else 0
        widths = [inputs + latent - more, *(width * min(2**i, 8) for i in range(depth))]
        self.downs, self.ups = nn.ModuleList(), nn.ModuleList()  # both from the outermost to the innermost
        for i, (a, b) in enumerate(pairwise(widths)):
            innermost, outermost = i == depth - 1, i == 0
            down = make_norm("none" if innermost or outermost else norm, b)
            self.downs.append(nn.Sequential(HalvingConv2d(a + more, b), down))
            drop, kind = dropout and 4 <= i < depth - 1, "none" if outermost else norm
            self.ups.append(CodedUp(b if innermost else 2 * b, outputs if outermost else a, kind, upsample, drop))
        self.apply(initial_weights("xavier"))

    def forward(self, source: Tensor, z: Tensor | None = None) -> Tensor:
        def with_code(x: Tensor) -> Tensor:
            return x if z is None else torch.cat([x, tile(z, x)], 1)

        x, skips = self.downs[0](with_code(source)), []
        for down in list(self.downs)[1:]:
            active = F.leaky_relu(x, 0.2)
            skips.append(x if self.inject else active)  # the authors' in-place activation, which a copy prevents
            x = down(F.leaky_relu(with_code(x), 0.2) if self.inject else active)
        x = self.ups[-1](self.activation(x))
        for up in list(self.ups)[-2::-1]:
            x = up(self.activation(torch.cat([x, skips.pop()], 1)))
        return x.tanh()


def max_depth(height: int, width: int, most: int = 8) -> int:
    """How many times both sides can be halved, at most `most`.

    Raises ModelError, naming the nearest sides, where that is less than three times.
    """
    depth = 0
    while depth < most and not (height % 2 ** (depth + 1) or width % 2 ** (depth + 1)):
        depth += 1
    if depth < 3:
        near = [f"{8 * max(1, round(side / 8))}" for side in (height, width)]
        raise ModelError(
            f"A U-Net cannot halve {height} x {width} three times: both sides must be multiples of 8, "
            f"better of 32 or 64. Near is --size {' '.join(dict.fromkeys(near) if height == width else near)}."
        )
    return depth
