"""Read the files of a run folder.  Whatever is wrong with one of them becomes one RunError.

A run folder may come from somebody else, from a failing disk or out of an editor.  So a pipe, a device or a folder in
the place of a file is refused before it is opened, sizes are limited, YAML may have no aliases, and text that GANForge
writes ends in its own SHA-256: the seal.
"""

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any

import yaml

from ganforge.errors import RunError
from ganforge.files import reason

LARGEST = 4 * 2**20
"""Bytes of a config.yaml or a state.json, at most: a hundred times the largest that GANForge writes."""
LONGEST_LINE = 2**20
KINDS = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"), (stat.S_ISLNK, "a link"))
SEAL_NOTE = "; after an edit: ganforge show RUN --accept-config\n"
SEAL = re.compile(rb"^# sha256 of all above: ([0-9a-f]{64})" + re.escape(SEAL_NOTE.encode()) + rb"\Z", re.MULTILINE)
NO_SEAL = "0" * 64


# Files ----------------------------------------------------------------------------------------------


def describe_kind(mode: int) -> str:
    """What a path is, from its mode; empty for a file."""
    return "" if stat.S_ISREG(mode) else next((name for check, name in KINDS if check(mode)), "a device")


def open_file(path: Path) -> BufferedReader:
    """Open a file to read.  Raises RunError for anything else, without waiting for it."""
    try:
        if kind := describe_kind(path.stat().st_mode):
            raise RunError(f"{path} is {kind}, and should be a file.")
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        if kind := describe_kind(os.fstat(handle).st_mode):  # it was replaced meanwhile
            os.close(handle)
            raise RunError(f"{path} is {kind}, and should be a file.")
        return os.fdopen(handle, "rb")
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read ({reason(error)}).") from error


def read_bytes(path: Path, most: int = LARGEST) -> bytes:
    """The content of a file.  Raises RunError where it cannot be read or has more than `most` bytes."""
    try:
        with open_file(path) as file:
            content = file.read(most + 1)
    except OSError as error:
        raise RunError(f"{path} cannot be read ({reason(error)}).") from error
    if len(content) > most:
        raise RunError(f"{path} has more than {most:,} bytes, so it is not one that GANForge wrote.")
    return content


def read_word(path: Path) -> str:
    """The one line of a small file.  Raises RunError where it cannot be read."""
    return read_bytes(path, 1000).decode("utf-8", "replace").strip()


def hash_file(path: Path) -> str:
    """SHA-256 of a file.  Raises RunError where it is no file or cannot be read."""
    try:
        with open_file(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise RunError(f"{path} cannot be read ({reason(error)}).") from error


def check_appendable(path: Path) -> None:
    """Raise RunError unless `path` is a file or nothing: through a link, a run could write into other places."""
    try:
        kind = describe_kind(path.lstat().st_mode)
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be used ({reason(error)}).") from error
    if kind:
        raise RunError(f"{path} is {kind}, and should be a file: remove it.")


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """(number, line) of a text file, from 1 on; what is no UTF-8 is replaced.  Nothing where there is no file.

    Raises RunError where it cannot be read, and for lines that are too long.
    """
    if not os.path.lexists(path):
        return
    try:
        with open_file(path) as file:
            number = 0
            while line := file.readline(LONGEST_LINE):
                number += 1
                if len(line) == LONGEST_LINE:
                    raise RunError(f"Line {number} of {path} has more than {LONGEST_LINE:,} bytes.")
                yield number, line.decode("utf-8", "replace")
    except OSError as error:
        raise RunError(f"{path} cannot be read ({reason(error)}).") from error


# YAML and its seal ----------------------------------------------------------------------------------


class PlainLoader(yaml.SafeLoader):
    """YAML of plain values without aliases, which could stand for more than fits into memory."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        """A node.  Raises YAMLError for an alias."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError(f"line {self.peek_event().start_mark.line + 1} has an alias, which no setting needs")
        return super().compose_node(parent, index)


def parse_yaml(path: Path, content: bytes) -> dict[str, Any]:
    """The mapping in a YAML text.  Raises RunError where it is none."""
    try:
        values = yaml.load(content.decode("utf-8"), PlainLoader)
    except RecursionError as error:
        raise RunError(f"{path} cannot be read: it is nested too deeply.") from error
    except (yaml.YAMLError, ValueError, TypeError, OverflowError, AttributeError) as error:
        raise RunError(f"{path} cannot be read: {' '.join(str(error).split())[:300]}") from error
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise RunError(f"{path} cannot be read: it holds no settings.")
    return values


def add_seal(text: str) -> str:
    """A YAML text with a last line that holds its SHA-256, and the command that accepts an edited text."""
    body = text if text.endswith("\n") else f"{text}\n"
    return f"{body}# sha256 of all above: {hashlib.sha256(body.encode()).hexdigest()}{SEAL_NOTE}"


def split_seal(content: bytes) -> tuple[bytes, str]:
    """A text without its seal, and the SHA-256 in the seal: empty where there is none."""
    found = SEAL.search(content)
    return (content[: found.start()], found[1].decode()) if found else (content, "")


def is_sealed(content: bytes) -> bool | None:
    """Whether the seal of a YAML text is right; None where it has none."""
    body, seal = split_seal(content)
    return hashlib.sha256(body).hexdigest() == seal if seal else None


# JSON and its seal ----------------------------------------------------------------------------------


def parse_json(path: Path, content: bytes) -> dict[str, Any]:
    """The object in a JSON text.  Raises RunError where it is none."""
    try:
        values = json.loads(content.decode("utf-8"))
    except RecursionError as error:
        raise RunError(f"{path} cannot be read: it is nested too deeply.") from error
    except ValueError as error:
        raise RunError(f"{path} cannot be read: {reason(error)}") from error
    if not isinstance(values, dict):
        raise RunError(f"{path} cannot be read: it holds no object.")
    return values


def dump_sealed_json(values: dict[str, Any]) -> str:
    """Values as JSON whose last entry is the SHA-256 of the text that has zeros there."""
    text = json.dumps({**values, "seal": NO_SEAL}, indent=1)
    return text.replace(f'"seal": "{NO_SEAL}"', f'"seal": "{hashlib.sha256(text.encode()).hexdigest()}"')


def read_sealed_json(path: Path, sealed: int, newest: int) -> dict[str, Any]:
    """The object in a file that `dump_sealed_json` wrote, without its seal.

    `sealed` is the first `format` that has a seal, `newest` the newest that is known.  Raises RunError where the file
    was changed, and ValueError where a newer GANForge wrote it.
    """
    content = read_bytes(path)
    values = parse_json(path, content)
    seal, edition = values.pop("seal", None), values.get("format")
    if not isinstance(edition, int):
        raise RunError(f"{path} does not say its format.")
    if edition > newest:
        raise ValueError("it was written by a newer GANForge")
    if seal is None and edition < sealed:
        return values
    end = f'"seal": "{seal}"'.encode()
    zeros = f'"seal": "{NO_SEAL}"'.encode()
    if content.count(end) != 1 or hashlib.sha256(content.replace(end, zeros)).hexdigest() != seal:
        raise RunError(f"{path} is not as it was written: its SHA-256 is wrong.")
    return values
