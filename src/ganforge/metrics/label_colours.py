"""Label maps as pictures show them: a colour a class, and which class each pixel is."""

import numpy as np

from ganforge.errors import DataError

MOST = 256  # colours of a palette


def colours_of(maps: np.ndarray) -> np.ndarray:
    """The colours (K, C) that label maps (N, H, W, C) of uint8 are painted in, in a fixed order: colour k is class k.

    Raises DataError for pictures that are no label maps, or whose colours were mixed by resizing or by JPEG.
    """
    seen = np.unique(np.concatenate([np.unique(packed(part)) for part in maps]))
    if len(seen) > MOST:
        raise DataError(
            f"These are no label maps: they hold {len(seen)} colours, and at most {MOST} can be classes. Resizing "
            "and JPEG mix colours: keep label maps as PNG, and read them at their own size."
        )
    return np.stack([(seen >> 8 * k) & 255 for k in reversed(range(maps.shape[3]))], 1).astype(np.uint8)


def classes(maps: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """int64 (N, H, W): which of `colours` (K, C) each pixel of label maps (N, H, W, C) is.

    Raises DataError for a colour that is none of them.
    """
    known = packed(colours)
    order = np.argsort(known)
    out = np.empty(maps.shape[:3], np.int64)
    for row, picture in zip(out, maps, strict=True):
        pixels = packed(picture)
        place = order[np.searchsorted(known, pixels, sorter=order).clip(max=len(known) - 1)]
        if strange := np.flatnonzero(known[place] != pixels).tolist():
            colour = tuple(picture.reshape(-1, picture.shape[-1])[strange[0]].tolist())
            raise DataError(f"A label map holds the colour {colour}, which no label map of the training data has.")
        row[...] = place
    return out


def nearest(pictures: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """int64 (N, H, W): which of `colours` (K, C) each pixel of uint8 pictures (N, H, W, C) is nearest to."""
    best = np.zeros(pictures.shape[:3], np.int64)
    least = np.full(pictures.shape[:3], np.inf, np.float32)
    for number, colour in enumerate(colours):  # one class at a time: memory does not grow with their number
        away = np.square(pictures.astype(np.float32) - colour.astype(np.float32)).sum(3)
        best[away < least] = number
        np.minimum(least, away, out=least)
    return best


def packed(pictures: np.ndarray) -> np.ndarray:
    """(..., C) of uint8 as one number a pixel."""
    whole = np.zeros(pictures.shape[:-1], np.uint32)
    for channel in np.moveaxis(pictures, -1, 0):
        whole = whole << 8 | channel
    return whole


def fitted(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Label maps (N, H, W) brought to another size as photographs are: scaled to cover it, cut in the middle.

    Each pixel takes the class at its centre, so classes never mix.
    """
    scale = max(size[0] / maps.shape[1], size[1] / maps.shape[2])
    places = []
    for side, wanted in zip(maps.shape[1:], size, strict=True):
        centres = (np.arange(wanted) + 0.5 - wanted / 2) / scale + side / 2
        places.append(np.floor(centres).astype(np.int64).clip(0, side - 1))
    return maps[:, places[0][:, None], places[1][None, :]]
