"""Pictures of any size through a network that takes multiples of a number, and large ones in tiles without seams."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

LARGE = 1_500_000  # pixels of a picture above which it is cut into tiles, unasked
TILE = 512  # pixels a side of those tiles

Once = Callable[..., Tensor]  # tensors (N, C, H, W) of one size -> (N, C', kH, kW)


def translated(once: Once, tensors: Sequence[Tensor], multiple: int, tile: int = 0, least: int = 1) -> Tensor:
    """What `once` makes of tensors (N, C, H, W) whose sides it would not take, or that are too large for it.

    Sides are filled up by reflection to a multiple of `multiple`, `least` at least, and cut back after it.  Pictures
    larger than `tile` are cut into tiles that overlap by a quarter and are blended linearly; 0: tiles of 512 for
    pictures above 1.5 megapixels.  A network that looks at the whole picture (instance norm, a deep U-Net) sees
    a tile alone, so that tiles are for pictures that do not fit otherwise.
    """
    height, width = tensors[0].shape[2:]
    side = tile or (TILE if height * width > LARGE else max(height, width))
    tall, wide = (up(max(min(side, length), least), multiple) for length in (height, width))
    room = (max(up(height, multiple), tall), max(up(width, multiple), wide))
    padded = [reflected(tensor, room) for tensor in tensors]
    if room == (tall, wide):
        made = once(*padded)
        scale = made.shape[2] // room[0]
        return made[..., : height * scale, : width * scale]
    total, weights, scale = torch.empty(0), torch.empty(0), 1
    for top in starts(room[0], tall):
        for left in starts(room[1], wide):
            made = once(*(tensor[..., top : top + tall, left : left + wide] for tensor in padded)).float()
            if not len(total):
                scale = made.shape[2] // tall
                total = made.new_zeros(*made.shape[:2], room[0] * scale, room[1] * scale)
                weights = made.new_zeros(total.shape[2:])
            window = ramp(made.shape[2], made)[:, None] * ramp(made.shape[3], made)
            place = (slice(top * scale, (top + tall) * scale), slice(left * scale, (left + wide) * scale))
            total[(..., *place)] += made * window
            weights[place] += window
    return (total / weights)[..., : height * scale, : width * scale]


def up(length: int, multiple: int) -> int:
    """The next multiple."""
    return -(-length // multiple) * multiple


def reflected(images: Tensor, room: tuple[int, int]) -> Tensor:
    """(N, C, H, W) filled up below and on the right by reflection, however little there is to reflect."""
    for axis, length in zip((2, 3), room, strict=True):
        has = images.shape[axis]
        if has < length:
            index = np.pad(np.arange(has), (0, length - has), "reflect" if has > 1 else "edge")
            images = images.index_select(axis, torch.from_numpy(index).to(images.device))
    return images


def starts(length: int, tile: int) -> Iterator[int]:
    """Where tiles begin that cover a side, each over at least a quarter of its neighbour."""
    count = 1 if length <= tile else 1 + -(-(length - tile) // (tile - tile // 4))
    for k in range(count):
        yield (length - tile) * k // max(1, count - 1)


def ramp(length: int, like: Tensor) -> Tensor:
    """(length,): weights that rise from a tile's border over a quarter of it."""
    place = torch.arange(length, device=like.device, dtype=torch.float32) + 0.5
    return (torch.minimum(place, length - place) / max(1, length // 4)).clamp(max=1)
