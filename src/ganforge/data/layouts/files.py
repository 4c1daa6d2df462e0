"""The files of a folder or of a zip, by their paths inside it.  A zip is never unpacked to disk."""

import hashlib
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from ganforge import images
from ganforge.data.decode import Picture
from ganforge.errors import DataError

ENDINGS = tuple(f".{extension}" for extension in images.EXTENSIONS)
SMALL = 2**25  # bytes of files that are known by their content; larger sets by sizes and times
LARGEST = 2**28  # bytes of one file in a zip: more is a bomb


@dataclass(frozen=True)
class Files:
    """Names with forward slashes, each with a mark that changes when its file does."""

    where: Path
    marks: Mapping[str, str]
    open: Callable[[str], Path | BinaryIO]
    """Raises a DataError that names the file."""
    notes: tuple[str, ...] = ()

    @property
    def pictures(self) -> tuple[str, ...]:
        """Names of the files that should be pictures, in order."""
        return tuple(sorted(name for name in self.marks if name.lower().endswith(ENDINGS)))

    def picture(self, name: str) -> Picture:
        """One of them."""
        return Picture(
            name, lambda: images.look(self.open(name), name=name), lambda: images.read(self.open(name), name=name)
        )


def in_folder(path: Path) -> Files:
    """What lies in a folder and its subfolders; hidden files, and those that computers add, do not count.

    Raises:
        DataError: the folder cannot be listed.
    """
    try:
        found = {name: file for name, file in _walk(path, "", frozenset()) if counts(name)}
    except OSError as error:
        raise DataError(f"{error.filename or path} cannot be read: {error.strerror}.") from error
    states = {name: _state(file) for name, file in found.items()}
    if sum(state.st_size for state in states.values()) <= SMALL:
        marks = {name: _content(file) for name, file in found.items()}
    else:
        marks = {name: f"{state.st_size} {state.st_mtime_ns}" for name, state in states.items()}
    return Files(path, marks, found.__getitem__)


def _walk(folder: Path, above: str, outer: frozenset[tuple[int, int]]) -> Iterator[tuple[str, Path]]:
    """Files below `folder` with their names; links are followed, but never in a circle."""
    state = folder.stat()
    here = (state.st_dev, state.st_ino)
    if here in outer:
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _walk(Path(entry.path), f"{above}{entry.name}/", outer | {here})
            elif entry.is_file() or entry.is_symlink():
                yield above + entry.name, Path(entry.path)


def _state(file: Path) -> os.stat_result:
    try:
        return file.stat()
    except OSError:  # a link to nothing: reading it will say so
        return file.lstat()


def _content(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:  # reading it as a picture will say why
        return "unreadable"


def in_zip(path: Path) -> Files:
    """What lies in a zip, by the same rules; it stays open as long as what is returned is in use.

    Raises:
        DataError: it is not a zip, or it is damaged or encrypted.
    """
    try:
        archive = zipfile.ZipFile(path)
    except Exception as error:  # a damaged directory raises anything, from BadZipFile to UnicodeDecodeError
        why = getattr(error, "strerror", None) or str(error).rstrip(".") or type(error).__name__
        raise DataError(f"{path} is not a zip that can be read: {why}.") from error
    entries = {e.filename: e for e in archive.infolist() if not e.is_dir() and counts(e.filename)}
    if any(e.flag_bits & 1 for e in entries.values()):
        archive.close()
        raise DataError(f"{path} is encrypted: unpack it with its password and give the folder.")
    marks = {name: f"{e.file_size} {e.CRC}" for name, e in entries.items()}
    return Files(path, marks, lambda name: _unzipped(archive, entries[name]))


def _unzipped(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> BinaryIO:
    if entry.file_size > LARGEST:
        raise DataError(f"{entry.filename} cannot be read: it claims {entry.file_size:,} bytes.")
    try:
        return BytesIO(archive.read(entry))
    except Exception as error:  # damaged bytes raise anything, from zlib.error to NotImplementedError
        raise DataError(f"{entry.filename} cannot be read: the zip is damaged there ({error}).") from error


def counts(name: str) -> bool:
    """Whether a file may be somebody's picture: it is not hidden, and not put there by a computer."""
    return not any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))
