"""Fashion-MNIST: 70,000 grey images (28 x 28) of ten kinds of clothing, by Xiao, Rasul and Vollgraf, 2017.

The four official files, packed or unpacked, are searched in the data home, in its subfolder `fashion-mnist`, and
where torchvision stores them; else they are downloaded.  https://arxiv.org/abs/1708.07747
"""

import gzip
import hashlib
import math
import urllib.request
from http.client import HTTPException
from pathlib import Path

import numpy as np

from ganforge.batches import Facts
from ganforge.console import track
from ganforge.data.cache import fingerprint
from ganforge.data.dataset import DataSet
from ganforge.data.decode import DecodeOptions, LazyImage
from ganforge.data.paths import data_home
from ganforge.data.source import ImageSource, Labels, build_dataset
from ganforge.errors import DataError, RunError
from ganforge.files import replacing
from ganforge.images import header_of

ADDRESS = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
FOLDERS = ("", "fashion-mnist", "FashionMNIST/raw")
NAMES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
MD5 = {  # of the official file, and of its unpacked content
    "train-images-idx3-ubyte": ("8d4fb7e6c68d591d4c3dfef9ec88bf0d", "f4a8712d7a061bf5bd6d2ca38dc4d50a"),
    "train-labels-idx1-ubyte": ("25c81989df183df01b3e8a0aad5dffbe", "9018921c3c673c538a1fc5bad174d6f9"),
    "t10k-images-idx3-ubyte": ("bef4ecab320f06d8554ea6380940ec79", "8181f5470baa50b63fa0f6fddb340f0a"),
    "t10k-labels-idx1-ubyte": ("bb300cfdad3c16e7a12a480ee83cd310", "15d484375f8d13e6eb1aabb0c3f46965"),
}
SIDE = 28


def open_fashion_mnist(
    home: Path | None = None,
    *,
    size: tuple[int, int] | None,
    channels: int = 0,
    held_out: bool = False,
    native: bool = False,
) -> DataSet:
    """Open the 60,000 images for training, or the 10,000 held out, with their classes.

    At size 32 a black border of 2 pixels is added; at other sizes the images are resized, or cropped if `native`.  3
    channels repeat grey.

    Raises:
        DataError: the files are missing and cannot be downloaded, or are not the official ones.
    """
    part = "t10k" if held_out else "train"
    home = data_home(home)
    pixels = parse_idx(_read_official(f"{part}-images-idx3-ubyte", home), 3)[..., None]
    labels = parse_idx(_read_official(f"{part}-labels-idx1-ubyte", home), 1).astype(np.int64)
    name = "fashion-mnist (held out)" if held_out else "fashion-mnist"
    size, channels = size or (SIDE, SIDE), channels or 1
    if size == (32, 32):
        pixels = np.pad(pixels, ((0, 0), (2, 2), (2, 2), (0, 0)))
    if size == pixels.shape[1:3] and channels in (1, 3):  # nothing to decode: the cache is not needed
        columns = {"images": np.broadcast_to(pixels, (*pixels.shape[:3], channels)), "condition": labels}
        return DataSet(name, Facts(channels, *size, NAMES), columns, fingerprint(name, size, channels))
    lazy_images = [_lazy_image(pixels, k) for k in range(len(pixels))]
    return build_dataset(
        ImageSource(name, "idx files", name, lazy_images, Labels(labels, NAMES)),
        DecodeOptions(size, channels, native=native),
    )


def _lazy_image(pixels: np.ndarray, k: int) -> LazyImage:
    return LazyImage(f"image {k}", lambda: header_of(pixels[k]), lambda: pixels[k])


def parse_idx(data: bytes, dimensions: int) -> np.ndarray:
    """Parse the uint8 array of an idx file: magic 0 0 8 D, then D big-endian lengths, then the numbers.

    Raises:
        ValueError: it is not such a file, or its length differs from its header.
    """
    start = 4 + 4 * dimensions
    if data[:4] != bytes([0, 0, 8, dimensions]) or len(data) < start:
        raise ValueError(f"not an idx file of bytes in {dimensions} dimensions")
    shape = np.frombuffer(data, ">u4", dimensions, 4).astype(int)
    if len(data) != start + math.prod(shape.tolist()):
        raise ValueError(f"an idx file that states {' x '.join(map(str, shape))} and holds {len(data) - start} bytes")
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def _read_official(name: str, home: Path) -> bytes:
    """Read the unpacked bytes of an official file below `home`, or download it to there."""
    for folder in FOLDERS:
        for packed, ending in ((0, ".gz"), (1, "")):
            file = home / folder / f"{name}{ending}"
            if file.is_file():
                try:
                    data = file.read_bytes()
                except OSError as error:
                    raise DataError(f"{file} cannot be read: {error.strerror}.") from error
                if hashlib.md5(data, usedforsecurity=False).hexdigest() != MD5[name][packed]:
                    raise DataError(f"{file} is not Fashion-MNIST's own file, or is damaged: delete it and try again.")
                return data if packed else gzip.decompress(data)
    return gzip.decompress(_download(name, home / "fashion-mnist" / f"{name}.gz"))


def _download(name: str, file: Path) -> bytes:
    """Download an official file, check its MD5 sum and store it as `file`."""
    try:
        with urllib.request.urlopen(f"{ADDRESS}{name}.gz", timeout=30) as answer:
            chunks = iter(lambda: answer.read(2**16), b"")
            total = int(answer.headers.get("Content-Length", 0)) or None
            data = b"".join(track(chunks, total, f"Downloading {file.name}", len))
    except (OSError, HTTPException) as error:
        files = ", ".join(f"{name}.gz" for name in MD5)
        raise DataError(
            f"Fashion-MNIST is not in {file.parent} and could not be downloaded ({error}): "
            f"put its four files {files} there, or name the folder that holds them with --data-home."
        ) from error
    if hashlib.md5(data, usedforsecurity=False).hexdigest() != MD5[name][0]:
        raise DataError(f"What {ADDRESS} sent as {file.name} is not the official file: try again later.")
    try:
        with replacing(file) as out:
            out.write(data)
    except RunError as error:
        raise DataError(f"{error} Name a folder that can be with --data-home.") from error
    return data
