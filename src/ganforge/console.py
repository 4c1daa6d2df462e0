"""Messages and progress on the terminal."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

Say = Callable[[str], None]


def silent(_: str) -> None:
    """Says nothing: what Python users hear unless they pass something else."""


T = TypeVar("T")


PATIENCE = 2.0  # seconds that a person waits without asking what is going on


def watched(work: Iterable[T], total: int | None, what: str, weight: Callable[[T], int] = lambda _: 1) -> Iterator[T]:
    """The items of `work`; after two seconds a bar called `what` shows how much of `total` is done.

    An item counts as its `weight`.  The bar goes to the error stream, and only to a terminal.
    """
    console = Console(stderr=True)
    bar = Progress(console=console, transient=True, disable=not console.is_terminal)
    task, start, done = bar.add_task(what, total=total), time.monotonic(), 0
    try:
        for item in work:
            yield item
            done += weight(item)
            if not bar.live.is_started and time.monotonic() - start > PATIENCE:
                bar.start()
            bar.update(task, completed=done)
    finally:
        bar.stop()


class Bar:
    """Counts steps and shows them."""

    def __init__(self, title: str, progress: Progress | None, console: Console) -> None:
        self.title, self.progress, self.console = title, progress, console
        self.done, self.tenth = 0, 0
        self.task = progress.add_task(title, total=None) if progress else None

    def at(self, done: int, of: int) -> None:
        """`done` steps of so many are over."""
        self.done = done
        if self.progress is not None and self.task is not None:
            self.progress.update(self.task, completed=done, total=of)
        elif done * 10 // max(1, of) > self.tenth:
            self.tenth = done * 10 // of
            print(f"{self.title}: {self.tenth * 10:3d} %", file=self.console.file, flush=True)

    def more(self, of: int, n: int = 1) -> None:
        """`n` further steps of so many are over."""
        self.at(self.done + n, of)


@contextmanager
def bar(title: str, quiet: bool = False, console: Console | None = None) -> Iterator[Bar]:
    """A bar while the block runs; `quiet` shows nothing."""
    console = Console(quiet=True) if quiet else console or Console()
    if quiet or not console.is_terminal or console.is_dumb_terminal:
        yield Silent(title, None, console) if quiet else Bar(title, None, console)
        return
    columns = (TextColumn("{task.description}"), BarColumn(28), TextColumn("{task.percentage:3.0f} %"))
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console) as progress:
        yield Bar(title, progress, console)


class Silent(Bar):
    """A bar that nobody sees."""

    def at(self, done: int, of: int) -> None:
        """Nothing."""
