"""log.jsonl: one line of figures a log, readable by anything, and how its rows are read."""

import json
from pathlib import Path

from ganforge.engine import Callback, Engine, Row
from ganforge.errors import RunError
from ganforge.files import reason, write_whole


class Log(Callback):
    """Appends every row to a file.  A resumed run first cuts off what it will play again."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def start(self, engine: Engine) -> None:
        """Cut the file back to where the run stands."""
        try:
            kept = "".join(json.dumps(row) + "\n" for row in rows(self.path) if row["step"] <= engine.step)
            if self.path.exists() and self.path.read_text(encoding="utf-8", errors="replace") != kept:
                write_whole(self.path, kept)
        except OSError as error:
            raise unwritable(self.path, error) from error

    def log(self, engine: Engine, row: Row) -> None:
        """Append `row`; closing the file hands the line to the system, so that only a power cut can lose it."""
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
        except OSError as error:
            raise unwritable(self.path, error) from error


def unwritable(path: Path, error: OSError) -> RunError:
    """The error of a log that cannot be written."""
    return RunError(f"The log {path} cannot be written ({reason(error)}): make room or mend its permissions.")


def rows(path: Path) -> list[Row]:
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


def losses(row: Row) -> dict[str, float]:
    """{player: the sum of its terms}, without what judges say."""
    sums: dict[str, float] = {}
    for name, value in row.items():
        player, slash, term = name.partition("/")
        if slash and not term.startswith("says_"):
            sums[player] = sums.get(player, 0.0) + value
    return sums


def says(row: Row, about: str) -> float | None:
    """The mean verdict about "real" or "fake" pictures, over all judges; None where no judge reports it."""
    verdicts = [value for name, value in row.items() if name.endswith(f"/says_{about}")]
    return sum(verdicts) / len(verdicts) if verdicts else None
