"""Messages and progress on the terminal.  rich is imported where it draws: `ganforge --help` answers without it."""

import errno
import logging
import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

Say = Callable[[str], None]


def silent(_: str) -> None:
    """Discard messages: the default when GANForge is used from Python."""


NOTED: set[str] = set()


def note(sentence: str) -> None:
    """Tell what no caller asked for, once in a process: the logger `ganforge`, which prints to stderr by itself."""
    if sentence not in NOTED:
        NOTED.add(sentence)
        logging.getLogger("ganforge").warning("%s", sentence)


T = TypeVar("T")


DELAY = 2.0  # seconds before the bar of `track` appears


class Bar:
    """A progress bar on a terminal; elsewhere a line per tenth of the work, printed by `say`."""

    def __init__(
        self, title: str, progress: "Progress | None", *, delay: float = 0.0, say: Say = silent, **fields: Any
    ) -> None:
        """`progress` draws the bar, after `delay` seconds; None where there is no terminal.  `fields` as in `at`."""
        self.title, self.progress, self.delay, self.say = title, progress, delay, say
        self.done, self.tenth, self.begun = 0, 0, time.monotonic()
        if progress is not None:
            self.task = progress.add_task(title, total=None, **fields)
            # The terminal gets its cursor back even when the work ends by an error.
            self.stop = weakref.finalize(self, progress.stop)
            if not delay:
                progress.start()

    def at(self, done: int, of: int | None, **fields: Any) -> None:
        """Show that `done` of `of` steps are completed; `fields` are the texts of own columns of `progress`."""
        self.done = done
        if self.progress is not None:
            by_hand = not self.progress.live.auto_refresh
            self.progress.update(self.task, completed=done, total=of, refresh=by_hand, **fields)
            if not self.progress.live.is_started and time.monotonic() - self.begun > self.delay:
                self.progress.start()
        elif of and done * 10 // of > self.tenth:
            self.tenth = done * 10 // of
            self.say(f"{self.title}: {self.tenth * 10:3d} %")

    def more(self, of: int | None, n: int = 1) -> None:
        """Show that `n` more of `of` steps are completed."""
        self.at(self.done + n, of)

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *_: object) -> None:
        if self.progress is not None:
            self.stop()


def track(work: Iterable[T], total: int | None, what: str, weight: Callable[[T], int] = lambda _: 1) -> Iterator[T]:
    """Yield the items of `work`; after two seconds a progress bar titled `what` shows how much of `total` is done.

    An item counts as its `weight`.  The bar is written to stderr, and only if that is a terminal.
    """
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    progress = Progress(console=console, transient=True) if can_draw(console) else None
    with Bar(what, progress, delay=DELAY) as shown:
        for item in work:
            yield item
            shown.more(total, weight(item))


def bar(title: str, quiet: bool = False, console: "Console | None" = None) -> Bar:
    """A progress bar while a `with` block runs; without a terminal, a line per tenth.  `quiet` shows nothing."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    console = console or Console()
    if quiet or not can_draw(console):
        return Bar(title, None, say=silent if quiet else printer(console))
    columns = (TextColumn("{task.description}"), BarColumn(28), TextColumn("{task.percentage:3.0f} %"))
    return Bar(title, Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console))


def can_draw(console: "Console") -> bool:
    """Whether a bar can be drawn there: on terminals that can move their cursor."""
    return console.is_terminal and not console.is_dumb_terminal


def printer(console: "Console") -> Say:
    """A function that prints lines there, at once and without any styling."""
    return lambda line: print(line, file=console.file, flush=True)


def count(number: int, one: str, many: str = "") -> str:
    """`1 image`, `2 images`; a plural that does not end in one more s is given: `1 box`, `1,000 boxes`."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def align_columns(rows: Sequence[Sequence[str]], right: bool = False) -> list[str]:
    """Rows of equal length as lines whose columns stand one below another, two spaces apart."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    pad = str.rjust if right else str.ljust
    return ["  ".join(map(pad, row, widths)).rstrip() for row in rows]


# A terminal that goes away ---------------------------------------------------------------------------


class LastingStream:
    """A standard stream whose reader may go (`| head`, a closed window, a full disk): then it writes to nowhere.

    Letters that its encoding lacks are written as their numbers, \\uc548.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.lost = stream, ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        """Write the text, or nowhere."""
        try:
            try:
                return self.stream.write(text)
            except UnicodeEncodeError:
                encoding = self.stream.encoding or "ascii"
                return self.stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        except (OSError, ValueError) as error:
            self.redirect(error)
            return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write some lines."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Hand what is written to the operating system."""
        try:
            self.stream.flush()
        except (OSError, ValueError) as error:
            self.redirect(error)

    def redirect(self, error: OSError | ValueError) -> None:
        """Write to nowhere from now on; `lost` says why, but for a reader that has gone.

        Raises errors of the program itself: letters that are none, bad arguments.
        """
        if isinstance(error, OSError) and error.errno in (errno.EINTR, errno.EAGAIN):
            return  # a slow reader: this text is lost, later ones may pass
        if isinstance(error, ValueError) and not self.stream.closed:
            raise error
        if isinstance(error, OSError) and error.errno != errno.EPIPE:
            self.lost = self.lost or error.strerror or str(error)
        with suppress(OSError, ValueError, AttributeError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.stream.fileno())  # what the buffer still holds goes there too
            os.close(nowhere)


@contextmanager
def lasting_output() -> Iterator[None]:
    """Inside the block a standard stream that nobody reads any more does not end the program (LastingStream)."""
    streams = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (s if s is None or isinstance(s, LastingStream) else LastingStream(s) for s in streams)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        sys.stdout, sys.stderr = streams


@contextmanager
def outlive_terminal() -> Iterator[None]:
    """Inside the block the end of the terminal (SIGHUP) does not end the program, as with nohup; see lasting_output."""
    previous = None
    if hasattr(signal, "SIGHUP") and threading.current_thread() is threading.main_thread():
        previous = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with lasting_output():
            yield
            for stream in (sys.stdout, sys.stderr):
                if isinstance(stream, LastingStream):
                    stream.flush()
                    stream.lost = ""  # what a training prints may be lost
    finally:
        if previous is not None:
            signal.signal(signal.SIGHUP, previous)
