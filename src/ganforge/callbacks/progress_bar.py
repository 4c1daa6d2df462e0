"""The progress bar; where the output is not a terminal, one plain line a logged step."""

import math
import time
from collections import deque
from collections.abc import Container, Iterable

from rich import progress
from rich.console import Console, RenderableType
from rich.text import Text

from ganforge.callbacks.log import losses, mean_output
from ganforge.console import Bar, can_draw, printer
from ganforge.engine import Callback, Engine, Row

REFRESH = 0.25  # seconds between two redraws of the bar
WINDOW = 120  # redraws over which the speed is measured: the last half minute


class Progress(Callback):
    """Shows the progress of a run, its speed, and its last log row."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console()
        self.plain = not can_draw(self.console)

    def start(self, engine: Engine) -> None:
        """Measure the speed from here, also in a resumed run."""
        if hasattr(self, "bar"):  # a run that went back to a checkpoint starts twice
            self.bar.stop()
        self.last = ""
        self.marks = deque([measure_progress(engine)], maxlen=WINDOW)
        if not self.plain:
            self.bar = Bar("", BarAndRow(self.console), speed="", left="", row="")
            self.show(engine)

    def after_step(self, engine: Engine) -> None:
        """Redraw the bar, if it is due."""
        if not self.plain and time.perf_counter() - self.marks[-1][0] >= REFRESH:
            self.marks.append(measure_progress(engine))
            self.show(engine)

    def log(self, engine: Engine, row: Row) -> None:
        """Store the row for the bar, or print it as a line."""
        self.last = "  ".join(
            [*format_losses(row, engine.means.logged_only), *format_outputs(row, engine.game.discriminator_output)]
        )
        if self.plain:
            self.marks.append(measure_progress(engine))
            speed, left = self.speed(engine)
            share = f"{engine.step / max(1, engine.run.steps):.0%}"
            digits = len(str(engine.run.steps))
            line = f"step {engine.step:{digits}}/{engine.run.steps}  {share:>4}  {speed}  {left}  {self.last}"
            printer(self.console)(line)

    def end(self, engine: Engine) -> None:
        """Leave the final state of the bar on the screen."""
        if not self.plain:
            self.marks.append(measure_progress(engine))
            self.show(engine)
            self.bar.stop()

    def speed(self, engine: Engine) -> tuple[str, str]:
        """The speed, and the time left, as text."""
        (before, step, seen), (now, to_step, to_seen) = self.marks[0], self.marks[-1]
        seconds = max(now - before, 1e-9)
        steps = (to_step - step) / seconds
        if not steps:
            return "", ""
        images = f"{format_speed((to_seen - seen) / seconds)} images/s"
        left = format_duration((engine.run.steps - engine.step) / steps)
        return f"{format_speed(steps)} steps/s  {images}", f"{left} left"

    def show(self, engine: Engine) -> None:
        """Draw the bar and the line below it."""
        speed, left = self.speed(engine)
        self.bar.at(engine.step, max(1, engine.run.steps), speed=speed, left=left, row=self.last)


class BarAndRow(progress.Progress):
    """The bar of a run, and its last log row below.

    It is drawn only when it is told to: a thread that refreshes it would take time from the training steps.
    """

    def __init__(self, console: Console) -> None:
        columns = (
            progress.BarColumn(28, complete_style="cyan", finished_style="green"),
            progress.TextColumn("{task.completed}/{task.total}"),
            progress.TextColumn("{task.fields[speed]}", "dim", markup=False),
            progress.TextColumn("{task.fields[left]}", "cyan", markup=False),
        )
        super().__init__(*columns, console=console, auto_refresh=False)

    def get_renderables(self) -> Iterable[RenderableType]:
        """The bar, and the row as plain text."""
        yield self.make_tasks_table(self.tasks)
        yield from (Text(task.fields["row"]) for task in self.tasks)


def measure_progress(engine: Engine) -> tuple[float, int, int]:
    """(time, steps done, images seen)."""
    return time.perf_counter(), engine.step, engine.clock().seen


def format_losses(row: Row, logged_only: Container[str] = ()) -> list[str]:
    """`generator 1.10`, `discriminator 0.64`: the sums of the terms that are descended."""
    return [f"{player} {value:.2f}" for player, value in losses(row, logged_only).items()]


def format_outputs(row: Row, output_type: str) -> list[str]:
    """`D(x) 0.71`, `D(G(z)) 0.22`; for a critic, whose scores have no scale, `says real +1.2`, `fake -0.8`."""
    real, fake = mean_output(row, "real"), mean_output(row, "fake")
    if output_type == "logits":
        pairs = [("D(x)", real), ("D(G(z))", fake)]
        return [f"{name} {probability(output):.2f}" for name, output in pairs if output is not None]
    pairs = [("says real", real), ("fake" if real is not None else "says fake", fake)]
    return [f"{name} {output:+.1f}" for name, output in pairs if output is not None]


def probability(logit: float) -> float:
    """The sigmoid of a mean logit.

    This is not the mean of the sigmoids: a single confident output weighs more, and the training loop has one number
    less to log.
    """
    return 0.5 + 0.5 * math.tanh(logit / 2)


def format_speed(value: float) -> str:
    """A speed in three digits: 0.0312, 1.25, 12.0, 1250."""
    return f"{value:.0f}" if value >= 100 else f"{value:#.3g}"


def format_duration(seconds: float) -> str:
    """45 s as 0:45, two hours as 2:00:00."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
