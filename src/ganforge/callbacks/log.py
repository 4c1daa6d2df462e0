"""log.jsonl: one line of JSON a logged step, and functions that read its rows."""

import json
from collections.abc import Container
from pathlib import Path

from ganforge.engine import Callback, Engine, Row
from ganforge.errors import RunError
from ganforge.files import reason, write_atomic


class Log(Callback):
    """Appends every row to a file.  A resumed run first drops the rows of steps that it will repeat."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def start(self, engine: Engine) -> None:
        """Cut the file back to the current step."""
        try:
            kept = "".join(json.dumps(row) + "\n" for row in read_rows(self.path) if row["step"] <= engine.step)
            if self.path.exists() and self.path.read_text(encoding="utf-8", errors="replace") != kept:
                write_atomic(self.path, kept)
        except OSError as error:
            raise log_error(self.path, error) from error

    def log(self, engine: Engine, row: Row) -> None:
        """Append `row`; closing the file hands the line to the operating system, so only a power cut can lose it."""
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
        except OSError as error:
            raise log_error(self.path, error) from error


def log_error(path: Path, error: OSError) -> RunError:
    """The RunError for a log that cannot be written."""
    return RunError(f"The log {path} cannot be written ({reason(error)}): free some space or correct its permissions.")


def read_rows(path: Path) -> list[Row]:
    """The rows of a log, up to the first line that a power cut left broken; none where there is no file."""
    whole: list[Row] = []
    if not path.exists():
        return whole
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            break
        if not isinstance(row, dict) or "step" not in row:
            break
        whole.append(row)
    return whole


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
