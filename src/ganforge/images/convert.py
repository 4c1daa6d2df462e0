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

Depth = Literal["8", "16", "float"]  # bits of a number in a picture that is written


LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


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


def _stored(images: Tensor, most: int) -> np.ndarray:
    scaled = images.detach().to("cpu", torch.float32) * (most / 2) + most / 2
    return scaled.round().clamp(0, most).permute(0, 2, 3, 1).contiguous().numpy()


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
