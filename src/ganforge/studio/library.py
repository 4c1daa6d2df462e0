"""The runs that the studio shows: run folders that were named, and those in folders that were named.

Every request names a run by its key, which is looked up among the runs that were found: no path comes from a browser.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ganforge.errors import GANForgeError, RunError
from ganforge.runs.folder import RunFolder, is_active, is_run
from ganforge.runs.reading import read_bytes
from ganforge.runs.rows import read_rows

MOST_RUNS = 500  # of the list
REPORT = "report.json"
READ = ("config.yaml", "log.jsonl", "checkpoints", "samples", REPORT)
"""What a card is made of, in a run folder."""


@dataclass(frozen=True)
class Card:
    """What Home says of a run."""

    key: str
    path: Path
    model: str = ""
    data: str = ""
    step: int = 0
    steps: int = 0
    picture: Path | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    problem: str = ""
    """Why the run cannot be shown; empty where it can."""
    active: bool = False
    """Whether a process trains in the folder."""


class Library:
    """The runs of some folders.  Folders are read anew at every call, so that new runs appear."""

    def __init__(self, places: Sequence[str | Path]) -> None:
        """Raises RunError for a place that is no folder."""
        self.places = [Path(place).expanduser().resolve() for place in places]
        for place in self.places:
            if place.exists() and not place.is_dir():
                raise RunError(f"{place} is no folder: name run folders, or folders of runs.")
        self.kinds: dict[Path, tuple[int, Mapping[str, Any]]] = {}
        self.described: dict[Path, tuple[tuple[int, ...], Card]] = {}

    @property
    def home(self) -> Path:
        """The folder in which new trainings are made: the first place that is no run itself."""
        folders = [place for place in self.places if not is_run(place)]
        return folders[0] if folders else self.places[0].parent

    def runs(self) -> dict[str, Path]:
        """{key: run folder}, newest last; the key is the folder's name, with its parent's where two have one name."""
        found = []
        for place in self.places:
            inside = sorted(place.iterdir()) if place.is_dir() and not is_run(place) else [place]
            found += [path for path in inside if is_run(path)]
        names = [path.name for path in found]
        keys = {path: path.name if names.count(path.name) == 1 else f"{path.parent.name}/{path.name}" for path in found}
        return {key: path for path, key in list(keys.items())[-MOST_RUNS:]}

    def path(self, key: object) -> Path:
        """The folder of a run.  Raises RunError for a key that is none."""
        path = self.runs().get(key) if isinstance(key, str) else None
        if path is None:
            raise RunError("There is no such run: choose one of the list.")
        return path

    def able(self, verb: str, first: str = "") -> list[str]:
        """The keys of trained runs that have a capability, newest first; `first` is the first column of its input."""
        keys = []
        for key, path in self.runs().items():
            can = self.abilities(path)
            if verb in can and (not first or can[verb][:1] == (first,)):
                keys.append(key)
        return keys[::-1]

    def abilities(self, path: Path) -> Mapping[str, tuple[str, ...]]:
        """{capability: the columns of its input} of a run; none of one that cannot be opened, or has no checkpoint.

        Only catalogue models, and own files that were trained on this machine, are imported.
        """
        try:
            changed = (path / "config.yaml").stat().st_mtime_ns
            if not (path / "checkpoints" / "latest").exists():
                return {}
        except OSError:
            return {}
        if self.kinds.get(path, (0, {}))[0] != changed:
            try:
                self.kinds[path] = changed, list_abilities(path)
            except GANForgeError:
                self.kinds[path] = changed, {}
        return self.kinds[path][1]

    def cards(self) -> list[Card]:
        """What there is to say of every run, newest first."""
        return [self.card(key, path) for key, path in self.runs().items()][::-1]

    def card(self, key: str, path: Path) -> Card:
        """What there is to say of a run; its files are read again where one of them has changed."""
        changed = tuple(modified(path / name) for name in READ)
        if self.described.get(path, ((), None))[0] != changed:
            self.described[path] = changed, describe(key, path)
        card = self.described[path][1]
        return replace(card, key=key, active=card.step < card.steps and is_active(path))


def list_abilities(path: Path) -> dict[str, tuple[str, ...]]:
    """{capability: the columns of its input} of a run, from its model's methods and its Config.

    Raises GANForgeError where the run or its model cannot be opened.
    """
    from ganforge.capabilities import capabilities
    from ganforge.inference.input_columns import input_columns
    from ganforge.inference.load import config_of, model_of

    run_config = RunFolder.open(path).run_config
    model = model_of(run_config)
    can = capabilities(model.game, config_of(path, run_config, model))
    return dict.fromkeys(can, ()) | ({"translate": input_columns(model.game)} if "translate" in can else {})


def describe(key: str, path: Path) -> Card:
    """What Home says of a run."""
    try:
        folder = RunFolder.open(path)
        run_config, steps = folder.run_config, folder.checkpoints().steps()
    except GANForgeError as error:
        return Card(key, path, problem=str(error))
    return Card(
        key,
        path,
        model=Path(run_config.model).stem,
        data=str(run_config.data.get("asked", "")),
        step=max([*steps, last_logged(path)], default=0),
        steps=int(run_config.run.get("steps", 0) or 0),
        picture=newest_picture(path),
        scores=read_scores(path),
    )


def modified(path: Path) -> int:
    """When a file was changed, in nanoseconds; 0 where there is none."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def newest_picture(path: Path) -> Path | None:
    """The newest grid of a run's samples; None where it has none."""
    grids = sorted((path / "samples").glob("step-*.png"))
    return grids[-1] if grids else None


def last_logged(path: Path) -> int:
    """The step of the last row of a run's log; 0 without one."""
    rows = log_of(path)
    return int(rows[-1]["step"]) if rows else 0


def log_of(path: Path) -> list[dict[str, Any]]:
    """The rows of a run's log; none where it cannot be read."""
    try:
        return [row for row in read_rows(path / "log.jsonl") if "step" in row]
    except (GANForgeError, OSError):
        return []


def read_scores(path: Path) -> dict[str, float]:
    """{measure: value} of a run's report.json; {} without one."""
    try:
        figures = json.loads(read_bytes(path / REPORT)).get("figures", [])
        return {str(f["name"]): float(f["value"]) for f in figures}
    except (RunError, ValueError, TypeError, KeyError, AttributeError):
        return {}
