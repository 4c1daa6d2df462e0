"""The progress bar; where the output is no terminal, one plain line a log."""

import math
import time
import weakref
from collections import deque

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ganforge.callbacks.log import losses, says
from ganforge.engine import Callback, Engine, Row

REFRESH = 0.25  # seconds between two pictures of the bar
WINDOW = 120  # pictures over which the speed is measured: the last half minute


class Progress(Callback):
    """Shows how far a run is, how fast, and what its last log said."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console()
        self.plain = not self.console.is_terminal or self.console.is_dumb_terminal

    def start(self, engine: Engine) -> None:
        """The speed counts from here, also when a run goes on."""
        if hasattr(self, "stop"):  # a run that went back to a checkpoint starts twice
            self.stop()
        self.last = ""
        self.marks = deque([mark(engine)], maxlen=WINDOW)
        if not self.plain:
            # Without a thread of its own the bar costs nothing between two refreshes.
            self.live = Live(console=self.console, auto_refresh=False)
            self.live.start()
            # Also when the run ends by an error, the terminal gets its cursor back.
            self.stop = weakref.finalize(self, self.live.stop)
            self.show(engine)

    def round(self, engine: Engine) -> None:
        """Draw the bar, if it is time to."""
        if not self.plain and time.perf_counter() - self.marks[-1][0] >= REFRESH:
            self.marks.append(mark(engine))
            self.show(engine)

    def log(self, engine: Engine, row: Row) -> None:
        """Keep what there is to say for the bar, or say it."""
        self.last = "  ".join([*loss_words(row), *verdict_words(row, engine.game.discriminator_output)])
        if self.plain:
            self.marks.append(mark(engine))
            speed, left = self.speed(engine)
            share = f"{engine.step / max(1, engine.run.steps):.0%}"
            digits = len(str(engine.run.steps))
            line = f"step {engine.step:{digits}}/{engine.run.steps}  {share:>4}  {speed}  {left}  {self.last}"
            print(line, file=self.console.file, flush=True)

    def end(self, engine: Engine) -> None:
        """Leave the last state of the bar on the screen."""
        if not self.plain:
            self.marks.append(mark(engine))
            self.show(engine)
            self.stop()

    def speed(self, engine: Engine) -> tuple[str, str]:
        """How fast it goes, and how long it still takes."""
        (before, step, seen), (now, to_step, to_seen) = self.marks[0], self.marks[-1]
        seconds = max(now - before, 1e-9)
        rounds = (to_step - step) / seconds
        if not rounds:
            return "", ""
        images = f"{figure((to_seen - seen) / seconds)} images/s"
        return f"{figure(rounds)} steps/s  {images}", f"{duration((engine.run.steps - engine.step) / rounds)} left"

    def show(self, engine: Engine) -> None:
        """Draw the bar and the line below it."""
        speed, left = self.speed(engine)
        bar = Table.grid(padding=(0, 2))
        bar.add_row(
            ProgressBar(max(1, engine.run.steps), engine.step, 28, complete_style="cyan", finished_style="green"),
            Text(f"{engine.step}/{engine.run.steps}"),
            Text(speed, "dim"),
            Text(left, "cyan"),
        )
        self.live.update(Group(bar, Text(self.last)), refresh=True)


def mark(engine: Engine) -> tuple[float, int, int]:
    """(time, rounds played, images dealt)."""
    return time.perf_counter(), engine.step, engine.clock().seen


def loss_words(row: Row) -> list[str]:
    """`generator 1.10`, `discriminator 0.64`."""
    return [f"{player} {value:.2f}" for player, value in losses(row).items()]


def verdict_words(row: Row, verdicts: str) -> list[str]:
    """`D(x) 0.71`, `D(G(z)) 0.22`; of a critic, whose scores have no scale, `says real +1.2`, `fake -0.8`."""
    real, fake = says(row, "real"), says(row, "fake")
    if verdicts == "logits":
        pairs = [("D(x)", real), ("D(G(z))", fake)]
        return [f"{name} {probability(said):.2f}" for name, said in pairs if said is not None]
    pairs = [("says real", real), ("fake" if real is not None else "says fake", fake)]
    return [f"{name} {said:+.1f}" for name, said in pairs if said is not None]


def probability(logit: float) -> float:
    """What a mean logit says as a probability.

    This is the sigmoid of the mean, not the mean of the sigmoids: a single sure verdict counts for more,
    and the loop has one number less to keep.
    """
    return 0.5 + 0.5 * math.tanh(logit / 2)


def figure(value: float) -> str:
    """Three digits of a speed: 0.0312, 1.25, 12.0, 1250."""
    return f"{value:.0f}" if value >= 100 else f"{value:#.3g}"


def duration(seconds: float) -> str:
    """45 s as 0:45, two hours as 2:00:00."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
