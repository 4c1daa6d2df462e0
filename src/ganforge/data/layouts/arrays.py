"""Images in one .npy or .npz file: (N, H, W) or (N, H, W, C), with labels (N,) or (N, K) beside them."""

import math
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ganforge.data.decode import LazyImage, one_image_message
from ganforge.data.layouts.files import LARGEST, WHOLE, check_regular
from ganforge.data.layouts.names import shorten
from ganforge.data.layouts.zips import check_entry_count
from ganforge.data.source import ImageSource, Labels
from ganforge.errors import DataError
from ganforge.images import as_image, check_pixels, header_of, is_wide, narrow_integers

IMAGES = ("images", "x_train", "x", "data", "arr_0")  # names of the images in an .npz, the likeliest first
LABELS = ("labels", "y_train", "y", "label", "condition", "arr_1")
BOMB = 50  # a large array that was compressed to less than this part is a bomb
MOST = 65_536  # classes: a larger number is a mistake or a regression target


def open_array(path: Path) -> ImageSource:
    """Open the images, and labels if there are any, of a .npy or .npz file.

    Raises:
        DataError: it cannot be read, or holds no images.
    """
    images, labels = _load(path)
    notes = []
    if images.ndim == 4 and images.shape[1] in (1, 3) and images.shape[3] > 4:
        images = np.moveaxis(images, 1, 3)
        notes.append(f"{path} has channels first; they were moved to the end.")
    if images.ndim not in (3, 4) or 0 in images.shape:
        raise DataError(f"{path} holds an array of shape {images.shape}; images are (N, H, W) or (N, H, W, C).")
    height, width = images.shape[1:3]
    check_pixels(f"An image of {path}", height, width, math.prod(images.shape[3:]) * images.dtype.itemsize)
    if len(images) == 1:
        raise DataError(one_image_message(str(path)))
    state = path.stat()
    identity = (path.name, state.st_size, state.st_mtime_ns)
    lazy_images = [_lazy_image(images, k) for k in range(len(images))]
    layout = f"one array of images {images.shape}, {images.dtype}"
    try:
        parsed, label_error = _parse_labels(path, labels, len(images)), None
    except DataError as error:
        parsed, label_error = Labels(), error
    return ImageSource(str(path), layout, identity, lazy_images, parsed, tuple(notes), label_error=label_error)


def _lazy_image(images: np.ndarray, k: int) -> LazyImage:
    def read() -> np.ndarray:
        try:
            return as_image(narrow_integers(images[k]))
        except DataError as error:
            raise DataError(f"Row {k} cannot be read: {error}.") from error

    return LazyImage(f"row {k}", lambda: replace(header_of(read()), wide=is_wide(images.dtype)), read)


def _load(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    check_regular(path)
    try:
        if path.suffix.lower() == ".npy":
            return np.lib.format.open_memmap(path, mode="r"), None
        check_entry_count(path)
        with path.open("rb") as file:  # opened here, because numpy does not close a damaged file
            loaded = np.load(file, allow_pickle=False)
            images = next((name for name in IMAGES if name in loaded), None)
            labels = next((name for name in LABELS if name in loaded), None)
            if images is None:
                raise DataError(
                    f"it holds {shorten(', '.join(loaded) or 'nothing')}, and none is called {', '.join(IMAGES)}"
                )
            return _load_member(path, loaded, images), _load_member(path, loaded, labels) if labels else None
    except Exception as error:  # damaged bytes raise anything; pickled objects raise ValueError
        if isinstance(error, DataError) and str(error).startswith(str(path)):
            raise
        why = getattr(error, "strerror", None) or str(error).rstrip(".") or type(error).__name__
        raise DataError(f"{path} cannot be read: {why}.") from error


def _load_member(path: Path, loaded: Any, name: str) -> np.ndarray:
    """Load an array of an .npz; a large one that is not compressed is mapped, so that it takes no memory."""
    entry = next((entry for entry in loaded.zip.infolist() if entry.filename == f"{name}.npy"), None)
    if entry is None:
        raise DataError(f"its {name} are not an array")
    if entry.file_size > LARGEST and entry.file_size > BOMB * max(1, entry.compress_size):
        raise DataError(
            f"{entry.compress_size:,} bytes of its {name} claim to be {entry.file_size:,}: if you know where it comes "
            "from, save it with np.savez, which does not compress"
        )
    if entry.compress_type != zipfile.ZIP_STORED or entry.file_size <= WHOLE:
        return loaded[name]
    with loaded.zip.open(entry) as member:
        version = np.lib.format.read_magic(member)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran_order, dtype = header(member)
        start = member.tell()
    if dtype.hasobject:
        raise DataError("it holds Python objects, which are never unpickled")
    with path.open("rb") as file:
        file.seek(entry.header_offset + 26)
        start += entry.header_offset + 30 + sum(int.from_bytes(file.read(2), "little") for _ in range(2))
    return np.memmap(path, dtype, "r", start, shape, "F" if fortran_order else "C")


def _parse_labels(path: Path, labels: np.ndarray | None, count: int) -> Labels:
    if labels is None:
        return Labels()
    if labels.ndim == 0:
        raise DataError(f"{path} holds {count} images but a single label: labels are (N,) or (N, K).")
    if len(labels) != count:
        raise DataError(f"{path} holds {count} images but {len(labels)} labels.")
    return labels_from_numbers(str(path), labels)


def labels_from_numbers(where: str, labels: np.ndarray) -> Labels:
    """Convert numbers to labels: classes (N,), or vectors (N, K).

    Raises:
        DataError: classes that are not integers from 0 on, vectors of other things than numbers, or another shape.
    """
    if labels.dtype.kind not in "biuf" or not np.isfinite(labels).all():
        raise DataError(f"{where}: its labels are not all numbers.")
    if 0 in labels.shape or labels.ndim == 0:
        raise DataError(f"{where}: its labels are empty.")
    labels = labels.reshape(len(labels), *(side for side in labels.shape[1:] if side > 1))
    if labels.ndim > 2:
        raise DataError(f"{where}: its labels are of shape {labels.shape}, and not (N,) or (N, K).")
    if labels.ndim == 2 and labels.shape[1] > 1:
        return Labels(labels.astype(np.float32), attributes=tuple(str(k) for k in range(labels.shape[1])))
    labels = labels.reshape(-1)
    if (labels != np.floor(labels)).any() or labels.min() < 0 or labels.max() >= MOST:
        raise DataError(
            f"{where}: its labels run from {labels.min()} to {labels.max()}; classes are 0, 1, 2 and so on."
        )
    return Labels(labels.astype(np.int64), tuple(str(k) for k in range(int(labels.max()) + 1)))
