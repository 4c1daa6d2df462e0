"""log.jsonl: one line of JSON a logged step, and functions that read its rows."""

from collections.abc import Container
from pathlib import Path

from ganforge.console import note
from ganforge.engine import Callback, Engine, Row
from ganforge.errors import RunError
from ganforge.files import reason
from ganforge.runs.full_disk import lacks_room
from ganforge.runs.rows import append_rows, cut_rows, read_rows

__all__ = ["Log", "log_error", "losses", "mean_output", "read_rows"]


class Log(Callback):
    """Appends every row to a file.  A resumed run first drops the rows of steps that it will repeat.

    Rows that cannot be written, because the disk is full for instance, do not end the run: they wait for the next one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.waiting: list[Row] = []

    def start(self, engine: Engine) -> None:
        """Cut the file back to the current step."""
        self.waiting = []
        try:
            cut_rows(self.path, [row for row in read_rows(self.path) if row["step"] <= engine.step])
        except OSError as error:
            raise log_error(self.path, error) from error

    def log(self, engine: Engine, row: Row) -> None:
        """Append `row`, and the rows that wait."""
        self.waiting.append(row)
        try:
            append_rows(self.path, self.waiting)
            self.waiting = []
        except OSError as error:
            if not lacks_room(error):
                raise log_error(self.path, error) from error
            note(f"{log_error(self.path, error)}  The run goes on, and its rows wait in memory until they fit.")

    def end(self, engine: Engine) -> None:
        """Write the rows that still wait."""
        if self.waiting:
            try:
                append_rows(self.path, self.waiting)
            except OSError as error:
                note(f"{log_error(self.path, error)}  The last {len(self.waiting)} rows of the log are lost.")


def log_error(path: Path, error: OSError) -> RunError:
    """The RunError for a log that cannot be written."""
    return RunError(f"The log {path} cannot be written ({reason(error)}): free some space or correct its permissions.")


def losses(row: Row, logged_only: Container[str] = ()) -> dict[str, float]:
    """{player: the sum of the terms that it descends}; neither the discriminators' mean outputs nor `logged_only`."""
    sums: dict[str, float] = {}
    for name, value in row.items():
        player, slash, term = name.partition("/")
        if slash and not term.startswith("says_") and name not in logged_only:
            sums[player] = sums.get(player, 0.0) + value
    return sums


def mean_output(row: Row, kind: str) -> float | None:
    """The mean output for "real" or "fake" images, over all discriminators; None where none reports it."""
    outputs = [value for name, value in row.items() if name.endswith(f"/says_{kind}")]
    return sum(outputs) / len(outputs) if outputs else None
