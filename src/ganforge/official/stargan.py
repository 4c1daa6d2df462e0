"""The networks of yunjey/stargan (model.py).

Their generator in evaluation mode uses the running statistics of its norms, which their own programs never do.
"""

from typing import Any

from torch import Tensor, nn

from ganforge.errors import ModelError
from ganforge.models import stargan
from ganforge.official import Adapter, State


class ResidualBlock(Adapter):
    """x (N, dim_in, H, W) -> x + F(x); dim_in equals dim_out."""

    def __init__(self, dim_in: int, dim_out: int) -> None:
        if dim_in != dim_out:
            raise ModelError(f"ResidualBlock adds its input to its output: {dim_in} and {dim_out} must be equal.")
        super().__init__(stargan.ResidualBlock(dim_in, nn.InstanceNorm2d), {"main": "layers"})

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)


class Generator(Adapter):
    """images (N, 3, H, W), labels (N, c_dim) -> images (N, 3, H, W)."""

    fills = ("stargan.generator",)

    def __init__(self, conv_dim: int = 64, c_dim: int = 5, repeat_num: int = 6) -> None:
        ours = stargan.Generator(conv_dim, c_dim, repeat_num, norm=nn.InstanceNorm2d)
        names = {}
        for i, layer in enumerate(ours.layers):
            block = isinstance(layer, stargan.ResidualBlock)
            names |= {f"main.{i}.main": f"layers.{i}.layers"} if block else {f"main.{i}": f"layers.{i}"}
        super().__init__(ours, names)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        return self.network(x, c)

    @classmethod
    def arguments(cls, state: State) -> dict[str, Any]:
        width, inputs = state["main.0.weight"].shape[:2]
        blocks = sum(key.endswith(".main.0.weight") for key in state)
        return {"conv_dim": width, "c_dim": inputs - 3, "repeat_num": blocks}

    @classmethod
    def game(cls, place: str, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        a = arguments
        return {"width": a["conv_dim"], "blocks": a["repeat_num"], "attributes": ()}, faces(a["c_dim"])


class Discriminator(Adapter):
    """images (N, 3, image_size, image_size) -> scores of patches (N, 1, h, w), logits of the label (N, c_dim)."""

    fills = ("stargan.discriminator",)

    def __init__(self, image_size: int = 128, conv_dim: int = 64, c_dim: int = 5, repeat_num: int = 6) -> None:
        ours = stargan.Discriminator((image_size, image_size), conv_dim, c_dim, repeat_num)
        super().__init__(ours, {"main": "body", "conv1": "judge", "conv2": "read"})

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.network(x)

    @classmethod
    def arguments(cls, state: State) -> dict[str, Any]:
        layers = sum(key.startswith("main.") and key.endswith(".weight") for key in state)
        c_dim, side = len(state["conv2.weight"]), state["conv2.weight"].shape[2] << layers
        return {"image_size": side, "conv_dim": len(state["main.0.bias"]), "c_dim": c_dim, "repeat_num": layers}

    @classmethod
    def game(cls, place: str, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        a = arguments
        sides = {"height": a["image_size"], "width": a["image_size"]}
        return {"width": a["conv_dim"], "layers": a["repeat_num"], "attributes": ()}, {**faces(a["c_dim"]), **sides}


CELEBA = ("Black_Hair", "Blond_Hair", "Brown_Hair", "Male", "Young")
RAFD = ("angry", "contemptuous", "disgusted", "fearful", "happy", "neutral", "sad", "surprised")


def faces(labels: int) -> dict[str, Any]:
    """The facts of their faces: five attributes of CelebA, eight expressions of RaFD, or numbered attributes."""
    if labels == len(RAFD):
        return {"labels": RAFD, "channels": 3}
    numbered = tuple(f"attribute{k + 1}" for k in range(labels))
    return {"attributes": CELEBA if labels == len(CELEBA) else numbered, "channels": 3}
