"""List the files of a folder or of a zip by their paths inside it.  A zip is never unpacked to disk."""

import os
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from ganforge import images
from ganforge.data.decode import LazyImage
from ganforge.errors import DataError
from ganforge.files import sha256

ENDINGS = tuple(f".{extension}" for extension in images.EXTENSIONS)
SMALL = 2**25  # bytes in all up to which files are identified by their content; larger sets by sizes and times
LARGEST = 2**28  # bytes of one file in an archive: a larger one is refused as a decompression bomb


@dataclass(frozen=True)
class Files:
    """The files of a data set: {name with forward slashes: mark that changes whenever the file does}."""

    where: Path
    marks: Mapping[str, str]
    open: Callable[[str], Path | BinaryIO]
    """Opens a file by name; raises a DataError that names it."""
    notes: tuple[str, ...] = ()

    @property
    def image_names(self) -> tuple[str, ...]:
        """Names of the files with the suffix of an image, in order."""
        return tuple(sorted(name for name in self.marks if name.lower().endswith(ENDINGS)))

    def image(self, name: str) -> LazyImage:
        """The image in the file `name`."""
        return LazyImage(
            name,
            lambda: images.read_header(self.open(name), name=name),
            lambda: images.read(self.open(name), name=name),
        )


def list_folder(path: Path) -> Files:
    """List the files of a folder and its subfolders, without hidden files and those that operating systems add.

    Raises:
        DataError: the folder cannot be listed.
    """
    try:
        found = {name: file for name, file in _walk(path, "", frozenset()) if is_data_file(name)}
    except OSError as error:
        raise DataError(f"{error.filename or path} cannot be read: {error.strerror}.") from error
    states = {name: _stat(file) for name, file in found.items()}
    if sum(state.st_size for state in states.values()) <= SMALL:
        marks = {name: _hash_content(file) for name, file in found.items()}
    else:
        marks = {name: f"{state.st_size} {state.st_mtime_ns}" for name, state in states.items()}
    return Files(path, marks, found.__getitem__)


def _walk(folder: Path, above: str, outer: frozenset[tuple[int, int]]) -> Iterator[tuple[str, Path]]:
    """Yield (name, path) of the files below `folder`; links are followed, but never in a circle."""
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


def list_zip(path: Path) -> Files:
    """List the files of a zip by the same rules; it stays open as long as the returned object is in use.

    Raises:
        DataError: it is not a zip, or it is damaged or encrypted.
    """
    try:
        archive = zipfile.ZipFile(path)
    except Exception as error:  # a damaged directory raises anything, from BadZipFile to UnicodeDecodeError
        why = getattr(error, "strerror", None) or str(error).rstrip(".") or type(error).__name__
        raise DataError(f"{path} is not a zip that can be read: {why}.") from error
    entries = {e.filename: e for e in archive.infolist() if not e.is_dir() and is_data_file(e.filename)}
    if any(e.flag_bits & 1 for e in entries.values()):
        archive.close()
        raise DataError(f"{path} is encrypted: unpack it with its password and give the folder.")
    marks = {name: f"{e.file_size} {e.CRC}" for name, e in entries.items()}
    return Files(path, marks, lambda name: _read_entry(archive, entries[name]))


def _read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> BinaryIO:
    if entry.file_size > LARGEST:
        raise DataError(f"{entry.filename} cannot be read: it claims {entry.file_size:,} bytes.")
    try:
        return BytesIO(archive.read(entry))
    except Exception as error:  # damaged bytes raise anything, from zlib.error to NotImplementedError
        raise DataError(f"{entry.filename} cannot be read: the zip is damaged there ({error}).") from error


def is_data_file(name: str) -> bool:
    """Whether a file may belong to the data: it is not hidden and was not added by an operating system."""
    return not any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))
