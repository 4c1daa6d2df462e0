"""List the files of a folder by their paths inside it.  Zips are in zips.py, tars in shards.py.

Only regular files are listed, and links to them.  A pipe or a device of any name would hang or fill the memory.
"""

import os
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np

from ganforge import images
from ganforge.data.decode import LazyImage
from ganforge.data.layouts.names import clean_name, decode_text, is_data_file, shorten
from ganforge.errors import DataError
from ganforge.files import sha256

T = TypeVar("T")
ENDINGS = tuple(f".{extension}" for extension in images.EXTENSIONS)
SMALL = 2**25  # bytes in all up to which files are identified by their content; larger sets by sizes and times
LARGEST = 2**28  # bytes of one file in an archive, and of a list: a larger one is refused as a bomb
WHOLE = 2**24  # bytes of a file in an archive up to which it is read at once; a larger one as far as its image needs
MOST_VISITS = 64  # times that one folder is listed, by as many links
DEEPEST = 400  # folders in one another
HOLLOW = 1000  # a large file that takes up less than this part of its size on disk is one hole


@dataclass(frozen=True)
class Files:
    """The files of a data set: {name in the form of names.py: mark that changes whenever the file does}."""

    where: Path
    marks: Mapping[str, str]
    open: Callable[[str], Path | BinaryIO]
    """Opens a file by name; raises a DataError that names it."""
    notes: tuple[str, ...] = ()
    originals: Mapping[str, str] = field(default_factory=dict)
    """{name: the name as it is stored}, where the two differ; it determines the order and the identity."""
    empty: tuple[str, ...] = ()
    """Folders that hold nothing."""

    @cached_property
    def image_names(self) -> tuple[str, ...]:
        """Names of the files with the suffix of an image, in order."""
        found = (name for name in self.marks if name.lower().endswith(ENDINGS))
        return tuple(sorted(found, key=lambda name: self.originals.get(name, name)))

    def identify(self, names: Iterable[str]) -> list[tuple[str, str]]:
        """Stored name and mark of each file: what fingerprints are made of."""
        return [(self.originals.get(name, name), self.marks[name]) for name in names]

    def image(self, name: str, shown: str = "") -> LazyImage:
        """The image in the file `name`, which messages call `shown`."""
        shown = shown or name

        def read() -> np.ndarray:
            source = self.open(name)
            array = images.read(source, name=shown)
            if isinstance(source, zipfile.ZipExtFile):
                check_sum(source, shown)
            return array

        return LazyImage(shown, lambda: images.read_header(self.open(name), name=shown), read)


def index_names(entries: Iterable[tuple[str, T]]) -> tuple[dict[str, T], dict[str, str]]:
    """{clean name: value} of the entries that are data files, and {clean name: stored name} where the two differ.

    Where two stored names have one clean name, the second keeps its own.  Of two equal ones the last counts.
    """
    found: dict[str, T] = {}
    originals: dict[str, str] = {}
    for original, value in entries:
        name = clean_name(original)
        if not name or not is_data_file(name):
            continue
        if name in found and originals.get(name, name) != original:
            name = original
        found[name] = value
        if name != original:
            originals[name] = original
    return found, originals


def list_folder(path: Path) -> Files:
    """List the files of a folder and its subfolders, without hidden files and those that operating systems add.

    Raises:
        DataError: the folder cannot be listed.
    """
    walk = Walk()
    try:
        found, originals = index_names(walk.files(path))
    except OSError as error:
        raise DataError(f"{shorten(error.filename or path)} cannot be read: {error.strerror}.") from error
    states = {name: _stat(file) for name, file in found.items()}
    if sum(state.st_size for state in states.values()) <= SMALL:
        marks = {name: _hash_content(file) for name, file in found.items()}
    else:
        marks = {name: f"{state.st_size} {state.st_mtime_ns}" for name, state in states.items()}
    empty = tuple(sorted(map(clean_name, walk.empty)))
    return Files(path, marks, found.__getitem__, tuple(walk.notes()), originals, empty)


def read_bytes(files: Files, name: str, most: int = LARGEST) -> bytes:
    """The content of a list.  Raises DataError if it cannot be read or has more than `most` bytes."""
    source = files.open(name)
    try:
        with source.open("rb") if isinstance(source, Path) else source as file:
            data = file.read(most + 1)
    except OSError as error:
        raise DataError(f"{name} of {files.where} cannot be read: {error.strerror or error}.") from error
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise DataError(f"{name} of {files.where} cannot be read: it is damaged ({error}).") from error
    if len(data) > most:
        raise DataError(f"{name} of {files.where} cannot be read: it is larger than {most:,} bytes.")
    return data


def read_text(files: Files, name: str, most: int = LARGEST) -> str:
    """The text of a list, in any encoding of names.py.  Raises DataError if it cannot be read or is no text."""
    try:
        return decode_text(read_bytes(files, name, most))[0]
    except ValueError as error:
        raise DataError(f"{name} of {files.where} cannot be read: {error}.") from error


class Walk:
    """A walk through a folder that ends, whatever links and special files it meets."""

    def __init__(self) -> None:
        self.empty: list[str] = []
        self.special: list[str] = []
        """Pipes, devices and sockets, and links to them."""
        self.unfollowed: list[str] = []
        """Links to folders that were listed often enough."""
        self.deep: list[str] = []
        self.visits: Counter[tuple[int, int]] = Counter()

    def files(self, top: Path) -> Iterator[tuple[str, Path]]:
        """Yield (name, path) of the files below `top`; links are followed, but never in a circle.

        Raises:
            OSError: a folder cannot be listed.
        """
        waiting: list[tuple[str, str, tuple[frozenset[tuple[int, int]], int], bool, bool]]
        waiting = [(str(top), "", (frozenset(), 0), False, False)]
        while waiting:
            folder, above, (outer, depth), is_linked, is_once = waiting.pop()
            state = os.stat(folder)  # noqa: PTH116  pathlib is slower, for millions of files
            here = (state.st_dev, state.st_ino)
            if here in outer:
                continue
            if depth > DEEPEST or self.visits[here] >= (1 if is_once else MOST_VISITS):
                (self.deep if depth > DEEPEST else self.unfollowed).append(above.rstrip("/"))
                continue
            self.visits[here] += 1
            with os.scandir(folder) as entries:
                shown = sorted((e for e in entries if is_data_file(clean_name(e.name))), key=lambda entry: entry.name)
            if not shown:
                self.empty.append(above.rstrip("/"))
            inside = (outer | {here}, depth + 1)
            for entry in reversed(shown):
                kind = _kind(entry)
                if kind == "folder":
                    # Links between linked folders would multiply: each of these is followed to a new folder only.
                    link = entry.is_symlink()
                    waiting.append((entry.path, f"{above}{entry.name}/", inside, is_linked or link, is_linked and link))
                elif kind == "file":
                    yield above + entry.name, Path(entry.path)
                else:
                    self.special.append(above + entry.name)

    def notes(self) -> Iterator[str]:
        """What was not listed, and why."""
        for names, what in (
            (self.special, "pipes, devices or sockets"),
            (self.unfollowed, "links to folders that are listed already"),
            (self.deep, f"folders that lie more than {DEEPEST} deep"),
        ):
            if names:
                yield f"Not taken: {len(names)} {what}, the first {shorten(min(names))}."


def _kind(entry: os.DirEntry[str]) -> str:
    """`folder`, `file` or `special`, of what a link leads to; a broken link is a file, and reading it will raise."""
    try:
        if entry.is_dir():
            return "folder"
        if not entry.is_symlink():
            return "file" if entry.is_file() else "special"
        return "file" if stat.S_ISREG(entry.stat().st_mode) else "special"
    except OSError:
        return "file"


def _stat(file: Path) -> os.stat_result:
    try:
        return file.stat()
    except OSError:  # a broken link: reading it will raise
        return file.lstat()


def _hash_content(file: Path) -> str:
    try:
        return sha256(file)
    except OSError:  # reading it as an image will raise
        return "unreadable"


def check_regular(path: Path) -> None:
    """Raise a DataError if `path` is neither a folder nor a regular file with content of its own."""
    state = path.stat()
    if not stat.S_ISDIR(state.st_mode) and not stat.S_ISREG(state.st_mode):
        raise DataError(f"{path} is a pipe, a device or a socket: give a folder, or a file of images.")
    on_disk = getattr(state, "st_blocks", 0) * 512  # 0 is unknown
    if state.st_size > LARGEST and 0 < on_disk < state.st_size / HOLLOW:
        raise DataError(
            f"{path} claims {state.st_size:,} bytes, and {on_disk:,} of them are on the disk: it is empty or was not "
            "copied to its end. Copy it again."
        )


def check_sum(source: zipfile.ZipExtFile, name: str) -> None:
    """Read the rest of a large entry of a zip, whose sum is checked at its end; bytes far behind the image are not.

    Raises:
        DataError: the sum is another.
    """
    try:
        left = WHOLE
        while left > 0 and (data := source.read(2**20)):
            left -= len(data)
    except Exception as error:  # damaged bytes raise anything
        raise DataError(f"{name} cannot be read: the zip is damaged there ({error}).") from error
