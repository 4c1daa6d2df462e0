"""The run folder: all files of a run, readable without GANForge.

config.yaml     model, Config, Run, facts of the data, versions: enough to rebuild the game
checkpoints/    see checkpoint.py
log.jsonl       one line per row of the log
samples/        grids, the animation of the training
parts/          pretrained parts, each a small run folder of its own, unless they are linked (--link-parts)
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
from ganforge.files import reason, write_atomic
from ganforge.run import Run
from ganforge.runs.checkpoint import Checkpoints
from ganforge.serialize import from_plain, to_plain
from ganforge.version import __version__

FORMAT = 1


@dataclass(frozen=True)
class RunConfig:
    """The contents of config.yaml."""

    model: str
    """Name in the catalogue, or the path of a user's own file."""
    preset: str
    config: Mapping[str, Any]
    run: Mapping[str, Any]
    facts: Mapping[str, Any]
    data: Mapping[str, Any]
    """The requested data, its number of images, and its fingerprint."""
    parts: Mapping[str, Any] = field(default_factory=dict)
    """{Config field: where the part came from}; its weights are in parts/, or, of {linked, sha256}, at that path."""
    source: str = ""
    """SHA-256 of a user's own file."""
    versions: Mapping[str, str] = field(default_factory=dict)
    format: int = FORMAT
    init_from: Mapping[str, Any] = field(default_factory=dict)
    """Where the first weights came from: source, hash and networks.  Resuming never opens it."""


class RunFolder:
    """One run on the disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.held_lock: Any = None

    @classmethod
    def create(cls, outdir: Path, name: str, run_config: RunConfig) -> "RunFolder":
        """Create a folder `outdir/00007-name`.  Raises RunError when it cannot be written."""
        try:
            outdir.mkdir(parents=True, exist_ok=True)
            while True:
                numbers = [int(m[1]) for p in outdir.iterdir() if (m := re.match(r"(\d{5})-", p.name))]
                path = outdir / f"{max(numbers, default=-1) + 1:05d}-{name}"
                with suppress(FileExistsError):  # another process took the number: take the next
                    path.mkdir()
                    break
            folder = cls(path)
            (path / "samples").mkdir()
            write_atomic(
                path / "config.yaml", yaml.safe_dump(to_plain(run_config), sort_keys=False, allow_unicode=True)
            )
        except OSError as error:
            raise RunError(
                f"No run folder can be created in {outdir} ({reason(error)}): choose another with --outdir."
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
    def run_config(self) -> RunConfig:
        """The contents of config.yaml.  Raises RunError when it cannot be read."""
        try:
            return from_plain(RunConfig, yaml.safe_load((self.path / "config.yaml").read_text(encoding="utf-8")))
        except (OSError, yaml.YAMLError, OptionError, TypeError, AttributeError) as error:
            problem = " ".join(str(error).split())
            raise RunError(f"{self.path / 'config.yaml'} cannot be read: {problem}") from error

    def rewrite(self, run_config: RunConfig) -> None:
        """Replace config.yaml."""
        write_atomic(
            self.path / "config.yaml", yaml.safe_dump(to_plain(run_config), sort_keys=False, allow_unicode=True)
        )

    def checkpoints(self, keep: int = 3) -> Checkpoints:
        """Its checkpoints."""
        return Checkpoints(self.path / "checkpoints", keep)

    def lock(self) -> None:
        """Lock the folder against other training processes.  Raises RunError when one holds the lock."""
        from filelock import FileLock, Timeout

        lock = FileLock(self.path / ".lock", timeout=0)
        try:
            lock.acquire()
        except Timeout as error:
            raise RunError(f"Another process is training in {self.path}: wait for it, or stop it.") from error
        except OSError as error:
            raise RunError(f"The lock {self.path / '.lock'} cannot be used ({reason(error)}).") from error
        self.held_lock = lock

    def unlock(self) -> None:
        """Release the lock."""
        if self.held_lock is not None:
            self.held_lock.release()
            self.held_lock = None


def facts_of(run_config: RunConfig) -> Facts:
    """The facts of the data of a run."""
    return from_plain(Facts, run_config.facts)


def run_of(run_config: RunConfig) -> Run:
    """The training options of a run."""
    return from_plain(Run, run_config.run)


def versions() -> dict[str, str]:
    """Versions and core count, which may change the results of a run on another machine."""
    packages = {name: version(name) for name in ("torch", "numpy", "pillow")}
    return {"ganforge": __version__, **packages, "python": platform.python_version(), "cores": str(os.cpu_count())}


def read_options_of(run_config: RunConfig) -> ReadOptions:
    """How the data of a run is read."""
    return from_plain(ReadOptions, run_config.data.get("reading", {}))
