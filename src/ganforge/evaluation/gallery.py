"""Pictures that stand for all, chosen by a rule and not by hand.

-seed.png       pictures 0, 1, 2 ... of the seed, as they come
-realism.png    of all pictures those at equal steps from the most real to the least
-nearest.png    pictures of the seed, each beside the real picture that it resembles most: is it a copy?
-classes.png    one row a class, where the classes of the pictures are known
"""

from pathlib import Path

import numpy as np
import torch

from ganforge.evaluation.feature_metrics import FeaturePair
from ganforge.evaluation.image_sets import ImageSet
from ganforge.evaluation.inputs import EvalInputs
from ganforge.images import fit, grid, to_uint8, visible, write
from ganforge.metrics.distances import nearest
from ganforge.metrics.prdc import realism

SHOWN, ROW, PAIRS = 64, 10, 32
LEAST = 96  # pixels a side below which pictures are shown enlarged


def gallery(found: EvalInputs, sides: FeaturePair | None, stem: Path) -> list[Path]:
    """Write the grids beside `stem`; returns their paths.  Raises RunError where they cannot be written."""
    fake, count = found.fake, min(SHOWN, found.fake.count)
    grids = {"seed": first_look(found, count)}
    if sides is not None and min(fake.count, found.real.count) > 3:
        order = realism(sides.real.features, sides.fake.features).argsort(descending=True).numpy()
        steps = np.linspace(0, len(order) - 1, count).round().astype(np.int64)
        grids["realism"] = seen(fake.chosen(order[steps])), 0
    if sides is not None:
        grids["nearest"] = seen(beside_the_nearest(found, sides)), 8
    if fake.labels is not None:
        grids["classes"] = seen(of_each_class(fake)), ROW
    paths = []
    for name, (pictures, columns) in grids.items():
        path = stem.with_name(f"{stem.name}-{name}.png")
        write(path, grid(enlarged(pictures), columns or None))
        paths.append(path)
    return paths


def first_look(found: EvalInputs, count: int) -> tuple[np.ndarray, int]:
    """The seed's first pictures, and columns (0: as many as make a square); of a translator, source, output, truth."""
    if found.sources is None:
        return seen(found.fake.rows(0, count)), 0
    columns = [side.rows(0, min(ROW, count)) for side in (found.sources, found.fake, *[found.real] * found.paired)]
    height, width = found.fake.rows(0, 1).shape[2:]
    fitted = [np.stack([fit(picture, (height, width), 3) for picture in seen(side)]) for side in columns]
    return np.stack(fitted, 1).reshape(-1, height, width, 3), len(columns)


def seen(images: torch.Tensor) -> np.ndarray:
    """Images as a person can look at them."""
    return visible(to_uint8(images))


def beside_the_nearest(found: EvalInputs, sides: FeaturePair) -> torch.Tensor:
    """(2n, C, H, W): picture, its nearest real one, picture, its nearest ..."""
    count = min(PAIRS, found.fake.count)
    which, _ = nearest(sides.fake.features[:count], sides.real.features)
    pairs = torch.stack([found.fake.rows(0, count), found.real.chosen(which.numpy())], 1)
    return pairs.flatten(0, 1)


def of_each_class(fake: ImageSet) -> torch.Tensor:
    """The first pictures of each class that is there, class by class; a short row ends in white."""
    assert fake.labels is not None
    rows = []
    for label in np.unique(fake.labels):
        row = fake.chosen(np.flatnonzero(fake.labels == label)[:ROW])
        rows += [row, row.new_ones(ROW - len(row), *row.shape[1:])]
    return torch.cat(rows)


def enlarged(pictures: np.ndarray) -> np.ndarray:
    """Small pictures with every pixel repeated, so that a person sees them."""
    times = max(1, -(-LEAST // max(pictures.shape[1:3])) // 2)
    return pictures.repeat(times, 1).repeat(times, 2)
