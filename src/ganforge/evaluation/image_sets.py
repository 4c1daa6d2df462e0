"""Pictures to judge, wherever they come from: drawn by a run, translated by one, or lying in files.

What a run makes is brought to 8 bits first, as its files would hold it: a figure must not depend on whether pictures
were written to disk before they were judged.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganforge.batches import MASKS, Facts
from ganforge.capabilities import capabilities
from ganforge.data.dataset import DataSet
from ganforge.data.loader import to_images
from ganforge.draw import RowDraw
from ganforge.errors import DataError
from ganforge.images import recolour, to_uint8
from ganforge.inference.inference_mode import inference_mode
from ganforge.inference.load import address, load
from ganforge.inference.trained import Trained
from ganforge.metrics.extractors.resize import resized, to_255


@dataclass(frozen=True)
class ImageSet:
    """Images by number, each the same whenever it is asked for."""

    name: str
    count: int
    rows: Callable[[int, int], Tensor]
    """(first, past the last) -> (n, C, H, W) in [-1, 1]."""
    labels: np.ndarray | None = None
    """int64 (count,): the class of each, where it is known."""

    def batches(self, size: int = 64, start: int = 0, stop: int | None = None) -> Iterator[Tensor]:
        """All of them, or those from `start` to before `stop`, in order."""
        stop = self.count if stop is None else stop
        for first in range(start, stop, size):
            yield self.rows(first, min(first + size, stop))

    def chosen(self, numbers: np.ndarray) -> Tensor:
        """Some of them, in the order of their numbers."""
        return torch.cat([self.rows(int(k), int(k) + 1) for k in numbers])


def run_at(what: str | Path, device: str = "auto") -> Trained | None:
    """The run that `what` names, or None where it is no run folder."""
    path, _ = address(what)
    return load(what, device) if (path / "config.yaml").is_file() else None


def of_data(data: DataSet, column: str = "images", most: int = 0, rows: np.ndarray | None = None) -> ImageSet:
    """The pictures of a column, or of some `rows` of it; with `most`, `some` of them.

    Raises DataError where the data has no such column.
    """
    data.need(column)
    stored, labels = data.columns[column], data.columns.get("condition")
    rows = some(np.arange(len(stored)) if rows is None else rows, most)
    known = labels[rows] if labels is not None and labels.ndim == 1 else None
    height, width = data.facts.height, data.facts.width

    def read(start: int, stop: int) -> Tensor:
        pictures = stored[rows[start:stop]]
        if column in MASKS:
            return torch.from_numpy(np.moveaxis(pictures, 3, 1) >= 128).float()
        top, left = (max(0, side - seen) // 2 for side, seen in zip(pictures.shape[1:3], (height, width), strict=True))
        return to_images(np.array(pictures[:, top : top + height, left : left + width]))

    return ImageSet(data.name, len(rows), read, known)


def some(numbers: np.ndarray, most: int) -> np.ndarray:
    """At most so many of the numbers, at random but always the same ones, in order; 0: all."""
    if not 0 < most < len(numbers):
        return numbers
    return np.sort(np.random.Generator(np.random.Philox(0)).permutation(numbers)[:most])


def drawn(trained: Trained, n: int, seed: int, labels: np.ndarray | None) -> ImageSet:
    """`n` pictures of a run.  A conditional game is asked for the classes `labels` (m,), in a fixed random order."""
    question = next((q.name for q in capabilities(type(trained.game))["sample"] if q.meaning == "label"), "")
    asked = None
    if question and labels is not None and trained.facts.labels:
        asked = np.random.Generator(np.random.Philox(seed)).permutation(np.resize(labels, n))

    def rows(start: int, stop: int) -> Tensor:
        with inference_mode(trained.game) as game:
            game.draw = RowDraw(seed, start, trained.device)
            said = {} if asked is None else {question: torch.from_numpy(asked[start:stop]).to(trained.device)}
            return as_stored(game.sample(stop - start, **said), trained)  # pyright: ignore

    return ImageSet(f"{trained.path} (step {trained.step})", n, rows, asked)


def translated(
    trained: Trained,
    sources: ImageSet,
    seed: int,
    masks: ImageSet | None = None,
    said: Mapping[str, Any] = MappingProxyType({}),
) -> ImageSet:
    """What a translator makes of other pictures, one each; `masks` are those of their instances.

    `said` answers the game's questions, each by a tensor with a row for each picture.
    """

    def rows(start: int, stop: int) -> Tensor:
        own = masks.rows(start, stop) if masks is not None else None
        told = {name: answers[start:stop] for name, answers in said.items()}
        return as_stored(trained.translate(sources.rows(start, stop), seed, masks=own, start=start, **told), trained)

    return ImageSet(f"{trained.path} (step {trained.step})", sources.count, rows)


def reduced(pictures: ImageSet, trained: Trained) -> tuple[ImageSet, ImageSet]:
    """What a game that enlarges is given, and what it should make of it: pictures made smaller, and themselves."""
    small = pictures.rows(0, 1)
    scale = translated(trained, ImageSet("", 1, lambda start, stop: small), 0).rows(0, 1).shape[2] // small.shape[2]
    height, width = (side // scale * scale for side in small.shape[2:])

    def whole(start: int, stop: int) -> Tensor:
        return pictures.rows(start, stop)[..., :height, :width]

    def rows(start: int, stop: int) -> Tensor:
        return as_stored(resized(to_255(whole(start, stop)), (height // scale, width // scale)) / 127.5 - 1, trained)

    return replace(pictures, rows=rows), replace(pictures, rows=whole)


def brought(pictures: ImageSet, size: tuple[int, ...], channels: int) -> ImageSet:
    """The same pictures at another size and with other channels, so that different runs can be compared.

    () and 0 leave them as they are.
    """
    if not size and not channels:
        return pictures

    def rows(start: int, stop: int) -> Tensor:
        images = pictures.rows(start, stop)
        if channels not in (0, images.shape[1]):
            images = to_images(np.stack([recolour(picture, channels) for picture in to_uint8(images)]))
        return resized(to_255(images), (size[0], size[-1])) / 127.5 - 1 if size else images

    return replace(pictures, rows=rows)


def as_stored(images: Tensor, trained: Trained) -> Tensor:
    """Images as a file of 8 bits gives them back.  Raises DataError where there is nothing to store."""
    images = images.float().cpu()
    if not images.isfinite().all():
        raise DataError(
            f"{trained.path} draws pictures that hold NaN at step {trained.step}: it has broken down, so judge an "
            "earlier checkpoint as RUN@STEP."
        )
    return to_images(to_uint8(images))


def facts_for(size: tuple[int, ...], facts: Facts) -> tuple[int, int]:
    """Height and width that were asked for, else those of the facts."""
    return (size[0], size[-1]) if size else (facts.height, facts.width)
