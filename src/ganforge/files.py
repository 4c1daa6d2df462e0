"""Write files atomically, flush them to the disk, hash them, and fill HTML templates."""

import base64
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

from ganforge.errors import RunError


def write_atomic(path: Path, text: str) -> None:
    """Write a small file atomically: readers see the old or the new content, never a part."""
    with _replace(path) as file:
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())
    flush(path.parent)


def flush(path: Path) -> None:
    """Wait until a file, or the entries of a folder, are on the disk."""
    if os.name == "nt" and path.is_dir():  # Windows cannot open folders
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def reason(error: Exception) -> str:
    """A short message for an error, in one line."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).splitlines()[0] if str(error) else type(error).__name__


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Open a file to write that replaces `path` once it is complete; its folder is created.

    Raises:
        RunError: it cannot be written.
    """
    if "\0" in str(path):
        raise RunError(f"{str(path)!r} cannot be written: a name cannot have a null byte.")
    try:
        with _replace(path) as file:
            yield file
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror or error}.") from error


@contextmanager
def _replace(path: Path) -> Iterator[IO[bytes]]:
    draft = path.with_name(f".{path.name[:100]}.{uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("xb") as file:
            yield file
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def render_html(template: Path, /, **values: Any) -> str:
    """Fill a Jinja template with values; they are escaped as HTML, except where the template says `| safe`.

    `{{ value | tojson }}` writes JSON that can stand in a <script>, `{{ png | base64 }}` bytes that can stand in a data
    URI.  A template extends one of another room by its path in the package: `evaluation/report.html`.
    Raises jinja2.UndefinedError for a name that the template uses and `values` lacks.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader([template.parent, Path(__file__).parent]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["base64"] = lambda content: base64.b64encode(content).decode()
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    return environment.get_template(template.name).render(values)
