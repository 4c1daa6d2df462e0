"""Convert images between sizes, channels and number types.

An image is an array (H, W, C) of uint8, uint16 or float32.
"""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ganforge.errors import DataError

Depth = Literal["8", "16", "float"]  # bits of each number in a file


LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


def as_image(array: np.ndarray) -> np.ndarray:
    """Convert an array (H, W) or (H, W, C) to an image (H, W, C) of uint8, uint16 or float32.

    Raises:
        DataError: it has another shape, no pixel, or another dtype.
    """
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise DataError(f"an array of shape {array.shape} is no image, which is (H, W) or (H, W, C)")
    array = array[..., None] if array.ndim == 2 else array
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * 255
    if array.dtype.kind == "f":
        return array.astype(np.float32, order="C")
    if array.dtype.newbyteorder("=") not in (np.uint8, np.uint16):
        raise DataError(f"its numbers are {array.dtype}; an image's are uint8, uint16 or float32")
    return np.ascontiguousarray(array, array.dtype.newbyteorder("="))


def narrow_integers(array: np.ndarray) -> np.ndarray:
    """Convert integers that are neither uint8 nor uint16 to uint16, or to float32 if they do not fit.

    Other arrays are returned as they are.  Which of the two an image becomes depends on its own values, so a set of
    images has to decide over all of them (data/value_range.py).
    """
    if not is_wide(array.dtype):
        return array
    fits = array.size > 0 and array.min() >= 0 and array.max() < 2**16
    return array.astype(np.uint16 if fits else np.float32)


def is_wide(dtype: np.dtype) -> bool:
    """Whether numbers are integers of another kind than uint8 and uint16: signed, or of 32 bits and more."""
    return dtype.kind in "iu" and dtype.newbyteorder("=") not in (np.uint8, np.uint16)


def white_value(dtype: np.dtype) -> float:
    """The value of white, and of full opacity: 255, 65535 or 1.0."""
    return float(np.iinfo(dtype).max) if dtype.kind == "u" else 1.0


def fit(
    image: np.ndarray, size: tuple[int, int], channels: int, crop: Literal["centre", "stretch"] = "centre"
) -> np.ndarray:
    """Resize an image to `size` = (height, width) with `channels`; the dtype stays.

    The short side is resized to the size (bicubic, antialiased) and the centre cut out, as DCGAN does; "stretch"
    resizes the whole image instead.  Alpha is composited on white unless `channels` is 2 or 4.

    Raises:
        DataError: the image's channels cannot be converted to `channels`.
    """
    image = recolour(image, channels)
    height, width = image.shape[:2]
    if (height, width) == size:
        return image
    if crop == "stretch":
        return _resize(image, size, (0, 0, width, height))
    return _resize(image, size, centre_cut((height, width), size))


def centre_cut(old: tuple[int, int], new: tuple[int, int]) -> tuple[float, float, float, float]:
    """Left, top, right and bottom, in pixels, of the part that `fit` takes of an image of size `old` for `new`."""
    height, width = old
    scale = max(new[0] / height, new[1] / width)
    tall, wide = min(height, new[0] / scale), min(width, new[1] / scale)
    top, left = (height - tall) / 2, (width - wide) / 2
    return left, top, left + wide, top + tall


def fit_nearest(array: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize and cut an array (H, W, ...) to `size` as `fit` does an image, by the nearest pixel: no value is new."""
    if array.shape[:2] == size:
        return array
    left, top, right, bottom = centre_cut((array.shape[0], array.shape[1]), size)
    rows = (top + (np.arange(size[0]) + 0.5) * ((bottom - top) / size[0])).astype(int)
    columns = (left + (np.arange(size[1]) + 0.5) * ((right - left) / size[1])).astype(int)
    return array[rows.clip(0, array.shape[0] - 1)][:, columns.clip(0, array.shape[1] - 1)]


def _resize(image: np.ndarray, size: tuple[int, int], box: tuple[float, float, float, float]) -> np.ndarray:
    side = (size[1], size[0])  # Pillow says width first
    if image.dtype == np.uint8 and image.shape[2] <= 4:
        pil_image = Image.fromarray(image[..., 0] if image.shape[2] == 1 else np.ascontiguousarray(image))
        return np.asarray(pil_image.resize(side, Image.Resampling.BICUBIC, box)).reshape(*size, -1)
    planes = [Image.fromarray(plane) for plane in np.moveaxis(image, 2, 0).astype(np.float32)]
    planes = [np.asarray(plane.resize(side, Image.Resampling.BICUBIC, box)) for plane in planes]
    resized = np.stack(planes, 2).clip(image.min(), image.max())  # bicubic overshoots at edges
    return resized if image.dtype == np.float32 else np.rint(resized).astype(image.dtype)


def recolour(image: np.ndarray, channels: int) -> np.ndarray:
    """Convert an image to `channels`: 1 grey, 2 grey and alpha, 3 colour, 4 colour and alpha.

    Raises:
        DataError: the image's channels cannot be converted to `channels`.
    """
    has = image.shape[2]
    if has == channels:
        return image
    if has > 4 or not 1 <= channels <= 4:
        raise DataError(f"An image of {has} channels cannot be converted to {channels}.")
    colour, alpha = (image[..., :-1], image[..., -1:]) if has in (2, 4) else (image, None)
    full = white_value(image.dtype)
    if colour.shape[2] == 3 and channels <= 2:
        colour = _cast_like(image, colour @ LUMINANCE)[..., None]
    if channels in (2, 4):
        alpha = np.full_like(colour[..., :1], full) if alpha is None else alpha
        return np.concatenate([_widen(colour, channels - 1), alpha], 2)
    if alpha is not None:
        cover = alpha / np.float32(full)
        colour = _cast_like(image, colour * cover + full * (1 - cover))
    return _widen(colour, channels)


def _widen(colour: np.ndarray, channels: int) -> np.ndarray:
    return np.repeat(colour, channels, 2) if colour.shape[2] < channels else colour


def _cast_like(image: np.ndarray, values: np.ndarray) -> np.ndarray:
    values = values if image.dtype == np.float32 else np.rint(values)
    return values.astype(image.dtype)


def to_uint8(images: Tensor) -> np.ndarray:
    """(N, C, H, W) in [-1, 1] -> (N, H, W, C) of 0 ... 255: the exact inverse of x / 127.5 - 1."""
    return _quantise(images, 255).astype(np.uint8)


def to_uint16(images: Tensor) -> np.ndarray:
    """(N, C, H, W) in [-1, 1] -> (N, H, W, C) of 0 ... 65535: the exact inverse of x / 32767.5 - 1."""
    return _quantise(images, 65535).astype(np.uint16)


def to_depth(images: Tensor, depth: Depth) -> np.ndarray:
    """(N, C, H, W) in [-1, 1] -> (N, H, W, C) of uint8, of uint16, or of unchanged floats."""
    if depth == "float":
        return images.detach().to("cpu", torch.float32).permute(0, 2, 3, 1).contiguous().numpy()
    return to_uint8(images) if depth == "8" else to_uint16(images)


def visible_channels(images: np.ndarray) -> np.ndarray:
    """(..., H, W, C) with the channels that can be displayed: of more than four the first three."""
    return images[..., :3] if images.shape[-1] > 4 else images


def enlarge(images: np.ndarray, least: int) -> np.ndarray:
    """(..., H, W, C) with every pixel repeated until both sides have at least `least` pixels."""
    times = max(1, -(-least // min(images.shape[-3:-1])))
    return images.repeat(times, -3).repeat(times, -2)


def _quantise(images: Tensor, most: int) -> np.ndarray:
    scaled = images.detach().to("cpu", torch.float32) * (most / 2) + most / 2
    return scaled.round().clamp(0, most).permute(0, 2, 3, 1).contiguous().numpy()


def grid(images: Sequence[np.ndarray] | np.ndarray, columns: int | None = None, gap: int = 2) -> np.ndarray:
    """Arrange images of one size (N, H, W, C) in rows on white; returns one image of the same dtype.

    Without `columns` the grid is as close to a square as N allows.

    Raises:
        DataError: `images` is empty.
    """
    n = len(images)
    if not n:
        raise DataError("A grid needs at least one image.")
    height, width, channels = images[0].shape
    columns = min(n, columns or math.ceil(math.sqrt(n)))
    rows = math.ceil(n / columns)
    shape = (rows * (height + gap) - gap, columns * (width + gap) - gap, channels)
    sheet = np.full(shape, white_value(images[0].dtype), images[0].dtype)
    for k, image in enumerate(images):
        top, left = k // columns * (height + gap), k % columns * (width + gap)
        sheet[top : top + height, left : left + width] = image
    return sheet
