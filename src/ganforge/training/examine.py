"""Examine a data set: its contents, what is damaged, and which models can train on it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from ganforge.data.captions_sheet import draw_captions_sheet
from ganforge.data.contact_sheet import draw_contact_sheet, read_thumbnails
from ganforge.data.inspect import Examination, ScanResult
from ganforge.data.inspect import inspect_source as examined
from ganforge.data.loader import to_images
from ganforge.data.open import find_data
from ganforge.data.places_sheet import draw_places_sheet
from ganforge.data.read_options import UNKNOWN_VALUE
from ganforge.data.source import ImageSource
from ganforge.engine import augmentation
from ganforge.errors import OptionError
from ganforge.images import grid, to_uint8, write
from ganforge.training.suitable_models import check_models


def examine(
    data: str | Path,
    *,
    sheet: str | Path = "",
    augment: Literal["none", "diffaug", "ada"] = "none",
    data_home: str | Path | None = None,
    held_out: bool = False,
    unknown: int = UNKNOWN_VALUE,
) -> Examination:
    """Decode every image of a data set; returns layout, counts, sizes, classes, damage, and the models that fit.

    `sheet` names a file for a contact sheet; with `augment` it shows some images before and after that augmentation.
    `held_out` examines the test split; `unknown` is the value of unknown pixels in label maps.

    Raises DataError when there is no data set, and OptionError for a sheet inside it.
    """
    source = find_data(str(data), home=Path(data_home) if data_home is not None else None, held_out=held_out)
    target = Path(sheet).resolve()
    if str(sheet) and Path(source.where).is_dir() and target.is_relative_to(Path(source.where).resolve()):
        raise OptionError(f"The contact sheet {sheet} would become one of the images: write it outside {source.where}.")
    examination, seen = examined(source, unknown)
    examination = replace(examination, models=check_models(examination, str(data)))
    if str(sheet) and seen.headers:
        rows = [*seen.headers]
        write(Path(sheet), draw_sheet(source, rows, seen, augment))
        examination = replace(examination, sheet=str(sheet))
    return examination


def draw_sheet(
    source: ImageSource, rows: Sequence[int], seen: ScanResult, augment: Literal["none", "diffaug", "ada"]
) -> np.ndarray:
    """The contact sheet with what the data have beside images: label maps or boxes, captions, or classes."""
    if augment != "none":
        return draw_augmented_sheet(source, rows, augment)
    if seen.places.found:
        return draw_places_sheet(seen.places)
    if seen.captions.of_image:
        return draw_captions_sheet(source, rows, seen.captions.of_image)
    return draw_contact_sheet(source, rows)


def draw_augmented_sheet(source: ImageSource, rows: Sequence[int], kind: Literal["diffaug", "ada"]) -> np.ndarray:
    """A row of images, and below it the same augmented; ada three times, with p 0.2, 0.5 and 0.8."""
    images = read_thumbnails(source, rows)
    return grid(to_uint8(augmentation.show_augmentation(to_images(images), kind)), len(images))
