"""The networks of three public SRGANs: Lornatang/SRGAN-PyTorch, leftthomas/SRGAN and tensorlayer/SRGAN.

The first takes and gives images in [0, 1] and is the paper's; the second has biases before its norms and ends in
(tanh + 1) / 2; the third has 3 x 3 convolutions and ReLUs, images in [-1, 1], and parameters in the names of its
library, whose dense weights are transposed.
"""

from itertools import pairwise
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.models import srgan
from ganforge.nn.superresolution import upscale_factors
from ganforge.nn.vgg import VGG, layer_names
from ganforge.official import Adapter, State

# -- Lornatang -----------------------------------------------------------------------------------


class SRResNet(Adapter):
    """low (N, in, H, W) in [0, 1] -> high (N, out, upscale * H, upscale * W), clamped to [0, 1]."""

    file = "model.py"
    fills = ("srgan.generator",)

    def __init__(
        self, in_channels: int = 3, out_channels: int = 3, channels: int = 64, num_rcb: int = 16, upscale: int = 4
    ) -> None:
        ours = srgan.SRResNet(in_channels, upscale, channels, num_rcb, out_channels=out_channels)
        layers = {"conv1.0": "first.0", "conv1.1": "first.1"}
        layers |= {f"trunk.{i}.rcb.{j}": f"trunk.{i}.{j}" for i in range(num_rcb) for j in range(5)}
        layers |= {"conv2.0": "merge.0", "conv2.1": "merge.1"}
        layers |= {f"upsampling.{i}.upsample_block.{j}": f"up.{i}.{j}" for i in range(len(ours.up)) for j in (0, 2)}
        super().__init__(ours, {**layers, "conv3": "last"})

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x).clamp(0, 1)

    @classmethod
    def arguments(cls, state: State) -> dict[str, Any]:
        width, channels = state["conv1.0.weight"].shape[:2]
        shuffles = [state[key].shape[0] // width for key in state if key.endswith("upsample_block.0.bias")]
        return {
            "in_channels": channels,
            "out_channels": state["conv3.weight"].shape[0],
            "channels": width,
            "num_rcb": sum(key.endswith("rcb.0.weight") for key in state),
            "upscale": enlargement(shuffles),
        }

    @classmethod
    def game(cls, place: str, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        a = arguments
        config = {"scale": a["upscale"], "width": a["channels"], "blocks": a["num_rcb"]}
        return {"generator": "srresnet", "content": "pixel", **config}, {"channels": a["in_channels"]}


def enlargement(shuffles: list[int]) -> int:
    """The scale of layers that give so many times the channels, each the square of its factor."""
    scale = 1
    for times in shuffles:
        scale *= round(times**0.5)
    return scale


class DiscriminatorForVGG(Adapter):
    """images (N, in, 96, 96) in [0, 1] -> logits (N, 1)."""

    file = "model.py"

    def __init__(self, in_channels: int = 3, out_channels: int = 1, channels: int = 64) -> None:
        ours = nn.Sequential(*list(srgan.Discriminator(in_channels, channels, 96, 96))[:-2])
        ours.append(nn.Linear(1024, out_channels))
        convolutions = {f"features.{i}": f"{i}" for i in range(23) if i != 1 and (i - 1) % 3}
        super().__init__(ours, {**convolutions, "classifier.0": "24", "classifier.2": "26"})

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)


class ContentLoss(Adapter):
    """images (N, 3, H, W) in [0, 1], twice -> (1, nodes): the mean squared error of what VGG sees at each node.

    The official class cuts its gradient off by accident; this one does not.
    """

    def __init__(
        self,
        net_cfg_name: str = "vgg19",
        batch_norm: bool = False,
        num_classes: int = 1000,
        model_weights_path: str = "",
        feature_nodes: list[str] = ["features.35"],  # noqa: B006 - the official default, never changed
        feature_normalize_mean: list[float] | None = None,
        feature_normalize_std: list[float] | None = None,
        mean: list[float] | None = None,
        std: list[float] | None = None,
    ) -> None:
        depth: Any = int(net_cfg_name.removeprefix("vgg"))
        names = layer_names(depth)
        ours = VGG(depth, [names[int(node.removeprefix("features."))] for node in feature_nodes])
        for name, values in (("mean", feature_normalize_mean or mean), ("std", feature_normalize_std or std)):
            if values is not None:
                getattr(ours, name).copy_(torch.tensor(values).view(1, 3, 1, 1))
        layers = {f"feature_extractor.features.{i}": f"features.{i}" for i in range(len(ours.features))}
        super().__init__(ours, layers)

    def forward(self, sr_tensor: Tensor, gt_tensor: Tensor) -> Tensor:
        pairs = zip(self.network(sr_tensor), self.network(gt_tensor), strict=True)
        return torch.stack([F.mse_loss(made, true) for made, true in pairs])[None]


# -- leftthomas ----------------------------------------------------------------------------------


class Generator(Adapter):
    """low (N, 3, H, W) in [0, 1] -> high (N, 3, scale * H, scale * W) in [0, 1]; five residual blocks."""

    file = "model.py"
    fills = ("srgan.generator",)

    def __init__(self, scale_factor: int) -> None:
        ours = srgan.SRResNet(3, scale_factor, 64, 5, bounded=True)
        names = ("conv1", "bn1", "prelu", "conv2", "bn2")
        layers = {"block1.0": "first.0", "block1.1": "first.1"}
        layers |= {f"block{i + 2}.{name}": f"trunk.{i}.{j}" for i in range(5) for j, name in enumerate(names)}
        layers |= {"block7.0": "merge.0", "block7.1": "merge.1"}
        times = len(ours.up)
        layers |= {f"block8.{i}.{name}": f"up.{i}.{j}" for i in range(times) for name, j in (("conv", 0), ("prelu", 2))}
        super().__init__(ours, {**layers, f"block8.{times}": "last"})

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)

    @classmethod
    def arguments(cls, state: State) -> dict[str, Any]:
        state["block1.0.weight"]
        return {"scale_factor": 2 ** sum(key.startswith("block8.") and key.endswith(".conv.bias") for key in state)}

    @classmethod
    def game(cls, place: str, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        config = {"generator": "srresnet", "bounded": True, "blocks": 5, "content": "pixel"}
        return {**config, "scale": arguments["scale_factor"]}, {"channels": 3}


class Discriminator(Adapter):
    """images (N, 3, H, W) in [0, 1], of any size -> probabilities of being real (N,)."""

    file = "model.py"

    def __init__(self) -> None:
        layers: list[nn.Module] = [nn.Conv2d(3, 64, 3, 1, 1), nn.LeakyReLU(0.2)]
        for i, (a, b) in enumerate(pairwise((64, 64, 128, 128, 256, 256, 512, 512))):
            layers += [nn.Conv2d(a, b, 3, 2 - i % 2, 1), nn.BatchNorm2d(b), nn.LeakyReLU(0.2)]
        layers += [nn.AdaptiveAvgPool2d(1), nn.Conv2d(512, 1024, 1), nn.LeakyReLU(0.2), nn.Conv2d(1024, 1, 1)]
        super().__init__(nn.Sequential(*layers, nn.Flatten(0)), {f"net.{i}": f"{i}" for i in range(27)})

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x).sigmoid()


class GeneratorLoss(Adapter):
    """probabilities (N,), made and true images (N, 3, H, W) in [0, 1] -> the loss of the generator, a number.

    Its terms have the weights 1 (pixels), 0.001 (adversarial), 0.006 (VGG-16's last map) and 2e-8 (total variation).
    """

    def __init__(self) -> None:
        ours = VGG(16, ["pool5"])
        super().__init__(ours, {f"loss_network.{i}": f"features.{i}" for i in range(len(ours.features))})
        ours.mean.zero_()  # the port shows VGG the images as they are
        ours.std.fill_(1)

    def perceptual(self, out_images: Tensor, target_images: Tensor) -> Tensor:
        """The mean squared error of what VGG-16 sees."""
        return F.mse_loss(*(self.network(images)[0] for images in (out_images, target_images)))

    def forward(self, out_labels: Tensor, out_images: Tensor, target_images: Tensor) -> Tensor:
        seen, pixels = self.perceptual(out_images, target_images), F.mse_loss(out_images, target_images)
        return pixels + 0.001 * (1 - out_labels).mean() + 0.006 * seen + 2e-8 * variation(out_images)


def variation(images: Tensor, weight: float = 1.0) -> Tensor:
    """Twice the mean squared step between neighbours down plus across: the port's `TVLoss`."""
    down, across = images.diff(dim=2).square(), images.diff(dim=3).square()
    return weight * 2 * (down.sum() / down[0].numel() + across.sum() / across[0].numel()) / len(images)


# -- tensorlayer ---------------------------------------------------------------------------------


class _Layered(Adapter):
    """Keys of TensorLayerX: filters and biases, gamma and beta, dense weights (in, out), and no counters."""

    file = "srgan.py"
    unmapped: ClassVar[tuple[str, ...]] = (".num_batches_tracked",)

    def __init__(self, network: nn.Module, layers: dict[str, str]) -> None:
        """`layers` in the official order: {convN, bnN or denseN: our layer}."""
        tensors = dict[str, str]()
        for theirs, ours in layers.items():
            layer = network.get_submodule(ours)
            if isinstance(layer, nn.BatchNorm2d):
                names = {"beta": "bias", "gamma": "weight", "moving_mean": "running_mean", "moving_var": "running_var"}
            else:
                names = {"filters" if isinstance(layer, nn.Conv2d) else "weights": "weight"}
                names |= {"biases": "bias"} if layer.bias is not None else {}
            tensors |= {f"{theirs}.{name}": f"{ours}.{own}" for name, own in names.items()}
        super().__init__(network, tensors)

    def to_ours(self, key: str, tensor: Tensor) -> Tensor:
        return tensor.T.contiguous() if key.endswith(".weights") else tensor

    def to_theirs(self, key: str, tensor: Tensor) -> Tensor:
        return self.to_ours(key, tensor)


class _Around(nn.Sequential):
    """Layers with a skip connection."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) + input


class SRGAN_g(_Layered):
    """low (N, 3, H, W) in [-1, 1] -> high (N, 3, 4H, 4W) in [-1, 1]."""

    def __init__(self) -> None:
        def block() -> nn.Module:
            return _Around(*same_conv(64, 64), nn.ReLU(), *same_conv(64, 64))

        trunk = _Around(*(block() for _ in range(16)), *same_conv(64, 64))
        up = [m for _ in upscale_factors(4) for m in (nn.Conv2d(64, 256, 3, 1, 1), nn.PixelShuffle(2), nn.ReLU())]
        ours = nn.Sequential(nn.Conv2d(3, 64, 3, 1, 1), nn.ReLU(), trunk, *up, nn.Conv2d(64, 3, 1), nn.Tanh())
        layers, names = {"conv1": "0"}, (("conv1", 0), ("bn1", 1), ("conv2", 3), ("bn2", 4))
        layers |= {f"residual_block.{i}.{name}": f"2.{i}.{j}" for i in range(16) for name, j in names}
        super().__init__(ours, {**layers, "conv2": "2.16", "bn1": "2.17", "conv3": "3", "conv4": "6", "conv5": "9"})

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)


def same_conv(a: int, b: int, kernel: int = 3) -> list[nn.Module]:
    """A convolution that keeps the sides, and its norm."""
    return [nn.Conv2d(a, b, kernel, 1, kernel // 2, bias=False), nn.BatchNorm2d(b)]


class SRGAN_d(_Layered):
    """images (N, 3, H, W) in [-1, 1], sides of multiples of 64 -> logits (N, 1); 384 x 384 in training.

    The official dense layer learns its size from the first input, this one from the weights.
    """

    def __init__(self, dim: int = 64) -> None:
        d, slope = dim, 0.01
        layers: list[nn.Module] = [nn.Conv2d(3, d, 4, 2, 1), nn.LeakyReLU(slope)]
        for a, b in pairwise((1, 2, 4, 8, 16, 32)):
            layers += [nn.Conv2d(a * d, b * d, 4, 2, 1, bias=False), nn.BatchNorm2d(b * d), nn.LeakyReLU(slope)]
        layers += [*same_conv(32 * d, 16 * d, 1), nn.LeakyReLU(slope), *same_conv(16 * d, 8 * d, 1)]
        tail = [*same_conv(8 * d, 2 * d, 1), nn.LeakyReLU(slope), *same_conv(2 * d, 2 * d), nn.LeakyReLU(slope)]
        ours = nn.Sequential(
            *layers, _Around(*tail, *same_conv(2 * d, 8 * d)), nn.LeakyReLU(slope), nn.Flatten(),
            nn.Linear(8 * d * (384 // 64) ** 2, 1),
        )  # fmt: skip
        convolutions = ["0", *(str(2 + 3 * i) for i in range(5)), "17", "20", "22.0", "22.3", "22.6"]
        keys = {"conv1": "0"}
        for i, place in enumerate(convolutions[1:], 1):
            head, _, last = place.rpartition(".")
            keys |= {f"conv{i + 1}": place, f"bn{i}": f"{head}.{int(last) + 1}".lstrip(".")}
        super().__init__(ours, {**keys, "dense": "25"})

    def expect(self, state: State) -> None:
        inputs, layers = len(state.get("dense.weights", ())), self.network
        assert isinstance(layers, nn.Sequential)
        if inputs:
            layers[25] = nn.Linear(inputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)


class SRGAN_d2(_Layered):
    """images (N, 3, 48, 48) -> probabilities and logits of being real, (N, 1) each."""

    def __init__(self) -> None:
        ours = nn.Sequential(*list(srgan.Discriminator(3, 64, 48, 48))[:-1])
        layers = {"conv1": "0"}
        for i in range(7):
            layers |= {f"conv{i + 2}": f"{2 + 3 * i}", f"bn{i + 1}": f"{3 + 3 * i}"}
        super().__init__(ours, {**layers, "dense1": "24", "dense2": "26"})

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.network(x)
        return logits.sigmoid(), logits
