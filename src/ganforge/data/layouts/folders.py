"""Find the images of folders, zips, tars and arrays, in the usual layouts.

flat or nested          photos/**/*.png
one folder a class      photos/cat/1.png, photos/dog/2.png
splits                  photos/train/..., photos/val/..., photos/test/...   any of the above in each; see splits.py
a list beside them      dataset.json, metadata.jsonl, list_attr_celeba.txt ...: see annotations.py
two sides               A/ B/, trainA/ trainB/ ..., with masks: see two_folders.py
any of these in a zip or a tar
shards of samples       photos-000000.tar ...: see shards.py
arrays                  photos.npy, photos.npz: see arrays.py
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ganforge import images
from ganforge.console import count
from ganforge.data.dataset import DataSet
from ganforge.data.decode import DecodeOptions, one_image_message
from ganforge.data.layouts.annotations import READERS, YIELDING, find_annotations, read_annotations
from ganforge.data.layouts.arrays import open_array
from ganforge.data.layouts.files import Files, check_regular, list_folder
from ganforge.data.layouts.names import clean_name, shorten
from ganforge.data.layouts.shards import index_tar, open_shards
from ganforge.data.layouts.splits import Splits, phase_of
from ganforge.data.layouts.two_folders import find_two_sides
from ganforge.data.layouts.untaken import describe_untaken
from ganforge.data.layouts.zips import list_zip
from ganforge.data.one_class import HINT
from ganforge.data.source import ImageSource, Labels, build_dataset
from ganforge.errors import DataError

NOT_CLASSES = (({"images", "labels"}, "photographs and their label maps"),)  # folders that are not classes
SOUND = frozenset({"good", "sound", "normal", "ok"})
"""Folders of images without flaws."""


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
    if not os.path.exists(path):  # noqa: PTH110  pathlib raises for names that are too long
        raise DataError(f"{path} does not exist: give a folder, a zip or an .npz of images.")
    check_regular(path)
    if held_out and suffix in (".npy", ".npz"):
        raise DataError(f"{path} has no test split.")
    if suffix in (".npy", ".npz"):
        return open_array(path)
    if path.is_dir():
        files = list_folder(path)
        names = sorted(name for name in files.marks if name.lower().endswith(".tar"))
        tars = [tar for tar in map(files.open, names) if isinstance(tar, Path)]
        return open_shards(path, tars, held_out) if tars and not files.image_names else read_layout(files, held_out)
    if suffix == ".zip":
        return read_layout(list_zip(path), held_out)
    if suffix == ".json":
        return open_list(path, held_out)
    if suffix == ".tar":
        shards = index_tar(path)
        return open_shards(path, [path], held_out) if shards.labels else read_layout(shards.files, held_out)
    if path.name.lower().endswith((".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")):
        raise DataError(f"{path} is compressed, so that no image can be found without reading all: unpack it once.")
    if suffix[1:] in images.EXTENSIONS:
        raise DataError(f"{one_image_message(str(path))} Give the folder that it lies in.")
    raise DataError(f"{path} is neither a folder nor a .zip, .tar, .npz or .npy file, nor the .json of a layout.")


def read_layout(files: Files, held_out: bool) -> ImageSource:
    """Recognise the layout of `files`: their images, splits, sides and classes."""
    return replace(_read_layout(files, held_out), files=files, held_out=held_out)


def open_list(path: Path, held_out: bool) -> ImageSource:
    """The images that a COCO file names, in its folder or in the one around it.

    Raises:
        DataError: there are none.
    """
    for folder in (path.parent, path.parent.parent):
        files = list_folder(folder)
        if files.image_names:
            name = clean_name(path.relative_to(folder).as_posix())
            return replace(read_layout(files, held_out), listed=name, where=str(path))
    raise DataError(f"{path} has no images beside it: give a file of boxes that lies with its images, or above them.")


def _read_layout(files: Files, held_out: bool) -> ImageSource:
    where = str(files.where)
    untaken = tuple(describe_untaken(files))
    if not files.image_names:
        looked_for = ", ".join(images.EXTENSIONS)
        table = next((name for name in files.marks if name.endswith((".parquet", ".arrow"))), None)
        hints = [f"{table} may hold them inside a table: try --data hub:{where}."] if table else []
        hints += [*untaken, *files.notes]
        raise DataError(
            f"{where} holds no image files: files ending in {looked_for} are looked for. {' '.join(hints)}".rstrip()
        )
    root = find_root(files)
    inside = [name.removeprefix(root) for name in files.image_names]
    splits = Splits(inside)
    if sided := find_two_sides(files, root, held_out, splits.phases):
        return replace(sided, notes=(*sided.notes, *untaken))
    chosen = splits.choose(held_out)
    if chosen is None and held_out:
        raise DataError(f"{where} has no test split: no folder in it is called test, val or the like.")
    if chosen is None:
        raise splits.held_out_only_error(where, files.where.is_dir(), root)
    top = root + splits.top(chosen)
    source = _build_source(files, top, {root + name: splits.places[name].inner for name in chosen})
    left = [name for name in inside if name not in set(chosen)] if len(chosen) < len(inside) else []
    if left and source.labels.names:
        source = replace(source, labels=_number_over_all_splits(files, root, splits, left, source.labels))
    notes = [*files.notes, *_note_on_splits(splits, chosen, left), *source.notes]
    if names := source.labels.names:
        shown = names if len(names) <= 12 else (*names[:11], "...")
        notes.append(f"{count(len(names), 'class', 'classes')}: {', '.join(shown)}.")
    notes += _note_on_lookalikes(where, top, source.labels.names)
    notes += _note_on_empty_classes(files, top, source.labels.names)
    counts = {name: count for name, count in splits.count(inside).items() if name}
    return replace(source, notes=(*notes, *untaken), splits=counts)


def find_root(files: Files) -> str:
    """The common folder of all images, ending in a slash, or empty; never one below a list or a split."""
    lists = {name.rpartition("/")[0] for name in files.marks if name.rpartition("/")[2].lower() in READERS}
    first, last = (name.split("/")[:-1] for name in (min(files.image_names), max(files.image_names)))
    root = ""
    for folder, other in zip(first, last, strict=False):  # what the first and the last share is shared by all
        if folder != other or root.rstrip("/") in lists or phase_of(folder):
            break
        root += f"{folder}/"
    return root


def _note_on_splits(splits: Splits, chosen: Sequence[str], left: Sequence[str]) -> list[str]:
    """The note on the images that are not taken, because they belong to other splits."""
    if not left:
        return []
    taken = ", ".join(shorten(name) for name in splits.count(chosen) if name) or "all others"
    others = ", ".join(shorten(name) if name else "files beside it" for name in splits.count(left))
    return [f"Taken: {taken} ({count(len(chosen), 'image')}). Not taken: {others} ({count(len(left), 'image')})."]


def _number_over_all_splits(files: Files, root: str, splits: Splits, left: Sequence[str], labels: Labels) -> Labels:
    """The labels with the numbers that their classes have over all splits."""
    groups: dict[str, list[str]] = {}
    for name in left:
        if splits.places[name].folder:
            groups.setdefault(splits.places[name].folder, []).append(name)
    others = [
        _build_source(files, root + splits.top(own), {root + name: splits.places[name].inner for name in own}).labels
        for own in groups.values()
    ]
    return renumber_classes(labels, [other.names for other in others])


def _build_source(files: Files, root: str, inner: Mapping[str, str]) -> ImageSource:
    """The images below `root`, {name: its path inside a split}, with labels from a list or else from their folders."""
    names = [*inner]
    layout, selected, notes, label_error, labels = "", names, (), None, None
    path = find_annotations(files, root)
    if (
        path is not None
        and path.rpartition("/")[2].lower() in YIELDING
        and _classes_from_folders([*inner.values()]).names
    ):
        notes, path = (f"Not used: {shorten(path)}, because the folders are classes.",), None
    if path is not None:
        try:
            annotations = read_annotations(files, path, names)
        except DataError as error:
            label_error = type(error)(str(error))  # without its traceback, which holds the whole list
            annotations, layout, labels = None, path.rpartition("/")[2], Labels()
        if annotations:
            layout, selected = annotations.layout, annotations.names
            notes, labels = annotations.notes, annotations.labels
    by_folder = _classes_from_folders([inner[name] for name in selected])
    if labels is None and by_folder.names:
        labels, layout = by_folder, f"{layout}, one folder a class".lstrip(", ")
    nested = any("/" in inner[name] for name in selected)
    layout = layout or ("images in nested folders" if nested else "a flat folder of images")
    lazy_images = [files.image(name) for name in selected]
    labels = labels or Labels()
    identity = files.identify(selected)
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
    """A note if folders that were taken for classes look like something else, or one of them holds sound images."""
    for names, what in NOT_CLASSES:
        if names <= set(classes):
            one = f"{where}/{split}{min(names)}"
            return [f"The folders look like {what}, taken as classes here; to learn one alone: --data {one}."]
    if sound := [name for name in classes if name.lower() in SOUND]:
        return [f"One of {len(classes)} classes is {sound[0]}; {HINT} {sound[0]}."]
    return []


def _note_on_empty_classes(files: Files, top: str, classes: tuple[str, ...]) -> list[str]:
    """A note if empty folders lie beside those of the classes."""
    beside = [name.removeprefix(top) for name in files.empty if name.startswith(top)]
    empty = [shorten(name) for name in beside if name and "/" not in name]
    if not empty or not classes:
        return []
    return [f"Folders without an image, which are not classes: {', '.join(empty[:12])}."]
