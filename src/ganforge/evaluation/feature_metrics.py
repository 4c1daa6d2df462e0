"""The measures by the names that a person writes, over two sides that one extractor has read."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ganforge.errors import OptionError
from ganforge.metrics.cmmd import cmmd
from ganforge.metrics.estimate import Estimate
from ganforge.metrics.extractors.base import Features
from ganforge.metrics.fid import fid, fid_infinity
from ganforge.metrics.inception_score import inception_score
from ganforge.metrics.kid import kid
from ganforge.metrics.modes import modes_of_classes
from ganforge.metrics.paired import l1
from ganforge.metrics.prdc import prdc, share
from ganforge.metrics.psnr import psnr
from ganforge.metrics.ssim import ssim


@dataclass(frozen=True)
class FeaturePair:
    """Both sides as an extractor read them."""

    real: Features
    fake: Features
    real_labels: np.ndarray | None = None
    """int64 (N,), where the data has classes."""
    fake_labels: np.ndarray | None = None
    """int64 (M,), the classes that the pictures were asked to show, or are filed under."""
    seed: int = 0

    def of_class(self, number: int) -> "FeaturePair":
        """The pictures of one class."""
        real, fake = (
            Features(r.features[torch.from_numpy(rows)], None if r.logits is None else r.logits[torch.from_numpy(rows)])
            for r, rows in ((self.real, self.real_labels == number), (self.fake, self.fake_labels == number))
        )
        return FeaturePair(real, fake, seed=self.seed)


def classes_read(sides: FeaturePair) -> tuple[Estimate, ...]:
    """Modes, where classes can be read off pictures."""
    if sides.real_labels is None:
        raise OptionError("--metrics modes counts classes: it needs labelled data and --features classifier.")
    logits = logits_of(sides, "modes")
    return modes_of_classes(logits.argmax(1), torch.from_numpy(sides.real_labels), logits.shape[1])


def logits_of(sides: FeaturePair, metric: str) -> Tensor:
    """The verdicts on the generated pictures.  Raises OptionError where the extractor gives none."""
    if sides.fake.logits is None:
        raise OptionError(f"--metrics {metric} needs --features that tell classes apart: classifier or inception.")
    return sides.fake.logits


MEASURES: dict[str, Callable[[FeaturePair], tuple[Estimate, ...]]] = {
    "fid": lambda s: (fid(s.real.features, s.fake.features),),
    "fid_infinity": lambda s: (fid_infinity(s.real.features, s.fake.features, s.seed),),
    "kid": lambda s: (kid(s.real.features, s.fake.features),),
    "is": lambda s: (inception_score(logits_of(s, "is")),),
    "prdc": lambda s: prdc(s.real.features, s.fake.features),
    "cmmd": lambda s: (cmmd(s.real.features, s.fake.features),),
    "modes": classes_read,
}
"""What compares two sets of features, by the name that a person writes."""

AGAINST_TRUTH: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], str]] = {
    "psnr": (psnr, "higher"),
    "ssim": (ssim, "higher"),
    "l1": (l1, "lower"),
}
"""What compares each picture with the truth that belongs to it, and which way is better."""

WHOLE = ("fcn", "labels", "lpips", "diversity", "cas")
"""What needs more of a case than that (model_metrics.py)."""

EDITS = "edits"
"""What has figures for each label (model_metrics.py)."""


def odd(sides: FeaturePair) -> tuple[str, ...]:
    """What is so strange about the pictures that a person must hear it before any figure."""
    features = sides.fake.features
    if bool((features == features[0]).all()):
        return (f"All {len(features)} pictures look the same: what made them has collapsed to one.",)
    copies = len(features) - len(torch.unique(features, dim=0))
    if copies > len(features) // 10:
        return (f"{copies} of {len(features)} pictures are exact copies of others.",)
    return ()


def agreement(sides: FeaturePair) -> Estimate:
    """How often the classifier reads the class that a picture was asked to show."""
    wanted = torch.from_numpy(np.asarray(sides.fake_labels))
    return replace(share("agreement", logits_of(sides, "agreement").argmax(1) == wanted), name="agreement")
