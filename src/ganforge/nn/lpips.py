"""LPIPS, the perceptual distance of Zhang et al. 2018, https://arxiv.org/abs/1801.03924, and AlexNet.

Layers are numbered as torchvision numbers them, so that published weights load by number.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from ganforge.errors import DataError, WeightsError
from ganforge.nn.vgg import VGG

Kind = Literal["alex", "vgg"]
WIDTHS: dict[str, tuple[int, ...]] = {"alex": (64, 192, 384, 256, 256), "vgg": (64, 128, 256, 512, 512)}
"""Channels of the five layers whose features are compared, for each network."""
NAMES = {"alex": "AlexNet", "vgg": "VGG-16"}


class AlexNet(nn.Module):
    """Features of AlexNet, in the form of "One weird trick" (Krizhevsky 2014), after its five ReLUs."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2)]
        layers += [nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)]
        layers += [nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(), nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()]
        layers += [nn.Conv2d(256, 256, 3, padding=1), nn.ReLU()]
        self.features = nn.Sequential(*layers)
        for name, values in (("mean", (0.485, 0.456, 0.406)), ("std", (0.229, 0.224, 0.225))):  # ImageNet's
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Images (N, 3 or 1, H, W) in [0, 1] -> five maps (N, K, h, w)."""
        features, maps = [], (images - self.mean) / self.std
        for layer in self.features:
            maps = layer(maps)
            if isinstance(layer, nn.ReLU):
                features.append(maps)
        return features


class LPIPS(nn.Module):
    """Perceptual distance of images: weighted squared differences of normalised features (equation 1).

    The networks have random weights until `load` sets the published ones.
    """

    def __init__(self, kind: Kind = "alex") -> None:
        super().__init__()
        self.kind = kind
        behind = ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")
        self.network = AlexNet() if kind == "alex" else VGG(16, behind)
        self.weights = nn.ParameterList(torch.ones(1, width, 1, 1) for width in WIDTHS[kind])
        self.eval().requires_grad_(False)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """(N, 3 or 1, H, W) in [-1, 1], twice -> (N,): 0 for equal images, larger the less alike they look.

        Raises DataError for other channels, and for images smaller than 32 pixels, which pooling reduces to nothing.
        """
        if a.shape[1] not in (1, 3) or min(a.shape[2:]) < 32:
            raise DataError(
                f"LPIPS compares grey or colour images of at least 32 pixels a side, not {tuple(a.shape[1:])}."
            )
        n = len(a)
        features = self.network((torch.cat([a, b]) + 1) / 2)
        return distance([maps[:n] for maps in features], [maps[n:] for maps in features], [*self.weights])

    def load(self, network: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> "LPIPS":
        """Take torchvision's state dict of the network, and the `lin` layers that the authors published (version 0.1).

        Raises WeightsError where a key is missing or has another shape.
        """
        load_mapped(
            self.network, {key: key for key in self.network.state_dict()}, network, f"torchvision's {NAMES[self.kind]}"
        )
        load_mapped(
            self.weights, {str(k): f"lin{k}.model.1.weight" for k in range(5)}, weights, f"LPIPS 0.1 for {self.kind}"
        )
        return self


def load_mapped(module: nn.Module, keys: Mapping[str, str], given: Mapping[str, Tensor], what: str) -> None:
    """Load `given` into `module`; `keys` is {ours: theirs}.  Raises WeightsError for missing keys and other shapes."""
    own = module.state_dict()
    for ours, theirs in keys.items():
        if theirs not in given:
            raise WeightsError(f"These are not the weights of {what}: {theirs} is missing.")
        if given[theirs].shape != own[ours].shape:
            raise WeightsError(
                f"These are not the weights of {what}: {theirs} is {tuple(given[theirs].shape)}, "
                f"not {tuple(own[ours].shape)}."
            )
    module.load_state_dict({ours: given[theirs] for ours, theirs in keys.items()})


def distance(a: Sequence[Tensor], b: Sequence[Tensor], weights: Sequence[Tensor]) -> Tensor:
    """(N,) from maps (N, K, h, w) of two sets of images: equation 1, summed over the layers."""
    total = torch.zeros(len(a[0]), device=a[0].device)
    for x, y, weight in zip(a, b, weights, strict=True):
        total = total + ((unit(x) - unit(y)).square() * weight).sum(1).mean((1, 2))
    return total


def unit(maps: Tensor) -> Tensor:
    """Scale the channels at every position to a vector of length 1."""
    return maps / (maps.square().sum(1, keepdim=True).sqrt() + 1e-10)
