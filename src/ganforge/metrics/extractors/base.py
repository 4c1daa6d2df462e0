"""Pictures as vectors: what every extractor is, and reading a stream of pictures with one.

An extractor takes pictures (N, C, H, W) in [-1, 1] of any size and returns a `Reading`.  Memory: one batch of
pictures, and 4 bytes for each number of the features (50,000 pictures of 2,048: 0.4 GB).
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
    """What an extractor sees in some pictures."""

    features: Tensor
    """float32 (N, D)."""
    logits: Tensor | None = None
    """float32 (N, K), where the extractor tells classes apart."""

    def __len__(self) -> int:
        return len(self.features)


class Extractor(Protocol):
    """Anything that turns pictures into vectors."""

    @property
    def name(self) -> str:
        """As it is written after --features."""
        ...

    @property
    def key(self) -> str:
        """Changes whenever its readings do: with its weights, its preprocessing."""
        ...

    @property
    def about(self) -> str:
        """One line for the report: which network, which weights, which preprocessing."""
        ...

    def __call__(self, images: Tensor) -> Features:
        """The reading of pictures (N, C, H, W) in [-1, 1]."""
        ...


def reading(extractor: Extractor, batches: Iterable[Tensor], first: int = 0) -> Features:
    """One reading of a stream of pictures, of which `first` is the first's number.

    Raises DataError when it is empty, or pictures are not finite.
    """
    features, logits = [], []
    done = first
    for images in batches:
        if not images.isfinite().all():
            raise DataError(f"Pictures {done} ... {done + len(images) - 1} hold numbers that are not finite.")
        with torch.inference_mode():
            seen = extractor(images)
        features.append(seen.features.float().cpu())
        logits += [seen.logits.float().cpu()] if seen.logits is not None else []
        done += len(images)
    if not features:
        raise DataError("There are no pictures to look at.")
    return Features(torch.cat(features).clone(), torch.cat(logits).clone() if logits else None)


def digest(weights: Mapping[str, Tensor]) -> str:
    """A short name for weights that changes whenever they do."""
    content = hashlib.sha256()
    for key in sorted(weights):
        content.update(key.encode())
        content.update(weights[key].detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return content.hexdigest()[:16]


class Pixels:
    """The pixels themselves, brought to at most `side` pixels: no network, so no opinion about what matters."""

    name = "pixels"

    def __init__(self, side: int = 16) -> None:
        self.side = side
        self.key, self.about = f"pixels-{side}", f"pixels, averaged to at most {side} x {side}"

    def __call__(self, images: Tensor) -> Features:
        """Averaged pixels as (N, C * h * w)."""
        size = (min(self.side, images.shape[2]), min(self.side, images.shape[3]))
        return Features(torch.nn.functional.adaptive_avg_pool2d(images.float(), size).flatten(1))
