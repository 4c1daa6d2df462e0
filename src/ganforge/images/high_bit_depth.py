"""Images that Pillow cannot hold: colour of 16 bits or of floats, and TIFFs of any number of channels.

PNG through imagecodecs, TIFF through tifffile (pip install 'ganforge[deep]').  They are imported for the
first such image; without them Pillow reads what it can.  An image is an array (H, W, C), as in convert.py.
"""

import io
import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from ganforge.errors import DataError

EXTRA = "pip install 'ganforge[deep]'"
PARTLY_READ = f"have 16-bit colour or more than four channels, of which a part is read; for all of it: {EXTRA}."
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # the first bytes of a file; with a plus it is a BigTIFF
MIN_IS_WHITE, MIN_IS_BLACK, RGB, CMYK = 0, 1, 2, 5  # of TIFF's PhotometricInterpretation
PREMULTIPLIED, ALPHA = 1, 2  # of TIFF's ExtraSamples
for library in ("PIL", "tifffile", "imagecodecs"):  # they log oddities of a file; errors are raised
    logging.getLogger(library).addHandler(logging.NullHandler())


@dataclass(frozen=True)
class EncodedImage:
    """The header of an image file, and a function that decodes its pixels."""

    array: Callable[[], np.ndarray]
    """Decodes (H, W) or (H, W, C), upright, in the dtype of the file."""
    height: int = 0
    width: int = 0
    channels: int = 1
    dtype: np.dtype | None = None
    """The dtype of the decoded image; None if only the pixels tell, and so does the size if that is 0."""
    orientation: int = 1
    """EXIF orientation of the pixels in the file; `height` and `width` are those of the file."""
    deeper: bool = False
    """The file has more bits or channels than `array` returns."""
    signed: bool = True
    """Integers of more than 16 bits may be signed; not in PNG, of which some versions of Pillow return 32 bits."""
    bits: int = 8
    """Of each number in the file: 1 or 8, which counts for more as well."""
    indices: Callable[[], tuple[np.ndarray, np.ndarray]] | None = None
    """Decodes the indices (H, W) of an image with a palette, and the palette (n, 3)."""


def is_available() -> bool:
    """Whether tifffile and imagecodecs are installed.  Imports neither."""
    return all(find_spec(name) is not None for name in ("tifffile", "imagecodecs"))


def import_libraries() -> tuple[Any, Any] | None:
    """Import tifffile and imagecodecs; None if one is missing or fails to import."""
    try:
        import imagecodecs  # pyright: ignore[reportMissingImports]
        import tifffile  # pyright: ignore[reportMissingImports]
    except (ImportError, RuntimeError):
        return None
    return tifffile, imagecodecs


def turn_upright(image: np.ndarray, orientation: int) -> np.ndarray:
    """Turn an image (H, W) or (H, W, C) upright, given its EXIF orientation 1 ... 8."""
    image = image.swapaxes(0, 1) if orientation >= 5 else image
    down, across = (-1 if orientation in reversed_by else 1 for reversed_by in ((3, 4, 7, 8), (2, 3, 6, 7)))
    return image[::down, ::across]


def exceeds_pillow(image: Image.Image) -> bool:
    """Whether a file holds more bits or channels than Pillow returns."""
    if image.format == "PNG":
        return image.mode in ("LA", "RGB", "RGBA") and ";16" in _raw_mode(image)
    if image.format != "TIFF":
        return False
    tags = image.tag_v2  # pyright: ignore[reportAttributeAccessIssue]
    samples, bits, colours = tags.get(277, 1), tags.get(258, (1,)), tags.get(262, MIN_IS_WHITE)
    return (samples > 1 and max(bits) > 8) or (samples > 4 and colours in (MIN_IS_BLACK, RGB))


def has_swapped_bytes(image: Image.Image) -> bool:
    """Whether Pillow returns the bytes of each number in the wrong order: compressed big-endian grey TIFFs."""
    if image.format != "TIFF" or image.mode not in ("I", "F"):
        return False
    return image.tag_v2.prefix == b"MM" and image.info.get("compression") != "raw"  # pyright: ignore


def open_png(file: BinaryIO, image: Image.Image, orientation: int) -> EncodedImage | None:
    """Open a PNG of 16 bits a channel, which Pillow has opened as `image`; None without the libraries."""
    if not (libraries := import_libraries()):
        return None
    channels = len(_raw_mode(image).partition(";")[0]) + ("transparency" in image.info)

    def array() -> np.ndarray:
        file.seek(0)
        with as_data_error("its numbers cannot be decoded"):
            return turn_upright(libraries[1].png_decode(file.read()), orientation)

    return EncodedImage(array, image.height, image.width, channels, np.dtype(np.uint16), orientation)


def _raw_mode(image: Image.Image) -> str:
    tiles = getattr(image, "tile", None)
    return str(tiles[0][3]) if tiles else ""


def open_tiff(file: BinaryIO) -> EncodedImage | None:
    """Open the first image of a TIFF, channels interleaved or planar; None without the libraries.

    Raises:
        DataError: it is damaged, or not a supported kind of image.
    """
    if not (libraries := import_libraries()):
        return None
    end = file.seek(0, 2)
    file.seek(0)
    with as_data_error("its header is damaged"):
        page = libraries[0].TiffFile(file).pages.first
        return _open_page(page, end)


def _open_page(page: Any, end: int) -> EncodedImage:
    """Open the image on a page of a file that ends at byte `end`."""
    colours, channels, orientation = int(page.photometric), int(page.samplesperpixel), page.tags.valueof(274, 1)
    if page.dtype is None or page.dtype.kind not in "buif" or page.imagedepth != 1:
        raise DataError("its numbers are not those of an image")
    if colours not in (MIN_IS_WHITE, MIN_IS_BLACK, RGB, CMYK) or (colours == CMYK and channels < 4):
        raise DataError(f"its {channels} channels are {getattr(page.photometric, 'name', 'of an unknown kind')}")
    if 0 in page.shaped:
        raise DataError("it has no pixels")
    starts, lengths = page.dataoffsets, page.databytecounts
    complete = len(starts) == len(lengths) and (page.is_contiguous or len(starts) == math.prod(page.chunked))
    if not complete or any(n <= 0 or start + n > end for start, n in zip(starts, lengths, strict=True)):
        raise DataError("parts of it are missing")
    exif_orientation = orientation if orientation in range(1, 9) else 1

    def array() -> np.ndarray:
        with as_data_error("its numbers cannot be decoded"):
            numbers = page.asarray(squeeze=False, maxworkers=1)  # images are decoded in parallel already
            numbers = np.moveaxis(numbers[:, 0], 0, 2).reshape(*numbers.shape[2:4], channels)
            return turn_upright(_to_display_colours(numbers, colours, tuple(page.extrasamples)), exif_orientation)

    colour_channels = 3 if colours == CMYK else channels
    height, width = int(page.imagelength), int(page.imagewidth)
    return EncodedImage(array, height, width, colour_channels, _target_dtype(page.dtype), exif_orientation)


@contextmanager
def as_data_error(what: str) -> Iterator[None]:
    """Raise DataError for whatever a library raises about damaged bytes: ZeroDivisionError to UnicodeDecodeError."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{what} ({type(error).__name__})") from error


def _target_dtype(stored: np.dtype) -> np.dtype | None:
    """The dtype that numbers of a file are converted to; None if that depends on their values."""
    if stored.kind == "f":
        return np.dtype(np.float32)
    if stored.kind == "b":
        return np.dtype(np.uint8)
    return np.dtype(f"u{stored.itemsize}") if stored.kind == "u" and stored.itemsize <= 2 else None


def _to_display_colours(image: np.ndarray, colours: int, extras: tuple[int, ...]) -> np.ndarray:
    """Convert inverted grey, CMYK and premultiplied alpha to the colours that a viewer shows."""
    if colours == MIN_IS_WHITE and image.dtype.kind in "bu":
        return ~image
    full = np.float32(np.iinfo(image.dtype).max if image.dtype.kind in "iu" else 1)
    if colours == CMYK:
        shown = (full - image[..., :3]) * ((full - image[..., 3:4]) / full)
    elif extras == (PREMULTIPLIED,):
        colour, alpha = image[..., :-1].astype(np.float32), image[..., -1:]
        cover = alpha / full
        shown = np.divide(colour, cover, out=colour, where=cover > 0).clip(0, full)
        shown = np.concatenate([shown, alpha], 2)
    else:
        return image
    return np.rint(shown).astype(image.dtype) if image.dtype.kind in "iu" else shown


def can_encode(suffix: str, image: np.ndarray) -> bool:
    """Whether the libraries, if installed, can write this image (H, W, C) without loss to a file with this suffix."""
    deep_png = suffix == ".png" and image.dtype == np.uint16 and image.shape[2] <= 4
    return deep_png or suffix in (".tif", ".tiff")


def encode(suffix: str, image: np.ndarray) -> bytes | None:
    """Encode an image (H, W, C) as the bytes of a file; None if it does not fit or the libraries are missing."""
    if not can_encode(suffix, image) or not (libraries := import_libraries()):
        return None
    tifffile, imagecodecs = libraries
    if suffix == ".png":
        return imagecodecs.png_encode(image)
    colour, alpha = image.shape[2] in (3, 4), image.shape[2] in (2, 4)
    kind = {"photometric": "rgb" if colour else "minisblack", "extrasamples": (ALPHA,) if alpha else None}
    channels = {"planarconfig": "contig"} if image.shape[2] > 1 else {}
    file = io.BytesIO()
    tifffile.imwrite(file, image, **kind, **channels, compression="zlib", metadata=None)
    return file.getvalue()
