"""The networks of yunjey/stargan (model.py).

Their generator in evaluation mode uses the running statistics of its norms, which their own programs never do.
"""

from torch import Tensor, nn

from ganforge.errors import ModelError
from ganforge.models import stargan
from ganforge.official import Adapter


class ResidualBlock(Adapter):
    """x (N, dim_in, H, W) -> x + F(x); dim_in equals dim_out."""

    def __init__(self, dim_in: int, dim_out: int) -> None:
        if dim_in != dim_out:
            raise ModelError(
                f"ResidualBlock adds what comes in to what goes out: {dim_in} and {dim_out} must be equal."
            )
        super().__init__(stargan.ResidualBlock(dim_in, nn.InstanceNorm2d), {"main": "layers"})

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)


class Generator(Adapter):
    """images (N, 3, H, W), labels (N, c_dim) -> images (N, 3, H, W)."""

    def __init__(self, conv_dim: int = 64, c_dim: int = 5, repeat_num: int = 6) -> None:
        ours = stargan.Generator(conv_dim, c_dim, repeat_num, norm=nn.InstanceNorm2d)
        names = {}
        for i, layer in enumerate(ours.layers):
            block = isinstance(layer, stargan.ResidualBlock)
            names |= {f"main.{i}.main": f"layers.{i}.layers"} if block else {f"main.{i}": f"layers.{i}"}
        super().__init__(ours, names)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        return self.network(x, c)


class Discriminator(Adapter):
    """images (N, 3, image_size, image_size) -> scores of patches (N, 1, h, w), logits of the label (N, c_dim)."""

    def __init__(self, image_size: int = 128, conv_dim: int = 64, c_dim: int = 5, repeat_num: int = 6) -> None:
        ours = stargan.Discriminator((image_size, image_size), conv_dim, c_dim, repeat_num)
        super().__init__(ours, {"main": "body", "conv1": "judge", "conv2": "read"})

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.network(x)
