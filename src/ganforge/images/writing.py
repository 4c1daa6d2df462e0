"""Write images and animations without loss."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ganforge.errors import DataError
from ganforge.files import replacing
from ganforge.images import high_bit_depth
from ganforge.images.convert import as_picture, recolour

HOLDS = {  # suffix -> (bits of integers, channels) that Pillow stores without loss; floats: TIFF and NPY
    ".png": ({8, 16}, {1, 2, 3, 4}),
    ".tif": ({8, 16}, {1, 3, 4}),
    ".tiff": ({8, 16}, {1, 3, 4}),
    ".jpg": ({8}, {1, 3}),
    ".jpeg": ({8}, {1, 3}),
    ".webp": ({8}, {3, 4}),
    ".bmp": ({8}, {1, 3}),
}


def lossless(picture: np.ndarray) -> str:
    """The suffix of files that hold such a picture without loss: .png where that can, else .npy."""
    return ".png" if holds(".png", picture) else ".npy"


def write(path: Path, picture: np.ndarray) -> None:
    """Write (H, W, C) or (H, W) in the format that the suffix names; the file appears whole or not at all.

    Raises:
        DataError: the format cannot hold these numbers.
        RunError: the file cannot be written.
    """
    picture = as_picture(np.asarray(picture))
    suffix = path.suffix.lower()
    if suffix != ".npy" and suffix not in HOLDS:
        raise DataError(f"{path}: pictures are written as {', '.join(HOLDS)} or .npy; give the name one of these ends.")
    whole = None if _held(suffix, picture) else high_bit_depth.written(suffix, picture)
    if whole is None and not _held(suffix, picture):
        kind = f"{picture.shape[2]} channels of {picture.dtype}"
        other = f", or {high_bit_depth.EXTRA}" if high_bit_depth.fits(suffix, picture) else ""
        raise DataError(f"{path}: {suffix} cannot hold {kind}; write .npy instead{other}.")
    with replacing(path) as file:
        if whole is not None:
            file.write(whole)
        elif suffix == ".npy":
            np.lib.format.write_array(file, picture, allow_pickle=False)
        else:
            image = Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture)
            image.save(file, Image.registered_extensions()[suffix], **({"lossless": True} if suffix == ".webp" else {}))


def holds(suffix: str, picture: np.ndarray) -> bool:
    """Whether `write` takes a picture (H, W, C) to a file that ends so."""
    return _held(suffix, picture) or (high_bit_depth.fits(suffix, picture) and high_bit_depth.libraries() is not None)


def _held(suffix: str, picture: np.ndarray) -> bool:
    """Whether Pillow or NumPy write it, without high_bit_depth.py."""
    bits, channels = picture.dtype.itemsize * 8, picture.shape[2]
    if suffix not in HOLDS or (bits > 8 and channels > 1):  # Pillow has no mode for deep colour
        return suffix == ".npy"
    enough = suffix in (".tif", ".tiff") if bits == 32 else bits in HOLDS[suffix][0]
    return enough and channels in HOLDS[suffix][1]


def write_gif(path: Path, frames: Sequence[np.ndarray], seconds_a_frame: float = 0.1) -> None:
    """An endless animation of uint8 pictures (H, W, C), all of one size.

    Raises:
        DataError: there is no frame.
        RunError: the file cannot be written.
    """
    if not frames:
        raise DataError(f"{path}: an animation needs at least one frame.")
    shown = [Image.fromarray(recolour(f, 3)) if f.shape[2] > 1 else Image.fromarray(f[..., 0]) for f in frames]
    with replacing(path) as file:
        milliseconds = round(seconds_a_frame * 1000)
        shown[0].save(file, "GIF", save_all=True, append_images=shown[1:], duration=milliseconds, loop=0)
