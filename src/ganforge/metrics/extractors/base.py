"""The interface of feature extractors, and feature extraction from a stream of images.

An extractor takes images (N, C, H, W) in [-1, 1] of any size and returns `Features`.  Memory: one batch of
images, and 4 bytes per feature (50,000 images of 2,048 features: 0.4 GB).
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ganforge.errors import DataError


@dataclass(frozen=True)
class Features:
    """Features of a set of images."""

    features: Tensor
    """float32 (N, D)."""
    logits: Tensor | None = None
    """float32 (N, K), where the extractor is a classifier."""

    def __len__(self) -> int:
        return len(self.features)


class Extractor(Protocol):
    """A callable from images to feature vectors."""

    @property
    def name(self) -> str:
        """As it is written after --features."""
        ...

    @property
    def key(self) -> str:
        """Identifies weights and preprocessing: equal keys mean comparable features."""
        ...

    @property
    def about(self) -> str:
        """One line for the report: which network, which weights, which preprocessing."""
        ...

    def __call__(self, images: Tensor) -> Features:
        """Features of images (N, C, H, W) in [-1, 1]."""
        ...


def extract_features(extractor: Extractor, batches: Iterable[Tensor], first: int = 0) -> Features:
    """Features of a stream of image batches; `first` is the index of the first image, for error messages.

    Raises DataError where the stream is empty, or images are not finite.
    """
    features, logits = [], []
    index = first
    for images in batches:
        if not images.isfinite().all():
            raise DataError(f"Images {index} ... {index + len(images) - 1} hold NaN or infinite values.")
        with torch.inference_mode():
            result = extractor(images)
        features.append(result.features.float().cpu())
        logits += [result.logits.float().cpu()] if result.logits is not None else []
        index += len(images)
    if not features:
        raise DataError("There are no images to extract features from.")
    return Features(torch.cat(features).clone(), torch.cat(logits).clone() if logits else None)


def hash_weights(weights: Mapping[str, Tensor]) -> str:
    """A short SHA-256 digest of weights, by name and content."""
    content = hashlib.sha256()
    for key in sorted(weights):
        content.update(key.encode())
        content.update(weights[key].detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return content.hexdigest()[:16]


class Pixels:
    """The pixels themselves, averaged to at most `side` x `side`: no network."""

    name = "pixels"

    def __init__(self, side: int = 16) -> None:
        self.side = side
        self.key, self.about = f"pixels-{side}", f"pixels, averaged to at most {side} x {side}"

    def __call__(self, images: Tensor) -> Features:
        """Averaged pixels as (N, C * h * w)."""
        size = (min(self.side, images.shape[2]), min(self.side, images.shape[3]))
        return Features(torch.nn.functional.adaptive_avg_pool2d(images.float(), size).flatten(1))
