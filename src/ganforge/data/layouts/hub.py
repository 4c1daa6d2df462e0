"""Data sets of the Hugging Face Hub by name, `hub:owner/name` or `hub:owner/name:config`, and tables on this disk.

`hub:path` reads a folder of parquet or arrow tables, or one that `datasets` has saved.  Images are taken out
of the table as encoded bytes and read like files.  Needs the extra `hub`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ganforge import images
from ganforge.data.decode import LazyImage
from ganforge.data.layouts.annotations import parse_labels
from ganforge.data.layouts.caption_lists import as_list, is_caption_column
from ganforge.data.layouts.splits import HELD_OUT, phase_of
from ganforge.data.layouts.tables import LABEL
from ganforge.data.source import ImageSource, Labels
from ganforge.errors import DataError

SAVED = ("dataset_dict.json", "state.json")  # files that `save_to_disk` writes at the top


def open_hub(spec: str, held_out: bool = False) -> ImageSource:
    """Open the images of a data set, `owner/name`, `owner/name:config` or a path.

    Raises:
        DataError: `datasets` is missing, the data set cannot be loaded, or it holds no images.
    """
    try:
        import datasets  # pyright: ignore[reportMissingImports]
    except (ImportError, RuntimeError) as error:
        raise DataError(
            f"hub:{spec} needs the package datasets, which is not installed: pip install 'ganforge[hub]'."
        ) from error
    path, _, config = (spec, "", "") if Path(spec).expanduser().exists() else spec.partition(":")
    local = Path(path).expanduser()
    try:
        if any((local / name).is_file() for name in SAVED):
            loaded = datasets.load_from_disk(str(local))
        else:
            loaded = datasets.load_dataset(str(local) if local.exists() else path, config or None)
    except Exception as error:  # no such name, no network, gated, a damaged table: each raises another kind
        why = " ".join(str(error).split())[:300].rstrip(".") or type(error).__name__
        raise DataError(
            f"hub:{spec} cannot be loaded: {why}. Without a network only data sets loaded before are available."
        ) from error
    splits: dict[str, Any] = {str(k): v for k, v in loaded.items()} if isinstance(loaded, Mapping) else {"": loaded}
    phases = {phase: name for name in reversed(splits) if (phase := phase_of(name))}
    chosen = next((phases[phase] for phase in (HELD_OUT if held_out else ("train",)) if phase in phases), None)
    trained_on = next(iter(splits)) if "train" not in phases else None
    if held_out and (chosen is None or chosen == trained_on):
        used = f", and {trained_on} is trained on" if chosen is not None else ""
        raise DataError(f"hub:{spec} has no test split: it has {', '.join(splits)}{used}.")
    chosen = next(iter(splits)) if chosen is None else chosen
    counts = {name: len(table) for name, table in splits.items() if name}
    return read_table(f"hub:{spec}", splits[chosen], counts, chosen)


def read_table(where: str, table: Any, counts: Mapping[str, int], chosen: str) -> ImageSource:
    """Read the images of a table of `datasets`, with its classes.

    Raises:
        DataError: it has no column of images.
    """
    from datasets import ClassLabel, Image  # pyright: ignore[reportMissingImports]

    features = table.features
    column = next((name for name, kind in features.items() if isinstance(kind, Image)), None)
    if column is None:
        raise DataError(f"{where} has no column of images; it has {', '.join(features)}.")
    identity = [where, chosen, table._fingerprint]
    stored = table.select_columns(column).cast_column(column, Image(decode=False))
    lazy_images = [_lazy_image(stored, column, k) for k in range(len(stored))]
    classes = [name for name, kind in features.items() if isinstance(kind, ClassLabel)]
    label = next((name for name in (*LABEL, *classes) if name in features), None)
    labels, label_error = Labels(), None
    try:
        labels = _read_labels(where, table[label][:], features[label], ClassLabel) if label else Labels()
    except DataError as error:
        label_error = error
    unused = [name for name in features if name not in (column, label)]
    notes = [f"Taken: {chosen} of {', '.join(counts)}."] if len(counts) > 1 else []
    notes += [f"Not used of {where}: {', '.join(unused)}."] if unused else []
    source = ImageSource(where, "a table of images", identity, lazy_images, labels, tuple(notes), counts, label_error)
    captions = [name for name in features if name not in (column, label) and is_caption_column(name)]
    return replace(source, read_captions=lambda: _read_captions(table, captions))


def _read_captions(table: Any, columns: Sequence[str]) -> list[list[Any]]:
    """What stands in some columns, together, for each row."""
    rows: list[list[Any]] = [[] for _ in range(len(table))]
    for column in columns:
        for row, value in zip(rows, table[column][:], strict=True):
            row += as_list(value)
    return rows


def _read_labels(where: str, values: Any, kind: Any, classes: type[Any]) -> Labels:
    if not isinstance(kind, classes):
        return parse_labels(where, list(values)) or Labels()
    column = np.array([-1 if value is None else value for value in values], np.int64)
    if column.min(initial=0) < 0:  # -1 means unknown in test splits of the Hub
        return Labels()
    return Labels(column, tuple(kind.names))


def _lazy_image(stored: Any, column: str, k: int) -> LazyImage:
    def open_cell() -> Path | BinaryIO:
        cell = stored[k][column]
        if cell is None:
            raise DataError(f"row {k} cannot be read: it holds no image.")
        return BytesIO(cell["bytes"]) if cell["bytes"] is not None else Path(cell["path"])

    return LazyImage(
        f"row {k}", lambda: images.read_header(open_cell(), f"row {k}"), lambda: images.read(open_cell(), f"row {k}")
    )
