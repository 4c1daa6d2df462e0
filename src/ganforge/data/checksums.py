"""Checksums of the blocks of a cached file, which find a byte that a disk or a program has changed.

A file up to BUDGET is read and compared whenever it is opened, at about two gigabytes a second.  Of a larger one all
blocks are compared if its time of change is another than when it was written, else a sample, others each time: so large
sets open as quickly as before, and a block that a disk has damaged is found within some openings.
"""

import os
import time
import zlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

BLOCK = 2**22  # bytes
BUDGET = 2**30  # bytes up to which all of a file is compared when it is opened
SAMPLE = 2**28  # bytes that are compared of a larger file
ONCE = 2**26  # bytes above which a file that has not changed is compared once in a process

_compared: dict[Path, tuple[int, int, int]] = {}


class BlockSums:
    """CRC-32 of every block of a stream of bytes."""

    def __init__(self) -> None:
        self.sums: list[int] = []
        self.filled = BLOCK

    def update(self, data: memoryview) -> None:
        """Add bytes to the stream."""
        at = 0
        while at < len(data):
            if self.filled == BLOCK:
                self.sums.append(0)
                self.filled = 0
            part = data[at : at + BLOCK - self.filled]
            self.sums[-1] = zlib.crc32(part, self.sums[-1])
            at, self.filled = at + len(part), self.filled + len(part)


def sum_blocks(path: Path, blocks: Iterable[int]) -> list[int]:
    """CRC-32 of these blocks of a file, computed in threads.  Raises OSError."""
    with path.open("rb") as file, ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        read = os.pread if hasattr(os, "pread") else None

        def sum_block(block: int) -> int:
            if read:
                return zlib.crc32(read(file.fileno(), BLOCK, block * BLOCK))
            with path.open("rb") as own:  # Windows
                own.seek(block * BLOCK)
                return zlib.crc32(own.read(BLOCK))

        return [*pool.map(sum_block, blocks)]


def is_intact(path: Path, sums: Sequence[int], written_ns: int) -> bool:
    """Whether the blocks of a file, written at `written_ns`, have these sums; an unchanged large file is sampled.

    Raises:
        OSError: it cannot be read.
    """
    state = path.stat()
    mark = (state.st_size, state.st_mtime_ns, state.st_ino)
    if len(sums) != -(-state.st_size // BLOCK):
        return False
    if state.st_size > ONCE and _compared.get(path) == mark:
        return True
    blocks = range(len(sums))
    if state.st_size > BUDGET and state.st_mtime_ns == written_ns:
        step = -(-state.st_size // SAMPLE)
        blocks = sorted({0, len(sums) - 1, *range(time.time_ns() % step, len(sums), step)})
    if sum_blocks(path, blocks) != [sums[block] for block in blocks]:
        return False
    _compared[path] = mark
    return True
