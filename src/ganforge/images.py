"""Reading and writing pictures, grids and GIFs, without loss.

Everywhere in this file a picture is an array (H, W, C) of uint8, uint16 or float32, as it was stored.
"""

import math
import os
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, Literal, TypeVar
from uuid import uuid4

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from ganforge import deep
from ganforge.deep import Coded
from ganforge.errors import DataError, RunError

T = TypeVar("T")
Depth = Literal["8", "16", "float"]  # bits of a number in a picture that is written

EXTENSIONS = ("jpg", "jpeg", "png", "webp", "tif", "tiff", "gif", "bmp", "npy")  # what is looked for in folders
HOLDS = {  # suffix -> (bits of integers, channels) that Pillow stores without loss; floats: TIFF and NPY
    ".png": ({8, 16}, {1, 2, 3, 4}),
    ".tif": ({8, 16}, {1, 3, 4}),
    ".tiff": ({8, 16}, {1, 3, 4}),
    ".jpg": ({8}, {1, 3}),
    ".jpeg": ({8}, {1, 3}),
    ".webp": ({8}, {3, 4}),
    ".bmp": ({8}, {1, 3}),
}
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


@dataclass(frozen=True)
class Look:
    """What a picture's header says."""

    height: int
    width: int
    channels: int
    dtype: np.dtype
    deeper: bool = False
    """The file has 16 bits a channel of colour, of which `read` gives the upper 8; see deep.py for all of them."""


def read(source: Path | BinaryIO, name: str = "") -> np.ndarray:
    """The picture in a file, upright, (H, W, C) as people expect it.

    A palette becomes RGB, or RGBA where it is transparent; CMYK becomes RGB; black-and-white becomes
    8-bit grey; alpha stays as the last channel (C = 2 or 4); 16 bits are uint16, float is float32.
    Of an animation the first frame.  Colour of more than 8 bits, and more than four channels, need deep.py's
    libraries where they do not come from NPY files: without them PNG and TIFF give the upper 8 bits.

    Raises:
        DataError: naming the file (or `name`) and what is wrong with it.
    """
    return _opened(source, name, _picture)


def look(source: Path | BinaryIO, name: str = "") -> Look:
    """What `read` would return, from the header alone where that tells.

    Raises:
        DataError: naming the file (or `name`) and what is wrong with it.
    """
    return _opened(source, name, _look)


def look_at(picture: np.ndarray) -> Look:
    """The same for a picture already read."""
    height, width, channels = picture.shape
    return Look(height, width, channels, picture.dtype)


def _opened(source: Path | BinaryIO, name: str, use: Callable[[Coded], T]) -> T:
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


def _coded(file: BinaryIO) -> Coded:
    start = file.read(6)
    if not start:
        raise DataError("the file is empty")
    file.seek(0)
    if start == b"\x93NUMPY":
        return Coded(lambda: _load_npy(file))
    try:
        image = Image.open(file)
    except Exception as error:
        if start[:4] not in deep.TIFF:
            raise
        if found := deep.of_tiff(file):
            return found
        if isinstance(error, UnidentifiedImageError):
            raise DataError(f"it is damaged, or a TIFF that needs more than Pillow: {deep.EXTRA}") from None
        raise
    orientation, found = _orientation(image), None
    deeper = deep.more(image)
    if deeper or deep.garbled(image):
        found = deep.of_tiff(file) if image.format == "TIFF" else deep.of_png(file, image, orientation)
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


def _by_pillow(image: Image.Image, orientation: int, deeper: bool) -> Coded:
    def array() -> np.ndarray:
        image.load()  # notes that follow the pixels are known only now
        array = np.asarray(image.convert(_mode(image)) if _mode(image) != image.mode else image)
        return deep.upright(array, _orientation(image))

    mode = _mode(image)
    channels = 1 if mode == "F" or mode.startswith("I") else len(mode)
    dtype = np.dtype(np.float32 if mode == "F" else np.uint16 if mode.startswith("I;16") else np.uint8)
    return Coded(array, image.height, image.width, channels, dtype if mode != "I" else None, orientation, deeper)


def _picture(found: Coded) -> np.ndarray:
    array = found.array()
    if array.dtype.kind in "iu" and array.dtype.newbyteorder("=") not in (np.uint8, np.uint16):
        array = array.astype(  # whole numbers of 32 bits: most files hold 16 of them
            np.uint16 if array.min() >= 0 and array.max() < 2**16 else np.float32
        )
    return as_picture(array)


def _look(found: Coded) -> Look:
    if found.dtype is None:
        return look_at(_picture(found))
    size = (found.height, found.width) if found.orientation < 5 else (found.width, found.height)
    return Look(*size, found.channels, found.dtype, found.deeper)


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


def as_picture(array: np.ndarray) -> np.ndarray:
    """A bare array (H, W) or (H, W, C) as a picture.

    Raises:
        DataError: it has another shape, no pixel, or numbers of a type that is none of a picture's.
    """
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise DataError(f"an array of shape {array.shape} is no picture, which is (H, W) or (H, W, C)")
    array = array[..., None] if array.ndim == 2 else array
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * 255
    if array.dtype.kind == "f":
        return array.astype(np.float32, order="C")
    if array.dtype.newbyteorder("=") not in (np.uint8, np.uint16):
        raise DataError(f"its numbers are {array.dtype}; a picture's are uint8, uint16 or float32")
    return np.ascontiguousarray(array, array.dtype.newbyteorder("="))


def white(dtype: np.dtype) -> float:
    """The number that means white, and fully opaque: 255, 65535 or 1.0."""
    return float(np.iinfo(dtype).max) if dtype.kind == "u" else 1.0


def fit(
    picture: np.ndarray, size: tuple[int, int], channels: int, crop: Literal["centre", "stretch"] = "centre"
) -> np.ndarray:
    """The picture at `size` = (height, width) with `channels`, of the same dtype.

    Its short side is brought to the size, antialiased, and the centre cut out, as DCGAN does; "stretch"
    takes the whole picture instead.  Alpha is laid on white unless 2 or 4 channels are asked for.

    Raises:
        DataError: there is no way from the picture's channels to those asked for.
    """
    picture = recolour(picture, channels)
    height, width = picture.shape[:2]
    if (height, width) == size:
        return picture
    if crop == "stretch":
        return _resize(picture, size, (0, 0, width, height))
    scale = max(size[0] / height, size[1] / width)
    tall, wide = min(height, size[0] / scale), min(width, size[1] / scale)
    top, left = (height - tall) / 2, (width - wide) / 2
    return _resize(picture, size, (left, top, left + wide, top + tall))


def _resize(picture: np.ndarray, size: tuple[int, int], box: tuple[float, float, float, float]) -> np.ndarray:
    side = (size[1], size[0])  # Pillow says width first
    if picture.dtype == np.uint8 and picture.shape[2] <= 4:
        image = Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else np.ascontiguousarray(picture))
        return np.asarray(image.resize(side, Image.Resampling.BICUBIC, box)).reshape(*size, -1)
    planes = [Image.fromarray(plane) for plane in np.moveaxis(picture, 2, 0).astype(np.float32)]
    planes = [np.asarray(plane.resize(side, Image.Resampling.BICUBIC, box)) for plane in planes]
    resized = np.stack(planes, 2).clip(picture.min(), picture.max())  # bicubic overshoots at edges
    return resized if picture.dtype == np.float32 else np.rint(resized).astype(picture.dtype)


def recolour(picture: np.ndarray, channels: int) -> np.ndarray:
    """The picture with so many channels: 1 grey, 2 grey and alpha, 3 colour, 4 colour and alpha.

    Raises:
        DataError: there is no way from the picture's channels to those asked for.
    """
    has = picture.shape[2]
    if has == channels:
        return picture
    if has > 4 or not 1 <= channels <= 4:
        raise DataError(f"A picture of {has} channels cannot be given {channels}.")
    colour, alpha = (picture[..., :-1], picture[..., -1:]) if has in (2, 4) else (picture, None)
    full = white(picture.dtype)
    if colour.shape[2] == 3 and channels <= 2:
        colour = _like(picture, colour @ LUMINANCE)[..., None]
    if channels in (2, 4):
        alpha = np.full_like(colour[..., :1], full) if alpha is None else alpha
        return np.concatenate([_widened(colour, channels - 1), alpha], 2)
    if alpha is not None:
        cover = alpha / np.float32(full)
        colour = _like(picture, colour * cover + full * (1 - cover))
    return _widened(colour, channels)


def _widened(colour: np.ndarray, channels: int) -> np.ndarray:
    return np.repeat(colour, channels, 2) if colour.shape[2] < channels else colour


def _like(picture: np.ndarray, values: np.ndarray) -> np.ndarray:
    values = values if picture.dtype == np.float32 else np.rint(values)
    return values.astype(picture.dtype)


def to_uint8(images: Tensor) -> np.ndarray:
    """(N, C, H, W) in [-1, 1] -> (N, H, W, C) of 0 ... 255: the exact inverse of x / 127.5 - 1."""
    return _stored(images, 255).astype(np.uint8)


def to_uint16(images: Tensor) -> np.ndarray:
    """(N, C, H, W) in [-1, 1] -> (N, H, W, C) of 0 ... 65535: the exact inverse of x / 32767.5 - 1."""
    return _stored(images, 65535).astype(np.uint16)


def stored(images: Tensor, depth: Depth) -> np.ndarray:
    """(N, C, H, W) in [-1, 1] -> (N, H, W, C) of uint8, of uint16, or of the same floats."""
    if depth == "float":
        return images.detach().to("cpu", torch.float32).permute(0, 2, 3, 1).contiguous().numpy()
    return to_uint8(images) if depth == "8" else to_uint16(images)


def visible(pictures: np.ndarray) -> np.ndarray:
    """(..., H, W, C) as a person can look at them: of more than four channels the first three."""
    return pictures[..., :3] if pictures.shape[-1] > 4 else pictures


def lossless(picture: np.ndarray) -> str:
    """The suffix of files that hold such a picture without loss: .png where that can, else .npy."""
    return ".png" if holds(".png", picture) else ".npy"


def _stored(images: Tensor, most: int) -> np.ndarray:
    scaled = images.detach().to("cpu", torch.float32) * (most / 2) + most / 2
    return scaled.round().clamp(0, most).permute(0, 2, 3, 1).contiguous().numpy()


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
    whole = None if _held(suffix, picture) else deep.written(suffix, picture)
    if whole is None and not _held(suffix, picture):
        kind = f"{picture.shape[2]} channels of {picture.dtype}"
        other = f", or {deep.EXTRA}" if deep.fits(suffix, picture) else ""
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
    return _held(suffix, picture) or (deep.fits(suffix, picture) and deep.libraries() is not None)


def _held(suffix: str, picture: np.ndarray) -> bool:
    """Whether Pillow or NumPy write it, without deep.py."""
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


def grid(images: Sequence[np.ndarray] | np.ndarray, columns: int | None = None, gap: int = 2) -> np.ndarray:
    """Pictures of one size (N, H, W, C) side by side on white, row by row: one picture of the same dtype.

    Without `columns` as near to a square as N allows.

    Raises:
        DataError: there is no picture.
    """
    n = len(images)
    if not n:
        raise DataError("A grid needs at least one picture.")
    height, width, channels = images[0].shape
    columns = min(n, columns or math.ceil(math.sqrt(n)))
    rows = math.ceil(n / columns)
    shape = (rows * (height + gap) - gap, columns * (width + gap) - gap, channels)
    sheet = np.full(shape, white(images[0].dtype), images[0].dtype)
    for k, image in enumerate(images):
        top, left = k // columns * (height + gap), k % columns * (width + gap)
        sheet[top : top + height, left : left + width] = image
    return sheet


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file to write that takes its name only once it is whole; its folder is made.

    Raises:
        RunError: it cannot be written.
    """
    draft = path.with_name(f".{path.name[:100]}.{uuid4().hex}")
    try:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with draft.open("xb") as file:
                yield file
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror or error}.") from error
