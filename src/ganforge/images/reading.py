"""Read images of every format as arrays (H, W, C) of uint8, uint16 or float32, as they were stored."""

import math
import os
import threading
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np
from PIL import Image, UnidentifiedImageError

from ganforge.errors import DataError
from ganforge.images import high_bit_depth
from ganforge.images.convert import as_picture
from ganforge.images.high_bit_depth import EncodedImage

T = TypeVar("T")


EXTENSIONS = ("jpg", "jpeg", "png", "webp", "tif", "tiff", "gif", "bmp", "npy")  # what is looked for in folders


@dataclass(frozen=True)
class ImageHeader:
    """What a picture's header says."""

    height: int
    width: int
    channels: int
    dtype: np.dtype
    deeper: bool = False
    """The file has 16 bits a channel of colour, of which `read` gives the upper 8 (all of them: high_bit_depth.py)."""


def read(source: Path | BinaryIO, name: str = "") -> np.ndarray:
    """The picture in a file, upright, (H, W, C) as people expect it.

    A palette becomes RGB, or RGBA where it is transparent; CMYK becomes RGB; black-and-white becomes
    8-bit grey; alpha stays as the last channel (C = 2 or 4); 16 bits are uint16, float is float32.
    Of an animation the first frame.  Colour of more than 8 bits, and more than four channels, need high_bit_depth.py's
    libraries where they do not come from NPY files: without them PNG and TIFF give the upper 8 bits.

    Raises:
        DataError: naming the file (or `name`) and what is wrong with it.
    """
    return _opened(source, name, _picture)


def look(source: Path | BinaryIO, name: str = "") -> ImageHeader:
    """What `read` would return, from the header alone where that tells.

    Raises:
        DataError: naming the file (or `name`) and what is wrong with it.
    """
    return _opened(source, name, _look)


def look_at(picture: np.ndarray) -> ImageHeader:
    """The same for a picture already read."""
    height, width, channels = picture.shape
    return ImageHeader(height, width, channels, picture.dtype)


def _opened(source: Path | BinaryIO, name: str, use: Callable[[EncodedImage], T]) -> T:
    name = name or str(source if isinstance(source, Path) else getattr(source, "name", "the picture"))
    try:
        with silence, source.open("rb") if isinstance(source, Path) else nullcontext(source) as file:
            found, limit = _coded(file), Image.MAX_IMAGE_PIXELS or math.inf
            if found.height * found.width * max(1, found.channels / 4) > limit:  # a limit for up to four channels
                size = f"{found.width} x {found.height} pixels in {found.channels} channels"
                raise DataError(f"it claims {size}, more than the {limit:,} pixels allowed")
            return use(found)
    except UnidentifiedImageError:
        why = "it is not a picture of a known format"
    except Exception as error:  # a decoder fed with damaged bytes raises anything, from SyntaxError to struct.error
        why = getattr(error, "strerror", None) or str(error).rstrip(".") or type(error).__name__
    raise DataError(f"{name} cannot be read: {why}.")


def _coded(file: BinaryIO) -> EncodedImage:
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
        if found := high_bit_depth.of_tiff(file):
            return found
        if isinstance(error, UnidentifiedImageError):
            raise DataError(f"it is damaged, or a TIFF that needs more than Pillow: {high_bit_depth.EXTRA}") from None
        raise
    orientation, found = _orientation(image), None
    deeper = high_bit_depth.more(image)
    if deeper or high_bit_depth.garbled(image):
        found = (
            high_bit_depth.of_tiff(file) if image.format == "TIFF" else high_bit_depth.of_png(file, image, orientation)
        )
    return found or _by_pillow(image, orientation, deeper)


class Silence:
    """Decoders warn about odd files; while anybody is inside, nobody hears it.

    `warnings.catch_warnings` alone would be torn between the threads that decode.
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


silence = Silence()


def _by_pillow(image: Image.Image, orientation: int, deeper: bool) -> EncodedImage:
    def array() -> np.ndarray:
        image.load()  # notes that follow the pixels are known only now
        array = np.asarray(image.convert(_mode(image)) if _mode(image) != image.mode else image)
        return high_bit_depth.upright(array, _orientation(image))

    mode = _mode(image)
    channels = 1 if mode == "F" or mode.startswith("I") else len(mode)
    dtype = np.dtype(np.float32 if mode == "F" else np.uint16 if mode.startswith("I;16") else np.uint8)
    return EncodedImage(array, image.height, image.width, channels, dtype if mode != "I" else None, orientation, deeper)


def _picture(found: EncodedImage) -> np.ndarray:
    array = found.array()
    if array.dtype.kind in "iu" and array.dtype.newbyteorder("=") not in (np.uint8, np.uint16):
        array = array.astype(  # whole numbers of 32 bits: most files hold 16 of them
            np.uint16 if array.min() >= 0 and array.max() < 2**16 else np.float32
        )
    return as_picture(array)


def _look(found: EncodedImage) -> ImageHeader:
    if found.dtype is None:
        return look_at(_picture(found))
    size = (found.height, found.width) if found.orientation < 5 else (found.width, found.height)
    return ImageHeader(*size, found.channels, found.dtype, found.deeper)


def _mode(image: Image.Image) -> str:
    """The mode, of those that one array can hold, nearest to the picture's own."""
    if image.mode in {"L", "LA", "RGB", "RGBA", "I", "F"} or image.mode.startswith("I;16"):
        return "RGBA" if image.mode == "RGB" and "transparency" in image.info else image.mode
    if image.mode == "P":
        see_through = "transparency" in image.info or "A" in (image.palette.mode if image.palette else "")
        return "RGBA" if see_through else "RGB"
    return {"1": "L", "La": "LA", "PA": "RGBA", "RGBa": "RGBA"}.get(image.mode, "RGB")


def _orientation(image: Image.Image) -> int:
    try:
        tags = Image.Exif()
        tags.load(image.info.get("exif", b""))
        found = int(tags.get(0x0112, 1)) if image.format != "TIFF" else 1  # a TIFF is turned by Pillow itself
        return found if 1 <= found <= 8 else 1
    except Exception:  # damaged notes about a picture do not damage its pixels: every viewer shows it as it lies
        return 1


def _load_npy(file: BinaryIO) -> np.ndarray:
    """The array of an .npy file, once its header promises no more than the file holds."""
    with header_lock:
        version = np.lib.format.read_magic(file)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, by_columns, dtype = header(file)
    if dtype.hasobject:
        raise DataError("it holds Python objects, which are never unpickled")
    promised, start = math.prod(shape) * dtype.itemsize, file.tell()
    held = file.seek(0, os.SEEK_END) - start
    if promised > held:
        raise DataError(f"it promises {promised:,} bytes of numbers and holds {held:,}")
    file.seek(start)
    numbers = np.frombuffer(file.read(promised), dtype)
    return as_picture(numbers.reshape(shape, order="F" if by_columns else "C"))


# numpy reads a header with Python's own parser, which loses count of itself when threads of CPython 3.11 meet in it
# (python/cpython issue 106905): one file in hundreds was called damaged.
header_lock = threading.Lock()
