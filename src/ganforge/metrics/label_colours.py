"""Label maps stored as images: one colour per class; from colours to class indices."""

import numpy as np

from ganforge.errors import DataError

MOST = 256  # colours in a palette
VOID = 255  # a pixel without class: neither trained on nor counted


def find_colours(maps: np.ndarray) -> np.ndarray:
    """The colours (K, C) of uint8 label maps (N, H, W, C), in a fixed order: colour k is class k.

    Raises DataError for images that are no label maps, or whose colours were mixed by resizing or by JPEG.
    """
    values = np.unique(np.concatenate([np.unique(pack_channels(part)) for part in maps]))
    if len(values) > MOST:
        raise DataError(
            f"These are no label maps: they have {len(values)} colours, and at most {MOST} can be classes. Resizing "
            "and JPEG mix colours: keep label maps as PNG, and read them at their own size."
        )
    return np.stack([(values >> 8 * k) & 255 for k in reversed(range(maps.shape[3]))], 1).astype(np.uint8)


def colours_to_classes(maps: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """int64 (N, H, W): the index in `colours` (K, C) of each pixel of label maps (N, H, W, C).

    Raises DataError for a colour that is not among them.
    """
    known = pack_channels(colours)
    order = np.argsort(known)
    out = np.empty(maps.shape[:3], np.int64)
    for row, image in zip(out, maps, strict=True):
        pixels = pack_channels(image)
        index = order[np.searchsorted(known, pixels, sorter=order).clip(max=len(known) - 1)]
        if unknown := np.flatnonzero(known[index] != pixels).tolist():
            colour = tuple(image.reshape(-1, image.shape[-1])[unknown[0]].tolist())
            raise DataError(f"A label map has the colour {colour}, which no label map of the training data has.")
        row[...] = index
    return out


def nearest_classes(images: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """int64 (N, H, W): the index in `colours` (K, C) nearest to each pixel of uint8 images (N, H, W, C)."""
    best = np.zeros(images.shape[:3], np.int64)
    least = np.full(images.shape[:3], np.inf, np.float32)
    for number, colour in enumerate(colours):  # one class at a time: memory does not grow with the number of classes
        distance = np.square(images.astype(np.float32) - colour.astype(np.float32)).sum(3)
        best[distance < least] = number
        np.minimum(least, distance, out=least)
    return best


def pack_channels(images: np.ndarray) -> np.ndarray:
    """(..., C) uint8 as one integer (...) per pixel."""
    value = np.zeros(images.shape[:-1], np.uint32)
    for channel in np.moveaxis(images, -1, 0):
        value = value << 8 | channel
    return value


def fit_label_maps(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Label maps (N, H, W) resized as photographs are: scaled to cover `size`, then centre-cropped.

    Nearest neighbour: each pixel takes the class at its centre, so classes never mix.
    """
    scale = max(size[0] / maps.shape[1], size[1] / maps.shape[2])
    places = []
    for side, target in zip(maps.shape[1:], size, strict=True):
        centres = (np.arange(target) + 0.5 - target / 2) / scale + side / 2
        places.append(np.floor(centres).astype(np.int64).clip(0, side - 1))
    return maps[:, places[0][:, None], places[1][None, :]]
