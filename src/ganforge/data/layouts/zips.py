"""List the files of a zip by their paths inside it.  It is never unpacked to disk."""

import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from ganforge import images
from ganforge.data.layouts.files import LARGEST, WHOLE, Files, check_regular, index_names
from ganforge.data.layouts.names import clean_name, decode_names, shorten
from ganforge.errors import DataError

MOST_FILES = 2**18  # entries of one archive, unless GANFORGE_MAX_FILES says otherwise: each takes about a kilobyte
HEADER = 46  # bytes of an entry in the directory of a zip, without its name
UTF8 = 0x800  # flag of an entry whose name is UTF-8
UNICODE_PATH = b"up"  # id of the extra field that holds the name in UTF-8
BOMB = 100  # a large file that shrank to less than this part is a bomb, unless it is an image


def list_zip(path: Path) -> Files:
    """List the files of a zip by the rules of folders; it stays open as long as the returned object is in use.

    Raises:
        DataError: it is not a zip, it is damaged or encrypted, or it has too many entries.
    """
    check_regular(path)
    check_entry_count(path)
    try:
        archive = zipfile.ZipFile(path)
    except Exception as error:  # a damaged directory raises anything, from BadZipFile to UnicodeDecodeError
        why = getattr(error, "strerror", None) or str(error).rstrip(".") or type(error).__name__
        raise DataError(f"{path} is not a zip that can be read: {why}.") from error
    every = archive.infolist()
    names = list(zip(read_names(every), every, strict=True))
    entries, originals = index_names((name, entry) for name, entry in names if not entry.is_dir())
    if any(entry.flag_bits & 1 for entry in entries.values()):
        archive.close()
        raise DataError(f"{path} is encrypted: unpack it with its password and give the folder.")
    marks = {name: f"{entry.file_size} {entry.CRC}" for name, entry in entries.items()}
    folders = {clean_name(name) for name, entry in names if entry.is_dir()}
    filled = {name[:at] for name in marks for at in _slashes(name)}
    notes = note_on_twins(names)
    empty = tuple(sorted(folder for folder in folders if folder and folder not in filled))
    return Files(path, marks, lambda name: open_entry(archive, name, entries[name]), notes, originals, empty)


def _slashes(name: str) -> Iterator[int]:
    at = name.find("/")
    while at >= 0:
        yield at
        at = name.find("/", at + 1)


def note_on_twins(names: Sequence[tuple[str, zipfile.ZipInfo]]) -> tuple[str, ...]:
    """A note if the zip holds several files of one name; the last counts, as for every program that unpacks it."""
    counts = Counter(name for name, entry in names if not entry.is_dir())
    twins = sorted(name for name, count in counts.items() if count > 1)
    if not twins:
        return ()
    more = f"files of {len(twins)} names that later ones of the same name replace, the first {shorten(twins[0])}"
    return (f"Not taken: {more}.",)


def check_entry_count(path: Path) -> None:
    """Raise a DataError if a zip has more entries than are read: each takes memory before anything is known of it."""
    most = images.limit("GANFORGE_MAX_FILES", MOST_FILES)
    try:
        with path.open("rb") as file:
            start, size, count = find_directory(file)
            file.seek(start)
            directory = file.read(min(size, most * 1024)) if size > most * HEADER and count <= most else b""
    except OSError:
        return  # opening it will raise
    at = found = 0  # the count may be wrong: Python reads by the size
    while directory[at : at + 4] == b"PK\1\2" and found <= most:
        lengths = (int.from_bytes(directory[k : k + 2], "little") for k in (at + 28, at + 30, at + 32))
        found, at = found + 1, at + HEADER + sum(lengths)
    if max(found, count) > most or size > most * 1024:
        raise DataError(
            f"{path} has more than {most:,} entries, which take too much memory in a zip: unpack it and give the "
            f"folder, or set GANFORGE_MAX_FILES to a larger number if you know where it comes from."
        )


def find_directory(file: BinaryIO) -> tuple[int, int, int]:
    """Start and size of the directory of a zip, and the number of entries that it states; zeros if there is none."""
    end = file.seek(0, 2)
    file.seek(max(0, end - 2**16 - 22))
    tail = file.read()
    at = tail.rfind(b"PK\5\6")
    if at < 0:
        return 0, 0, 0
    count, size = (int.from_bytes(tail[at + k : at + k + n], "little") for k, n in ((10, 2), (12, 4)))
    ends = end - len(tail) + at
    if at >= 20 and tail[at - 20 : at - 16] == b"PK\6\7":  # more than 4 GiB or 65,535 entries
        ends = int.from_bytes(tail[at - 12 : at - 4], "little")
        if ends > end:
            return 0, 0, 0
        file.seek(ends)
        record = file.read(56)
        count, size = (int.from_bytes(record[k : k + 8], "little") for k in (32, 40))
    return max(0, ends - size), min(size, ends), count


def read_names(entries: Sequence[zipfile.ZipInfo]) -> list[str]:
    """The names of the entries as they were meant; Python takes all that are not marked as UTF-8 for cp437."""
    raw: dict[int, bytes] = {}
    names = [entry.filename for entry in entries]
    for k, entry in enumerate(entries):
        if entry.flag_bits & UTF8 or names[k].isascii():
            continue
        if stated := read_unicode_path(entry.extra):
            names[k] = stated
            continue
        try:
            raw[k] = names[k].encode("cp437")
        except UnicodeEncodeError:  # Python has read it from the extra field already
            continue
    for k, name in zip(raw, decode_names([*raw.values()]), strict=True):
        names[k] = name
    return names


def read_unicode_path(extra: bytes) -> str:
    """The name in UTF-8 that some programs add to an entry; empty if there is none."""
    at = 0
    while at + 4 <= len(extra):
        size = int.from_bytes(extra[at + 2 : at + 4], "little")
        if extra[at : at + 2] == UNICODE_PATH:
            try:
                return extra[at + 9 : at + 4 + size].decode("utf-8")
            except UnicodeDecodeError:
                return ""
        at += 4 + size
    return ""


def open_entry(archive: zipfile.ZipFile, name: str, entry: zipfile.ZipInfo) -> BinaryIO:
    """Open an entry: a small one in memory, a large one to be read as far as its image needs.

    Raises:
        DataError: it is damaged, or claims to be larger than any image.
    """
    if entry.file_size > LARGEST:
        raise DataError(f"{name} cannot be read: it claims {entry.file_size:,} bytes.")
    is_image = name.lower().endswith(tuple(f".{extension}" for extension in images.EXTENSIONS))
    if entry.file_size > WHOLE and not is_image and entry.file_size > BOMB * entry.compress_size:
        raise DataError(f"{name} cannot be read: {entry.compress_size:,} bytes claim to be {entry.file_size:,}.")
    try:
        if entry.file_size > WHOLE and is_image:
            return archive.open(entry)  # pyright: ignore[reportReturnType]
        return BytesIO(archive.read(entry))
    except Exception as error:  # damaged bytes raise anything, from zlib.error to NotImplementedError
        raise DataError(f"{name} cannot be read: the zip is damaged there ({error}).") from error
