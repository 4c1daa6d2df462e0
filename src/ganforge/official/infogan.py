"""The networks of openai/InfoGAN for digits, and of Natsu6767/InfoGAN-PyTorch, its port.

A port's generator of digits ends in a sigmoid and ours in tanh: 2 sigmoid(x) - 1 = tanh(x / 2), so the weights of
its last layer are halved on the way in and doubled on the way out.  The port cuts its discriminator into trunk and
heads, of equal names in every file.
"""

from typing import Any

import torch
from torch import Tensor, nn

from ganforge.models import infogan
from ganforge.official import Adapter, State

DIGITS, FACES, NUMBERS = (f"models/{data}_model.py" for data in ("mnist", "celeba", "svhn"))


# -- the port's networks for digits ------------------------------------------------------------------


class Generator(Adapter):
    """noise (N, 74, 1, 1) -> images (N, 1, 28, 28) in [0, 1]."""

    file = DIGITS
    fills = ("infogan.generator",)

    def __init__(self) -> None:
        ours = infogan.Generator(74, 1024, 64, 1, base=(7, 7), doublings=2)
        layers = ("tconv1", "bn1", "tconv2", "bn2", "tconv3", "bn3", "tconv4")
        super().__init__(ours, dict(zip(layers, ["1", "2", "4", "5", "7", "8", "10"], strict=True)))

    def forward(self, x: Tensor) -> Tensor:
        return (self.network(x.flatten(1)) + 1) / 2

    def to_ours(self, key: str, tensor: Tensor) -> Tensor:
        return tensor / 2 if key.startswith("tconv4.") else tensor

    def to_theirs(self, key: str, tensor: Tensor) -> Tensor:
        return tensor * 2 if key.startswith("tconv4.") else tensor

    @classmethod
    def arguments(cls, state: State) -> dict[str, Any]:
        return {}

    @classmethod
    def game(cls, place: str, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return {"leak": 0.1}, {"channels": 1, "height": 28, "width": 28}


class Discriminator(Adapter):
    """images (N, 1, 28, 28) in [0, 1] -> features (N, 1024, 1, 1)."""

    file = DIGITS

    def __init__(self) -> None:
        ours = infogan.Trunk(64, 1024, 1, base=(7, 7), halvings=2)
        super().__init__(ours, {"conv1": "0", "conv2": "2", "bn2": "3", "conv3": "5", "bn3": "6"})

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)


class _DHead(Adapter):
    """features (N, F, s, s) -> probabilities of being real (N, 1, 1, 1)."""

    called = ("DHead",)

    def __init__(self, features: int, side: int) -> None:
        super().__init__(nn.Conv2d(features, 1, side), {f"conv.{name}": name for name in ("weight", "bias")})

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x).sigmoid()


class _QHead(Adapter):
    """features (N, F, s, s) -> logits (N, categories), means and variances (N, numbers); sides of one are dropped."""

    called = ("QHead",)

    def __init__(self, features: int, side: int, categories: int, numbers: int) -> None:
        ours = nn.ModuleDict(
            {
                "body": nn.Sequential(*list(infogan.Reader(features, 1, (side, side)))[:3]),
                "conv_disc": nn.Conv2d(128, categories, 1),
                "conv_mu": nn.Conv2d(128, numbers, 1),
                "conv_var": nn.Conv2d(128, numbers, 1),
            }
        )
        heads = ("conv_disc", "conv_mu", "conv_var")
        super().__init__(ours, {"conv1": "body.0", "bn1": "body.1", **{name: name for name in heads}})

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        net: nn.ModuleDict = self.network  # pyright: ignore[reportAssignmentType]
        features = net["body"](x)
        logits, mean, log_variance = (net[name](features).squeeze() for name in ("conv_disc", "conv_mu", "conv_var"))
        return logits, mean, log_variance.exp()


class DHead(_DHead):
    """features (N, 1024, 1, 1) -> probabilities of being real (N, 1, 1, 1)."""

    file = DIGITS

    def __init__(self) -> None:
        super().__init__(1024, 1)


class QHead(_QHead):
    """features (N, 1024, 1, 1) -> logits (N, 10), means and variances (N, 2)."""

    file = DIGITS

    def __init__(self) -> None:
        super().__init__(1024, 1, 10, 2)


# -- the port's networks for faces and house numbers -------------------------------------------------


class FaceGenerator(Adapter):
    """noise (N, 228, 1, 1) -> images (N, 3, 32, 32) in [-1, 1]."""

    called, file, inputs = ("Generator",), FACES, 228

    def __init__(self) -> None:
        theirs = nn.Sequential(
            nn.ConvTranspose2d(self.inputs, 448, 2, bias=False),
            nn.BatchNorm2d(448),
            nn.ReLU(),
            nn.ConvTranspose2d(448, 256, 4, 2, 1, bias=False),
            nn.BatchNorm2d(256),
            nn.ReLU(),
            nn.ConvTranspose2d(256, 128, 4, 2, 1, bias=False),
            nn.ReLU(),
            nn.ConvTranspose2d(128, 64, 4, 2, 1, bias=False),
            nn.ReLU(),
            nn.ConvTranspose2d(64, 3, 4, 2, 1, bias=False),
            nn.Tanh(),
        )
        layers = ("tconv1", "bn1", "tconv2", "bn2", "tconv3", "tconv4", "tconv5")
        super().__init__(theirs, dict(zip(layers, ["0", "1", "3", "4", "6", "8", "10"], strict=True)))

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)


class FaceDiscriminator(Adapter):
    """images (N, 3, 32, 32) in [-1, 1] -> features (N, 256, 4, 4)."""

    called, file = ("Discriminator",), FACES

    def __init__(self) -> None:
        theirs = nn.Sequential(
            nn.Conv2d(3, 64, 4, 2, 1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(64, 128, 4, 2, 1, bias=False),
            nn.BatchNorm2d(128),
            nn.LeakyReLU(0.1),
            nn.Conv2d(128, 256, 4, 2, 1, bias=False),
            nn.BatchNorm2d(256),
            nn.LeakyReLU(0.1),
        )
        super().__init__(theirs, {"conv1": "0", "conv2": "2", "bn2": "3", "conv3": "5", "bn3": "6"})

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)


class FaceDHead(_DHead):
    """features (N, 256, 4, 4) -> probabilities of being real (N, 1, 1, 1)."""

    file = FACES

    def __init__(self) -> None:
        super().__init__(256, 4)


class FaceQHead(_QHead):
    """features (N, 256, 4, 4) -> logits (N, 100), mean and variance (N,)."""

    file = FACES

    def __init__(self) -> None:
        super().__init__(256, 4, 100, 1)


class NumberGenerator(FaceGenerator):
    """noise (N, 168, 1, 1) -> images (N, 3, 32, 32) in [-1, 1]."""

    file, inputs = NUMBERS, 168


class NumberDiscriminator(FaceDiscriminator):
    """images (N, 3, 32, 32) in [-1, 1] -> features (N, 256, 4, 4)."""

    file = NUMBERS


class NumberDHead(FaceDHead):
    """features (N, 256, 4, 4) -> probabilities of being real (N, 1, 1, 1)."""

    file = NUMBERS


class NumberQHead(_QHead):
    """features (N, 256, 4, 4) -> logits (N, 40), means and variances (N, 4)."""

    file = NUMBERS

    def __init__(self) -> None:
        super().__init__(256, 4, 40, 4)


# -- the authors' networks for digits ----------------------------------------------------------------


class RegularizedGAN(Adapter):
    """Generator, discriminator and Q of the authors' code, whose norms know batch statistics only.

    Their images are rows (N, 784) in [0, 1]; their fully connected layers see images channel by channel within
    each pixel and ours pixel by pixel within each channel, so that weights are turned around on the way.
    """

    def __init__(self) -> None:
        theirs = nn.ModuleDict(
            {
                "generator": nn.Sequential(
                    nn.Linear(74, 1024),
                    _norm(nn.BatchNorm1d, 1024),
                    nn.ReLU(),
                    nn.Linear(1024, 6272),
                    _norm(nn.BatchNorm1d, 6272),
                    nn.ReLU(),
                    nn.Unflatten(1, (128, 7, 7)),
                    nn.ConvTranspose2d(128, 64, 4, 2, 1),
                    _norm(nn.BatchNorm2d, 64),
                    nn.ReLU(),
                    nn.ConvTranspose2d(64, 1, 4, 2, 1),
                    nn.Sigmoid(),
                    nn.Flatten(),
                ),
                "trunk": nn.Sequential(
                    nn.Unflatten(1, (1, 28, 28)),
                    nn.Conv2d(1, 64, 4, 2, 1),
                    nn.LeakyReLU(0.01),
                    nn.Conv2d(64, 128, 4, 2, 1),
                    _norm(nn.BatchNorm2d, 128),
                    nn.LeakyReLU(0.01),
                    nn.Flatten(),
                    nn.Linear(6272, 1024),
                    _norm(nn.BatchNorm1d, 1024),
                    nn.LeakyReLU(0.01),
                ),
                "verdict": nn.Sequential(nn.Linear(1024, 1), nn.Flatten(0)),
                "reader": nn.Sequential(
                    nn.Linear(1024, 128), _norm(nn.BatchNorm1d, 128), nn.LeakyReLU(0.01), nn.Linear(128, 14)
                ),
            }
        )
        named = {
            f"{theirs}.{their_kind}": f"{ours}.{our_kind}"
            for theirs, ours in LAYERS.items()
            for their_kind, our_kind in zip(KINDS[theirs.split("_", 2)[2]], ("weight", "bias"), strict=True)
        }
        super().__init__(theirs, named)

    def forward(self, noise: Tensor, real: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """noise (N, 74), real (N, 784) -> fakes (N, 784), D of real and of fakes (N,), Q's words (N, 14) of fakes."""
        net: nn.ModuleDict = self.network  # pyright: ignore[reportAssignmentType]
        fake = net["generator"](noise)
        of_real, of_fake = net["trunk"](real), net["trunk"](fake)
        return fake, net["verdict"](of_real).sigmoid(), net["verdict"](of_fake).sigmoid(), net["reader"](of_fake)

    def to_ours(self, key: str, tensor: Tensor) -> Tensor:
        if key.endswith(".w"):  # (height, width, in, out); a transposed convolution's is (height, width, out, in)
            return tensor.permute(3, 2, 0, 1).contiguous()
        if key.endswith(".Matrix"):
            tensor = tensor.T
        if key.startswith(("g_net.03", "g_net.04")):
            return tensor.unflatten(0, (7, 7, 128)).movedim(2, 0).flatten(0, 2).contiguous()
        if key == "d_net.06_custom_fully_connected.Matrix":
            return tensor.unflatten(1, (7, 7, 128)).movedim(3, 1).flatten(1).contiguous()
        return tensor.contiguous()

    def to_theirs(self, key: str, tensor: Tensor) -> Tensor:
        if key.endswith(".w"):
            return tensor.permute(2, 3, 1, 0).contiguous()
        if key.startswith(("g_net.03", "g_net.04")):
            tensor = tensor.unflatten(0, (128, 7, 7)).movedim(0, 2).flatten(0, 2)
        if key == "d_net.06_custom_fully_connected.Matrix":
            tensor = tensor.unflatten(1, (128, 7, 7)).movedim(1, 3).flatten(1)
        return (tensor.T if key.endswith(".Matrix") else tensor).contiguous()


LAYERS = {
    "g_net.00_custom_fully_connected": "generator.0",
    "g_net.01_fc_batch_norm": "generator.1",
    "g_net.03_custom_fully_connected": "generator.3",
    "g_net.04_fc_batch_norm": "generator.4",
    "g_net.07_custom_deconv2d": "generator.7",
    "g_net.08_conv_batch_norm": "generator.8",
    "g_net.10_custom_deconv2d": "generator.10",
    "d_net.01_custom_conv2d": "trunk.1",
    "d_net.03_custom_conv2d": "trunk.3",
    "d_net.04_conv_batch_norm": "trunk.4",
    "d_net.06_custom_fully_connected": "trunk.7",
    "d_net.07_fc_batch_norm": "trunk.8",
    "d_net.09_custom_fully_connected": "verdict.0",
    "d_net.10_custom_fully_connected": "reader.0",
    "d_net.11_fc_batch_norm": "reader.1",
    "d_net.13_custom_fully_connected": "reader.3",
}
KINDS = {
    "custom_fully_connected": ("Matrix", "bias"),
    "fc_batch_norm": ("gamma", "beta"),
    "conv_batch_norm": ("gamma", "beta"),
    "custom_conv2d": ("w", "biases"),
    "custom_deconv2d": ("w", "biases"),
}


def _norm(kind: type[nn.BatchNorm1d] | type[nn.BatchNorm2d], features: int) -> nn.Module:
    return kind(features, track_running_stats=False)


def authors_losses(game: infogan.InfoGAN, noise: Tensor, outputs: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """(D's, G's) loss in the authors' code, given noise (N, 74) and the outputs of `RegularizedGAN`.

    Equal to ours in all but two constants: they take H(c) of a continuous code from a Gaussian, and their output for
    a continuous code is (mean, unused).
    """
    _, d_real, d_fake, codes = outputs
    codes = torch.cat([codes[:, :10], codes[:, 10::2]], 1)
    bound = -sum(game.information(noise, codes).values())
    entropy = infogan.number_bound(noise[:, 72:], torch.zeros_like(noise[:, 72:]), torch.zeros_like(noise[:, 72:]))
    bound = bound - game.config.continuous_weight * entropy
    return -(d_real.log() + (1 - d_fake).log()).mean() - bound, -d_fake.log().mean() - bound
