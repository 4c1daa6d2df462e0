"""What a translator makes of the same pictures as training goes on: source | output | target, a row each.

A game that works both ways has rows for the way back; one that asks for a label has an output for each; one that
enlarges is given the pictures reduced, so that the target is the picture itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ganforge.capabilities import form, labels_of
from ganforge.draw import RowDraw
from ganforge.engine import Engine
from ganforge.images import recolour, to_uint8, visible
from ganforge.inference.inference_mode import inference_mode

SEED = 0
ROWS = 8  # pictures that are looked at
LABELS = 5  # outputs a row, at most, of a game that asks for a label


@dataclass(frozen=True)
class Way:
    """One direction of translation: pictures on their way, and where each should arrive if that is known."""

    source: Tensor
    masks: Tensor | None
    target: Tensor | None
    answers: dict[str, Any]

    def first(self, rows: int) -> "Way":
        """The first rows of it."""
        masks, target = (None if tensor is None else tensor[:rows] for tensor in (self.masks, self.target))
        return replace(self, source=self.source[:rows], masks=masks, target=target)


class Translations:
    """Rows of pictures for the sheets of a run whose game can `translate`."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.questions = engine, form(engine.game.translate)  # pyright: ignore

    @property
    def possible(self) -> bool:
        """Whether every question has a default or is about labels: there is nobody to ask."""
        return all(q.meaning == "label" or not q.required for q in self.questions)

    def tiles(self, rows: int) -> tuple[np.ndarray, int]:
        """The pictures (n, H, W, C) of 0 ... 255 of a sheet of so many rows, and its columns."""
        ways = self.ways()
        sheets = [self.columns(way.first(rows // len(ways))) for way in ways]
        size = sheets[0][-1].shape[1:3]
        channels = 3 if any(column.shape[3] > 1 for column in sheets[0]) else 1
        shown = [np.stack([seen(column, size, channels) for column in sheet], 1) for sheet in sheets]
        return np.concatenate([sheet.reshape(-1, *size, channels) for sheet in shown]), len(sheets[0])

    def columns(self, way: Way) -> list[np.ndarray]:
        """(n, H, W, C) each: source, output or outputs, and target where it is known."""
        source, target = way.source, way.target
        if self.scale > 1 and target is None:
            height, width = (side // self.scale * self.scale for side in source.shape[2:])
            target = source[..., :height, :width]
            small = (height // self.scale, width // self.scale)
            source = F.interpolate(target, small, mode="bicubic", antialias=True).clamp(-1, 1)
        way = replace(way, source=source)
        outputs = [self.translated(way, said) for said in self.labels(len(source))]
        return [to_uint8(pictures) for pictures in (source, *outputs, target) if pictures is not None]

    @cached_property
    def scale(self) -> int:
        """How many times larger the output is."""
        way = self.ways()[0].first(1)
        return self.translated(way, next(self.labels(1))).shape[2] // way.source.shape[2]

    def labels(self, rows: int) -> Iterator[dict[str, Tensor]]:
        """Answers to the question about labels, one output each; no answers where nothing is asked."""
        asked = next((q.name for q in self.questions if q.meaning == "label"), "")
        facts = self.engine.game.facts
        names = facts.attributes or facts.labels
        if not asked or not names:
            yield {}
            return
        for k in map(names.index, labels_of(self.engine.game)[:LABELS]):
            if facts.attributes:
                yield {asked: F.one_hot(torch.full((rows,), k), len(names)).float()}
            else:
                yield {asked: torch.full((rows,), k)}

    def translated(self, way: Way, said: dict[str, Tensor]) -> Tensor:
        """Pictures translated under the same seed, a share's batch at a time: that fits in memory."""
        engine, made = self.engine, []
        size = engine.run.batch // engine.shares
        tensors = {**({} if way.masks is None else {"masks": way.masks}), **said}
        for first in range(0, len(way.source), size):
            part = {name: value[first : first + size].to(engine.device) for name, value in tensors.items()}
            images = way.source[first : first + size].to(engine.device)
            with inference_mode(engine.averaged) as game:
                game.draw = RowDraw(SEED, first, engine.device)
                made.append(game.translate(images, **part, **way.answers))  # pyright: ignore
        # A game that has just broken down is stopped at the next log: until then NaN is grey.
        return torch.cat(made).nan_to_num().float().cpu()

    def ways(self) -> list[Way]:
        """The first pictures that the run is dealt, each way that the game can go."""
        engine = self.engine
        dealt = [engine.deck.batch(k, 0, 1) for k in range(-(-ROWS // engine.run.batch))]
        names = [f.name for f in fields(dealt[0]) if getattr(dealt[0], f.name) is not None]
        columns = {name: torch.cat([getattr(b, name) for b in dealt])[:ROWS] for name in names}
        start = next(name for name in ("source", "a", "low", "images") if name in columns)
        target = columns.get("target", columns.get("images") if start == "low" else None)
        ways = [Way(columns[start], columns.get("a_masks"), target, {})]
        if "b" in columns and any(question.name == "reverse" for question in self.questions):
            ways.append(Way(columns["b"], columns.get("b_masks"), None, {"reverse": True}))
        return ways


def seen(pictures: np.ndarray, size: tuple[int, int], channels: int) -> np.ndarray:
    """Pictures (n, h, w, C) as a person sees them, every pixel repeated until they have the size."""
    times = size[0] // pictures.shape[1]
    return np.stack([recolour(picture, channels) for picture in visible(pictures)]).repeat(times, 1).repeat(times, 2)
