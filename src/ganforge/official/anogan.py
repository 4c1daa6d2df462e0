"""The networks of tSchlegl/f-AnoGAN, and of A03ki/f-AnoGAN, a port to PyTorch with smaller ones.

The authors' code is written in TensorFlow: filters are (height, width, in, out), matrices (in, out), and images rows
of 64 x 64 values.  Their networks are those of wgan_gp with `--config.networks residual`, and f_anogan's encoder.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from ganforge.models.f_anogan import Bound, Encoder
from ganforge.nn.residual import ResidualCritic, ResidualGenerator
from ganforge.official import Adapter, State

GAN, ENCODER = "wgangp_64x64.py", "z_encoding_izif.py"
MNIST, MVTEC = "mnist/model.py", "mvtec_ad/model.py"
BASE, HALVINGS = (4, 4), 4
BATCH = (
    ("/gamma", ".weight"),
    ("/beta", ".bias"),
    ("/moving_mean", ".running_mean"),
    ("/moving_variance", ".running_var"),
)
LAYER = ((".offset", ".bias"), (".scale", ".weight"))
FILTERS = ((".Filters", ".weight"), (".Biases", ".bias"))
MATRIX = ((".W", ".weight"), (".b", ".bias"))
Names = Sequence[tuple[str, str]]


def _names(theirs: str, ours: str, kinds: Names) -> dict[str, str]:
    """{theirs: ours} of the tensors of one layer."""
    return {theirs + a: ours + b for a, b in kinds}


def _block(theirs: str, ours: str, norm: Names) -> dict[str, str]:
    """{theirs: ours} of the tensors of a residual block."""
    return {
        **_names(f"{theirs}.Shortcut", f"{ours}.shortcut", FILTERS),
        **_names(f"{theirs}.BN1", f"{ours}.norm1", norm),
        **_names(f"{theirs}.Conv1", f"{ours}.conv1", FILTERS[:1]),
        **_names(f"{theirs}.BN2", f"{ours}.norm2", norm),
        **_names(f"{theirs}.Conv2", f"{ours}.conv2", FILTERS),
    }


def _reader(name: str, body: str, head: str, norm: Names) -> dict[str, str]:
    """{theirs: ours} of a critic or an encoder."""
    blocks = [_block(f"{name}.Res{k}", f"{body}.{k}", norm) for k in range(1, HALVINGS + 1)]
    between = {theirs: ours for block in blocks for theirs, ours in block.items()}
    return {**_names(f"{name}.Input", f"{body}.0", FILTERS), **between, **_names(f"{name}.Output", head, MATRIX)}


class _Theirs(Adapter):
    """A network of the authors' code."""

    unmapped = (".num_batches_tracked",)

    def to_ours(self, key: str, tensor: Tensor) -> Tensor:
        if key.endswith(".Filters"):
            return tensor.permute(3, 2, 0, 1).contiguous()
        return tensor.t().contiguous() if key.endswith(".W") else tensor

    def to_theirs(self, key: str, tensor: Tensor) -> Tensor:
        if key.endswith(".Filters"):
            return tensor.permute(2, 3, 1, 0).contiguous()
        return tensor.t().contiguous() if key.endswith(".W") else tensor


class GoodGenerator(_Theirs):
    """z (N, ZDIM) -> rows (N, 4096) in [-1, 1], images of 64 x 64."""

    file = GAN
    fills = ("wgan_gp.generator",)

    def __init__(self, dim: int = 64, ZDIM: int = 128, is_training: bool = False) -> None:
        blocks = [_block(f"Generator.Res{k}", str(k + 1), BATCH) for k in range(1, HALVINGS + 1)]
        names = _names("Generator.Input", "0", MATRIX)
        for block in blocks:
            names |= block
        names |= _names("Generator.OutputN", "6", BATCH) | _names("Generator.Output", "8", FILTERS)
        super().__init__(ResidualGenerator(ZDIM, dim, 1, BASE, HALVINGS), names)

    def forward(self, noise: Tensor) -> Tensor:
        return self.network(noise).flatten(1)

    @classmethod
    def arguments(cls, state: State) -> dict[str, Any]:
        return {"dim": len(state["Generator.OutputN/gamma"]), "ZDIM": len(state["Generator.Input.W"])}

    @classmethod
    def game(cls, place: str, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        config = {"latent": arguments["ZDIM"], "width": arguments["dim"], "networks": "residual"}
        return config, {"channels": 1, "height": 64, "width": 64}


class GoodDiscriminator(_Theirs):
    """images (N, 1, 64, 64), or rows of them -> scores (N,), and features (N, 128 * dim)."""

    file = GAN
    fills = ("wgan_gp.critic",)

    def __init__(self, dim: int = 64) -> None:
        names = _reader("Discriminator", "0", "1", LAYER)
        super().__init__(ResidualCritic(dim, 1, BASE, HALVINGS), names)

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        net: ResidualCritic = self.network  # pyright: ignore[reportAssignmentType]
        features = net[0](inputs.reshape(-1, 1, 64, 64))
        return net[2](net[1](features)), features

    @classmethod
    def arguments(cls, state: State) -> dict[str, Any]:
        return {"dim": len(state["Discriminator.Input.Biases"])}

    @classmethod
    def game(cls, place: str, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return {"width": arguments["dim"], "networks": "residual"}, {"channels": 1, "height": 64, "width": 64}


class TheirEncoder(_Theirs):
    """images (N, 1, 64, 64), or rows of them -> codes (N, z_dim)."""

    called, file = ("Encoder",), ENCODER
    fits: ClassVar[dict[str | None, tuple[Bound, float]]] = {
        None: ("none", 1.0),
        "tanh_fc": ("tanh", 1.0),
        "3s_tanh_fc": ("tanh", 3.0),
        "05s_tanh_fc": ("tanh", 0.5),
        "hard_clip": ("clip", 1.0),
        "3s_hard_clip": ("clip", 3.0),
        "05s_hard_clip": ("clip", 0.5),
    }

    def __init__(
        self, dim: int = 64, z_dim: int = 128, is_training: bool = False, z_reg_type: str | None = "tanh_fc"
    ) -> None:
        names = _reader("Encoder", "body", "head", BATCH)
        super().__init__(Encoder(dim, 1, z_dim, BASE, HALVINGS, *self.fits[z_reg_type]), names)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.network(inputs.reshape(-1, 1, 64, 64))


# -- the port ----------------------------------------------------------------------------------------


class _Port(Adapter):
    """A network of the port, built of its own layers: ours are others."""

    def __init__(self, **stages: nn.Module) -> None:
        ours = nn.ModuleDict(stages)
        super().__init__(ours, {name: name for name in stages})

    def run(self, x: Tensor) -> list[Tensor]:
        """The output of each stage, of images (N, ...) or codes (N, latent)."""
        outputs = []
        for stage in self.network.children():
            x = stage(x)
            outputs.append(x)
        return outputs


def _dense(first: int, *widths: int) -> list[nn.Module]:
    """Linear layers with a leaky ReLU behind each."""
    layers: list[nn.Module] = []
    for a, b in zip((first, *widths), widths, strict=False):
        layers += [nn.Linear(a, b), nn.LeakyReLU(0.2)]
    return layers


def _strided(channels: int) -> nn.Sequential:
    """Four strided convolutions; the port gives its batch norm 0.8 as the second argument, which is eps."""
    layers: list[nn.Module] = []
    for k, (a, b) in enumerate(((channels, 16), (16, 32), (32, 64), (64, 128))):
        layers += [nn.Conv2d(a, b, 3, 2, 1), nn.LeakyReLU(0.2), nn.Dropout2d(0.25)]
        layers += [nn.BatchNorm2d(b, 0.8)] if k else []
    return nn.Sequential(*layers)


class DigitGenerator(_Port):
    """codes (N, latent_dim) -> images (N, channels, img_size, img_size) in [-1, 1]."""

    called, file = ("Generator",), MNIST

    def __init__(self, img_size: int, latent_dim: int, channels: int) -> None:
        norms = [nn.BatchNorm1d(width, 0.8) for width in (256, 512, 1024)]
        body = _dense(latent_dim, 128, 256, 512, 1024)
        for k, norm in zip((3, 6, 9), norms, strict=True):
            body.insert(k, norm)
        last = [nn.Linear(1024, channels * img_size**2), nn.Tanh(), nn.Unflatten(1, (channels, img_size, img_size))]
        super().__init__(model=nn.Sequential(*body, *last))

    def forward(self, z: Tensor) -> Tensor:
        return self.run(z)[-1]


class DigitDiscriminator(_Port):
    """images (N, C, H, W) -> probabilities (N, 1)."""

    called, file = ("Discriminator",), MNIST

    def __init__(self, img_size: int, latent_dim: int, channels: int) -> None:
        features = nn.Sequential(*_dense(channels * img_size**2, 512, 256))
        super().__init__(features=features, last_layer=nn.Sequential(nn.Linear(256, 1)))

    def forward(self, img: Tensor) -> tuple[Tensor, Tensor]:
        features, validity = self.run(img.flatten(1))
        return validity, features


class DigitEncoder(_Port):
    """images (N, C, H, W) -> codes (N, latent_dim) in [-1, 1]."""

    called, file = ("Encoder",), MNIST

    def __init__(self, img_size: int, latent_dim: int, channels: int) -> None:
        body = _dense(channels * img_size**2, 512, 256)
        super().__init__(model=nn.Sequential(*body, nn.Linear(256, latent_dim), nn.Tanh()))

    def forward(self, img: Tensor) -> Tensor:
        return self.run(img.flatten(1))[-1]


class PhotoGenerator(_Port):
    """codes (N, latent_dim) -> images (N, channels, img_size, img_size) in [-1, 1]."""

    called, file = ("Generator",), MVTEC

    def __init__(self, img_size: int, latent_dim: int, channels: int) -> None:
        side = img_size // 4
        blocks = [
            nn.BatchNorm2d(128),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(128, 128, 3, 1, 1),
            nn.BatchNorm2d(128, 0.8),
            nn.LeakyReLU(0.2),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(128, 64, 3, 1, 1),
            nn.BatchNorm2d(64, 0.8),
            nn.LeakyReLU(0.2),
            nn.Conv2d(64, channels, 3, 1, 1),
            nn.Tanh(),
        ]
        first = nn.Sequential(nn.Linear(latent_dim, 128 * side**2), nn.Unflatten(1, (128, side, side)))
        super().__init__(l1=first, conv_blocks=nn.Sequential(*blocks))

    def forward(self, z: Tensor) -> Tensor:
        return self.run(z)[-1]


class PhotoDiscriminator(_Port):
    """images (N, C, H, W) -> scores (N, 1), and features (N, F)."""

    called, file = ("Discriminator",), MVTEC

    def __init__(self, img_size: int, latent_dim: int, channels: int) -> None:
        last = nn.Sequential(nn.Linear(128 * (img_size // 16) ** 2, 1))
        super().__init__(model=_strided(channels).append(nn.Flatten()), adv_layer=last)

    def forward(self, img: Tensor) -> tuple[Tensor, Tensor]:
        features, validity = self.run(img)
        return validity, features


class PhotoEncoder(_Port):
    """images (N, C, H, W) -> codes (N, latent_dim) in [-1, 1]."""

    called, file = ("Encoder",), MVTEC

    def __init__(self, img_size: int, latent_dim: int, channels: int) -> None:
        last = nn.Sequential(nn.Linear(128 * (img_size // 16) ** 2, latent_dim), nn.Tanh())
        super().__init__(model=_strided(channels).append(nn.Flatten()), adv_layer=last)

    def forward(self, img: Tensor) -> Tensor:
        return self.run(img)[-1]
