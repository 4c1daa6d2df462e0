"""Names of files: one form for those of folders, zips, tars and lists; and the encodings of text that names none.

A name has forward slashes, no `.` and no empty part, and composed letters (Unicode NFC): Windows writes backslashes,
macOS takes letters apart, and older programs of Windows write cp949 (Korea) or cp437.
"""

import codecs
import os
import re
import unicodedata
from collections.abc import Sequence

SYSTEM_FOLDERS = ("__macosx", "@eadir", "$recycle.bin", "#recycle")  # of macOS, Synology and Windows, in lower case
SHOWN = 90  # characters of a name or value in a sentence
SURROGATES = re.compile(r"[\udc80-\udcff]")  # bytes of a name that are not UTF-8, as os.fsdecode returns them


def clean_name(name: str) -> str:
    """The one form of a path inside a data set."""
    if SURROGATES.search(name):
        name = decode_names([os.fsencode(name)], fallback="")[0] or name
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    return unicodedata.normalize("NFC", "/".join(parts))


def is_data_file(name: str) -> bool:
    """Whether a file may belong to the data: it is not hidden and was not added by an operating system."""
    return not any(part.startswith(".") or part.lower() in SYSTEM_FOLDERS for part in name.split("/"))


def shorten(text: object) -> str:
    """A name or a value for a sentence: in one line, with escapes for invalid letters, cut in the middle."""
    line = " ".join(str(text).encode("utf-8", "backslashreplace").decode().split())
    return line if len(line) <= SHOWN else f"{line[: SHOWN // 2]} ... {line[-SHOWN // 3 :]}"


def decode_names(names: Sequence[bytes], fallback: str = "cp437") -> list[str]:
    """Decode names that were written together and state no encoding: UTF-8, Korean cp949, or else `fallback`.

    Without a fallback the names are empty if they are neither.
    """
    for encoding in ("utf-8", "cp949"):
        try:
            decoded = [name.decode(encoding) for name in names]
        except UnicodeDecodeError:
            continue
        if encoding == "utf-8" or is_korean("".join(decoded)):
            return decoded
    return [name.decode(fallback) if fallback else "" for name in names]


def decode_text(data: bytes) -> tuple[str, str]:
    """Decode the text of a list: (text, the encoding if it is not UTF-8).

    A byte-order mark decides; else it is UTF-8, UTF-16 without a mark, Korean cp949, or Western cp1252.

    Raises:
        ValueError: it is not text.
    """
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if data.startswith(mark):
            return data.decode("utf-8-sig" if encoding == "utf-8" else encoding), encoding.removeprefix("utf-8")
    head = data[:4096]
    if b"\0\0\0\0" in data:
        raise ValueError("it holds empty bytes, and is not text")
    for odd, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        if len(head) > 1 and head[odd::2].count(0) > len(head) // 4:
            return data.decode(encoding), encoding
    if b"\0" in head:
        raise ValueError("it holds empty bytes, and is not text")
    try:
        return data.decode("utf-8"), ""
    except UnicodeDecodeError as error:
        broken = error
    for encoding in ("cp949", "cp1252"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if encoding == "cp949" and not is_korean(text):
            continue
        if all(letter.isprintable() or letter.isspace() for letter in text):
            return text, encoding
    raise ValueError(f"its byte {broken.start} is not text in UTF-8, UTF-16 or cp949")


def is_korean(text: str) -> bool:
    """Whether the letters of a text beyond ASCII are mostly Hangul of everyday use, as those of decoded cp949 are.

    Western text decodes as cp949 too, but to rare syllables and Hanja.
    """
    letters = [letter for letter in text if letter > "\x7f"]
    hangul = sum("가" <= letter <= "힣" and _is_common(letter) for letter in letters)
    return hangul > 0 and hangul >= 0.6 * len(letters)


def _is_common(letter: str) -> bool:
    try:
        return len(letter.encode("euc_kr")) == 2
    except UnicodeEncodeError:
        return False
