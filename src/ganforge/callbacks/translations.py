"""Translations of the same images as training progresses: source | output | target, one example a row.

A game that translates in both directions has rows for each; one with a label question has an output for each label;
one that enlarges is given the images reduced in size, so that the target is the original image.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ganforge.capabilities import labels_of, list_questions, text_questions
from ganforge.data.places_sheet import draw_places
from ganforge.draw import RowDraw
from ganforge.engine import Engine
from ganforge.images import enlarge, recolour, to_uint8, visible_channels
from ganforge.inference.inference_mode import inference_mode
from ganforge.inference.input_columns import input_columns

SEED = 0
ROWS = 8  # images that are translated
LABELS = 5  # outputs a row, at most, of a game with a label question


@dataclass(frozen=True)
class Direction:
    """One direction of translation: its input, and the targets where those are known."""

    columns: dict[str, Tensor]
    """The arguments of `translate` that are its input, in their order, and captions where it asks for a sentence."""
    target: Tensor | None
    answers: dict[str, Any]

    @property
    def source(self) -> Tensor:
        """The first column of the input: images, label maps, boxes."""
        return next(iter(self.columns.values()))

    def first(self, rows: int) -> "Direction":
        """The same with its first rows alone."""
        columns = {name: tensor[:rows] for name, tensor in self.columns.items()}
        return replace(self, columns=columns, target=None if self.target is None else self.target[:rows])


class TranslationGrid:
    """Draws the sample grids of a game that can `translate`."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.questions = engine, list_questions(engine.game.translate)  # pyright: ignore

    @property
    def can_translate(self) -> bool:
        """Whether every question has a default or is about labels: training cannot ask the user."""
        return all(q.meaning == "label" or not q.required for q in self.questions)

    def render(self, rows: int) -> tuple[np.ndarray, int]:
        """The images (n, H, W, C) of 0 ... 255 of a grid with so many rows, and its columns."""
        directions = self.directions()
        grids = [self.make_columns(direction.first(rows // len(directions))) for direction in directions]
        size = grids[0][-1].shape[1:3]
        channels = 3 if any(column.shape[3] > 1 for column in grids[0]) else 1
        tiles = [np.stack([to_display(column, size, channels) for column in columns], 1) for columns in grids]
        return np.concatenate([rows.reshape(-1, *size, channels) for rows in tiles]), len(grids[0])

    def make_columns(self, direction: Direction) -> list[np.ndarray]:
        """(n, H, W, C) each: source, output or outputs, and target where it is known."""
        source, target = direction.source, direction.target
        if "images" not in direction.columns:
            outputs = [self.translate(direction, labels) for labels in self.each_label(len(source))]
            pages = draw_places(direction.columns, self.engine.game.facts)
            return [pages, *(to_uint8(images) for images in (*outputs, target) if images is not None)]
        if self.scale > 1 and target is None:
            height, width = (side // self.scale * self.scale for side in source.shape[2:])
            target = source[..., :height, :width]
            small = (height // self.scale, width // self.scale)
            source = F.interpolate(target, small, mode="bicubic", antialias=True).clamp(-1, 1)
        direction = replace(direction, columns={**direction.columns, "images": source})
        outputs = [self.translate(direction, labels) for labels in self.each_label(len(source))]
        return [to_uint8(images) for images in (source, *outputs, target) if images is not None]

    @cached_property
    def scale(self) -> int:
        """How many times larger the output is."""
        direction = self.directions()[0].first(1)
        if "images" not in direction.columns:
            return 1
        return self.translate(direction, next(self.each_label(1))).shape[2] // direction.source.shape[2]

    def each_label(self, rows: int) -> Iterator[dict[str, Tensor]]:
        """Answers to the label question, one for each output; an empty answer where there is no such question."""
        question = next((q.name for q in self.questions if q.meaning == "label"), "")
        facts = self.engine.game.facts
        names = facts.attributes or facts.labels
        if not question or not names:
            yield {}
            return
        for k in map(names.index, labels_of(self.engine.game)[:LABELS]):
            if facts.attributes:
                yield {question: F.one_hot(torch.full((rows,), k), len(names)).float()}
            else:
                yield {question: torch.full((rows,), k)}

    def translate(self, direction: Direction, labels: dict[str, Tensor]) -> Tensor:
        """Images translated with the same seed, in batches that fit a shard's memory."""
        engine, outputs = self.engine, []
        size = engine.run.batch // engine.shares
        for first in range(0, len(direction.source), size):
            rows = slice(first, first + size)
            given = {name: tensor[rows].to(engine.device) for name, tensor in direction.columns.items()}
            own = {name: value[rows].to(engine.device) for name, value in labels.items()}
            with inference_mode(engine.averaged, RowDraw(SEED, first, engine.device)) as game:
                outputs.append(game.translate(**given, **own, **direction.answers))  # pyright: ignore
        # A game that has just diverged is stopped at the next log: until then NaN is drawn as grey.
        return torch.cat(outputs).nan_to_num().float().cpu()

    def directions(self) -> list[Direction]:
        """The first images of the run's batches, in each direction that the game can translate."""
        engine = self.engine
        batches = [engine.loader.batch(k, 0, 1) for k in range(-(-ROWS // engine.run.batch))]
        names = [f.name for f in fields(batches[0]) if getattr(batches[0], f.name) is not None]
        columns = {name: torch.cat([getattr(b, name) for b in batches])[:ROWS] for name in names}
        names = input_columns(engine.game)
        if "images" not in names:
            given = {name: columns[name] for name in names if name in columns}
            return [Direction(given, columns.get("images"), {})]
        start = next(name for name in ("source", "a", "low", "images") if name in columns)
        target = columns.get("target", columns.get("images") if start == "low" else None)
        texts = {name: columns["tokens"] for name in text_questions(engine.game.translate)[:1] if "tokens" in columns}  # pyright: ignore
        directions = [Direction({**with_masks(columns, start), **texts}, target, {})]
        if "b" in columns and any(question.name == "reverse" for question in self.questions):
            directions.append(Direction(with_masks(columns, "b"), None, {"reverse": True}))
        return directions


def with_masks(columns: Mapping[str, Tensor], side: str) -> dict[str, Tensor]:
    """The images of a side, and its masks where the data has them."""
    masks = columns.get(f"{side}_masks")
    return {"images": columns[side], **({} if masks is None else {"masks": masks})}


def to_display(images: np.ndarray, size: tuple[int, int], channels: int) -> np.ndarray:
    """Images (n, h, w, C) with visible channels only, every pixel repeated until they have the size."""
    shown = np.stack([recolour(image, channels) for image in visible_channels(images)])
    return enlarge(shown, min(size))
