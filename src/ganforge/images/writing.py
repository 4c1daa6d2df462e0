"""Write images and animations without loss."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from ganforge.errors import DataError
from ganforge.files import replacing
from ganforge.images import high_bit_depth
from ganforge.images.convert import as_image, recolour

FORMATS = {  # suffix -> (bits of integers, channels) that Pillow stores without loss; floats: TIFF and NPY
    ".png": ({8, 16}, {1, 2, 3, 4}),
    ".tif": ({8, 16}, {1, 3, 4}),
    ".tiff": ({8, 16}, {1, 3, 4}),
    ".jpg": ({8}, {1, 3}),
    ".jpeg": ({8}, {1, 3}),
    ".webp": ({8}, {3, 4}),
    ".bmp": ({8}, {1, 3}),
}


def lossless_suffix(image: np.ndarray) -> str:
    """The suffix of a lossless format for this image: .png if possible, else .npy."""
    return ".png" if can_write(".png", image) else ".npy"


def write(path: Path, image: np.ndarray) -> None:
    """Write (H, W, C) or (H, W) in the format of the suffix; the write is atomic.

    Raises:
        DataError: the format cannot hold this dtype or number of channels.
        RunError: the file cannot be written.
    """
    image = as_image(np.asarray(image))
    suffix = path.suffix.lower()
    if suffix != ".npy" and suffix not in FORMATS:
        raise DataError(f"{path}: images are written as {', '.join(FORMATS)} or .npy; choose one of these suffixes.")
    encoded = None if _is_native(suffix, image) else high_bit_depth.encode(suffix, image)
    if encoded is None and not _is_native(suffix, image):
        kind = f"{image.shape[2]} channels of {image.dtype}"
        other = f", or {high_bit_depth.EXTRA}" if high_bit_depth.can_encode(suffix, image) else ""
        raise DataError(f"{path}: {suffix} cannot hold {kind}; write .npy instead{other}.")
    with replacing(path) as file:
        if encoded is not None:
            file.write(encoded)
        elif suffix == ".npy":
            np.lib.format.write_array(file, image, allow_pickle=False)
        else:
            options = {"lossless": True} if suffix == ".webp" else {}
            _to_pillow(image).save(file, Image.registered_extensions()[suffix], **options)


def encode_png(image: np.ndarray) -> bytes:
    """A uint8 image (H, W, C) of at most four channels as a PNG file."""
    file = BytesIO()
    _to_pillow(image).save(file, "PNG")
    return file.getvalue()


def _to_pillow(image: np.ndarray) -> Image.Image:
    return Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)


def can_write(suffix: str, image: np.ndarray) -> bool:
    """Whether `write` can write this image (H, W, C) to a file with this suffix."""
    return _is_native(suffix, image) or (
        high_bit_depth.can_encode(suffix, image) and high_bit_depth.import_libraries() is not None
    )


def _is_native(suffix: str, image: np.ndarray) -> bool:
    """Whether Pillow or NumPy can write it, without high_bit_depth.py."""
    bits, channels = image.dtype.itemsize * 8, image.shape[2]
    if suffix not in FORMATS or (bits > 8 and channels > 1):  # Pillow has no mode for deep colour
        return suffix == ".npy"
    enough = suffix in (".tif", ".tiff") if bits == 32 else bits in FORMATS[suffix][0]
    return enough and channels in FORMATS[suffix][1]


def write_gif(path: Path, frames: Sequence[np.ndarray], seconds_a_frame: float = 0.1) -> None:
    """Write an endlessly looping GIF of uint8 images (H, W, C), all of one size.

    Raises:
        DataError: `frames` is empty.
        RunError: the file cannot be written.
    """
    if not frames:
        raise DataError(f"{path}: an animation needs at least one frame.")
    with replacing(path) as file:
        file.write(encode_gif(frames, seconds_a_frame))


def encode_gif(frames: Sequence[np.ndarray], seconds_a_frame: float = 0.1) -> bytes:
    """An endlessly looping GIF file of one or more uint8 images (H, W, C), all of one size."""
    file, first, *others = BytesIO(), *(_to_pillow(recolour(f, 3) if f.shape[2] > 1 else f) for f in frames)
    first.save(file, "GIF", save_all=True, append_images=others, duration=round(seconds_a_frame * 1000), loop=0)
    return file.getvalue()
