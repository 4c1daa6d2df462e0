"""Read images of every format as arrays (H, W, C) of uint8, uint16 or float32, as they were stored."""

import math
import os
import re
import stat
import threading
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np
from PIL import Image, UnidentifiedImageError

from ganforge.errors import DataError
from ganforge.images import high_bit_depth
from ganforge.images.convert import as_image, is_wide, narrow_integers
from ganforge.images.formats import has_heif, limit
from ganforge.images.high_bit_depth import EncodedImage

T = TypeVar("T")


PIXELS = "GANFORGE_MAX_PIXELS"  # the environment variable that sets the most pixels of an image
ALLOW = f"if you know where it comes from, set {PIXELS} to a larger number"
LARGE, FLAT = 2**22, 100  # pixels of an image, and pixels / bytes of its file, from which it may be a bomb
EMPTY, EMPTIER = 2**25, 200  # the same of one that is refused
LARGE_NUMBERS = 12  # bytes of a pixel, three floats, above which an array counts for more pixels


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
    return open_with(source, name, _decode)


def read_header(source: Path | BinaryIO, name: str = "") -> ImageHeader:
    """Read size, channels and dtype of what `read` would return, from the header alone if possible.

    Raises:
        DataError: naming the file (or `name`) and what is wrong with it.
    """
    return open_with(source, name, _header)


def header_of(image: np.ndarray) -> ImageHeader:
    """The header of an image that has been read already."""
    height, width, channels = image.shape
    return ImageHeader(height, width, channels, image.dtype)


def open_with(source: Path | BinaryIO, name: str, use: Callable[[EncodedImage], T]) -> T:
    """What `use` returns for the image in a file; whatever goes wrong is a DataError that names the file."""
    name = name or str(source if isinstance(source, Path) else getattr(source, "name", "the image"))
    try:
        if isinstance(source, Path) and not stat.S_ISREG(source.stat().st_mode):  # opening a pipe would wait for ever
            raise DataError("it is not a regular file")
        with suppress_warnings, source.open("rb") if isinstance(source, Path) else nullcontext(source) as file:
            most, encoded = _most_pixels(), _identify(file)
            if encoded.height * encoded.width * max(1, encoded.channels / 4) > most:  # a limit for up to four channels
                size = f"{encoded.width} x {encoded.height} pixels in {encoded.channels} channels"
                raise DataError(f"it claims {size}, more than the {most:,} pixels allowed; {ALLOW}")
            with _one_at_a_time if _may_be_bomb(encoded, file) else nullcontext():
                return use(encoded)
    except Image.DecompressionBombError as error:
        claimed = re.search(r"\d+", str(error))
        why = (
            f"it claims {int(claimed[0]) if claimed else 0:,} pixels, more than the {_most_pixels():,} allowed; {ALLOW}"
        )
    except UnidentifiedImageError:
        why = "it is not an image of a known format"
    except Exception as error:  # a decoder fed with damaged bytes raises anything, from SyntaxError to struct.error
        why = getattr(error, "strerror", None) or str(error).rstrip(".") or type(error).__name__
    raise DataError(f"{name} cannot be read: {why}.")


def _may_be_bomb(encoded: EncodedImage, file: BinaryIO) -> bool:
    """Whether a large image takes so few bytes that it is hardly a photograph; such images are decoded one at a time.

    Raises:
        DataError: it takes no more bytes than an empty image, and its owner has not said that it is one.
    """
    pixels, held = encoded.height * encoded.width, _size_of(file)
    packed = pixels * encoded.channels * encoded.bits // 8
    if pixels > EMPTY and packed > EMPTIER * held and not limit(PIXELS, 0):
        raise DataError(f"{held:,} bytes claim to be {encoded.width} x {encoded.height} pixels; {ALLOW}")
    return pixels > LARGE and packed > FLAT * held


def _size_of(file: BinaryIO) -> int:
    if isinstance(file, BytesIO):
        return file.getbuffer().nbytes
    try:
        return os.fstat(file.fileno()).st_size
    except (OSError, AttributeError):  # a large file of an archive
        return EMPTY


def check_pixels(what: str, height: int, width: int, pixel: int) -> None:
    """Raise a DataError about `what` if it has too many pixels, of `pixel` bytes each."""
    most = _most_pixels()
    if height * width * max(1, pixel / LARGE_NUMBERS) > most:
        raise DataError(
            f"{what} claims {width} x {height} pixels of {pixel} bytes, more than the {most:,} pixels allowed; {ALLOW}."
        )


def register_heif() -> None:
    """Make Pillow read HEIC, through pillow-heif; nothing happens a second time."""
    if "HEIF" not in Image.OPEN:
        import pillow_heif  # pyright: ignore[reportMissingImports]

        pillow_heif.register_heif_opener()


def _most_pixels() -> int | float:
    """The most pixels of an image; Pillow's own limit follows GANFORGE_MAX_PIXELS."""
    most = limit(PIXELS, 0)
    if most:
        Image.MAX_IMAGE_PIXELS = most
    return most or Image.MAX_IMAGE_PIXELS or math.inf


def _identify(file: BinaryIO) -> EncodedImage:
    start = file.read(6)
    if not start:
        raise DataError("the file is empty")
    file.seek(0)
    if start == b"\x93NUMPY":
        return _open_npy(file)
    if start[4:] == b"ft" and has_heif():  # ftyp: HEIC, among others
        register_heif()
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
_one_at_a_time = threading.Lock()


def _open_with_pillow(image: Image.Image, orientation: int, deeper: bool) -> EncodedImage:
    def array() -> np.ndarray:
        image.load()  # metadata after the pixels are known only now
        array = np.asarray(image.convert(_mode(image)) if _mode(image) != image.mode else image)
        return high_bit_depth.turn_upright(array, _orientation(image))

    def indices() -> tuple[np.ndarray, np.ndarray]:
        image.load()
        palette = np.array(image.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
        return high_bit_depth.turn_upright(np.asarray(image), _orientation(image)), palette

    mode = _mode(image)
    channels = 1 if mode == "F" or mode.startswith("I") else len(mode)
    dtype = np.dtype(np.float32 if mode == "F" else np.uint16 if mode.startswith("I;16") else np.uint8)
    size, known = (image.height, image.width), dtype if mode != "I" else None
    signed, bits = image.format != "PNG", 1 if image.mode == "1" else 8
    has_palette = indices if image.mode == "P" else None
    return EncodedImage(array, *size, channels, known, orientation, deeper, signed, bits, has_palette)


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


def _open_npy(file: BinaryIO) -> EncodedImage:
    """Open the array of an .npy file, after checking that the file is as long as its header claims."""
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
    if len(shape) not in (2, 3):
        raise DataError(f"an array of shape {shape} is no image, which is (H, W) or (H, W, C)")

    def array() -> np.ndarray:
        file.seek(start)
        numbers = np.frombuffer(file.read(promised), dtype)
        return numbers.reshape(shape, order="F" if fortran_order else "C")

    height, width, channels = (*shape, 1)[:3]
    check_pixels("it", height, width, channels * dtype.itemsize)
    return EncodedImage(array)


# numpy parses a header with Python's own parser, whose recursion counter is not thread-safe in CPython 3.11
# (python/cpython issue 106905): without the lock one file in hundreds was reported as damaged.
header_lock = threading.Lock()
