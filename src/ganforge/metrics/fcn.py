"""fcn: what a judge that learned to read photographs reads in generated ones.

Isola et al. 2017 (pix2pix), section 4.1, https://arxiv.org/abs/1611.07004: if photographs made from label maps are
real enough, a network that learned to label real photographs will find in them the labels they were made from.  The
figures are those of Long et al. 2015, section 5, https://arxiv.org/abs/1411.4038.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ganforge.errors import DataError

VOID = 255  # a pixel of no class: neither learned nor counted
Judge = Callable[[Tensor], Tensor]
"""Photographs (N, C, H, W) in [-1, 1] -> scores of the classes (N, K, H, W); a network in evaluation mode."""


@dataclass(frozen=True)
class FCNScore:
    """How well a reading agrees with the label maps; everything in [0, 1], higher is better.

    A class that no label map shows has no figure of its own: it is NaN below, and in no mean.
    """

    pixel_accuracy: float
    """Share of the pixels that were read rightly."""
    class_accuracy: float
    """The same share within each class, then the mean over classes."""
    class_iou: float
    """Pixels both in the reading and in the truth, over those in either, for each class; then the mean."""
    accuracies: tuple[float, ...]
    """`class_accuracy` class by class."""
    ious: tuple[float, ...]
    """`class_iou` class by class."""


def fcn_score(photographs: Tensor, label_maps: Tensor, judge: Judge, batch: int = 16) -> FCNScore:
    """What `judge` reads in photographs (N, C, H, W) in [-1, 1], against label maps (N, H, W) they were made from.

    A score means something beside that of the real photographs, read by the same judge.
    Raises DataError where the two do not belong together.
    """
    if photographs.ndim != 4 or label_maps.shape != (len(photographs), *photographs.shape[2:]):
        raise DataError(
            f"Photographs {tuple(photographs.shape)} and label maps {tuple(label_maps.shape)} do not belong together: "
            "they are (N, C, H, W) and (N, H, W) with the same sides."
        )
    if not len(photographs):
        raise DataError("There is no photograph to be read.")
    counts = torch.zeros(0, 0, dtype=torch.int64)
    with torch.inference_mode():
        for photos, maps in zip(photographs.split(batch), label_maps.split(batch), strict=True):
            scores = judge(photos)
            if not len(counts):
                counts = torch.zeros(scores.shape[1], scores.shape[1], dtype=torch.int64)
            counts += confusion(scores.argmax(1).cpu(), maps.cpu(), len(counts))
    return score(counts)


def confusion(read: Tensor, true: Tensor, classes: int) -> Tensor:
    """int64 (classes, classes): how many pixels of true class i were read as j.

    Raises DataError for a class that the judge does not know.
    """
    known = true != VOID
    true, read = true[known], read[known]
    if len(true) and not 0 <= int(true.min()) <= int(true.max()) < classes:
        raise DataError(
            f"A label map holds class {int(true.max())}, but the judge knows 0 to {classes - 1} and {VOID} for none: "
            "judge with a network that was trained on these classes."
        )
    return torch.bincount(true * classes + read, minlength=classes**2).view(classes, classes)


def score(counts: Tensor) -> FCNScore:
    """The figures of a confusion matrix (true class, read class)."""
    counts = counts.double()
    right, true, read = counts.diag(), counts.sum(1), counts.sum(0)
    if not true.sum():
        raise DataError("No pixel of these label maps has a class.")
    never = torch.full_like(true, torch.nan)
    accuracies = torch.where(true > 0, right / true, never)
    ious = torch.where(true > 0, right / (true + read - right), never)
    return FCNScore(
        pixel_accuracy=float(right.sum() / true.sum()),
        class_accuracy=float(accuracies.nanmean()),
        class_iou=float(ious.nanmean()),
        accuracies=tuple(accuracies.tolist()),
        ious=tuple(ious.tolist()),
    )
