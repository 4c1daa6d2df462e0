"""Pictures in files, with the pixels that a person sees in them; and files that only claim to be pictures."""

import io
import pickle
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from tests.fuzz.case import Chance

GREY = ("png", "bmp", "tif", "tiff", "npy")
COLOUR = ("png", "png", "png", "bmp", "tif", "tiff", "gif", "webp", "npy", "jpg", "jpeg")
UNUSUAL = ("jfif", "ppm", "pgm", "tga", "avif", "jp2", "ico", "dib")
"""Endings of pictures that people have, and that may not be taken."""
FORMATS = {
    **{"jpg": "JPEG", "jpeg": "JPEG", "jfif": "JPEG", "tif": "TIFF", "tiff": "TIFF", "ppm": "PPM", "pgm": "PPM"},
    **{"tga": "TGA", "avif": "AVIF", "jp2": "JPEG2000", "ico": "ICO", "dib": "DIB"},
}


@dataclass(frozen=True)
class Shot:
    """One picture in a file."""

    ending: str
    content: bytes
    pixels: np.ndarray
    """(H, W, C)."""


def shot(chance: Chance, side: tuple[int, int] = (16, 16), channels: int = 3, ending: str = "") -> Shot:
    """Noise in a file of one of the usual formats, which keep every pixel or are decoded here."""
    ending = ending or chance.choice(COLOUR if channels == 3 else GREY)
    pixels = chance.pixels(*side, channels)
    if ending == "gif":
        content = saved(palette(chance, side), "GIF")
        return Shot(ending, content, decoded(content))
    if ending == "npy":
        flat = pixels[..., 0] if channels == 1 and chance.often(0.5) else pixels
        return Shot(ending, array_file(flat), pixels)
    image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
    options: dict[str, Any] = {"lossless": True} if ending == "webp" else {}
    content = saved(image, FORMATS.get(ending, ending.upper()), **options)
    lossy = ending in ("jpg", "jpeg", "jfif", "avif", "jp2")
    return Shot(ending, content, decoded(content) if lossy else pixels)


def shots(chance: Chance, n: int, **options: Any) -> list[Shot]:
    """Several, all grey or all in colour, unless channels are said."""
    options.setdefault("channels", chance.choice((3, 3, 3, 1)))
    return [shot(chance, **options) for _ in range(n)]


def palette(chance: Chance, side: tuple[int, int]) -> Image.Image:
    """A picture of few colours."""
    image = Image.fromarray(chance.pixels(*side) % 16, "L").convert("P")
    image.putpalette(chance.pixels(768).tobytes())
    return image


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    """The bytes of a file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def array_file(array: np.ndarray, pickled: bool = False) -> bytes:
    """The bytes of an .npy file."""
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, allow_pickle=pickled)
    return buffer.getvalue()


def png(pixels: np.ndarray) -> bytes:
    """A PNG of 8 bits, or of 16 where it is grey."""
    return saved(Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels), "PNG")


def decoded(content: bytes) -> np.ndarray:
    """(H, W, C) as Pillow reads it."""
    with Image.open(io.BytesIO(content)) as image:
        array = np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB"))
    return array if array.ndim == 3 else array[..., None]


def levelled(pictures: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Grey as colour, where some are in colour."""
    most = max((picture.shape[2] for picture in pictures), default=1)
    return [picture.repeat(most, 2) if picture.shape[2] < most else picture for picture in pictures]


# -- files that are none ----------------------------------------------------------------------------


class Evil:
    """Leaves the marker when it is unpickled."""

    def __init__(self, statement: str) -> None:
        self.statement = statement

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (self.statement,)


def damaged(chance: Chance, statement: str) -> tuple[str, bytes]:
    """(ending, bytes) of a file that cannot be read as a picture; never more than a few kilobytes."""
    whole = shot(chance, ending=chance.choice(("png", "jpg", "gif", "tif", "bmp", "npy", "webp")))
    kind = chance.randrange(10)
    if kind == 0:
        return whole.ending, b""
    if kind == 1:
        return "png", png(chance.pixels(64, 64, 3))[: chance.randint(1, 3000)]
    if kind == 2:
        return whole.ending, b"<!DOCTYPE html><title>Sign in</title>"
    if kind == 3:
        return "png", vast(chance)
    if kind == 4:
        return "npy", array_file(np.array([Evil(statement)], dtype=object), pickled=True)
    if kind == 5:
        return "npy", promising(chance)
    if kind == 6:
        return "jpg", b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 12345\n"
    if kind == 7:
        return whole.ending, bytes(chance.randrange(256) for _ in range(chance.randint(1, 300)))
    if kind == 8:
        return "npy", array_file(np.zeros((0, 16, 3), np.uint8))
    return "npy", array_file(np.array(["a", "b"]))


def vast(chance: Chance) -> bytes:
    """A PNG whose header claims more than any memory holds."""
    side = chance.choice((30_000, 100_000, 2**31 - 1))
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")
    )


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG with its sum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def promising(chance: Chance) -> bytes:
    """An .npy file whose header promises more than it holds, or makes no sense."""
    shape = chance.choice(("(100000, 100000, 3)", "(-1, 16, 3)", "(16, 16, 3", "(10**9,)", "(16, 16, 2**70)", "'ab'"))
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + b"\0" * 64


def evil_pickle(statement: str) -> bytes:
    """A pickle that leaves the marker."""
    return pickle.dumps(Evil(statement))
