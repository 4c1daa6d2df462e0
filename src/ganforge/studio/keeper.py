"""Loaded runs: kept by least recent use within a bound of memory; one answers at a time, and few wait."""

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ganforge.errors import OptionError
from ganforge.inference.load import load
from ganforge.inference.trained import Trained
from ganforge.studio.library import Library

MOST_WAITING = 40
"""Requests that may wait for their turn; more are refused with a sentence."""


class BusyError(OptionError):
    """More requests wait than may."""


class Keeper:
    """Loads runs and lends them, one at a time."""

    def __init__(self, library: Library, memory: int, device: str = "auto", waiting: int = MOST_WAITING) -> None:
        """`memory`: bytes of weights that are kept, beside those of the run in use."""
        self.library, self.memory, self.device = library, memory, device
        self.loaded: OrderedDict[Path, tuple[str, Trained]] = OrderedDict()
        self.turn, self.counter = threading.Lock(), threading.Lock()
        self.waiting, self.most = 0, waiting

    @contextmanager
    def use(self, key: object) -> Iterator[Trained]:
        """The run of a key, alone until the block ends.

        Raises BusyError where too many wait, RunError for a key that is none, and what `load` raises.
        """
        with self.counter:
            if self.waiting >= self.most:
                raise BusyError("busy")
            self.waiting += 1
        try:
            with self.turn:
                yield self.get(self.library.path(key))
        finally:
            with self.counter:
                self.waiting -= 1

    def get(self, path: Path) -> Trained:
        """The loaded run of a folder, loaded anew where it has a newer checkpoint."""
        pointer = path / "checkpoints" / "latest"
        newest = pointer.read_text(encoding="utf-8") if pointer.is_file() else ""
        if path not in self.loaded or self.loaded[path][0] != newest:
            self.loaded.pop(path, None)
            self.loaded[path] = newest, load(path, self.device)
        self.loaded.move_to_end(path)
        while len(self.loaded) > 1 and sum(bytes_of(run) for _, run in self.loaded.values()) > self.memory:
            self.loaded.popitem(last=False)
        return self.loaded[path][1]


def bytes_of(trained: Trained) -> int:
    """Bytes of a run's weights and buffers."""
    game = trained.game
    return sum(tensor.numel() * tensor.element_size() for tensor in (*game.parameters(), *game.buffers()))
