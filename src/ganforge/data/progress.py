"""A progress bar for work that turns out to take long."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import Progress

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
