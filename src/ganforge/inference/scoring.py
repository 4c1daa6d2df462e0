"""How strange images are to a game that scores, and where: images of any size, in windows of the training data's size.

An image is resized as in training, so that the window just fits into it, and cut into as many windows as cover it:
a square image has one, a long one several that overlap.  The score of an image is that of its strangest window, its map
the mean of overlapping windows, which have less weight towards their borders.
"""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from ganforge.batches import Facts
from ganforge.game import Game
from ganforge.inference.descent import find_codes
from ganforge.inference.inference_mode import inference_mode
from ganforge.inference.tiles import blend_weights, pad_by_reflection, resize, tile_starts


@dataclass(frozen=True)
class Verdict:
    """How strange some images are."""

    scores: Tensor
    """float (N,): higher is stranger."""
    heat: Tensor
    """float (N, 1, h, w), at least 0: where, at the size to which the images were resized.

    From a game without `heat` (N, 1, 0, 0).
    """
    sides: tuple[int, int]
    """Height and width of the images."""

    def full_heat(self) -> Tensor:
        """The maps (N, 1, H, W) at the images' own size."""
        return resize(self.heat, self.sides)


def judge(
    game: Game, images: Tensor, device: torch.device, seed: int = 0, batch: int = 16, native: bool = False
) -> Verdict:
    """The scores and maps of images (N, C, H, W) in [-1, 1], of one size; results are on the CPU.

    `native`: windows are cut at the images' own scale, for runs of `--native-crops`.
    """
    sides, (tall, wide) = (images.shape[2], images.shape[3]), (game.facts.height, game.facts.width)
    inner = sides if native else scaled_sides(sides, game.facts)
    room = (max(inner[0], tall), max(inner[1], wide))
    scaled = pad_by_reflection(resize(images, inner), room)
    places = [*product(tile_starts(room[0], tall), tile_starts(room[1], wide))]
    cuts = [scaled[:, :, top : top + tall, left : left + wide] for top, left in places]
    parts = [judge_windows(game, cut, device, seed, batch) for cut in cuts]
    scores, maps = zip(*parts, strict=True)
    heat = blend(maps, places, room)[..., : inner[0], : inner[1]] if hasattr(game, "heat") else maps[0]
    return Verdict(torch.stack(scores).amax(0), heat, sides)


def judge_windows(game: Game, images: Tensor, device: torch.device, seed: int, batch: int) -> tuple[Tensor, Tensor]:
    """The scores (N,) and maps (N, 1, H, W) of images (N, C, H, W) of the facts' size, `batch` at a time."""
    scores, maps = [], []
    for part in images.split(batch):
        given = part.to(device)
        codes = {"code": find_codes(game, given, seed)} if "code" in inspect.signature(game.score).parameters else {}  # pyright: ignore
        with inference_mode(game):
            scores.append(game.score(given, **codes).float().cpu())  # pyright: ignore
            found = game.heat(given, **codes) if hasattr(game, "heat") else given.new_zeros(len(given), 1, 0, 0)  # pyright: ignore
            maps.append(found.float().cpu())
    return torch.cat(scores), torch.cat(maps)


def scaled_sides(sides: tuple[int, int], facts: Facts) -> tuple[int, int]:
    """The size to which an image is resized, so that the window just fits into it."""
    scale = max(facts.height / sides[0], facts.width / sides[1])
    return max(facts.height, round(sides[0] * scale)), max(facts.width, round(sides[1] * scale))


def blend(maps: Sequence[Tensor], places: Sequence[tuple[int, int]], room: tuple[int, int]) -> Tensor:
    """The map (N, 1, H, W) of a room, from those of its windows."""
    total = maps[0].new_zeros(*maps[0].shape[:2], *room)
    weights = total.new_zeros(room)
    for one, (top, left) in zip(maps, places, strict=True):
        window = blend_weights(one.shape[2], one)[:, None] * blend_weights(one.shape[3], one)
        place = (slice(top, top + one.shape[2]), slice(left, left + one.shape[3]))
        total[(..., *place)] += one * window
        weights[place] += window
    return total / weights
