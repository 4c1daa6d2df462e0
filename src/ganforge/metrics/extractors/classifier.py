"""A small classifier of the labelled data itself as an extractor: common practice for data unlike ImageNet photographs.

Inception was trained on colour photographs; its features suit neither digits nor clothes of 28 x 28 grey pixels.  So a
network is trained on the classes of the real data, and generated images are compared in its features: the 128 values
before the last layer are the features; its logits serve the Inception score and predict labels.

Training takes about 4 million pixels per second and core, so the budget below is under a minute on two cores.
Weights are cached under the data's fingerprint, so every metric of that data uses the same extractor.
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

FORMAT = 1  # raise it when anything below changes the trained network
WIDTH = 128  # features
LARGEST = 64  # pixels per side of its input; larger images are averaged to this size
BATCH = 100
PIXELS = 60_000 * 28 * 28  # of training: one epoch of MNIST, or fewer of larger images
EPOCHS = 30  # at most, for a small data set
HELD = 5_000  # images held out to measure its accuracy, at most a tenth of the data


class Network(nn.Module):
    """Images (N, C, H, W) in [-1, 1] -> logits (N, K): strided convolutions, global mean pooling, one linear layer."""

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *build_stage(channels, 32, 5, 2),
            *build_stage(32, 64, 3, 2),
            *build_stage(64, WIDTH, 3, 1),
            *build_stage(WIDTH, WIDTH, 3, 2),
        )
        self.head = nn.Linear(WIDTH, outputs)

    def features(self, images: Tensor) -> Tensor:
        """(N, 128): the pooled activations before the last layer."""
        return self.body(limit_size(images)).mean((2, 3))

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images))


def build_stage(inputs: int, outputs: int, kernel: int, stride: int) -> list[nn.Module]:
    """Convolution, batch normalisation, ReLU."""
    return [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(True)]


def limit_size(images: Tensor) -> Tensor:
    """Images averaged to at most 64 pixels per side."""
    height, width = images.shape[2:]
    if max(height, width) > LARGEST:
        images = F.adaptive_avg_pool2d(images, (min(height, LARGEST), min(width, LARGEST)))
    return images


@dataclass(frozen=True)
class Classifier:
    """The trained network as an extractor."""

    network: Network
    labels: tuple[str, ...]
    """Names of its outputs: classes or attributes."""
    exclusive: bool
    """Whether an image has one of the labels (classes), or any of them (attributes)."""
    accuracy: float
    """Share of correctly predicted labels on held-out real images."""
    key: str
    device: torch.device
    name: str = "classifier"

    @property
    def about(self) -> str:
        """One line for the report: labels and accuracy."""
        kind = "classes" if self.exclusive else "attributes"
        return f"a classifier of the data's own {len(self.labels)} {kind}, {self.accuracy:.1%} accurate"

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Features:
        """Features (N, 128), and logits where images have one class each."""
        channels = next(m for m in self.network.modules() if isinstance(m, nn.Conv2d)).in_channels
        if images.shape[1] != channels:
            raise DataError(
                f"The images have {images.shape[1]} channels and the classifier was trained on images of {channels}: "
                f"convert them to {channels} channels, or use --features inception."
            )
        features = self.network.features(images.to(self.device, memory_format=torch.channels_last))
        return Features(features, self.network.head(features) if self.exclusive else None)

    @torch.inference_mode()
    def predict_classes(self, images: Tensor) -> Tensor:
        """The predicted class int64 (N,) of each image."""
        return self.network(images.to(self.device)).argmax(1).cpu()

    @torch.inference_mode()
    def predict_labels(self, images: Tensor) -> Tensor:
        """bool (N, K): the predicted labels of each image."""
        logits = self.network(images.to(self.device)).cpu()
        return F.one_hot(logits.argmax(1), len(self.labels)).bool() if self.exclusive else logits > 0


def load_or_train_classifier(data: DataSet, device: torch.device | str = "cpu") -> Classifier:
    """The classifier of a labelled data set: from the cache, or trained now and cached.

    Raises DataError where the data has no labels, or fewer than two classes.
    """
    if "condition" not in data.columns:
        raise DataError(
            f"{data.name} has no labels to train a classifier on: use one folder per class (cat/1.png, dog/2.png), or "
            "--features inception or --features pixels."
        )
    exclusive = data.columns["condition"].ndim == 1
    labels = data.facts.labels if exclusive else data.facts.attributes
    if exclusive and len(np.unique(data.columns["condition"][:])) < 2:
        raise DataError(
            f"{data.name} has only one class, so a classifier has nothing to learn: use --features inception."
        )
    key = fingerprint("classifier", FORMAT, data.fingerprint)
    path = cache_home() / "classifiers" / f"{key}.safetensors"
    network = Network(data.facts.channels, len(labels))
    accuracy = load_weights(path, network)
    if accuracy is None:
        rows = np.random.Generator(np.random.Philox(0)).permutation(len(data))
        held, rest = np.split(rows, [min(HELD, len(data) // 10)])
        rest = rest if len(rest) else rows
        network = train_classifier(
            data.columns["images"], data.columns["condition"], len(labels), rows=rest, device=device
        )
        accuracy = measure_accuracy(
            network, data.columns["images"], data.columns["condition"], held if len(held) else rows
        )
        save_weights(path, network, accuracy)
    network = network.to(device).to(memory_format=torch.channels_last).eval()
    return Classifier(network, labels, exclusive, accuracy, key, torch.device(device))


def train_classifier(
    images: np.ndarray,
    condition: np.ndarray,
    outputs: int,
    *,
    rows: np.ndarray | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> Network:
    """A network trained to predict `condition` (N,) or (N, K) from stored uint8 images (N, H, W, C).

    `rows` are the training rows.  The result depends on the data and the seed alone.
    """
    rows = np.arange(len(images)) if rows is None else rows
    random = np.random.Generator(np.random.Philox(seed))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Network(images.shape[3], outputs)
    network = network.to(device).to(memory_format=torch.channels_last).train()
    side = min(LARGEST, images.shape[1]) * min(LARGEST, images.shape[2])
    samples = min(max(PIXELS // side, 20 * BATCH), EPOCHS * len(rows))
    batch = min(BATCH, len(rows))
    steps = max(1, samples // batch)
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps + 1)
    order = np.concatenate([random.permutation(rows) for _ in range(-(-steps * batch // len(rows)))])
    for k in range(steps):
        batch_rows = np.sort(order[k * batch : (k + 1) * batch])
        targets = torch.from_numpy(condition[batch_rows]).to(device)
        loss = classification_loss(network(to_images(images[batch_rows]).to(device)), targets)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return network.eval()


def classification_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of classes (N,), or binary cross-entropy of attributes (N, K)."""
    if targets.ndim == 1:
        return F.cross_entropy(logits, targets, label_smoothing=0.05)
    return F.binary_cross_entropy_with_logits(logits, targets.float())


@torch.inference_mode()
def measure_accuracy(network: Network, images: np.ndarray, condition: np.ndarray, rows: np.ndarray) -> float:
    """Share of labels that the network predicts correctly on some rows of stored images."""
    device, correct = next(network.parameters()).device, []
    for part in np.array_split(np.sort(rows), -(-len(rows) // 500)):
        logits, targets = network(to_images(images[part]).to(device)).cpu(), torch.from_numpy(condition[part])
        correct.append(logits.argmax(1) == targets if targets.ndim == 1 else (logits > 0) == (targets > 0.5))
    return float(torch.cat(correct).double().mean())


def load_weights(path: Path, network: Network) -> float | None:
    """Load cached weights into the network; returns the stored accuracy, or None for a missing or damaged file."""
    try:
        with safe_open(path, "pt") as file:
            network.load_state_dict({key: file.get_tensor(key) for key in file.keys()})  # noqa: SIM118 (no mapping)
            return float((file.metadata() or {})["accuracy"])
    except (OSError, SafetensorError, RuntimeError, KeyError, ValueError):
        return None


def save_weights(path: Path, network: Network, accuracy: float) -> None:
    """Write weights into the cache; where it cannot be written, the next evaluation trains again."""
    tensors = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    try:
        with replacing(path) as file:
            file.write(save(tensors, {"accuracy": repr(accuracy)}))
    except RunError:
        return
