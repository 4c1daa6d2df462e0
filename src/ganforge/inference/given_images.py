"""Images as Python users hold them, as the tensors that a game takes; and whole numbers with their limits."""

import math
import operator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ganforge.data.loader import to_images
from ganforge.errors import OptionError
from ganforge.images import read, recolour

if TYPE_CHECKING:
    from PIL.Image import Image

SLACK = 1e-3  # by which floats may leave their range: rounding of half precision, and resizing


def to_tensor(given: Any, channels: int) -> tuple[Tensor, bool]:
    """(images (N, channels, H, W) float32 in [-1, 1], whether one image was given rather than several).

    Taken are the path of an image file, a PIL image, an array (H, W, C) or (H, W) of uint8, uint16 or floats, a tensor
    (C, H, W) of uint8 or any float type; a sequence of these of one size; an array (N, H, W, C) and a tensor (N, C, H,
    W).  Integers cover their whole range, floats lie in [-1, 1]; those of a file may lie in [0, 1] as well.  Files,
    PIL images and arrays are converted to `channels` as `ganforge translate` does; tensors must have them.

    Raises OptionError for anything else, and for values that are not finite or out of range; DataError for a file
    that cannot be read.
    """
    if isinstance(given, list | tuple):
        if not given:
            raise OptionError("There is no image in an empty list: give one or more.")
        parts = [one_image(image, channels) for image in given]
        if len(shapes := {tuple(part.shape) for part in parts}) > 1:
            sizes = ", ".join(sorted(f"{shape[2]}x{shape[3]}" for shape in shapes))
            raise OptionError(f"The images of one call must have one size, not {sizes}: call once for each size.")
        return torch.cat(parts), False
    if isinstance(given, np.ndarray | Tensor) and given.ndim == 4:
        return (from_tensor(given, channels) if isinstance(given, Tensor) else from_array(given, channels)), False
    return one_image(given, channels), True


def one_image(given: Any, channels: int) -> Tensor:
    """(1, channels, H, W): a single image.  Raises as `to_tensor` does."""
    if isinstance(given, str | Path):
        array = recolour(read(Path(given).expanduser()), channels)
        if array.dtype == np.float32 and array.min() >= 0:  # as `ganforge translate` reads files of floats in [0, 1]
            array = array * 2 - 1
        return from_array(array[None], channels, str(given))
    if isinstance(given, Tensor):
        if given.ndim != 3:
            raise OptionError(f"An image is a tensor ({channels}, H, W), not {tuple(given.shape)}.")
        return from_tensor(given[None], channels)
    if hasattr(given, "getbands"):  # a PIL image
        return from_array(pil_array(given)[None], channels)
    if isinstance(given, np.ndarray):
        array = given[..., None] if given.ndim == 2 else given
        if array.ndim != 3:
            raise OptionError(f"An image is an array (H, W, C), not {given.shape}.")
        return from_array(array[None], channels)
    raise OptionError(
        f"{type(given).__name__} is no image: give a path, a PIL image, an array (H, W, C), a tensor (C, H, W), or a "
        "list of these."
    )


def from_array(array: np.ndarray, channels: int, name: str = "The array") -> Tensor:
    """(N, channels, H, W) from an array (N, H, W, C)."""
    if not array.size or (array.shape[3] > 4 and array.shape[3] != channels):
        hint = ": transpose(0, 2, 3, 1) moves the channels to the end" if array.shape[1] <= 4 else ""
        raise OptionError(f"Images in an array are (N, H, W, C) or (H, W, C), not {array.shape}{hint}.")
    if array.dtype.kind == "f":
        if array.shape[3] in (2, 4) and array.shape[3] != channels:
            raise OptionError(f"{name} has {array.shape[3]} channels of floats, and the run takes {channels}.")
        array = array.astype(np.float32)
        check_range(torch.from_numpy(array), name)
    elif array.dtype not in (np.uint8, np.uint16):
        raise OptionError(f"{name} is of {array.dtype}: images are uint8, uint16, or floats in [-1, 1].")
    return to_images(np.stack([recolour(image, channels) for image in array])).contiguous()


def from_tensor(images: Tensor, channels: int) -> Tensor:
    """(N, channels, H, W) from a tensor of that shape."""
    if not images.numel() or images.shape[1] != channels:
        hint = ": permute(0, 3, 1, 2) moves the channels to the front" if images.shape[-1] == channels else ""
        raise OptionError(f"This run takes images (N, {channels}, H, W), not {tuple(images.shape)}{hint}.")
    if images.dtype == torch.uint8:
        return images.float() / 127.5 - 1
    if not images.is_floating_point():
        kind = str(images.dtype).removeprefix("torch.")
        raise OptionError(f"The tensor is of {kind}: images are uint8, or floats in [-1, 1].")
    images = images.detach().float()
    check_range(images, "The tensor")
    return images


def check_range(values: Tensor, name: str, least: int = -1) -> None:
    """Raise OptionError for values that are no floats, not finite, or beyond [least, 1], rounding errors aside."""
    if not values.is_floating_point():
        raise OptionError(f"{name} has values of {values.dtype}: give floats in [{least}, 1].")
    low, high = (float(extreme) for extreme in values.aminmax()) if values.numel() else (0.0, 0.0)
    if not (math.isfinite(low) and math.isfinite(high)):
        raise OptionError(f"{name} has values that are not finite: floats are in [{least}, 1].")
    if low < least - SLACK or high > 1 + SLACK:
        hint = (
            ": divide values from 0 to 255 by 127.5 and subtract 1, or give uint8"
            if 1 < high <= 255 and low >= 0
            else ""
        )
        raise OptionError(f"{name} has values from {low:g} to {high:g}; floats are in [{least}, 1]{hint}.")


def pil_array(image: "Image") -> np.ndarray:
    """A PIL image as an array (H, W, C) of uint8 or uint16: palettes and other modes become colour."""
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)[..., None]
    if image.mode not in ("L", "LA", "RGB", "RGBA", "I", "F"):  # the last two keep numbers that 8 bits cannot
        transparent = "transparency" in image.info or image.mode in ("PA", "RGBa", "La")
        image = image.convert("L" if image.mode == "1" else "RGBA" if transparent else "RGB")
    array = np.array(image)
    return array[..., None] if array.ndim == 2 else array


def whole_number(name: str, value: Any, least: int, most: int = 2**63 - 1) -> int:
    """`value` as an int.  Raises OptionError where it is no whole number, or not from `least` to `most`."""
    try:
        number = operator.index(value)
    except TypeError:
        raise OptionError(f"{name} cannot be {value!r}: it is a whole number.") from None
    if isinstance(value, bool) or not least <= number <= most:
        raise OptionError(
            f"{name} cannot be {value}: it is a whole number from {least}{f' to {most}' * (most < 2**62)}."
        )
    return number


def check_call(seed: Any, start: Any = 0, batch: Any = 1) -> tuple[int, int, int]:
    """The seed, the number of the first image and the batch size of a call, as ints.  Raises OptionError."""
    limits = (("seed", seed, -(2**63)), ("start", start, 0), ("batch", batch, 1))
    seed, start, batch = (whole_number(name, value, least) for name, value, least in limits)
    return seed, start, batch


def to_pil(images: np.ndarray) -> "list[Image]":
    """PIL images from an array (N, H, W, C) of uint8 with 1 to 4 channels."""
    from PIL import Image

    return [Image.fromarray(image[..., 0] if image.shape[2] == 1 else image) for image in images]
