"""Examine a data set: what it holds, what is damaged, and which models it suits."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from ganforge.data.contact_sheet import contact_sheet, pictures_alike
from ganforge.data.inspect import Examination
from ganforge.data.inspect import examine as examined
from ganforge.data.loader import to_images
from ganforge.data.open import find_data
from ganforge.data.source import ImageSource
from ganforge.engine import augmentation
from ganforge.errors import OptionError
from ganforge.images import grid, to_uint8, write
from ganforge.training.suitable_models import fits


def examine(
    data: str | Path,
    *,
    sheet: str | Path = "",
    augment: Literal["none", "diffaug", "ada"] = "none",
    data_home: str | Path | None = None,
    held_out: bool = False,
) -> Examination:
    """What the doctor finds in a data set: layout, counts, sizes, classes, damage, and the models it suits.

    Every picture is decoded.  `sheet` names a file for a contact sheet; with `augment` it shows what that makes of
    some of the pictures.  `held_out` takes the test split.

    Raises DataError when there is no data set, and OptionError for a sheet inside it.
    """
    found = find_data(str(data), home=Path(data_home) if data_home is not None else None, held_out=held_out)
    target = Path(sheet).resolve()
    if str(sheet) and Path(found.where).is_dir() and target.is_relative_to(Path(found.where).resolve()):
        raise OptionError(f"The contact sheet {sheet} would become one of the images: write it outside {found.where}.")
    examination, seen = examined(found)
    examination = replace(examination, models=fits(examination, str(data)))
    if str(sheet) and seen.looks:
        rows = [*seen.looks]
        write(Path(sheet), contact_sheet(found, rows) if augment == "none" else augmented_sheet(found, rows, augment))
        examination = replace(examination, sheet=str(sheet))
    return examination


# -- the pieces -----------------------------------------------------------------------------------


def augmented_sheet(found: ImageSource, rows: Sequence[int], kind: Literal["diffaug", "ada"]) -> np.ndarray:
    """A line of pictures, and under it what an augmentation makes of them: with ada more and more (p 0.2, 0.5, 0.8)."""
    pictures = pictures_alike(found, rows)
    return grid(to_uint8(augmentation.gallery(to_images(pictures), kind)), len(pictures))
