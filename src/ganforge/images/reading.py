"""Read images of every format as arrays (H, W, C) of uint8, uint16 or float32, as they were stored."""

import math
import os
import threading
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np
from PIL import Image, UnidentifiedImageError

from ganforge.errors import DataError
from ganforge.images import high_bit_depth
from ganforge.images.convert import as_image, is_wide, narrow_integers
from ganforge.images.high_bit_depth import EncodedImage

T = TypeVar("T")


EXTENSIONS = (
    "jpg",
    "jpeg",
    "png",
    "webp",
    "tif",
    "tiff",
    "gif",
    "bmp",
    "npy",
)  # of files in folders


@dataclass(frozen=True)
class ImageHeader:
    """Size, channels and dtype of an image, from its header."""

    height: int
    width: int
    channels: int
    dtype: np.dtype
    deeper: bool = False
    """The file has 16-bit colour, of which `read` returns the upper 8 bits; high_bit_depth.py reads all of them."""
    wide: bool = field(default=False, compare=False)
    """The file has integers that are signed or longer than 16 bits: the values of an image do not tell its white."""


def read(source: Path | BinaryIO, name: str = "") -> np.ndarray:
    """Read the image in a file as an array (H, W, C), turned upright by its EXIF orientation.

    A palette becomes RGB, or RGBA if it has transparency; CMYK becomes RGB; black-and-white becomes 8-bit grey; alpha
    stays as the last channel (C = 2 or 4); 16 bits are uint16, floats are float32.  Of an animation the first frame is
    read.  Other integers are uint16 if those of the image fit, else float32.  Colour of more than 8 bits and more than
    four channels need the libraries of high_bit_depth.py, except in NPY files: without them the upper 8 bits of PNG and
    TIFF are read.

    Raises:
        DataError: naming the file (or `name`) and what is wrong with it.
    """
    return _open_with(source, name, _decode)


def read_header(source: Path | BinaryIO, name: str = "") -> ImageHeader:
    """Read size, channels and dtype of what `read` would return, from the header alone if possible.

    Raises:
        DataError: naming the file (or `name`) and what is wrong with it.
    """
    return _open_with(source, name, _header)


def header_of(image: np.ndarray) -> ImageHeader:
    """The header of an image that has been read already."""
    height, width, channels = image.shape
    return ImageHeader(height, width, channels, image.dtype)


def _open_with(source: Path | BinaryIO, name: str, use: Callable[[EncodedImage], T]) -> T:
    name = name or str(source if isinstance(source, Path) else getattr(source, "name", "the image"))
    try:
        with suppress_warnings, source.open("rb") if isinstance(source, Path) else nullcontext(source) as file:
            encoded, limit = _identify(file), Image.MAX_IMAGE_PIXELS or math.inf
            if encoded.height * encoded.width * max(1, encoded.channels / 4) > limit:  # a limit for up to four channels
                size = f"{encoded.width} x {encoded.height} pixels in {encoded.channels} channels"
                raise DataError(f"it claims {size}, more than the {limit:,} pixels allowed")
            return use(encoded)
    except UnidentifiedImageError:
        why = "it is not an image of a known format"
    except Exception as error:  # a decoder fed with damaged bytes raises anything, from SyntaxError to struct.error
        why = getattr(error, "strerror", None) or str(error).rstrip(".") or type(error).__name__
    raise DataError(f"{name} cannot be read: {why}.")


def _identify(file: BinaryIO) -> EncodedImage:
    start = file.read(6)
    if not start:
        raise DataError("the file is empty")
    file.seek(0)
    if start == b"\x93NUMPY":
        return EncodedImage(lambda: _load_npy(file))
    try:
        image = Image.open(file)
    except Exception as error:
        if start[:4] not in high_bit_depth.TIFF:
            raise
        if found := high_bit_depth.open_tiff(file):
            return found
        if isinstance(error, UnidentifiedImageError):
            raise DataError(f"it is damaged, or a TIFF that needs more than Pillow: {high_bit_depth.EXTRA}") from None
        raise
    orientation, found = _orientation(image), None
    deeper = high_bit_depth.exceeds_pillow(image)
    if deeper or high_bit_depth.has_swapped_bytes(image):
        found = (
            high_bit_depth.open_tiff(file)
            if image.format == "TIFF"
            else high_bit_depth.open_png(file, image, orientation)
        )
    return found or _open_with_pillow(image, orientation, deeper)


class WarningFilter:
    """Context manager that suppresses the warnings of decoders in all threads.

    `warnings.catch_warnings` alone is not safe when several threads enter and leave it.
    """

    def __init__(self) -> None:
        self.inside, self.lock, self.before = 0, threading.Lock(), warnings.catch_warnings()

    def __enter__(self) -> None:
        with self.lock:
            self.inside += 1
            if self.inside == 1:
                self.before = warnings.catch_warnings()
                self.before.__enter__()
                warnings.simplefilter("ignore")

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.inside -= 1
            if self.inside == 0:
                self.before.__exit__(None, None, None)


suppress_warnings = WarningFilter()


def _open_with_pillow(image: Image.Image, orientation: int, deeper: bool) -> EncodedImage:
    def array() -> np.ndarray:
        image.load()  # metadata after the pixels are known only now
        array = np.asarray(image.convert(_mode(image)) if _mode(image) != image.mode else image)
        return high_bit_depth.turn_upright(array, _orientation(image))

    mode = _mode(image)
    channels = 1 if mode == "F" or mode.startswith("I") else len(mode)
    dtype = np.dtype(np.float32 if mode == "F" else np.uint16 if mode.startswith("I;16") else np.uint8)
    known, signed = dtype if mode != "I" else None, image.format != "PNG"
    return EncodedImage(array, image.height, image.width, channels, known, orientation, deeper, signed)


def _decode(encoded: EncodedImage) -> np.ndarray:
    return as_image(narrow_integers(encoded.array()))


def _header(encoded: EncodedImage) -> ImageHeader:
    if encoded.dtype is None:
        array = encoded.array()
        return replace(header_of(as_image(narrow_integers(array))), wide=encoded.signed and is_wide(array.dtype))
    size = (encoded.height, encoded.width) if encoded.orientation < 5 else (encoded.width, encoded.height)
    return ImageHeader(*size, encoded.channels, encoded.dtype, encoded.deeper)


def _mode(image: Image.Image) -> str:
    """The mode, of those that one array can hold, nearest to the image's own."""
    if image.mode in {"L", "LA", "RGB", "RGBA", "I", "F"} or image.mode.startswith("I;16"):
        return "RGBA" if image.mode == "RGB" and "transparency" in image.info else image.mode
    if image.mode == "P":
        transparent = "transparency" in image.info or "A" in (image.palette.mode if image.palette else "")
        return "RGBA" if transparent else "RGB"
    return {"1": "L", "La": "LA", "PA": "RGBA", "RGBa": "RGBA"}.get(image.mode, "RGB")


def _orientation(image: Image.Image) -> int:
    try:
        tags = Image.Exif()
        tags.load(image.info.get("exif", b""))
        found = int(tags.get(0x0112, 1)) if image.format != "TIFF" else 1  # Pillow turns TIFFs itself
        return found if 1 <= found <= 8 else 1
    except Exception:  # damaged metadata do not damage the pixels: viewers show such images unturned
        return 1


def _load_npy(file: BinaryIO) -> np.ndarray:
    """Load the array of an .npy file, after checking that the file is as long as its header claims."""
    with header_lock:
        version = np.lib.format.read_magic(file)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran_order, dtype = header(file)
    if dtype.hasobject:
        raise DataError("it holds Python objects, which are never unpickled")
    promised, start = math.prod(shape) * dtype.itemsize, file.tell()
    held = file.seek(0, os.SEEK_END) - start
    if promised > held:
        raise DataError(f"it promises {promised:,} bytes of numbers and holds {held:,}")
    file.seek(start)
    numbers = np.frombuffer(file.read(promised), dtype)
    return numbers.reshape(shape, order="F" if fortran_order else "C")


# numpy parses a header with Python's own parser, whose recursion counter is not thread-safe in CPython 3.11
# (python/cpython issue 106905): without the lock one file in hundreds was reported as damaged.
header_lock = threading.Lock()
