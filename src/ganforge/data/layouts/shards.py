"""Tar shards of samples, as WebDataset writes them, and plain tars of images.

    photos-000000.tar: 0001.jpg 0001.cls   0002.jpg 0002.cls   ...

Files of one key, the name up to its first dot, make a sample: an image, and its class in .cls (a number or a
word) or .json ({"label": ...}).  A tar is indexed once for the offsets of its members; an image is read at its
offset when it is decoded, in the order of the members.  Nothing is ever unpacked to disk.
"""

import json
import re
import tarfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from ganforge import images
from ganforge.console import track
from ganforge.data.decode import LazyImage
from ganforge.data.layouts.annotations import LABEL, parse_labels
from ganforge.data.layouts.files import LARGEST, Files, is_data_file
from ganforge.data.source import ImageSource, Labels
from ganforge.errors import DataError

SIDECARS = (".cls", ".json")
MOST = 2**20  # bytes of a label
SPLITS = {"train": ("train", "training"), "test": ("test", "testing"), "val": ("val", "valid", "validation")}


@dataclass(frozen=True)
class Shard:
    """One tar: its files, and the labels of its samples."""

    files: Files
    labels: Mapping[str, Any]
    """{key of a sample: its label}"""


def index_tar(path: Path) -> Shard:
    """Index the files and the labels of a tar.

    Raises:
        DataError: it is not a tar, or its first member is damaged.
    """
    marks: dict[str, str] = {}
    places: dict[str, tuple[int, int]] = {}
    labels: dict[str, Any] = {}
    notes: list[str] = []
    try:
        stamp = path.stat().st_mtime_ns
        with path.open("rb") as file, tarfile.open(fileobj=file, mode="r:") as archive:
            for member in _iterate_members(path, archive, file, notes):
                marks[member.name] = f"{stamp} {member.offset_data} {member.size}"
                places[member.name] = (member.offset_data, member.size)
                if member.name.lower().endswith(SIDECARS) and member.size <= MOST:
                    file.seek(member.offset_data)
                    labels |= _parse_label(member.name, file.read(member.size))
    except Exception as error:  # a damaged directory raises anything, from ReadError to RecursionError
        why = getattr(error, "strerror", None) or str(error).rstrip(".") or type(error).__name__
        raise DataError(f"{path} is not a tar that can be read: {why}.") from error
    return Shard(Files(path, marks, lambda name: _read_member(path, name, *places[name]), tuple(notes)), labels)


def _iterate_members(
    path: Path, archive: tarfile.TarFile, file: BinaryIO, notes: list[str]
) -> Iterator[tarfile.TarInfo]:
    """Yield the regular files of a tar.  Links, devices and sparse files hold no bytes of their own and are skipped."""
    end = 0
    try:
        for member in archive:
            if member.size < 0 or member.offset_data <= end:  # a header that points backwards would loop forever
                raise tarfile.ReadError("a header is invalid")
            end = member.offset_data
            if member.isreg() and not member.issparse() and is_data_file(member.name):
                yield member
        file.seek(archive.offset)
        rest = file.read(tarfile.BLOCKSIZE)
        if rest.strip(b"\0"):  # tarfile takes a damaged header for the end
            raise tarfile.ReadError("a header is damaged")
    except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
        if not end:
            raise
        notes.append(f"{path.name} is damaged after byte {end:,} ({error}): what follows is not read.")


def _read_member(path: Path, name: str, start: int, size: int) -> BinaryIO:
    if size > LARGEST:
        raise DataError(f"{name} cannot be read: it claims {size:,} bytes.")
    try:
        with path.open("rb") as file:
            file.seek(start)
            data = file.read(size)
    except OSError as error:
        raise DataError(f"{name} cannot be read: {path}: {error.strerror}.") from error
    if len(data) < size:
        raise DataError(f"{name} cannot be read: {path.name} ends within it.")
    return BytesIO(data)


def sample_key(name: str) -> str:
    """`a/0001` of `a/0001.seg.png`."""
    folder, slash, file = name.rpartition("/")
    return folder + slash + file.split(".")[0]


def _parse_label(name: str, data: bytes) -> dict[str, Any]:
    """{key: label} of a .cls or .json file; empty if it has none."""
    try:
        text = data.decode("utf-8").strip()
        if name.lower().endswith(".cls"):
            return {sample_key(name): int(text) if text.removeprefix("-").isdecimal() else text}
        about = json.loads(text)
    except (ValueError, RecursionError):
        return {sample_key(name): None}  # a damaged label counts as missing, which is reported
    label = next((about[word] for word in LABEL if word in about), None) if isinstance(about, dict) else about
    return {} if label is None else {sample_key(name): label}


def open_shards(where: Path, tars: Sequence[Path], held_out: bool) -> ImageSource:
    """Open the samples of one or more tars.

    Raises:
        DataError: none of them can be read, or they hold no images.
    """
    splits: dict[str, list[Path]] = {}
    for tar in tars:
        splits.setdefault(find_split(tar, where), []).append(tar)
    named = {name: tars for name, tars in splits.items() if name}
    order = ("test", "val") if held_out else ("train",)
    chosen = next((name for name in order if name in named), None)
    if held_out and chosen is None:
        raise DataError(f"{where} has no test split: no shard in it is called test or val.")
    taken = splits[chosen] if chosen else tars
    lazy_images, identity, values, notes = [], [], [], []
    for tar in track(taken, len(taken), f"Indexing {where}"):
        try:
            shard = index_tar(tar)
        except DataError as error:
            notes.append(f"Left out: {error}")
            continue
        notes += shard.files.notes
        known = set(shard.files.image_names)
        inside = [name for name in shard.files.marks if name in known]  # in the order of the members
        lazy_images += [_lazy_image(shard.files, name, f"{tar.name}: {name}") for name in inside]
        identity += [(tar.name, name, shard.files.marks[name]) for name in inside]
        values += [shard.labels.get(sample_key(name)) for name in inside]
    if not lazy_images:
        raise DataError(f"{where} holds no image files in {len(taken)} tars. {' '.join(notes)}".rstrip())
    labels, label_error = Labels(), None
    try:
        labels = parse_labels(str(where), values) or Labels()
    except DataError as error:
        label_error = error
    if chosen and len(splits) > 1:
        left = ", ".join(sorted(name or "other shards" for name in splits if name != chosen))
        notes.insert(0, f"Taken: {chosen} ({len(taken)} shards). Not taken: {left}.")
    if labels.names:
        notes.append(f"{len(labels.names)} classes: {', '.join(labels.names[:12])}.")
    counts = Counter({chosen: len(lazy_images)}) if chosen else {}
    layout = f"{len(taken)} WebDataset tar shard{'s' * (len(taken) > 1)}"
    return ImageSource(str(where), layout, identity, lazy_images, labels, tuple(notes), counts, label_error)


def find_split(tar: Path, top: Path) -> str:
    """`train` of `train/0.tar` and of `imagenet-train-000000.tar`; empty if no word of it is a split."""
    inside = tar.relative_to(top).as_posix() if tar != top else ""
    words = re.split(r"[^a-z]+", inside.lower())
    return next((name for name, spellings in SPLITS.items() if set(spellings) & set(words)), "")


def _lazy_image(files: Files, name: str, image_name: str) -> LazyImage:
    return LazyImage(
        image_name,
        lambda: images.read_header(files.open(name), name=image_name),
        lambda: images.read(files.open(name), name=image_name),
    )
