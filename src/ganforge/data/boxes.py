"""Boxes in the windows that are cut out of images.

Boxes are arrays (..., M, 4) of x, y of the upper left and of the lower right corner, in shares of an image; their
labels are (..., M), and 0 is no object.
"""

import numpy as np

THINNEST = 1 / 50
"""Width and height of the rest of a box, in shares of the window, below which it is a sliver."""
LEAST = 1 / 5
"""Share of a box that must lie in the window: of less the object cannot be told."""


def cut_boxes(boxes: np.ndarray, labels: np.ndarray, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The parts of boxes (n, M, 4) that lie in windows (n, 4), in shares of the window, and their labels (n, M).

    A box of which a sliver is left becomes zeros with the label 0: less than LEAST of its area, or a rest that was cut
    and is thinner than THINNEST.
    """
    start, side = windows[:, None, :2], windows[:, None, 2:] - windows[:, None, :2]
    moved = (boxes.reshape(*boxes.shape[:2], 2, 2) - start[:, :, None]) / side[:, :, None]
    inside = moved.clip(0, 1)
    whole, rest = moved[:, :, 1] - moved[:, :, 0], inside[:, :, 1] - inside[:, :, 0]
    is_cut = (rest < whole - 1e-6).any(2)
    is_sliver = is_cut & ((rest.prod(2) < LEAST * whole.prod(2)) | (rest < THINNEST).any(2))
    kept = (labels > 0) & ~is_sliver
    inside = np.where(kept[..., None, None], inside, 0)
    return inside.reshape(boxes.shape).astype(np.float32), np.where(kept, labels, 0).astype(np.int64)


def mirror_boxes(boxes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The boxes (..., M, 4) of images that are mirrored left to right; those without an object stay zeros."""
    mirrored = np.stack([1 - boxes[..., 2], boxes[..., 1], 1 - boxes[..., 0], boxes[..., 3]], -1)
    return np.where(labels[..., None] > 0, mirrored, 0).astype(np.float32)
