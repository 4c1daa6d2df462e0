"""Pictures decoded once: a memory map beside a fingerprint of the files and of what was made of them.

    CACHE/<fingerprint>/images.npy    (N, H, W, C)
    CACHE/<fingerprint>/about.json    how long the map is, and what happened while it was made

An entry is written under a temporary name and renamed when it is whole.  Of two writers either wins, and
both read a whole entry; one that is truncated or damaged is found by its size and made again.
"""

import hashlib
import json
import math
import os
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import numpy as np

from ganforge.data.paths import cache_home

T = TypeVar("T")
R = TypeVar("R")
FORMAT = 1  # of an entry, and of what decoding makes of a file: raise it when either changes
DAY = 86_400  # seconds after which the leavings of a writer that was killed are cleared away


@dataclass(frozen=True)
class DecodeReport:
    """What happened while pictures were decoded."""

    kept: tuple[int, ...]
    """Which of the source's pictures the rows hold, in order."""
    notes: tuple[str, ...] = ()
    sizes: tuple[tuple[int, int], ...] = ()
    """Height and width of each, where pictures keep their own size: the map then holds their pixels, (P, C)."""

    def rows(self) -> int:
        """How long the map is."""
        return sum(height * width for height, width in self.sizes) if self.sizes else len(self.kept)


@dataclass(frozen=True)
class Decoded:
    """Pictures (N, H, W, C), or the pixels (P, C) of all, and what happened while they were decoded."""

    images: np.ndarray
    story: DecodeReport


@dataclass(frozen=True)
class DecodeJob:
    """What has to be done when the cache does not have it: rows of one shape, one or many at a time, then the story."""

    shape: tuple[int, ...]
    dtype: np.dtype
    rows: Iterable[np.ndarray]
    story: Callable[[], DecodeReport]
    """Asked once the rows are through; raises where they make no data set."""


def fingerprint(*facts: object) -> str:
    """A name for what follows from `facts`: text, numbers and tuples of them."""
    return hashlib.sha256(json.dumps([FORMAT, *facts], default=str).encode()).hexdigest()[:40]


def kept(key: str) -> bool:
    """Whether the cache has what is called `key`, whole."""
    return _find(cache_home() / key) is not None


def decoded(
    key: str, begin: Callable[[], DecodeJob], outdated: Callable[[DecodeReport], bool] = lambda _: False
) -> Decoded:
    """What `begin` leads to: from the cache under `key`, or made now and put there; anew where that is `outdated`.

    Where the cache cannot be written the pictures stay in memory, and a note says so.
    """
    folder = cache_home() / key
    for _ in range(3):  # another writer may put a damaged entry aside at the moment we look
        if (found := _find(folder)) and not outdated(found.story):
            return found
        if found:
            shutil.rmtree(folder, ignore_errors=True)
        try:
            draft = _draft(folder)
        except OSError as error:
            return _in_memory(begin(), f"{folder.parent} cannot be written ({error.strerror})")
        try:
            _fill(draft, begin())
            _place(draft, folder)
        except OSError as error:
            return _in_memory(begin(), f"{folder.parent} could not be written ({error.strerror or error})")
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return _in_memory(begin(), f"{folder} keeps changing")


def _find(folder: Path) -> Decoded | None:
    """The entry in `folder`, if it is whole."""
    try:
        about = json.loads((folder / "about.json").read_text("utf-8"))
        if (folder / "images.npy").stat().st_size != about["bytes"]:
            return None
        images = np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False)
        sizes = tuple((height, width) for height, width in about["story"].get("sizes", ()))
        story = DecodeReport(tuple(about["story"]["kept"]), tuple(about["story"]["notes"]), sizes)
    except (OSError, ValueError, KeyError, TypeError):  # not there, or damaged: either way it is made again
        return None
    return Decoded(images, story) if len(images) == story.rows() else None


def _draft(folder: Path) -> Path:
    """A new folder beside `folder`, which nobody else uses; what killed writers left long ago goes."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    for old in folder.parent.glob(".draft-*"):
        with suppress(FileNotFoundError):  # its writer is alive, and has just renamed it
            if time.time() - old.stat().st_mtime > DAY:
                shutil.rmtree(old, ignore_errors=True)
    draft = folder.with_name(f".draft-{folder.name[:12]}-{uuid4().hex}")
    draft.mkdir()
    return draft


def _fill(draft: Path, work: DecodeJob) -> None:
    """Stream the rows into a .npy file, whose header gets its count at the end.

    Written through a map, a full disk would be a signal that kills; so it is an error.
    """
    with (draft / "images.npy").open("xb") as file:
        count = 0
        _header(file, count, work)
        for row in work.rows:
            file.write(np.ascontiguousarray(row, work.dtype).data)
            count += row.size // math.prod(work.shape)
        file.seek(0)
        _header(file, count, work)  # as long as before: numpy leaves room for the first axis to grow
        _flush(file.fileno(), file.flush)
    about = {"bytes": (draft / "images.npy").stat().st_size, "story": asdict(work.story())}
    with (draft / "about.json").open("x", encoding="utf-8") as file:
        json.dump(about, file)
        _flush(file.fileno(), file.flush)


def _header(file: Any, count: int, work: DecodeJob) -> None:
    facts = {"descr": np.lib.format.dtype_to_descr(work.dtype), "fortran_order": False, "shape": (count, *work.shape)}
    np.lib.format.write_array_header_1_0(file, facts)


def _flush(descriptor: int, flush: Callable[[], None]) -> None:
    flush()
    os.fsync(descriptor)


def _place(draft: Path, folder: Path) -> None:
    """Give the draft its name, unless another writer was faster; a damaged entry in its place goes."""
    if folder.exists() and _find(folder) is None:
        aside = draft.with_name(f"{draft.name}-aside")
        with suppress(FileNotFoundError):  # the other writer has the same idea
            folder.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)
    try:
        draft.rename(folder)
    except OSError:
        if _find(folder) is None:
            raise


def _in_memory(work: DecodeJob, why: str) -> Decoded:
    rows = [np.ascontiguousarray(row, work.dtype).reshape(-1, *work.shape) for row in work.rows]
    story = work.story()
    note = f"The pictures were decoded into memory, because the cache {why}; GANFORGE_CACHE names another place."
    images = np.concatenate(rows) if rows else np.empty((0, *work.shape), work.dtype)
    return Decoded(images, replace(story, notes=(*story.notes, note)))


def in_threads(do: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """`do(item)` for each item, in order, a few ahead of the reader: decoders release Python's lock."""
    workers = min(8, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:
        ahead: deque[Future[R]] = deque()
        try:
            for item in items:
                ahead.append(pool.submit(do, item))
                if len(ahead) > 8 * workers:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for future in ahead:
                future.cancel()
