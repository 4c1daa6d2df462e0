"""The run folder: everything about a run in one place, readable without GANForge.

config.yaml     model, Config, Run, facts of the data, versions: enough to rebuild the game
checkpoints/    see checkpoint.py
log.jsonl       one line of figures a log
samples/        grids, the animation of the training
parts/          pretrained parts, each a small run folder of its own
"""

import os
import platform
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from ganforge.batches import Facts
from ganforge.data.read_options import ReadOptions
from ganforge.errors import OptionError, RunError
from ganforge.files import reason, write_whole
from ganforge.run import Run
from ganforge.runs.checkpoint import Checkpoints
from ganforge.serialize import from_plain, to_plain
from ganforge.version import __version__

FORMAT = 1


@dataclass(frozen=True)
class RunConfig:
    """What config.yaml holds."""

    model: str
    """Name in the catalogue, or the path of a person's own file."""
    preset: str
    config: Mapping[str, Any]
    run: Mapping[str, Any]
    facts: Mapping[str, Any]
    data: Mapping[str, Any]
    """What was asked for, how many images it was, and its fingerprint."""
    parts: Mapping[str, Any] = field(default_factory=dict)
    """{Config field: where the part came from}; its weights are in parts/."""
    source: str = ""
    """SHA-256 of a person's own file."""
    versions: Mapping[str, str] = field(default_factory=dict)
    format: int = FORMAT


class RunFolder:
    """One run on the disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.held: Any = None

    @classmethod
    def create(cls, outdir: Path, name: str, card: RunConfig) -> "RunFolder":
        """A new folder `outdir/00007-name`.  Raises RunError when it cannot be written."""
        try:
            outdir.mkdir(parents=True, exist_ok=True)
            while True:
                numbers = [int(m[1]) for p in outdir.iterdir() if (m := re.match(r"(\d{5})-", p.name))]
                path = outdir / f"{max(numbers, default=-1) + 1:05d}-{name}"
                with suppress(FileExistsError):  # somebody else took the number: take the next
                    path.mkdir()
                    break
            folder = cls(path)
            (path / "samples").mkdir()
            write_whole(path / "config.yaml", yaml.safe_dump(to_plain(card), sort_keys=False, allow_unicode=True))
        except OSError as error:
            raise RunError(
                f"No run folder can be made in {outdir} ({reason(error)}): choose another with --outdir."
            ) from error
        return folder

    @classmethod
    def open(cls, path: Path | str) -> "RunFolder":
        """The run folder at `path`.  Raises RunError when it is not one."""
        path = Path(path)
        if not path.exists():
            raise RunError(f"There is no run folder {path}.")
        if not (path / "config.yaml").is_file():
            raise RunError(f"{path} is not a run folder: it has no config.yaml.")
        return cls(path)

    @property
    def card(self) -> RunConfig:
        """What config.yaml says."""
        try:
            said = yaml.safe_load((self.path / "config.yaml").read_text(encoding="utf-8"))
            return from_plain(RunConfig, said)
        except (OSError, yaml.YAMLError, OptionError, TypeError, AttributeError) as error:
            said = " ".join(str(error).split())
            raise RunError(f"{self.path / 'config.yaml'} cannot be read: {said}") from error

    def rewrite(self, card: RunConfig) -> None:
        """Put another card in place of the present one."""
        write_whole(self.path / "config.yaml", yaml.safe_dump(to_plain(card), sort_keys=False, allow_unicode=True))

    def checkpoints(self, keep: int = 3) -> Checkpoints:
        """Its checkpoints."""
        return Checkpoints(self.path / "checkpoints", keep)

    def hold(self) -> None:
        """Keep other processes from training in this folder.  Raises RunError when one does."""
        try:
            import fcntl
        except ImportError:  # Windows has no such locks
            return
        self.held = (self.path / ".lock").open("w")
        try:
            fcntl.flock(self.held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self.release()
            raise RunError(f"Another process is training in {self.path}: wait for it, or stop it.") from error

    def release(self) -> None:
        """Let others train here again."""
        if self.held is not None:
            self.held.close()
            self.held = None


def facts_of(card: RunConfig) -> Facts:
    """The facts of a card."""
    return from_plain(Facts, card.facts)


def run_of(card: RunConfig) -> Run:
    """The Run of a card."""
    return from_plain(Run, card.run)


def versions() -> dict[str, str]:
    """What may make a difference when a run is played again elsewhere."""
    packages = {name: version(name) for name in ("torch", "numpy", "pillow")}
    return {"ganforge": __version__, **packages, "python": platform.python_version(), "cores": str(os.cpu_count())}


def reading_of(card: RunConfig) -> ReadOptions:
    """How the data of a run is read."""
    return from_plain(ReadOptions, card.data.get("reading", {}))
