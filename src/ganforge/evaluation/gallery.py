"""Image grids that represent a set, chosen by a rule and not by hand.

-seed.png       images 0, 1, 2 ... of the seed, uncurated
-realism.png    images at equal ranks, from the highest realism score to the lowest
-nearest.png    images of the seed, each beside its nearest real image: shows memorisation
-classes.png    one row per class, where the classes of the images are known
"""

from pathlib import Path

import numpy as np
import torch

from ganforge.evaluation.inputs import EvalInputs
from ganforge.images import enlarge, fit, grid, to_uint8, visible_channels, write
from ganforge.metrics.distances import nearest
from ganforge.metrics.image_set import ImageSet
from ganforge.metrics.metric import FeaturePair
from ganforge.metrics.prdc import realism

SHOWN, ROW, PAIRS = 64, 10, 32
LEAST = 48  # pixels: smaller images are shown enlarged


def write_gallery(inputs: EvalInputs, sides: FeaturePair | None, stem: Path) -> list[Path]:
    """Write the grids as STEM-NAME.png; returns their paths.  Raises RunError where they cannot be written."""
    fake, count = inputs.fake, min(SHOWN, inputs.fake.count)
    grids = {"seed": select_first(inputs, count)}
    if sides is not None and min(fake.count, inputs.real.count) > 3:
        order = realism(sides.real.features, sides.fake.features).argsort(descending=True).numpy()
        steps = np.linspace(0, len(order) - 1, count).round().astype(np.int64)
        grids["realism"] = to_visible(fake.take(order[steps])), 0
    if sides is not None:
        grids["nearest"] = to_visible(pair_with_nearest(inputs, sides)), 8
    if fake.labels is not None:
        grids["classes"] = to_visible(select_per_class(fake)), ROW
    paths = []
    for name, (images, columns) in grids.items():
        path = stem.with_name(f"{stem.name}-{name}.png")
        write(path, grid(enlarge(images, LEAST), columns or None))
        paths.append(path)
    return paths


def select_first(inputs: EvalInputs, count: int) -> tuple[np.ndarray, int]:
    """The first images of the seed, and columns (0: square); for a translator, rows of source, output and target."""
    if inputs.sources is None:
        return to_visible(inputs.fake.rows(0, count)), 0
    columns = [side.rows(0, min(ROW, count)) for side in (inputs.sources, inputs.fake, *[inputs.real] * inputs.paired)]
    height, width = inputs.fake.rows(0, 1).shape[2:]
    fitted = [np.stack([fit(image, (height, width), 3) for image in to_visible(side)]) for side in columns]
    return np.stack(fitted, 1).reshape(-1, height, width, 3), len(columns)


def to_visible(images: torch.Tensor) -> np.ndarray:
    """Images (N, C, H, W) in [-1, 1] as uint8 (N, H, W, 1 or 3) for display."""
    return visible_channels(to_uint8(images))


def pair_with_nearest(inputs: EvalInputs, sides: FeaturePair) -> torch.Tensor:
    """(2n, C, H, W): each image followed by its nearest real image in feature space."""
    count = min(PAIRS, inputs.fake.count)
    rows, _ = nearest(sides.fake.features[:count], sides.real.features)
    pairs = torch.stack([inputs.fake.rows(0, count), inputs.real.take(rows.numpy())], 1)
    return pairs.flatten(0, 1)


def select_per_class(fake: ImageSet) -> torch.Tensor:
    """The first images of each class that occurs, class by class; a short row is padded with white."""
    assert fake.labels is not None
    rows = []
    for label in np.unique(fake.labels):
        row = fake.take(np.flatnonzero(fake.labels == label)[:ROW])
        rows += [row, row.new_ones(ROW - len(row), *row.shape[1:])]
    return torch.cat(rows)
