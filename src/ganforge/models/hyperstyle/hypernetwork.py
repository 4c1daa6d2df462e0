"""The hypernetwork: a photograph and its reconstruction to changes of the generator's weights.

Alaluf et al. 2022, section 3 and appendix A.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from ganforge.nn.backbones import ResNetBody
from ganforge.nn.equal import EqualLinear
from ganforge.nn.halving import count_halvings, halve, halving_convs

Shape = tuple[int, int, int]
"""Outputs, inputs and the side of a layer's kernel."""


class SharedKernel(nn.Module):
    """Vectors (N, K) -> kernels (N, outputs, inputs, k, k) by two layers that several heads share.

    `per_channel`: one number for each pair of channels, (N, outputs, inputs, 1, 1).
    """

    def __init__(self, vector: int, outputs: int, inputs: int, kernel: int, per_channel: bool = False) -> None:
        super().__init__()
        self.shape = (outputs, inputs, *[1 if per_channel else kernel] * 2)
        wide = outputs * self.shape[2] ** 2

        def begin(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.fmod(nn.init.normal_(torch.empty(shape)), 2) / 40)

        self.w1, self.b1 = begin(vector, wide), begin(wide)
        self.w2, self.b2 = begin(vector, inputs * vector), begin(inputs * vector)

    def forward(self, vectors: Tensor) -> Tensor:
        rows = (vectors @ self.w2 + self.b2).unflatten(1, (self.shape[1], -1))
        return (rows @ self.w1 + self.b1).flatten(1).unflatten(1, self.shape)  # in the order of memory, as in the code


class SharedHead(nn.Module):
    """A map (N, features, side, side) -> a layer's change, by the shared kernel, which stands outside."""

    def __init__(self, features: int, side: int, vector: int) -> None:
        super().__init__()
        self.convs = halving_convs(features, features // 4, vector, count_halvings(side), first=1)
        self.linear = EqualLinear(vector, vector)

    def forward(self, x: Tensor, kernel: SharedKernel) -> Tensor:
        return kernel(self.linear(self.convs(x).mean((2, 3))))


class Head(nn.Module):
    """A map (N, features, side, side) -> one number for each pair of channels, (N, outputs, inputs, 1, 1)."""

    def __init__(self, features: int, side: int, vector: int, shape: Shape) -> None:
        super().__init__()
        self.outputs, self.inputs, kernel = shape
        self.convs = halving_convs(features, features // 2, vector, max(2, count_halvings(side) - (kernel > 1)))
        self.output = nn.Conv2d(vector, self.outputs * self.inputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        change = self.output(self.convs(x).mean((2, 3), keepdim=True))
        return change.unflatten(1, (self.outputs, self.inputs))


class SeparableHead(nn.Module):
    """A map (N, features, side, side) -> (N, outputs, inputs, k, k) as a product of two factors."""

    def __init__(self, features: int, side: int, vector: int, shape: Shape) -> None:
        super().__init__()
        self.convs = halving_convs(features, features // 2, vector, max(2, count_halvings(side)))
        self.output = SeparableKernel(vector, shape)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.convs(x).mean((2, 3)))


class SeparableKernel(nn.Module):
    """Vectors (N, K) -> kernels (N, outputs, inputs, k, k): a row and a column at each place, and two linear layers."""

    def __init__(self, vector: int, shape: Shape) -> None:
        super().__init__()
        self.outputs, self.inputs, self.kernel = shape
        self.row = nn.Linear(vector, self.kernel**2 * self.inputs)
        self.column = nn.Linear(vector, self.kernel**2 * self.outputs)
        self.mix_inputs = nn.Linear(self.inputs, self.inputs)
        self.mix_outputs = nn.Linear(self.outputs, self.outputs)

    def forward(self, vectors: Tensor) -> Tensor:
        k = self.kernel
        row = self.row(vectors).unflatten(1, (k, k, 1, self.inputs))
        column = self.column(vectors).unflatten(1, (k, k, self.outputs, 1))
        mixed = self.mix_inputs(column * row)  # (N, k, k, outputs, inputs)
        mixed = self.mix_outputs(mixed.transpose(3, 4))
        return mixed.permute(0, 4, 3, 1, 2)


class HyperNetwork(nn.Module):
    """Two images side by side (N, 2C, side, side) -> the change of each layer's weights (N, outputs, inputs, ...).

    A change has a kernel of its own, or one number for each pair of channels, as (N, outputs, inputs, 1, 1).  Layers
    of the shape of the first one share the last two layers of their heads.
    """

    def __init__(
        self, inputs: int, side: int, layers: Mapping[int, Shape], widths: Sequence[int], depths: Sequence[int],
        vector: int, *, separable: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.body = ResNetBody(inputs, widths, depths)
        features, side = widths[-1], halve(side, len(widths))
        common = next(iter(layers.values()))
        self.shared = SharedKernel(vector, *common)
        own = SeparableHead if separable else Head
        self.heads = nn.ModuleDict()
        for number, shape in layers.items():
            shares = shape == common
            head = SharedHead(features, side, vector) if shares else own(features, side, vector, shape)
            self.heads[str(number)] = head

    def forward(self, images: Tensor) -> list[Tensor]:
        x = self.body(images)
        return [head(x, self.shared) if isinstance(head, SharedHead) else head(x) for head in self.heads.values()]
