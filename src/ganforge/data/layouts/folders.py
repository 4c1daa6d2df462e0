"""Folders, zips, tars and arrays of pictures, in the layouts that people have them.

flat or nested          photos/**/*.png
one folder a class      photos/cat/1.png, photos/dog/2.png
splits                  photos/train/..., photos/val/..., photos/test/...   any of the above in each
a list beside them      dataset.json, metadata.jsonl, list_attr_celeba.txt ...: see lists.py
two sides               A/ B/, trainA/ trainB/ ..., with masks: see sides.py
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
from ganforge.data.decode import DecodeOptions, one_image
from ganforge.data.layouts.annotations import READERS, beside, listed
from ganforge.data.layouts.arrays import in_array
from ganforge.data.layouts.files import Files, in_folder, in_zip
from ganforge.data.layouts.shards import in_shards, in_tar
from ganforge.data.layouts.two_folders import HELD_OUT, TRAIN, two_sides
from ganforge.data.source import ImageSource, Labels, assemble
from ganforge.errors import DataError

SIDES = (({"images", "labels"}, "photographs and their label maps"),)  # folders that are no classes, and what they are


def open_folder(
    path: Path, *, size: tuple[int, int] | None, channels: int = 0, crop: bool = False, held_out: bool = False
) -> DataSet:
    """The pictures at `path`, and their classes where the layout tells them.

    `size` is height and width, None: as stored; `channels` 0: 1 if all are grey, else 3; `crop` stores a
    margin around the size; `held_out` takes the test or validation split instead of the training one.
    Files that cannot be read are left out and named in the notes.

    Raises:
        DataError: there is no data set at `path`; the sentence says why.
    """
    return assemble(find(path, held_out), DecodeOptions(size, channels, crop))


def find(path: Path, held_out: bool = False) -> ImageSource:
    """The pictures at `path`, before any is decoded.

    Raises:
        DataError: there are none; the sentence says why.
    """
    suffix = path.suffix.lower()
    if not path.exists():
        raise DataError(f"{path} does not exist: give a folder, a zip or an .npz of pictures.")
    if held_out and suffix in (".npy", ".npz"):
        raise DataError(f"{path} has no test split.")
    if suffix in (".npy", ".npz"):
        return in_array(path)
    if path.is_dir():
        files = in_folder(path)
        tars = [path / name for name in sorted(files.marks) if name.lower().endswith(".tar")]
        return in_shards(path, tars, held_out) if tars and not files.pictures else laid_out(files, held_out)
    if suffix == ".zip":
        return laid_out(in_zip(path), held_out)
    if suffix == ".tar":
        shards = in_tar(path)
        return in_shards(path, [path], held_out) if shards.said else laid_out(shards.files, held_out)
    if path.name.lower().endswith((".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")):
        raise DataError(f"{path} is compressed, so that no picture can be found without reading all: unpack it once.")
    if suffix[1:] in images.EXTENSIONS:
        raise DataError(f"{one_image(str(path))} Give the folder that it lies in.")
    raise DataError(f"{path} is neither a folder nor a .zip, .tar, .npz or .npy file.")


def laid_out(files: Files, held_out: bool) -> ImageSource:
    """What the layout of `files` tells about their pictures."""
    where = str(files.where)
    if not files.pictures:
        looked_for = ", ".join(images.EXTENSIONS)
        table = next((name for name in files.marks if name.endswith((".parquet", ".arrow"))), None)
        hint = f" {table} may hold them inside a table: try --data hub:{where}." if table else ""
        raise DataError(f"{where} holds no image files: files ending in {looked_for} are looked for.{hint}")
    root, splits = _splits(files)
    if sided := two_sides(files, root, held_out):
        return sided
    chosen = _chosen(splits, held_out)
    if held_out and chosen is None:
        raise DataError(f"{where} has no test split: no folder in it is called {' or '.join(HELD_OUT)}.")
    notes = list(files.notes)
    if chosen is not None and len(splits) > 1:
        left = {name: len(taken) for name, taken in splits.items() if name != chosen}
        notes.append(
            f"Taken: {chosen} ({len(splits[chosen])} images). "
            f"Not taken: {', '.join(name or 'files beside it' for name in left)} ({sum(left.values())} images)."
        )
    top = root if chosen is None else f"{root}{chosen}/"
    found = _told(files, top, splits[chosen or ""])
    if chosen is not None and found.labels.names:
        others = [_told(files, f"{root}{k}/", v).labels.names for k, v in splits.items() if k not in (chosen, "")]
        found = replace(found, labels=in_one_order(found.labels, others))
    notes += found.notes
    if names := found.labels.names:
        notes.append(f"{len(names)} classes: {', '.join(names if len(names) <= 12 else (*names[:11], '...'))}.")
    notes += _mistaken(where, top, found.labels.names)
    counts = {name: len(taken) for name, taken in splits.items() if name}
    return replace(found, notes=tuple(notes), splits=counts if chosen is not None else {})


def _splits(files: Files) -> tuple[str, dict[str, list[str]]]:
    """The folder that everything lies in (with its slash, or nothing), and {split: its pictures}; "" is no split."""
    root = ""
    while not any(root + name in files.marks for name in READERS):
        tops = {name.removeprefix(root).split("/")[0] for name in files.pictures}
        if len(tops) > 1 or root + min(tops) in files.pictures or min(tops).lower() in TRAIN + HELD_OUT:
            break
        root += min(tops) + "/"  # everything lies in one folder: look inside
    inside = [name for name in files.pictures if name.startswith(root)]
    tops = {name.removeprefix(root).split("/")[0] for name in inside if "/" in name.removeprefix(root)}
    if not any(top.lower() in TRAIN + HELD_OUT for top in tops):
        return root, {"": inside}
    splits: dict[str, list[str]] = {}
    for name in inside:
        top, slash, _ = name.removeprefix(root).partition("/")
        splits.setdefault(top if slash else "", []).append(name)
    if _chosen(splits, False) is None:  # nothing to train on but what lies there
        splits[""] = inside
    return root, splits


def _chosen(splits: dict[str, list[str]], held_out: bool) -> str | None:
    """The split to take."""
    choices = HELD_OUT if held_out else TRAIN
    return next((name for choice in choices for name in sorted(splits) if name.lower() == choice), None)


def _told(files: Files, root: str, names: Sequence[str]) -> ImageSource:
    """The pictures below `root` with what a list, or else the folders, say about them."""
    layout, taken, notes, trouble, labels = "", names, (), None, None
    path = beside(files, root)
    if path is not None:
        try:
            said = listed(files, path, names)
        except DataError as error:
            said, trouble, layout, labels = None, error, path.rpartition("/")[2], Labels()
        if said:
            layout, taken, notes, labels = said.layout, said.names, said.notes, said.labels
    by_folder = _classes([name.removeprefix(root) for name in taken])
    if labels is None and by_folder.names:
        labels, layout = by_folder, f"{layout}, one folder a class".lstrip(", ")
    nested = any("/" in name.removeprefix(root) for name in taken)
    layout = layout or ("pictures in nested folders" if nested else "a flat folder of pictures")
    pictures = [files.picture(name) for name in taken]
    source = [(name, files.marks[name]) for name in taken]
    return ImageSource(str(files.where), layout, source, pictures, labels or Labels(), notes, trouble=trouble)


def _classes(names: Sequence[str]) -> Labels:
    """One folder a class: every picture lies exactly one folder deep, in one of two or more."""
    folders = [name.split("/")[0] for name in names]
    if any(name.count("/") != 1 for name in names) or len(set(folders)) < 2:
        return Labels()
    classes = tuple(sorted(set(folders)))
    number = {name: k for k, name in enumerate(classes)}
    return Labels(np.array([number[folder] for folder in folders], np.int64), classes)


def in_one_order(labels: Labels, others: Sequence[tuple[str, ...]]) -> Labels:
    """The same classes, numbered over all splits, so that a number means one class in each of them."""
    every = {name for names in (labels.names, *others) for name in names}
    names = tuple(sorted(every, key=int)) if all(name.isdecimal() for name in every) else tuple(sorted(every))
    if labels.column is None or names == labels.names:
        return labels
    return Labels(np.array([names.index(name) for name in labels.names], np.int64)[labels.column], names)


def _mistaken(where: str, split: str, classes: tuple[str, ...]) -> list[str]:
    """A note where folders that were taken for classes look like something else."""
    for names, what in SIDES:
        if names <= set(classes):
            one = f"{where}/{split}{min(names)}"
            return [f"The folders look like {what}, taken as classes here; to learn one alone: --data {one}."]
    return []
