"""Find the images of folders, zips, tars and arrays, in the usual layouts.

flat or nested          photos/**/*.png
one folder a class      photos/cat/1.png, photos/dog/2.png
splits                  photos/train/..., photos/val/..., photos/test/...   any of the above in each
a list beside them      dataset.json, metadata.jsonl, list_attr_celeba.txt ...: see annotations.py
two sides               A/ B/, trainA/ trainB/ ..., with masks: see two_folders.py
any of these in a zip or a tar
shards of samples       photos-000000.tar ...: see shards.py
arrays                  photos.npy, photos.npz: see arrays.py
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ganforge import images
from ganforge.data.dataset import DataSet
from ganforge.data.decode import DecodeOptions, one_image_message
from ganforge.data.layouts.annotations import READERS, find_annotations, read_annotations
from ganforge.data.layouts.arrays import open_array
from ganforge.data.layouts.files import Files, list_folder, list_zip
from ganforge.data.layouts.shards import index_tar, open_shards
from ganforge.data.layouts.two_folders import HELD_OUT, TRAIN, find_two_sides
from ganforge.data.source import ImageSource, Labels, build_dataset
from ganforge.errors import DataError

NOT_CLASSES = (({"images", "labels"}, "photographs and their label maps"),)  # folders that are not classes


def open_folder(
    path: Path, *, size: tuple[int, int] | None, channels: int = 0, crop: bool = False, held_out: bool = False
) -> DataSet:
    """Open the images at `path`, with their classes if the layout gives them.

    `size` is height and width, None: as stored; `channels` 0: 1 if all are grey, else 3; `crop` stores a
    margin around the size; `held_out` takes the test or validation split instead of the training one.
    Files that cannot be read are left out and named in the notes.

    Raises:
        DataError: there is no data set at `path`.
    """
    return build_dataset(find_images(path, held_out), DecodeOptions(size, channels, crop))


def find_images(path: Path, held_out: bool = False) -> ImageSource:
    """Find the images at `path` without decoding them.

    Raises:
        DataError: there are none.
    """
    suffix = path.suffix.lower()
    if not path.exists():
        raise DataError(f"{path} does not exist: give a folder, a zip or an .npz of images.")
    if held_out and suffix in (".npy", ".npz"):
        raise DataError(f"{path} has no test split.")
    if suffix in (".npy", ".npz"):
        return open_array(path)
    if path.is_dir():
        files = list_folder(path)
        tars = [path / name for name in sorted(files.marks) if name.lower().endswith(".tar")]
        return open_shards(path, tars, held_out) if tars and not files.image_names else read_layout(files, held_out)
    if suffix == ".zip":
        return read_layout(list_zip(path), held_out)
    if suffix == ".tar":
        shards = index_tar(path)
        return open_shards(path, [path], held_out) if shards.labels else read_layout(shards.files, held_out)
    if path.name.lower().endswith((".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")):
        raise DataError(f"{path} is compressed, so that no image can be found without reading all: unpack it once.")
    if suffix[1:] in images.EXTENSIONS:
        raise DataError(f"{one_image_message(str(path))} Give the folder that it lies in.")
    raise DataError(f"{path} is neither a folder nor a .zip, .tar, .npz or .npy file.")


def read_layout(files: Files, held_out: bool) -> ImageSource:
    """Recognise the layout of `files`: their images, splits, sides and classes."""
    where = str(files.where)
    if not files.image_names:
        looked_for = ", ".join(images.EXTENSIONS)
        table = next((name for name in files.marks if name.endswith((".parquet", ".arrow"))), None)
        hint = f" {table} may hold them inside a table: try --data hub:{where}." if table else ""
        raise DataError(f"{where} holds no image files: files ending in {looked_for} are looked for.{hint}")
    root, splits = _find_splits(files)
    if sided := find_two_sides(files, root, held_out):
        return sided
    chosen = _choose_split(splits, held_out)
    if held_out and chosen is None:
        raise DataError(f"{where} has no test split: no folder in it is called {' or '.join(HELD_OUT)}.")
    notes = list(files.notes)
    if chosen is not None and len(splits) > 1:
        left = {name: len(members) for name, members in splits.items() if name != chosen}
        notes.append(
            f"Taken: {chosen} ({len(splits[chosen])} images). "
            f"Not taken: {', '.join(name or 'files beside it' for name in left)} ({sum(left.values())} images)."
        )
    top = root if chosen is None else f"{root}{chosen}/"
    source = _build_source(files, top, splits[chosen or ""])
    if chosen is not None and source.labels.names:
        others = [
            _build_source(files, f"{root}{name}/", members).labels.names
            for name, members in splits.items()
            if name not in (chosen, "")
        ]
        source = replace(source, labels=renumber_classes(source.labels, others))
    notes += source.notes
    if names := source.labels.names:
        notes.append(f"{len(names)} classes: {', '.join(names if len(names) <= 12 else (*names[:11], '...'))}.")
    notes += _note_on_lookalikes(where, top, source.labels.names)
    counts = {name: len(members) for name, members in splits.items() if name}
    return replace(source, notes=tuple(notes), splits=counts if chosen is not None else {})


def _find_splits(files: Files) -> tuple[str, dict[str, list[str]]]:
    """The common folder of all files (ending in a slash, or empty) and {split: its images}; "" is no split."""
    root = ""
    while not any(root + name in files.marks for name in READERS):
        tops = {name.removeprefix(root).split("/")[0] for name in files.image_names}
        if len(tops) > 1 or root + min(tops) in files.image_names or min(tops).lower() in TRAIN + HELD_OUT:
            break
        root += min(tops) + "/"  # all files are in one folder: descend
    inside = [name for name in files.image_names if name.startswith(root)]
    tops = {name.removeprefix(root).split("/")[0] for name in inside if "/" in name.removeprefix(root)}
    if not any(top.lower() in TRAIN + HELD_OUT for top in tops):
        return root, {"": inside}
    splits: dict[str, list[str]] = {}
    for name in inside:
        top, slash, _ = name.removeprefix(root).partition("/")
        splits.setdefault(top if slash else "", []).append(name)
    if _choose_split(splits, False) is None:  # no training split: use all images
        splits[""] = inside
    return root, splits


def _choose_split(splits: dict[str, list[str]], held_out: bool) -> str | None:
    """The name of the split to use; None if there is none."""
    choices = HELD_OUT if held_out else TRAIN
    return next((name for choice in choices for name in sorted(splits) if name.lower() == choice), None)


def _build_source(files: Files, root: str, names: Sequence[str]) -> ImageSource:
    """The images below `root`, with labels from an annotation file or else from their folders."""
    layout, selected, notes, label_error, labels = "", names, (), None, None
    path = find_annotations(files, root)
    if path is not None:
        try:
            annotations = read_annotations(files, path, names)
        except DataError as error:
            annotations, label_error, layout, labels = None, error, path.rpartition("/")[2], Labels()
        if annotations:
            layout, selected = annotations.layout, annotations.names
            notes, labels = annotations.notes, annotations.labels
    by_folder = _classes_from_folders([name.removeprefix(root) for name in selected])
    if labels is None and by_folder.names:
        labels, layout = by_folder, f"{layout}, one folder a class".lstrip(", ")
    nested = any("/" in name.removeprefix(root) for name in selected)
    layout = layout or ("images in nested folders" if nested else "a flat folder of images")
    lazy_images = [files.image(name) for name in selected]
    identity = [(name, files.marks[name]) for name in selected]
    labels = labels or Labels()
    return ImageSource(str(files.where), layout, identity, lazy_images, labels, notes, label_error=label_error)


def _classes_from_folders(names: Sequence[str]) -> Labels:
    """Labels if every image lies exactly one folder deep, in two folders or more: one folder a class."""
    folders = [name.split("/")[0] for name in names]
    if any(name.count("/") != 1 for name in names) or len(set(folders)) < 2:
        return Labels()
    classes = tuple(sorted(set(folders)))
    number = {name: k for k, name in enumerate(classes)}
    return Labels(np.array([number[folder] for folder in folders], np.int64), classes)


def renumber_classes(labels: Labels, others: Sequence[tuple[str, ...]]) -> Labels:
    """Number the classes over all splits, so that a number means the same class in each split."""
    every = {name for names in (labels.names, *others) for name in names}
    names = tuple(sorted(every, key=int)) if all(name.isdecimal() for name in every) else tuple(sorted(every))
    if labels.column is None or names == labels.names:
        return labels
    return Labels(np.array([names.index(name) for name in labels.names], np.int64)[labels.column], names)


def _note_on_lookalikes(where: str, split: str, classes: tuple[str, ...]) -> list[str]:
    """A note if folders that were taken for classes look like something else."""
    for names, what in NOT_CLASSES:
        if names <= set(classes):
            one = f"{where}/{split}{min(names)}"
            return [f"The folders look like {what}, taken as classes here; to learn one alone: --data {one}."]
    return []
