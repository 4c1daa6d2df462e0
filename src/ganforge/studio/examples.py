"""The label maps of a run's own data, held-out ones where there are such, as examples to paint on."""

import threading
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from ganforge.batches import Facts
from ganforge.data.layouts.label_maps import find_label_maps, read_map
from ganforge.data.named_sets import NAMED
from ganforge.data.open import find_data, open_data
from ganforge.data.source import ImageSource
from ganforge.errors import DataError, OptionError
from ganforge.inference.input_columns import index_regions
from ganforge.runs.folder import RunFolder, read_options_of
from ganforge.runs.run_data import run_data_arguments

TURN = threading.Lock()
Maps = Sequence[Callable[[], np.ndarray]]
"""Each reads the regions (H, W) of one map."""


def locate_data(run: Path) -> str:
    """What a run's data are opened by: a name, or the path at which they lie.  Raises RunError as `RunFolder.open`."""
    return str(run_data_arguments(RunFolder.open(run).run_config)["spec"])


def read_example(run: Path, facts: Facts, number: int) -> np.ndarray:
    """int64 (H, W): the regions of a photograph of the run's data, at the photograph's own size.

    Raises OptionError for a number that no photograph has, DataError where the data cannot be opened, or have another
    region.
    """
    unknown = read_options_of(RunFolder.open(run).run_config).unknown
    with TURN:  # the data are opened once
        maps = find_maps(locate_data(run), facts, unknown)
    if not 0 <= number < len(maps):
        raise OptionError(f"Photographs with maps: {len(maps):,}. Give a number from 0 to {len(maps) - 1}.")
    return maps[number]()


@lru_cache(maxsize=2)
def find_maps(spec: str, facts: Facts, unknown: int) -> Maps:
    """The maps of a data set, as the regions of these facts.  Raises DataError where there are none."""
    if spec in NAMED:
        needed, size = ("images", "label_map"), (facts.height, facts.width)
        data = open_data(spec, size=size, channels=facts.channels, needed=needed, held_out=True)
        if data.facts.regions != facts.regions:
            raise DataError(f"{spec} has other regions than those of this run.")
        column = data.columns["label_map"][..., 0].copy()  # without the images, which take more memory
        return [partial(column.__getitem__, k) for k in range(len(column))]
    source = find_held_out(spec)
    maps = find_label_maps(source, unknown)
    if maps is None:
        raise DataError(f"{spec} has no label maps.")

    def read(name: str) -> np.ndarray:
        return index_regions(read_map(maps.files, name), facts, name).numpy()

    return [partial(read, name) for name in maps.maps]


def find_held_out(spec: str) -> ImageSource:
    """The held-out images of a data set; those that were trained on where none are held out."""
    try:
        return find_data(spec, held_out=True)
    except DataError:
        return find_data(spec)
