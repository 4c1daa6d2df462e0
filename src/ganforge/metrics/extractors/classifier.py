"""A small classifier of the labelled data itself, as an extractor: the usual practice where photographs are far.

Inception has seen photographs in colour; of digits or clothes in 28 x 28 grey pixels it knows nothing.  So a network
learns the classes of the real data first, and generated pictures are compared in what it sees: its 128 numbers before
the verdict are the features, its verdict serves the Inception score and reads labels off pictures.

It sees about 4 million pixels' worth of pictures a second and core, so the budget below is under a minute on two.
Weights are kept under the data's fingerprint, so every figure about that data is measured by the same eyes.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional as F

from ganforge.data.cache import fingerprint
from ganforge.data.dataset import DataSet
from ganforge.data.loader import to_images
from ganforge.data.paths import cache_home
from ganforge.errors import DataError, RunError
from ganforge.files import replacing
from ganforge.metrics.extractors.base import Features

FORMAT = 1  # raise it when anything below changes what is learned
WIDTH = 128  # features
LARGEST = 64  # pixels a side that it looks at; larger pictures are averaged to them
BATCH = 100
PIXELS = 60_000 * 28 * 28  # that it learns from: an epoch of MNIST, or fewer of larger pictures
EPOCHS = 30  # the most that a small set is shown
HELD = 5_000  # the most pictures kept aside to see how good it is, and never more than a tenth


class Network(nn.Module):
    """Pictures (N, C, H, W) in [-1, 1] -> logits (N, K): three strided convolutions, their mean, one layer."""

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *stage(channels, 32, 5, 2), *stage(32, 64, 3, 2), *stage(64, WIDTH, 3, 1), *stage(WIDTH, WIDTH, 3, 2)
        )
        self.head = nn.Linear(WIDTH, outputs)

    def features(self, images: Tensor) -> Tensor:
        """(N, 128): what it sees, before the verdict."""
        return self.body(looked_at(images)).mean((2, 3))

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images))


def stage(inputs: int, outputs: int, kernel: int, stride: int) -> list[nn.Module]:
    """A convolution, normalised and rectified."""
    return [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(True)]


def looked_at(images: Tensor) -> Tensor:
    """Pictures of at most 64 pixels a side."""
    height, width = images.shape[2:]
    if max(height, width) > LARGEST:
        images = F.adaptive_avg_pool2d(images, (min(height, LARGEST), min(width, LARGEST)))
    return images


@dataclass(frozen=True)
class Classifier:
    """The trained network as an extractor."""

    network: Network
    labels: tuple[str, ...]
    """Names of what its logits stand for."""
    exclusive: bool
    """Whether a picture has one of the labels (classes), or any of them (attributes)."""
    accuracy: float
    """Share of labels that it reads rightly off real pictures that it never saw."""
    key: str
    device: torch.device
    name: str = "classifier"

    @property
    def about(self) -> str:
        """Which classifier this is."""
        kind = "classes" if self.exclusive else "attributes"
        return f"a classifier of the data's own {len(self.labels)} {kind}, right {self.accuracy:.1%} of the time"

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Features:
        """Features (N, 128), and logits where pictures have one class each."""
        wanted = next(m for m in self.network.modules() if isinstance(m, nn.Conv2d)).in_channels
        if images.shape[1] != wanted:
            raise DataError(
                f"The pictures have {images.shape[1]} channels and the classifier has learned pictures of {wanted}: "
                f"bring them to {wanted} channels, or compare with --features inception."
            )
        features = self.network.features(images.to(self.device, memory_format=torch.channels_last))
        return Features(features, self.network.head(features) if self.exclusive else None)

    @torch.inference_mode()
    def read(self, images: Tensor) -> Tensor:
        """The class (N,) of each picture."""
        return self.network(images.to(self.device)).argmax(1).cpu()

    @torch.inference_mode()
    def shown(self, images: Tensor) -> Tensor:
        """bool (N, K): which labels each picture shows."""
        logits = self.network(images.to(self.device)).cpu()
        return F.one_hot(logits.argmax(1), len(self.labels)).bool() if self.exclusive else logits > 0


def classifier_of(data: DataSet, device: torch.device | str = "cpu") -> Classifier:
    """The classifier of a labelled data set: from the cache, or trained now and put there.

    Raises DataError when the data has no labels, or fewer than two classes.
    """
    if "condition" not in data.columns:
        raise DataError(
            f"{data.name} has no labels to learn a classifier from: put one class a folder (cat/1.png, dog/2.png), or "
            "take --features inception or --features pixels."
        )
    exclusive = data.columns["condition"].ndim == 1
    labels = data.facts.labels if exclusive else data.facts.attributes
    if exclusive and len(np.unique(data.columns["condition"][:])) < 2:
        raise DataError(f"{data.name} has only one class, so a classifier learns nothing: take --features inception.")
    key = fingerprint("classifier", FORMAT, data.fingerprint)
    path = cache_home() / "classifiers" / f"{key}.safetensors"
    network = Network(data.facts.channels, len(labels))
    accuracy = stored_weights(path, network)
    if accuracy is None:
        rows = np.random.Generator(np.random.Philox(0)).permutation(len(data))
        held, rest = np.split(rows, [min(HELD, len(data) // 10)])
        rest = rest if len(rest) else rows
        network = learned(data.columns["images"], data.columns["condition"], len(labels), rows=rest, device=device)
        accuracy = accuracy_of(network, data.columns["images"], data.columns["condition"], held if len(held) else rows)
        keep(path, network, accuracy)
    network = network.to(device).to(memory_format=torch.channels_last).eval()
    return Classifier(network, labels, exclusive, accuracy, key, torch.device(device))


def learned(
    images: np.ndarray,
    condition: np.ndarray,
    outputs: int,
    *,
    rows: np.ndarray | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> Network:
    """A network that has learned `condition` (N,) or (N, K) from stored pictures (N, H, W, C).

    `rows` are those to learn from.  It follows from (pictures, seed) alone.
    """
    rows = np.arange(len(images)) if rows is None else rows
    chance = np.random.Generator(np.random.Philox(seed))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Network(images.shape[3], outputs)
    network = network.to(device).to(memory_format=torch.channels_last).train()
    side = min(LARGEST, images.shape[1]) * min(LARGEST, images.shape[2])
    shown = min(max(PIXELS // side, 20 * BATCH), EPOCHS * len(rows))
    batch = min(BATCH, len(rows))
    steps = max(1, shown // batch)
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps + 1)
    order = np.concatenate([chance.permutation(rows) for _ in range(-(-steps * batch // len(rows)))])
    for k in range(steps):
        chosen = np.sort(order[k * batch : (k + 1) * batch])
        pictures = to_images(images[chosen]).to(device)
        wanted = torch.from_numpy(condition[chosen]).to(device)
        loss = wrongness(network(pictures), wanted)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return network.eval()


def wrongness(logits: Tensor, wanted: Tensor) -> Tensor:
    """Cross-entropy of classes (N,), or of attributes (N, K) each by itself."""
    if wanted.ndim == 1:
        return F.cross_entropy(logits, wanted, label_smoothing=0.05)
    return F.binary_cross_entropy_with_logits(logits, wanted.float())


@torch.inference_mode()
def accuracy_of(network: Network, images: np.ndarray, condition: np.ndarray, rows: np.ndarray) -> float:
    """Share of labels that the network reads rightly off some rows of stored pictures."""
    device, right = next(network.parameters()).device, []
    for part in np.array_split(np.sort(rows), -(-len(rows) // 500)):
        logits, wanted = network(to_images(images[part]).to(device)).cpu(), torch.from_numpy(condition[part])
        right.append(logits.argmax(1) == wanted if wanted.ndim == 1 else (logits > 0) == (wanted > 0.5))
    return float(torch.cat(right).double().mean())


def stored_weights(path: Path, network: Network) -> float | None:
    """Load kept weights; returns the accuracy measured then, or None where there are none, or no whole ones."""
    try:
        with safe_open(path, "pt") as file:
            network.load_state_dict({key: file.get_tensor(key) for key in file.keys()})  # noqa: SIM118 (no mapping)
            return float((file.metadata() or {})["accuracy"])
    except (OSError, SafetensorError, RuntimeError, KeyError, ValueError):
        return None


def keep(path: Path, network: Network, accuracy: float) -> None:
    """Put weights into the cache; where it cannot be written, the next evaluation trains them again."""
    tensors = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    try:
        with replacing(path) as file:
            file.write(save(tensors, {"accuracy": repr(accuracy)}))
    except RunError:
        return
