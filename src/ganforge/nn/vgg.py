"""VGG-16 and VGG-19 as feature extractors for content losses.

Simonyan and Zisserman 2015, https://arxiv.org/abs/1409.1556.

Layers are numbered as torchvision numbers them, so that its weights load by number: `features.0.weight` ...
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.errors import WeightsError
from ganforge.nn.cpu.winograd import WinogradConv2d

Depth = Literal[16, 19]
CONVOLUTIONS: dict[int, tuple[int, ...]] = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
WIDTHS = (64, 128, 256, 512, 512)
CONTENT = {"relu1_1": 1 / 32, "relu2_1": 1 / 16, "relu3_1": 1 / 8, "relu4_1": 1 / 4, "relu5_1": 1.0}
"""Layers of VGG-19 and their weights in the content loss of pix2pixHD, SPADE and LostGAN."""


def layer_names(depth: Depth) -> list[str]:
    """conv1_1, relu1_1, conv1_2, ... pool5, in order: the place of a name is torchvision's number of the layer."""
    names = []
    for block, count in enumerate(CONVOLUTIONS[depth], 1):
        names += [f"{kind}{block}_{i}" for i in range(1, count + 1) for kind in ("conv", "relu")] + [f"pool{block}"]
    return names


class VGG(nn.Module):
    """Features of VGG after some of its layers.  The weights are random until loaded, and never trained."""

    mean: Tensor
    std: Tensor

    def __init__(self, depth: Depth, seen: Sequence[str]) -> None:
        """`seen` are names of layers: `relu5_4` is after the ReLU, `conv5_4` before it."""
        super().__init__()
        names, before = layer_names(depth), 3
        self.seen = [names.index(name) for name in seen]
        self.features = nn.Sequential()
        for name in names[: max(self.seen) + 1]:
            if name.startswith("conv"):
                width = WIDTHS[int(name[4]) - 1]
                self.features.append(WinogradConv2d(before, width, 3, 1))
                before = width
            else:
                self.features.append(nn.MaxPool2d(2) if name.startswith("pool") else nn.ReLU())
        for name, values in (("mean", (0.485, 0.456, 0.406)), ("std", (0.229, 0.224, 0.225))):  # ImageNet's
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1), persistent=False)
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Images (N, 3 or 1, H, W) in [0, 1] -> a map (N, K, h, w) for each name of `seen`, in their order."""
        maps, x = dict[int, Tensor](), (images - self.mean) / self.std
        for number, layer in enumerate(self.features):
            x = layer(x)
            maps[number] = x
        return [maps[number] for number in self.seen]

    def train(self, mode: bool = True) -> "VGG":
        """Always in evaluation mode."""
        return super().train(False)


def read_weights(path: Path, name: str) -> Mapping[str, Tensor]:
    """What a torch file of the weights of the network `name` holds, read without unpickling code.

    Raises WeightsError where the file is missing or damaged.
    """
    if not path.is_file():
        raise WeightsError(f"There is no file {path} with the weights of {name}.")
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises many kinds of errors for damaged files
        why = type(error).__name__
        raise WeightsError(f"{path} is damaged, or not a torch file of tensors ({why} while reading it).") from error
    return held if isinstance(held, Mapping) else {}


def load_vgg(path: Path, depth: Depth, seen: Sequence[str]) -> VGG:
    """VGG with the weights of torchvision's file, which is read without unpickling code.

    Raises WeightsError where the file is missing, damaged or of another network.
    """
    weights = read_weights(path, f"VGG-{depth}")
    extractor = VGG(depth, seen)
    own, found = extractor.state_dict(), weights
    wrong = [k for k, v in own.items() if k not in found or found[k].shape != v.shape]
    if wrong:
        raise WeightsError(
            f"{path} does not hold torchvision's weights of VGG-{depth}: {wrong[0]} is missing or has another shape."
        )
    extractor.load_state_dict({key: found[key] for key in own})
    return extractor


class LazyVGG:
    """VGG-19 for a content loss, loaded when it is first used; not a module, so no state of a game holds it."""

    def __init__(self, path: str, seen: Sequence[str], otherwise: str) -> None:
        """From `path`, or from torchvision's file in the working directory; `otherwise`: what to do without it."""
        self.file, self.seen, self.otherwise = Path(path or "vgg19-dcbb9e9d.pth"), seen, otherwise
        self.vgg: VGG | None = None

    def load(self) -> VGG:
        """The network.  Raises WeightsError where its weights are missing or damaged."""
        if self.vgg is None:
            if not self.file.is_file():
                raise WeightsError(
                    f"VGG-19's weights are needed, and there is no {self.file}: get torchvision's vgg19-dcbb9e9d.pth "
                    f"and name it with --config.vgg PATH, or {self.otherwise}."
                )
            self.vgg = load_vgg(self.file, 19, self.seen)
        return self.vgg


def compare_features(fake: Sequence[Tensor], real: Sequence[Tensor], weights: Iterable[float]) -> Tensor:
    """The weighted sum of the mean absolute differences of feature maps; no gradient passes the real ones."""
    triples = zip(weights, fake, real, strict=True)
    return torch.stack([weight * F.l1_loss(a, b.detach()) for weight, a, b in triples]).sum()


def compare_images(extractor: VGG, fake: Tensor, real: Tensor) -> Tensor:
    """The differences of images in [-1, 1] in the features of `CONTENT`.

    Images enter as they are, without the means and deviations of ImageNet, as in the authors' code.
    """
    on_fake = extractor(fake * extractor.std + extractor.mean)
    with torch.no_grad():  # after the fake: autocast keeps what it casts, and without gradients it would keep none
        on_real = extractor(real * extractor.std + extractor.mean)
    return compare_features(on_fake, on_real, CONTENT.values())
