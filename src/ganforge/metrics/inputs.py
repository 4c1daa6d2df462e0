"""What an evaluation hands to the metrics that need more than features: images of both sides, the data, options."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from ganforge.data.dataset import DataSet
from ganforge.metrics.image_set import ImageSet


@dataclass(frozen=True)
class LabelTargets:
    """The target label of each translated image."""

    names: tuple[str, ...]
    """Names of all labels: classes or attributes."""
    label: Tensor
    """int64 (N,): the target label of each image."""
    own: Tensor
    """float (N, K): the true labels of the source images."""
    known: Tensor
    """float (M, K): the labels of the whole data set."""


@dataclass(frozen=True)
class MetricInputs:
    """The generated and the real images, opened but not read."""

    fake: ImageSet
    real: ImageSet
    data: DataSet
    open: Callable[..., DataSet]
    """Opens the data again, with another `size` (None: native) or split (`held_out`)."""
    paired: bool = False
    """Whether real image k is the target of generated image k."""
    sources: ImageSet | None = None
    """The inputs of a translator."""
    resample: Callable[[int], ImageSet] | None = None
    """A translator's outputs for the same inputs with another random seed."""
    label_targets: LabelTargets | None = None
    """The target label of each image, for a label-conditioned translator."""
    embed: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None = None
    """A text encoder's features (N, K) of images (N, C, H, W), and of sentences as tokens (N, T)."""
    match: Callable[[int, int], tuple[Tensor, Tensor, Tensor]] | None = None
    """(start, stop) -> features of those generated images and of the sentences that they were drawn for, both (n, K),
    and the sentences' tokens (n, T), by a text encoder that is no part of the run."""
    walk: Callable[[int, int, float], tuple[Tensor, Tensor]] | None = None
    """(start, stop, step) -> images of codes `start` to `stop`, and of codes that share `step` of the way to another:
    of a game whose codes can be decoded."""


class MetricOptions(Protocol):
    """The options of an evaluation that metrics read; evaluation/inputs.py describes them."""

    @property
    def n(self) -> int:
        """Images to sample from a run."""
        ...

    @property
    def seed(self) -> int:
        """Random seed of the generated images."""
        ...

    @property
    def lpips(self) -> tuple[str, ...]:
        """The two weight files of LPIPS, or ()."""
        ...

    @property
    def held_out(self) -> bool:
        """Whether the data is the split that training never sees."""
        ...

    @property
    def device(self) -> str:
        """Where networks run."""
        ...

    @property
    def batch(self) -> int:
        """Images per batch."""
        ...
