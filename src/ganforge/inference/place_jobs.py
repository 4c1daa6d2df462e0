"""Translating files of runs that take label maps or layouts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ganforge.batches import Facts
from ganforge.data.contact_sheet import draw_cell
from ganforge.data.layouts.files import Files, check_regular
from ganforge.data.places_sheet import colours_of, draw_boxes, object_colours
from ganforge.data.regions import number_instances
from ganforge.errors import DataError, OptionError
from ganforge.images import read_label_map
from ganforge.inference.input_columns import input_columns, read_regions
from ganforge.inference.layouts import PREFIX, Box, read_layout, to_tensors
from ganforge.inference.translation_job import SIDE, Job


@dataclass(frozen=True)
class TextFile(Files):
    """One source that lies in no file: its text was given."""

    NAME: ClassVar[str] = "layout.json"
    """The name after which the result is called."""
    text: str = ""


class MapJob(Job):
    """Label maps: files of numbers or colours.  `masks` is a folder of instance maps of the same names."""

    def translate_file(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """(the label map in colours, its results (n, H, W, C))."""
        facts = self.trained.facts
        label_map = read_regions(self.files.open(name), facts, name)
        columns = {"label_map": label_map}
        if self.masks.files is not None:
            columns["instance_map"] = self.read_instances(name, label_map)
        rows = {column: tensor[None].expand(self.n, -1, -1) for column, tensor in columns.items()}
        results = self.trained.translate_columns(rows, self.seed, tile=self.tile, **self.answers)
        return colours_of(facts)[label_map.numpy()], self.finish(results, "8")

    def read_instances(self, name: str, label_map: Tensor) -> Tensor:
        """int64 (H, W): the instance map of a label map.  Raises DataError where there is none that fits."""
        found = self.masks.of(name)
        if not found:
            raise DataError(f"{name} has no instance map of its name in --masks.")
        file = found[0].name
        numbers = number_instances(read_label_map(self.masks.files.open(file), file), file)  # pyright: ignore
        if numbers.shape != tuple(label_map.shape):
            raise DataError(
                f"The instance map of {name} has {numbers.shape}, and the label map {tuple(label_map.shape)}."
            )
        return torch.from_numpy(numbers.astype(np.int64))

    def check_masks(self) -> None:
        """Raise OptionError for instance maps that the run does not know."""
        takes = "instance_map" in input_columns(self.trained.game) and self.trained.facts.instance_maps
        if self.masks.files and not takes:
            raise OptionError(f"{self.trained.path} was trained without instance maps: it takes no --masks FOLDER.")

    def names(self) -> list[str]:
        """The label maps; videos are none.  Raises DataError where there is nothing."""
        return [name for name in super().names() if name in self.files.image_names]


class LayoutJob(Job):
    """Layouts: a text, a JSON file, or a folder of these."""

    @staticmethod
    def open(source: str | Path) -> Files:
        """The JSON files at `source`, or its text."""
        if str(source).startswith(PREFIX):
            return TextFile(Path(), {TextFile.NAME: ""}, Path, text=str(source))
        path = Path(source).expanduser()
        if path.is_dir():
            names = sorted(file.name for file in path.glob("*.json"))
            return Files(path, dict.fromkeys(names, ""), lambda name: path / name)
        if not path.exists():
            raise DataError(
                f"{path} does not exist: give a layout, {PREFIX}star 0.1 0.2 0.5 0.6; disc 0.5 0.5 0.9 0.9, a JSON "
                "file of one, or a folder of these."
            )
        check_regular(path)
        return Files(path, {path.name: ""}, lambda _: path)

    def names(self) -> list[str]:
        """The layouts.  Raises DataError where there is none."""
        if not self.files.marks:
            raise DataError(f"{self.files.where} holds no JSON files: a layout is a list of objects with boxes.")
        return sorted(self.files.marks)

    def check_masks(self) -> None:
        """Raise OptionError: a layout has no masks."""
        if self.masks.files:
            raise OptionError(f"{self.trained.model} takes no --masks FOLDER.")

    def translate_file(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """(the boxes on white, the results (n, H, W, C))."""
        facts = self.trained.facts
        text = self.files.text if isinstance(self.files, TextFile) else ""
        try:
            boxes = read_layout(text or self.files.open(name), facts)
        except OptionError as error:
            if text:
                raise
            raise DataError(f"{name} cannot be translated: {error}") from error
        corners, labels = to_tensors([boxes] * self.n, facts)
        columns = {"boxes": corners, "box_labels": labels}
        results = self.trained.translate_columns(columns, self.seed, tile=self.tile, **self.answers)
        return draw_layout(boxes, facts), self.finish(results, "8")


def draw_layout(boxes: Sequence[Box], facts: Facts) -> np.ndarray:
    """uint8 (SIDE, SIDE, 3): boxes with their names on white."""
    found = [(*corners, facts.objects.index(name)) for name, *corners in boxes if name]
    page = np.full((facts.height, facts.width, 3), 255, np.uint8)
    cell = draw_cell(page, SIDE)
    return draw_boxes(cell, page.shape[:2], np.array(found).reshape(-1, 5), facts.objects, object_colours(facts))
