"""Images between the browser and a run: data URIs, and uploads that are bounded before they are decoded."""

import base64
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from ganforge.errors import DataError, OptionError
from ganforge.images import encode_png, read, read_header, to_uint8, visible_channels

MOST_BYTES, MOST_PIXELS, MOST_FILES = 25 * 2**20, 40_000_000, 200
"""Of one upload: bytes of a file, pixels of an image, files."""


def to_uri(image: np.ndarray) -> str:
    """A uint8 image (H, W, C) as a data URI."""
    return "data:image/png;base64," + base64.b64encode(encode_png(image)).decode()


def to_uris(images: Tensor) -> list[str]:
    """Images (N, C, H, W) in [-1, 1] as data URIs."""
    return [to_uri(image) for image in visible_channels(to_uint8(images))]


def to_data(content: bytes, kind: str) -> str:
    """Bytes of a media type as a data URI."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def check_uploads(paths: Sequence[str | Path], folder: Path, most: int = MOST_FILES) -> list[Path]:
    """Uploaded files, checked before any is decoded.

    Raises OptionError for too many, for files outside the upload folder, too large files and images of too many pixels;
    DataError for a file that is no image.
    """
    if not paths:
        raise OptionError("There is no file: drop one first.")
    if len(paths) > most:
        raise OptionError(f"There are {len(paths)} files: give at most {most}, or use the command for a folder.")
    checked = [Path(path) for path in paths]
    for path in checked:
        if not path.resolve().is_relative_to(folder.resolve()):
            raise OptionError("The file was not uploaded: drop it onto the page.")
        if not path.is_file():
            raise OptionError(f"{path.name} is not kept any more: drop it again.")
        if path.stat().st_size > MOST_BYTES:
            raise OptionError(f"{path.name} has {path.stat().st_size / 2**20:.0f} MB: give at most 25.")
        if path.suffix.lower() != ".zip":
            header = read_header(path, path.name)
            if header.height * header.width > MOST_PIXELS:
                raise OptionError(f"{path.name} has {header.height} x {header.width} pixels: give at most 40 million.")
    return checked


def read_upload(path: str | Path, folder: Path) -> np.ndarray:
    """One uploaded image (H, W, C).  Raises as `check_uploads`, and DataError for what cannot be read."""
    (checked,) = check_uploads([path], folder)
    if checked.suffix.lower() == ".zip":
        raise DataError(f"{checked.name} is a zip: give an image.")
    return read(checked, checked.name)
