"""The input of `translate`: which columns it takes, from what people hold, and their checks in one place.

The parameters of a game's `translate` that are names of columns are its input; the others are its questions.
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganforge.batches import COLUMNS, Batch, Facts
from ganforge.data.regions import OutsideError, describe_code, regions_of
from ganforge.errors import ContractError, DataError, OptionError
from ganforge.game import Game
from ganforge.images import LabelMap, read_label_map
from ganforge.inference.given_images import check_range
from ganforge.inference.layouts import Box, read_layout, to_tensors


def input_columns(game: type[Game[Any, Any]] | Game[Any, Any]) -> tuple[str, ...]:
    """The columns that a game's `translate` takes, the first of them first: images, label_map, boxes ..."""
    return tuple(name for name in inspect.signature(game.translate).parameters if name in COLUMNS)  # pyright: ignore


def is_image_input(columns: Sequence[str]) -> bool:
    """Whether the input has a height and a width: it is padded and tiled then, and its size is the output's."""
    return COLUMNS[columns[0]].kind in ("image", "label_map")


def to_columns(
    given: Any, columns: Sequence[str], others: Mapping[str, Any], facts: Facts
) -> tuple[dict[str, Tensor], bool]:
    """(label maps or boxes by their columns, whether one was given rather than several); `others` are further columns.

    A label map is the path of a file, a PIL image, an array or a tensor (H, W) of whole numbers, or several: a list of
    these of one size, or an array (N, H, W).  A layout is a text `layout:...`, the path of a JSON file, a list of boxes
    (see layouts.py), or a list of these.  Both may be a Batch that has the columns.

    Raises OptionError for anything else and DataError for a file that cannot be read.
    """
    if isinstance(given, Batch):
        held = {f.name: getattr(given, f.name) for f in fields(given) if f.name in columns}
        return {name: tensor for name, tensor in held.items() if tensor is not None}, False
    if columns[0] == "boxes" and isinstance(given, Tensor | np.ndarray):
        tensors = {name: torch.as_tensor(tensor) for name, tensor in ((columns[0], given), *others.items())}
        single = tensors["boxes"].ndim == 2
        return {name: tensor[None] if single else tensor for name, tensor in tensors.items()}, single
    if columns[0] == "boxes":
        several = isinstance(given, list | tuple) and not (given and is_box(given[0]))
        layouts: Sequence[list[Box]] = [read_layout(one, facts) for one in (given if several else [given])]
        if not layouts:
            raise OptionError("There is no layout in an empty list: give one or more.")
        boxes, labels = to_tensors(layouts, facts)
        return {"boxes": boxes, "box_labels": labels}, not several
    several = isinstance(given, list | tuple) or (isinstance(given, np.ndarray | Tensor) and given.ndim == 3)
    maps = [to_label_map(one, facts) for one in (given if several else [given])]
    if len(shapes := {tuple(one.shape) for one in maps}) != 1:
        sizes = ", ".join(sorted(f"{height}x{width}" for height, width in shapes)) or "none"
        raise OptionError(f"The label maps of one call must have one size, not {sizes}: call once for each size.")
    more = {name: torch.as_tensor(tensor) for name, tensor in others.items()}
    more = {name: tensor if several else tensor[None] for name, tensor in more.items()}
    return {columns[0]: torch.stack(maps), **more}, not several


def is_box(entry: Any) -> bool:
    """Whether an entry of a list is a box, and not a layout: a name and four numbers, or an empty place."""
    return entry is None or (isinstance(entry, list | tuple) and len(entry) == 5 and isinstance(entry[0], str))


def to_label_map(given: Any, facts: Facts) -> Tensor:
    """int64 (H, W): one label map as people hold it.  Raises OptionError and DataError as `to_columns` does."""
    if isinstance(given, str | Path):
        return read_regions(Path(given).expanduser(), facts)
    if hasattr(given, "getbands"):  # a PIL image
        return index_regions(label_map_of(given), facts, "The image")
    array = given.cpu().numpy() if isinstance(given, Tensor) else np.asarray(given)
    if array.ndim != 2 or not array.size or array.dtype.kind not in "iu":
        raise OptionError(
            f"A label map is an image, a file, or whole numbers (H, W), not {array.dtype} {tuple(array.shape)}."
        )
    return torch.from_numpy(array.astype(np.int64))


def read_regions(source: Any, facts: Facts, name: str = "") -> Tensor:
    """int64 (H, W): the regions in a file.  Raises DataError naming the file, for a value that no region has, too."""
    return index_regions(read_label_map(source, name), facts, name or str(source))


def index_regions(found: LabelMap, facts: Facts, name: str) -> Tensor:
    """int64 (H, W): the regions of a map.  Raises DataError for a value or colour that no region has."""
    regions = regions_of(facts)
    try:
        return torch.from_numpy(regions.index(found).astype(np.int64))
    except OutsideError as error:
        raise DataError(
            f"{name} has {describe_code(error.code)}, which no region of this run has: "
            f"{describe_regions(facts)}. Repaint these pixels."
        ) from error


def describe_regions(facts: Facts, most: int = 12) -> str:
    """The first regions with their values: `0 sky, 1 road, ...`."""
    named = [name if name == str(index) else f"{index} {name}" for index, name in enumerate(facts.regions)]
    return ", ".join(named if len(named) <= most else [*named[:most], "...", named[-1]])


def label_map_of(image: Any) -> LabelMap:
    """A label map in a PIL image: the numbers of a palette or grey one, the colours of another."""
    if image.mode == "P":
        palette = np.array(image.getpalette() or [0, 0, 0], np.uint8).reshape(-1, 3)
        return LabelMap(np.asarray(image), palette)
    if image.mode in ("1", "L", "I", "I;16"):
        numbers = np.asarray(image.convert("L") if image.mode == "1" else image).astype(np.int64)
        numbers = numbers // 255 if image.mode == "1" else numbers
        if numbers.min() < 0 or numbers.max() > np.iinfo(np.uint16).max:
            raise OptionError("A label map has whole numbers from 0 to 65535.")
        return LabelMap(numbers.astype(np.uint16))
    return LabelMap(np.asarray(image.convert("RGB")))


def check_input(game: Game[Any, Any], model: str, columns: Mapping[str, Tensor], channels: int) -> None:
    """Check the input of `translate`; `channels` are those of its images.

    Raises OptionError for one of the wrong shape, type or range, and for missing or superfluous masks; ContractError
    for a game whose `translate` has no input.
    """
    takes = inspect.signature(game.translate).parameters  # pyright: ignore
    if not input_columns(game):
        raise ContractError(
            f"{type(game).__name__}.translate has no input: name its first parameter after a column, images, "
            "label_map or boxes."
        )
    needed = [name for name in input_columns(game) if takes[name].default is inspect.Parameter.empty]
    if not {*needed} <= columns.keys() <= {*takes, "masks"}:
        has = ", ".join(columns) or "a batch without these columns"
        raise OptionError(f"{model} takes {' and '.join(needed)}, not {has}.")
    if "images" not in columns:
        check_columns(columns, game.facts, model)
        return
    images, masks = columns["images"], columns.get("masks")
    if images.ndim != 4 or not len(images) or images.shape[1] != channels:
        raise OptionError(f"{model} takes images (N, {channels}, H, W), not {tuple(images.shape)}.")
    check_range(images, "The input")
    if ("masks" in takes) != (masks is not None):
        problem = "needs a mask for each instance in an image" if masks is None else "takes no masks"
        raise OptionError(f"{model} {problem}.")
    if masks is None:
        return
    if masks.ndim != 4 or {(len(m), *m.shape[2:]) for m in (masks, images)} != {(len(images), *images.shape[2:])}:
        raise OptionError(f"Masks {tuple(masks.shape)} do not fit images {tuple(images.shape)}.")
    check_range(masks, "The masks", 0)


def check_columns(columns: Mapping[str, Tensor], facts: Facts, model: str) -> None:
    """Raise OptionError for label maps, instances or boxes of the wrong shape, type or range."""
    rows = {len(tensor) for tensor in columns.values()}
    if len(rows) != 1 or 0 in rows:
        raise OptionError(f"The input of {model} has {sorted(rows)} rows: all its columns need the same, at least one.")
    for name in ("label_map", "instance_map"):
        tensor = columns.get(name)
        if tensor is None:
            continue
        if tensor.ndim != 3 or tensor.dtype != torch.int64:
            raise OptionError(f"{model} takes {name} int64 (N, H, W), not {tensor.dtype} {tuple(tensor.shape)}.")
        if tensor.shape != columns["label_map"].shape:
            raise OptionError(f"{name} {tuple(tensor.shape)} does not fit {tuple(columns['label_map'].shape)}.")
        low, high = (int(extreme) for extreme in tensor.aminmax())
        if name == "label_map" and not (low >= 0 and high < len(facts.regions)):
            wrong = low if low < 0 else high
            raise OptionError(f"The label map has the value {wrong}, and the regions are {describe_regions(facts)}.")
    if "boxes" in columns:
        check_layouts(columns["boxes"], columns.get("box_labels"), facts, model)


def check_layouts(boxes: Tensor, labels: Tensor | None, facts: Facts, model: str) -> None:
    """Raise OptionError for boxes or labels of the wrong shape, type or range."""
    if boxes.ndim != 3 or boxes.shape[2] != 4 or not boxes.is_floating_point():
        raise OptionError(f"{model} takes boxes, floats (N, M, 4), not {boxes.dtype} {tuple(boxes.shape)}.")
    if labels is None or labels.dtype != torch.int64 or labels.shape != boxes.shape[:2]:
        has = "none" if labels is None else f"{labels.dtype} {tuple(labels.shape)}"
        raise OptionError(f"{model} takes box_labels int64 {tuple(boxes.shape[:2])} with these boxes, not {has}.")
    if int(labels.min()) < 0 or int(labels.max()) >= len(facts.objects):
        raise OptionError(f"box_labels run from {labels.min()} to {labels.max()}, and there are {len(facts.objects)}.")
    own = boxes[labels > 0]
    ordered = (own[:, 2:] > own[:, :2]).all() if len(own) else True
    if not (own.isfinite().all() and own.ge(0).all() and own.le(1).all() and ordered):
        raise OptionError("Boxes are left, top, right and bottom in 0 ... 1, left before right and top before bottom.")
