"""The networks of venkai/RBDN, which are Caffe definitions: `net definition` in one of five files.

Keys are names of layers with `weight` and `bias`, of norms with `scale` and `shift`.  In inference a norm is that scale
and that shift alone, into which the statistics of training were folded (`folded`); in training it uses the batch's.
Images count from 0 to 255; colour ones are BGR, while ours are RGB.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ganforge.models import rbdn
from ganforge.official import Adapter, State

CLASSES = 313  # bins of colour


class _Definition(Adapter):
    """A definition; `num_output_64_replaced_by` is the width of its layers where that is not 64."""

    called = ("net definition",)
    unmapped: ClassVar[tuple[str, ...]] = (".running_mean", ".running_var", ".num_batches_tracked")

    def tensors(self, trunk: rbdn.Trunk, branches: int, prefix: str) -> dict[str, str]:
        """{official key: ours} of everything up to the last layers, in the order of the definition."""
        layers = {"1": "first"}
        inner = ["branch" + ".far" * k for k in range(branches)]
        for k, branch in enumerate(inner, 1):
            layers[f"B{k}_1"] = f"{branch}.near"
        for k, branch in reversed([*enumerate(inner, 1)]):
            layers |= {f"B{k}_2": f"{branch}.merge", f"deB{k}_1": f"{branch}.back"}
        layers |= {f"2_{i + 1}": f"line.{i}" for i in range(len(trunk.line))}
        return {key: own for name, ours in layers.items() for key, own in normed(name, f"{prefix}{ours}").items()}


def normed(name: str, ours: str) -> dict[str, str]:
    """The keys of a layer and its norm: conv1 and bn1, or deconv1 and debn1 of `de1`."""
    back, place = ("de", name[2:]) if name.startswith("de") else ("", name)
    keys = {f"{back}conv{place}.{end}": f"{ours}.0.{end}" for end in ("weight", "bias")}
    return {**keys, f"{back}bn{place}.scale": f"{ours}.1.weight", f"{back}bn{place}.shift": f"{ours}.1.bias"}


class _Regression(_Definition):
    """images (N, in, H, W) of 0 ... 255 -> (N, out, H, W); sides are multiples of 16."""

    fills = ("rbdn.generator",)

    def __init__(self, in_channels: int, out_channels: int, width: int, branches: int = 3, depth: int = 9) -> None:
        ours = rbdn.RBDNet(in_channels, out_channels, width, branches, depth)
        tensors = self.tensors(ours.trunk, branches, "trunk.")
        super().__init__(ours, {**tensors, "deconv1.weight": "last.weight", "deconv1.bias": "last.bias"})

    def forward(self, x: Tensor) -> Tensor:
        return mirrored(self.network(mirrored(x)))

    def to_ours(self, key: str, tensor: Tensor) -> Tensor:
        """BGR in front of the first layer and behind the last becomes RGB."""
        if key == "conv1.weight" or (key == "deconv1.weight"):
            return mirrored(tensor)
        return tensor.flip(0) if key == "deconv1.bias" and len(tensor) == 3 else tensor

    def to_theirs(self, key: str, tensor: Tensor) -> Tensor:
        return self.to_ours(key, tensor)

    @classmethod
    def arguments(cls, state: State) -> dict[str, Any]:
        width, channels = state["conv1.weight"].shape[:2]
        if len(state["deconv1.bias"]) != cls.outputs:
            raise KeyError(f"deconv1.bias of {cls.outputs}")
        return {"num_output_64_replaced_by": width, "in_channels": channels}

    outputs: ClassVar[int]

    @classmethod
    def game(cls, place: str, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        channels = {"channels": cls.outputs, "source_channels": arguments["in_channels"]}
        return {"width": arguments["num_output_64_replaced_by"]}, channels


def mirrored(tensor: Tensor) -> Tensor:
    """RGB for BGR in dimension 1, if it has three places."""
    return tensor.flip(1) if tensor.shape[1] == 3 else tensor


class Denoising(_Regression):
    """noisy images (N, in, H, W) of 0 ... 255 -> clean ones (N, 1, H, W); sides are multiples of 16."""

    file = "inference/denoising/test.prototxt"
    outputs = 1

    def __init__(self, num_output_64_replaced_by: int = 64, in_channels: int = 1, prototxt: str = "") -> None:
        super().__init__(in_channels, 1, num_output_64_replaced_by)


class DenoisingInTraining(Denoising):
    """The same definition as it trains: norms use the batch's statistics, whatever the mode."""

    file = "training/denoising/train.prototxt"
    fills = ()

    def train(self, mode: bool = True) -> "DenoisingInTraining":
        """A definition for training has no other mode."""
        return super().train(True)

    def forward(self, x: Tensor) -> Tensor:
        return self.train().network(x)


class Relighting(_Regression):
    """faces (N, 3, H, W) of 0 ... 255, BGR -> the same in another light; sides are multiples of 16."""

    file = "inference/relighting/test.prototxt"
    outputs = 3

    def __init__(self, num_output_64_replaced_by: int = 64, in_channels: int = 3, prototxt: str = "") -> None:
        super().__init__(in_channels, 3, num_output_64_replaced_by)


class Colour(_Definition):
    """lightness - 50 (N, in, H, W) -> a and b (N, 2, H / 4, W / 4), by way of 313 bins; sides are multiples of 32."""

    file = "inference/colorization/test.prototxt"

    def __init__(self, num_output_64_replaced_by: int = 64, in_channels: int = 1, prototxt: str = "") -> None:
        width = num_output_64_replaced_by
        ours = nn.ModuleDict(
            {
                "trunk": rbdn.Trunk(in_channels, width, 4, 9),
                "back": rbdn.Layer(width, width, 5, back=True),
                "bins": nn.Conv2d(width, CLASSES, 4, 2, 1),
                "ab": nn.Conv2d(CLASSES, 2, 1),
            }
        )
        trunk: rbdn.Trunk = ours["trunk"]  # pyright: ignore[reportAssignmentType]
        keys = {**self.tensors(trunk, 4, "trunk."), **normed("de1", "back")}
        super().__init__(ours, {**keys, "conv_313": "bins", "class_ab": "ab"})

    def forward(self, x: Tensor) -> Tensor:
        net: nn.ModuleDict = self.network  # pyright: ignore[reportAssignmentType]
        logits = net["bins"](net["back"](net["trunk"](x)[0]))
        return net["ab"]((logits * 2.606).softmax(1))


def folded(mean: Tensor, variance: Tensor, scale: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """The scale and the shift that do what a norm of these statistics does (make_bn.py)."""
    new = scale / torch.sqrt(variance + 1e-9)
    return new, shift - mean * new


def euclidean(made: Tensor, true: Tensor) -> Tensor:
    """Half the squared distance, a mean over the batch."""
    return (made - true).square().sum() / (2 * len(made))
