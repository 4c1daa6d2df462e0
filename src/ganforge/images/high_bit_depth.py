"""Pictures that Pillow cannot hold: colour of 16 bits or of floats, and TIFFs of any number of channels.

PNG through imagecodecs, TIFF through tifffile (pip install 'ganforge[deep]').  They are imported when the first such
picture comes; without them Pillow gives what it can.  A picture is an array (H, W, C), as in images.py.
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
CUT = f"have 16-bit colour or more than four channels, of which a part is read; for all of it: {EXTRA}."
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # how a file begins; with a plus it is a BigTIFF
MIN_IS_WHITE, MIN_IS_BLACK, RGB, CMYK = 0, 1, 2, 5  # of TIFF's PhotometricInterpretation
PREMULTIPLIED, ALPHA = 1, 2  # of TIFF's ExtraSamples
for library in ("PIL", "tifffile", "imagecodecs"):  # they log what is odd about a file; what is wrong they raise
    logging.getLogger(library).addHandler(logging.NullHandler())


@dataclass(frozen=True)
class EncodedImage:
    """What the header of a file says about its picture, and the way to the numbers."""

    array: Callable[[], np.ndarray]
    """Decodes (H, W) or (H, W, C), upright, in the type that the file has."""
    height: int = 0
    width: int = 0
    channels: int = 1
    dtype: np.dtype | None = None
    """What the numbers become; None where only they tell, which goes for the size as well if that is 0."""
    orientation: int = 1
    """EXIF's: how the picture lies in the file, which has this height and width."""
    deeper: bool = False
    """The file has more bits or channels than come out of `array`."""


def here() -> bool:
    """Whether the libraries are installed.  Imports neither."""
    return all(find_spec(name) is not None for name in ("tifffile", "imagecodecs"))


def libraries() -> tuple[Any, Any] | None:
    """tifffile and imagecodecs; None where one is missing, or does not import."""
    try:
        import imagecodecs  # pyright: ignore[reportMissingImports]
        import tifffile  # pyright: ignore[reportMissingImports]
    except (ImportError, RuntimeError):
        return None
    return tifffile, imagecodecs


def upright(picture: np.ndarray, orientation: int) -> np.ndarray:
    """The picture (H, W) or (H, W, C) turned from how it lies in a file, in EXIF's numbers 1 ... 8."""
    picture = picture.swapaxes(0, 1) if orientation >= 5 else picture
    down, across = (-1 if orientation in turned else 1 for turned in ((3, 4, 7, 8), (2, 3, 6, 7)))
    return picture[::down, ::across]


def more(image: Image.Image) -> bool:
    """Whether the file of an image holds more bits or channels than Pillow, which opened it, gives."""
    if image.format == "PNG":
        return image.mode in ("LA", "RGB", "RGBA") and ";16" in _raw_mode(image)
    if image.format != "TIFF":
        return False
    tags = image.tag_v2  # pyright: ignore[reportAttributeAccessIssue]
    samples, bits, colours = tags.get(277, 1), tags.get(258, (1,)), tags.get(262, MIN_IS_WHITE)
    return (samples > 1 and max(bits) > 8) or (samples > 4 and colours in (MIN_IS_BLACK, RGB))


def garbled(image: Image.Image) -> bool:
    """Whether Pillow gives the bytes of its numbers in the wrong order: grey TIFFs of big endian, compressed."""
    if image.format != "TIFF" or image.mode not in ("I", "F"):
        return False
    return image.tag_v2.prefix == b"MM" and image.info.get("compression") != "raw"  # pyright: ignore


def of_png(file: BinaryIO, image: Image.Image, orientation: int) -> EncodedImage | None:
    """A PNG with 16 bits a channel, of which `image` is what Pillow makes; None without the libraries."""
    if not (found := libraries()):
        return None
    channels = len(_raw_mode(image).partition(";")[0]) + ("transparency" in image.info)

    def array() -> np.ndarray:
        file.seek(0)
        with told("its numbers cannot be decoded"):
            return upright(found[1].png_decode(file.read()), orientation)

    return EncodedImage(array, image.height, image.width, channels, np.dtype(np.uint16), orientation)


def _raw_mode(image: Image.Image) -> str:
    tiles = getattr(image, "tile", None)
    return str(tiles[0][3]) if tiles else ""


def of_tiff(file: BinaryIO) -> EncodedImage | None:
    """The first picture of a TIFF, its channels side by side or a plane each; None without the libraries.

    Raises:
        DataError: it is damaged, or no picture of a kind that is read.
    """
    if not (found := libraries()):
        return None
    end = file.seek(0, 2)
    file.seek(0)
    with told("its header is damaged"):
        page = found[0].TiffFile(file).pages.first
        return _of_page(page, end)


def _of_page(page: Any, end: int) -> EncodedImage:
    """The picture on a page of a file that ends at byte `end`."""
    colours, channels, orientation = int(page.photometric), int(page.samplesperpixel), page.tags.valueof(274, 1)
    if page.dtype is None or page.dtype.kind not in "buif" or page.imagedepth != 1:
        raise DataError("its numbers are not those of a picture")
    if colours not in (MIN_IS_WHITE, MIN_IS_BLACK, RGB, CMYK) or (colours == CMYK and channels < 4):
        raise DataError(f"its {channels} channels are {getattr(page.photometric, 'name', 'of an unknown kind')}")
    if 0 in page.shaped:
        raise DataError("it has no pixels")
    starts, lengths = page.dataoffsets, page.databytecounts
    whole = len(starts) == len(lengths) and (page.is_contiguous or len(starts) == math.prod(page.chunked))
    if not whole or any(n <= 0 or start + n > end for start, n in zip(starts, lengths, strict=True)):
        raise DataError("parts of it are missing")
    turn = orientation if orientation in range(1, 9) else 1

    def array() -> np.ndarray:
        with told("its numbers cannot be decoded"):
            numbers = page.asarray(squeeze=False, maxworkers=1)  # pictures are decoded side by side already
            numbers = np.moveaxis(numbers[:, 0], 0, 2).reshape(*numbers.shape[2:4], channels)
            return upright(_as_seen(numbers, colours, tuple(page.extrasamples)), turn)

    shown = 3 if colours == CMYK else channels
    return EncodedImage(array, int(page.imagelength), int(page.imagewidth), shown, _type(page.dtype), turn)


@contextmanager
def told(what: str) -> Iterator[None]:
    """Whatever a library raises about damaged bytes, from ZeroDivisionError to UnicodeDecodeError, as one sentence."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{what} ({type(error).__name__})") from error


def _type(stored: np.dtype) -> np.dtype | None:
    """What numbers of a file become in a picture; None where that depends on how large they are."""
    if stored.kind == "f":
        return np.dtype(np.float32)
    if stored.kind == "b":
        return np.dtype(np.uint8)
    return np.dtype(f"u{stored.itemsize}") if stored.kind == "u" and stored.itemsize <= 2 else None


def _as_seen(picture: np.ndarray, colours: int, extras: tuple[int, ...]) -> np.ndarray:
    """The picture as people see it, where a file has ink for light, or colours multiplied by their alpha."""
    if colours == MIN_IS_WHITE and picture.dtype.kind in "bu":
        return ~picture
    full = np.float32(np.iinfo(picture.dtype).max if picture.dtype.kind in "iu" else 1)
    if colours == CMYK:
        seen = (full - picture[..., :3]) * ((full - picture[..., 3:4]) / full)
    elif extras == (PREMULTIPLIED,):
        colour, alpha = picture[..., :-1].astype(np.float32), picture[..., -1:]
        cover = alpha / full
        seen = np.divide(colour, cover, out=colour, where=cover > 0).clip(0, full)
        seen = np.concatenate([seen, alpha], 2)
    else:
        return picture
    return np.rint(seen).astype(picture.dtype) if picture.dtype.kind in "iu" else seen


def fits(suffix: str, picture: np.ndarray) -> bool:
    """Whether the libraries, if they are here, write such a picture (H, W, C) into such a file without loss."""
    deep_png = suffix == ".png" and picture.dtype == np.uint16 and picture.shape[2] <= 4
    return deep_png or suffix in (".tif", ".tiff")


def written(suffix: str, picture: np.ndarray) -> bytes | None:
    """The whole file of a picture (H, W, C); None where it does not fit, or the libraries are not here."""
    if not fits(suffix, picture) or not (found := libraries()):
        return None
    tifffile, imagecodecs = found
    if suffix == ".png":
        return imagecodecs.png_encode(picture)
    colour, alpha = picture.shape[2] in (3, 4), picture.shape[2] in (2, 4)
    kind = {"photometric": "rgb" if colour else "minisblack", "extrasamples": (ALPHA,) if alpha else None}
    channels = {"planarconfig": "contig"} if picture.shape[2] > 1 else {}
    file = io.BytesIO()
    tifffile.imwrite(file, picture, **kind, **channels, compression="zlib", metadata=None)
    return file.getvalue()
