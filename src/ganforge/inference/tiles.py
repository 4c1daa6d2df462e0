"""Apply a network to images of any size: pad to multiples of a number, and blend overlapping tiles of large images."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ganforge.errors import ContractError

LARGE = 1_500_000  # pixels of an image above which it is tiled by default
TILE = 512  # side of these tiles in pixels

Network = Callable[..., Tensor]  # tensors (N, C, H, W) of one size -> (N, C', kH, kW)


def translate_tiled(
    network: Network, tensors: Sequence[Tensor], multiple: int, tile: int = 0, least: int = 1
) -> Tensor:
    """Apply `network` to tensors (N, C, H, W) of any size.

    Sides are padded by reflection to a multiple of `multiple`, and to `least`, and the result is cropped back.  Images
    larger than `tile` are split into tiles that overlap by a quarter and are blended linearly; 0: tiles of 512 for
    images above 1.5 megapixels.  A network that depends on the whole image (instance norm, a deep U-Net) sees only
    one tile at a time, so tiles are for images that do not fit into memory.

    Raises ContractError where the sides of a result are not the same multiple of those of its input.
    """
    height, width = tensors[0].shape[2:]
    side = tile or (TILE if height * width > LARGE else max(height, width))
    tall, wide = (round_up(max(min(side, length), least), multiple) for length in (height, width))
    room = (max(round_up(height, multiple), tall), max(round_up(width, multiple), wide))
    padded = [pad_by_reflection(tensor, room) for tensor in tensors]
    if room == (tall, wide):
        result = network(*padded)
        scale = scale_of(result, room)
        return result[..., : height * scale, : width * scale]
    total, weights, scale = torch.empty(0), torch.empty(0), 1
    for top in tile_starts(room[0], tall):
        for left in tile_starts(room[1], wide):
            result = network(*(tensor[..., top : top + tall, left : left + wide] for tensor in padded)).float()
            if not len(total):
                scale = scale_of(result, (tall, wide))
                total = result.new_zeros(*result.shape[:2], room[0] * scale, room[1] * scale)
                weights = result.new_zeros(total.shape[2:])
            window = blend_weights(result.shape[2], result)[:, None] * blend_weights(result.shape[3], result)
            place = (slice(top * scale, (top + tall) * scale), slice(left * scale, (left + wide) * scale))
            total[(..., *place)] += result * window
            weights[place] += window
    return (total / weights)[..., : height * scale, : width * scale]


def scale_of(result: Tensor, sides: tuple[int, int]) -> int:
    """By how much a result is larger than its input of these sides.  Raises ContractError where that is no multiple."""
    scale = result.shape[2] // sides[0]
    if scale < 1 or tuple(result.shape[2:]) != (scale * sides[0], scale * sides[1]):
        raise ContractError(
            f"translate made {result.shape[2]}x{result.shape[3]} of {sides[0]}x{sides[1]}, which is no multiple: a "
            "game whose results have one size whatever the input says so, fixed_size = True; `multiple` and `least` "
            "name the sides that others take."
        )
    return scale


def resize(images: Tensor, sides: tuple[int, int], mode: str = "bilinear") -> Tensor:
    """Images (N, C, H, W) resized to `sides`, smoothed where they shrink; the same tensor where they have them."""
    if tuple(images.shape[2:]) == sides:
        return images
    resized = F.interpolate(images.float(), sides, mode=mode, antialias=mode == "bilinear")
    return resized.to(images.dtype)


def round_up(length: int, multiple: int) -> int:
    """Round up to a multiple."""
    return -(-length // multiple) * multiple


def pad_by_reflection(images: Tensor, room: tuple[int, int]) -> Tensor:
    """Pad (N, C, H, W) at the bottom and on the right by reflection, repeated where the image is small."""
    for axis, length in zip((2, 3), room, strict=True):
        has = images.shape[axis]
        if has < length:
            index = np.pad(np.arange(has), (0, length - has), "reflect" if has > 1 else "edge")
            images = images.index_select(axis, torch.from_numpy(index).to(images.device))
    return images


def tile_starts(length: int, tile: int) -> Iterator[int]:
    """Starts of the tiles that cover a side; neighbours overlap by at least a quarter."""
    count = 1 if length <= tile else 1 + -(-(length - tile) // (tile - tile // 4))
    for k in range(count):
        yield (length - tile) * k // max(1, count - 1)


def blend_weights(length: int, like: Tensor) -> Tensor:
    """(length,): weights that rise linearly from a tile's border over a quarter of its side."""
    place = torch.arange(length, device=like.device, dtype=torch.float32) + 0.5
    return (torch.minimum(place, length - place) / max(1, length // 4)).clamp(max=1)
