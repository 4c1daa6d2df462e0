"""Cache of decoded images: each entry is a memory map, under a fingerprint of the files and the options.

    CACHE/<fingerprint>/images.npy    (N, H, W, C)
    CACHE/<fingerprint>/about.json    the size and the checksums of the map, and the report of the decoding

An entry is written under a temporary name and renamed when it is complete.  Of two concurrent writers either may win,
and both read a complete entry; a truncated or damaged entry is detected by its size and checksums and written again,
with a note.
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

from ganforge.data.checksums import BLOCK, BUDGET, BlockSums, is_intact, sum_blocks
from ganforge.data.paths import cache_home
from ganforge.files import write_atomic

T = TypeVar("T")
R = TypeVar("R")
FORMAT = 1  # of an entry, and of how files are decoded: raise it when either changes
DAY = 86_400  # seconds after which the drafts of killed writers are deleted


@dataclass(frozen=True)
class DecodeReport:
    """What decoding did: which images were kept, and notes for the user.  Stored in the cache."""

    kept: tuple[int, ...]
    """Indices of the images of the source that the rows hold, in order."""
    notes: tuple[str, ...] = ()
    sizes: tuple[tuple[int, int], ...] = ()
    """(height, width) of each image if images keep their own size; the map then holds all their pixels, (P, C)."""

    def rows(self) -> int:
        """The number of rows of the map."""
        return sum(height * width for height, width in self.sizes) if self.sizes else len(self.kept)


@dataclass(frozen=True)
class Decoded:
    """Decoded images (N, H, W, C), or the pixels (P, C) of images of different sizes, with their report."""

    images: np.ndarray
    report: DecodeReport


@dataclass(frozen=True)
class DecodeJob:
    """How to fill a cache entry: yield rows of one shape, one or several at a time, then return the report."""

    shape: tuple[int, ...]
    dtype: np.dtype
    rows: Iterable[np.ndarray]
    report: Callable[[], DecodeReport]
    """Called after the last row; raises DataError if the rows do not make a data set."""


def fingerprint(*facts: object) -> str:
    """Hash of `facts` (strings, numbers and tuples of them): the name of what follows from them."""
    return hashlib.sha256(json.dumps([FORMAT, *facts], default=str).encode()).hexdigest()[:40]


def is_cached(key: str) -> bool:
    """Whether the cache holds a complete entry `key`."""
    return _load_entry(cache_home() / key) is not None


def load_or_decode(
    key: str, begin: Callable[[], DecodeJob], is_outdated: Callable[[DecodeReport], bool] = lambda _: False
) -> Decoded:
    """Load the entry `key`, or run the job that `begin` returns and store its result there.

    An entry for which `is_outdated` is true is deleted and written again.  If the cache cannot be written, the images
    stay in memory and a note says so.
    """
    folder, damaged = cache_home() / key, False
    for _ in range(3):  # another writer may be moving a damaged entry aside
        if (entry := _load_entry(folder)) and not is_outdated(entry.report):
            note = f"The cache entry {folder} was damaged: its images were decoded again."
            notes = (*entry.report.notes, *([note] if damaged else []))
            return replace(entry, report=replace(entry.report, notes=notes))
        if entry:
            shutil.rmtree(folder, ignore_errors=True)
        elif folder.exists():
            damaged = True
        try:
            draft = _make_draft(folder)
        except OSError as error:
            return _decode_into_memory(begin(), f"{folder.parent} cannot be written ({error.strerror})")
        try:
            _write_entry(draft, begin())
            _publish(draft, folder)
        except OSError as error:
            return _decode_into_memory(begin(), f"{folder.parent} could not be written ({error.strerror or error})")
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return _decode_into_memory(begin(), f"{folder} keeps changing")


def _load_entry(folder: Path) -> Decoded | None:
    """The entry in `folder`; None unless it is complete and has its checksums."""
    try:
        about = json.loads((folder / "about.json").read_text("utf-8"))
        if (folder / "images.npy").stat().st_size != about["bytes"] or not _check_sums(folder, about):
            return None
        images = np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False)
        sizes = tuple((height, width) for height, width in about["story"].get("sizes", ()))
        report = DecodeReport(tuple(about["story"]["kept"]), tuple(about["story"]["notes"]), sizes)
    except (OSError, ValueError, KeyError, TypeError):  # missing or damaged: written again either way
        return None
    return Decoded(images, report) if len(images) == report.rows() else None


def _check_sums(folder: Path, about: dict[str, Any]) -> bool:
    """Compare an entry with its checksums; an entry of an older version gets those that it has now."""
    images = folder / "images.npy"
    if "sum" not in about:
        if about["bytes"] <= BUDGET:
            sums = sum_blocks(images, range(-(-about["bytes"] // BLOCK)))
            with suppress(OSError):
                write_atomic(folder / "about.json", _seal(about | {"blocks": sums}, images))
        return True
    if about.pop("sum") != _sum_facts(about) or not is_intact(images, about["blocks"], about["written"]):
        return False
    if images.stat().st_mtime_ns != about["written"]:  # it was copied, and all of it was compared
        with suppress(OSError):
            write_atomic(folder / "about.json", _seal(about, images))
    return True


def _seal(about: dict[str, Any], images: Path) -> str:
    """The text of about.json, with a checksum of its own."""
    about = about | {"written": images.stat().st_mtime_ns}
    return json.dumps(about | {"sum": _sum_facts(about)})


def _sum_facts(about: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _make_draft(folder: Path) -> Path:
    """Make a new draft folder beside `folder`, and delete old drafts of killed writers."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    for old in folder.parent.glob(".draft-*"):
        with suppress(FileNotFoundError):  # its writer has just renamed it
            if time.time() - old.stat().st_mtime > DAY:
                shutil.rmtree(old, ignore_errors=True)
    draft = folder.with_name(f".draft-{folder.name[:12]}-{uuid4().hex}")
    draft.mkdir()
    return draft


def _write_entry(draft: Path, job: DecodeJob) -> None:
    """Stream the rows into a .npy file; the row count in its header is written last.

    With a memory map a full disk would kill the process by a signal; with a file it raises OSError.
    """
    sums = BlockSums()
    with (draft / "images.npy").open("xb") as file:
        count = 0
        _write_header(file, count, job)
        sums.update(memoryview(bytes(file.tell())))  # of the first block, the sum is taken again below
        for row in job.rows:
            data = np.ascontiguousarray(row, job.dtype).data.cast("B") if row.size else memoryview(b"")
            file.write(data)
            sums.update(data)
            count += row.size // math.prod(job.shape)
        file.seek(0)
        _write_header(file, count, job)  # same length as before: numpy leaves room for the first axis to grow
        _flush(file.fileno(), file.flush)
    sums.sums[:1] = sum_blocks(draft / "images.npy", [0])
    about = {"bytes": (draft / "images.npy").stat().st_size, "story": asdict(job.report()), "blocks": sums.sums}
    with (draft / "about.json").open("x", encoding="utf-8") as file:
        file.write(_seal(about, draft / "images.npy"))
        _flush(file.fileno(), file.flush)


def _write_header(file: Any, count: int, job: DecodeJob) -> None:
    facts = {"descr": np.lib.format.dtype_to_descr(job.dtype), "fortran_order": False, "shape": (count, *job.shape)}
    np.lib.format.write_array_header_1_0(file, facts)


def _flush(descriptor: int, flush: Callable[[], None]) -> None:
    flush()
    os.fsync(descriptor)


def _publish(draft: Path, folder: Path) -> None:
    """Rename the draft to `folder`, unless another writer was first; a damaged entry there is deleted."""
    if folder.exists() and _load_entry(folder) is None:
        aside = draft.with_name(f"{draft.name}-aside")
        with suppress(FileNotFoundError):  # another writer moved it first
            folder.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)
    try:
        draft.rename(folder)
    except OSError:
        if _load_entry(folder) is None:
            raise


def _decode_into_memory(job: DecodeJob, why: str) -> Decoded:
    rows = [np.ascontiguousarray(row, job.dtype).reshape(-1, *job.shape) for row in job.rows]
    report = job.report()
    note = f"The images were decoded into memory, because the cache {why}; GANFORGE_CACHE names another place."
    images = np.concatenate(rows) if rows else np.empty((0, *job.shape), job.dtype)
    return Decoded(images, replace(report, notes=(*report.notes, note)))


def map_in_threads(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Yield `function(item)` for each item, in order, computed ahead in threads: decoders release Python's lock."""
    workers = min(8, os.cpu_count() or 1)
    pool, ahead = ThreadPoolExecutor(workers), deque[Future[R]]()
    try:
        for item in items:
            ahead.append(pool.submit(function, item))
            if len(ahead) > 8 * workers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:  # an abandoned generator may be closed in one of its own threads, which cannot wait for itself
        pool.shutdown(wait=False, cancel_futures=True)
