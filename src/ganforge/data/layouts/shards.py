"""Tar shards of samples, as WebDataset writes them, and plain tars of images.

    photos-000000.tar: 0001.jpg 0001.cls   0002.jpg 0002.cls   ...

Files of one key, the name up to its first dot, make a sample: an image, its class in .cls (a number or a word) or
.json ({"label": ...}), and its captions in .txt (one a line) or .json ({"caption": ...}).  A tar is indexed once for
the offsets of its members; an image is read at its offset when it is decoded, in the order of the members.  Nothing is
ever unpacked to disk.
"""

import json
import re
import tarfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from io import BufferedReader, BytesIO, RawIOBase
from pathlib import Path
from typing import Any, BinaryIO

from ganforge import images
from ganforge.console import count, track
from ganforge.data.layouts.annotations import READERS, parse_labels
from ganforge.data.layouts.caption_lists import as_list, is_caption_column
from ganforge.data.layouts.files import LARGEST, WHOLE, Files, check_regular, index_names
from ganforge.data.layouts.names import clean_name, decode_text, shorten
from ganforge.data.layouts.splits import HELD_OUT, phase_of
from ganforge.data.layouts.tables import LABEL
from ganforge.data.layouts.zips import MOST_FILES
from ganforge.data.source import ImageSource, Labels
from ganforge.errors import DataError

SIDECARS = (".cls", ".json")
TEXT = ".txt"
MOST = 2**20  # bytes of a label


@dataclass(frozen=True)
class Shard:
    """One tar: its files, and the labels of its samples."""

    files: Files
    labels: Mapping[str, Any]
    """{key of a sample: its label}"""
    captions: Mapping[str, list[Any]]
    """{key of a sample: its captions}"""


def index_tar(path: Path) -> Shard:
    """Index the files and the labels of a tar.

    Raises:
        DataError: it is not a tar, or its first member is damaged.
    """
    members: list[tuple[str, tuple[int, int]]] = []
    labels: dict[str, Any] = {}
    captions: dict[str, list[Any]] = {}
    notes: list[str] = []
    check_regular(path)
    most = images.limit("GANFORGE_MAX_FILES", MOST_FILES)
    try:
        stamp = path.stat().st_mtime_ns
        with path.open("rb") as file, tarfile.open(fileobj=BoundedReads(file), mode="r:") as archive:  # pyright: ignore
            for member in _iterate_members(path, archive, file, notes):
                members.append((member.name, (member.offset_data, member.size)))
                if len(members) > most:
                    raise DataError(f"it has more than {most:,} files; GANFORGE_MAX_FILES sets a larger number")
                file_name = member.name.lower().rpartition("/")[2]
                if file_name.endswith((*SIDECARS, TEXT)) and file_name not in READERS and member.size <= MOST:
                    file.seek(member.offset_data)
                    data = file.read(member.size)
                    labels |= {} if file_name.endswith(TEXT) else _parse_label(clean_name(member.name), data)
                    captions |= _parse_captions(clean_name(member.name), data)
    except Exception as error:  # a damaged directory raises anything, from ReadError to RecursionError
        why = getattr(error, "strerror", None) or str(error).rstrip(".") or type(error).__name__
        raise DataError(f"{path} is not a tar that can be read: {why}.") from error
    places, originals = index_names(members)
    marks = {name: f"{stamp} {start} {size}" for name, (start, size) in places.items()}
    opener = partial(_open_member, path, places)
    return Shard(Files(path, marks, opener, tuple(notes), originals), labels, captions)


class BoundedReads:
    """A file of which no more than WHOLE bytes are read at once: a header may claim that a name has gigabytes."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.seek, self.tell = file, file.seek, file.tell

    def read(self, size: int) -> bytes:
        """Read `size` bytes; raises tarfile.ReadError if there are too many."""
        if not 0 <= size <= WHOLE:
            raise tarfile.ReadError(f"a header claims {size:,} bytes")
        return self.file.read(size)


def _iterate_members(
    path: Path, archive: tarfile.TarFile, file: BinaryIO, notes: list[str]
) -> Iterator[tarfile.TarInfo]:
    """Yield the regular files of a tar.  Links, devices and sparse files hold no bytes of their own and are skipped."""
    end = 0
    try:
        while (member := archive.next()) is not None:
            archive.members.clear()  # pyright: ignore[reportAttributeAccessIssue] - it would keep them all
            if member.size < 0 or member.offset_data <= end:  # a header that points backwards would loop forever
                raise tarfile.ReadError("a header is invalid")
            end = member.offset_data
            if member.isreg() and not member.issparse():
                yield member
        file.seek(archive.offset)
        rest = file.read(tarfile.BLOCKSIZE)
        if rest.strip(b"\0"):  # tarfile takes a damaged header for the end
            raise tarfile.ReadError("a header is damaged")
    except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
        if not end:
            raise
        notes.append(f"{path.name} is damaged after byte {end:,} ({error}): what follows is not read.")


def _open_member(path: Path, places: Mapping[str, tuple[int, int]], name: str) -> BinaryIO:
    """Open a file of a tar: a small one in memory, a large one to be read as far as its image needs."""
    start, size = places[name]
    if size > LARGEST:
        raise DataError(f"{name} cannot be read: it claims {size:,} bytes.")
    try:
        if path.stat().st_size < start + size:
            raise DataError(f"{name} cannot be read: {path.name} ends within it.")
        if size > WHOLE:
            return BufferedReader(Member(path, start, size))
        with path.open("rb") as file:
            file.seek(start)
            return BytesIO(file.read(size))
    except OSError as error:
        raise DataError(f"{name} cannot be read: {path}: {error.strerror}.") from error


class Member(RawIOBase):
    """The bytes of one file of a tar."""

    def __init__(self, path: Path, start: int, size: int) -> None:
        self.file, self.start, self.size, self.at = path.open("rb"), start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self.at = max(0, offset + (0, self.at, self.size)[whence])
        return self.at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")[: max(0, self.size - self.at)]
        self.file.seek(self.start + self.at)
        count = self.file.readinto(view)
        self.at += count
        return count

    def close(self) -> None:
        self.file.close()
        super().close()


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


def _parse_captions(name: str, data: bytes) -> dict[str, list[Any]]:
    """{key: captions} of a .txt file with one a line, or of a .json file; empty if it has none."""
    try:
        text = decode_text(data)[0]
        if name.lower().endswith(TEXT):
            return {sample_key(name): [*text.splitlines()]}
        about = json.loads(text) if name.lower().endswith(".json") else None
    except (ValueError, RecursionError):
        return {}
    words = [word for word in about if is_caption_column(word)] if isinstance(about, dict) else []
    found = [caption for word in words for caption in as_list(about[word])]  # pyright: ignore
    return {sample_key(name): found} if found else {}


def open_shards(where: Path, tars: Sequence[Path], held_out: bool) -> ImageSource:
    """Open the samples of one or more tars.

    Raises:
        DataError: none of them can be read, or they hold no images.
    """
    splits: dict[str, list[Path]] = {}
    for tar in tars:
        splits.setdefault(find_split(tar, where), []).append(tar)
    chosen = next((name for name in (HELD_OUT if held_out else ("train", "")) if name in splits), None)
    if held_out and chosen is None:
        raise DataError(f"{where} has no test split: no shard in it is called test or val.")
    if chosen is None:
        raise DataError(
            f"{where} has no training shards, only held-out ones: {', '.join(shorten(tar.name) for tar in tars[:3])}. "
            f"To train on one of them all the same, give that file: --data {tars[0]}"
        )
    taken = splits[chosen]
    lazy_images, identity, values, captions, notes = [], [], [], [], []
    for tar in track(taken, len(taken), f"Indexing {where}"):
        try:
            shard = index_tar(tar)
        except DataError as error:
            notes.append(f"Left out: {error}")
            continue
        notes += shard.files.notes
        known = set(shard.files.image_names)
        inside = [name for name in shard.files.marks if name in known]  # in the order of the members
        lazy_images += [shard.files.image(name, f"{tar.name}: {name}") for name in inside]
        identity += [(tar.name, *fact) for fact in shard.files.identify(inside)]
        values += [shard.labels.get(sample_key(name)) for name in inside]
        captions += [shard.captions.get(sample_key(name), []) for name in inside]
    if not lazy_images:
        raise DataError(f"{where} holds no image files in {len(taken)} tars. {' '.join(notes)}".rstrip())
    labels, label_error = Labels(), None
    try:
        labels = parse_labels(str(where), values) or Labels()
    except DataError as error:
        label_error = error
    if len(splits) > 1:
        left = ", ".join(sorted(name or "other shards" for name in splits if name != chosen))
        notes.insert(0, f"Taken: {chosen or 'other shards'} ({len(taken)} shards). Not taken: {left}.")
    if labels.names:
        notes.append(f"{count(len(labels.names), 'class', 'classes')}: {', '.join(labels.names[:12])}.")
    counts = Counter({chosen: len(lazy_images)}) if chosen else {}
    layout = f"{len(taken)} WebDataset tar shard{'s' * (len(taken) > 1)}"
    source = ImageSource(str(where), layout, identity, lazy_images, labels, tuple(notes), counts, label_error)
    return replace(source, read_captions=lambda: captions)


def find_split(tar: Path, top: Path) -> str:
    """`train` of `train/0.tar` and of `imagenet-train-000000.tar`; empty if no word of it is a split."""
    inside = tar.relative_to(top).as_posix() if tar != top else ""
    words = [phase for word in re.split(r"[\W\d_]+", inside.lower()) if (phase := phase_of(word))]
    return next((phase for phase in (*HELD_OUT, "train") if phase in words), "")
