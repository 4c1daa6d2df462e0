"""The run folder: all files of a run, readable without GANForge.

config.yaml     model, Config, Run, facts of the data, versions: enough to rebuild the game; its last line is a checksum
checkpoints/    see checkpoint.py
log.jsonl       one line per row of the log
samples/        grids, the animation of the training
tokeniser.json  of a model that reads sentences: what makes tokens of them, and some captions of the training data
parts/          pretrained parts, each a small run folder of its own, unless they are linked (--link-parts)
chain.yaml      of a run whose parts were trained first: what was asked for; these runs are in parts-made/
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
from ganforge.console import note
from ganforge.data.read_options import ReadOptions
from ganforge.errors import GANForgeError, OptionError, RunError
from ganforge.files import reason, write_atomic
from ganforge.run import Run
from ganforge.runs.checkpoint import Checkpoints
from ganforge.runs.reading import add_seal, check_appendable, is_sealed, parse_yaml, read_bytes, split_seal
from ganforge.serialize import from_plain, to_plain
from ganforge.version import __version__

CHAIN, PARTS_MADE, LOCK = "chain.yaml", "parts-made", ".lock"
PROBED = 0.5  # seconds in which `lock` tries again, for `is_active` holds the lock for a moment
FORMAT = 2  # 1: config.yaml without a checksum
MOST_OF_FACTS = 100_000  # pixels of a side, channels
DRAFT = re.compile(r"\..+\.[0-9a-f]{32}")  # files.write_atomic


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
        """Create a folder `outdir/00007-name` with config.yaml.  Raises RunError when it cannot be written."""
        folder = cls.reserve(outdir, name)
        folder.begin(run_config)
        return folder

    @classmethod
    def reserve(cls, outdir: Path, name: str) -> "RunFolder":
        """Create an empty folder `outdir/00007-name`.  Raises RunError when it cannot be written."""
        try:
            outdir.mkdir(parents=True, exist_ok=True)
            while True:
                path = outdir / numbered(next_number(outdir), name)
                with suppress(FileExistsError):  # another process took the number: take the next
                    path.mkdir()
                    break
        except (OSError, ValueError) as error:
            raise RunError(
                f"No run folder can be created in {outdir} ({reason(error)}): choose another with --outdir."
            ) from error
        return cls(path)

    def begin(self, run_config: RunConfig) -> None:
        """Make a folder that was reserved a run folder.  Raises RunError when it cannot be written."""
        try:
            (self.path / "samples").mkdir(exist_ok=True)
        except OSError as error:
            raise RunError(f"{self.path} cannot be written to ({reason(error)}).") from error
        self.rewrite(run_config)

    @classmethod
    def open(cls, path: Path | str) -> "RunFolder":
        """The run folder at `path`.  Raises RunError when it is not one."""
        path = Path(path)
        if not is_run(path):
            there = os.path.lexists(path)
            if there and (path / CHAIN).is_file():
                raise RunError(f"The parts of {path} are not all trained: `ganforge resume {path}` goes on.")
            raise RunError(
                f"{path} is not a run folder: it has no config.yaml." if there else f"There is no run folder {path}."
            )
        return cls(path)

    @property
    def config_path(self) -> Path:
        """The path of config.yaml."""
        return self.path / "config.yaml"

    @property
    def run_config(self) -> RunConfig:
        """The contents of config.yaml.

        Raises RunError when it cannot be read, was changed since it was written, or does not describe a run.
        """
        content = read_bytes(self.config_path)
        sealed = is_sealed(content)
        accept = f"`ganforge show {self.path} --accept-config` accepts it as it is"
        if sealed is False:
            raise RunError(
                f"{self.config_path} was changed after it was written, for its checksum is wrong: restore it from a "
                f"copy; or, where you edited it yourself, {accept}."
            )
        values = parse_yaml(self.config_path, content)
        edition = values.get("format", 1)
        if sealed is None and isinstance(edition, int) and edition > 1:
            raise RunError(f"{self.config_path} has lost its last line, the checksum: restore it; or {accept}.")
        if sealed is None:
            note(f"{self.config_path} has no checksum, for an older GANForge wrote it; {accept} and adds one.")
        return build_run_config(self.config_path, values)

    def accept_config(self) -> RunConfig:
        """Take config.yaml as it is, after an edit by hand: check it, and write its checksum anew.

        Raises RunError when it does not describe a run, or another process trains in the folder.
        """
        content, _ = split_seal(read_bytes(self.config_path))
        run_config = build_run_config(self.config_path, parse_yaml(self.config_path, content))
        self.lock()
        try:
            self.write_config(content.decode("utf-8"))
        finally:
            self.unlock()
        return run_config

    def rewrite(self, run_config: RunConfig) -> None:
        """Replace config.yaml.  Raises RunError where it cannot be written."""
        self.write_config(yaml.safe_dump(to_plain(run_config), sort_keys=False, allow_unicode=True))

    def write_config(self, text: str) -> None:
        """Write config.yaml with its checksum."""
        try:
            write_atomic(self.config_path, add_seal(text))
        except OSError as error:
            raise RunError(f"{self.config_path} cannot be written ({reason(error)}).") from error

    def remove_drafts(self) -> None:
        """Remove the drafts that a killed process left.  Only for the process that holds the lock."""
        for place in (self.path, self.path / "checkpoints", self.path / "samples", self.path / "samples" / "frames"):
            with suppress(OSError):
                for path in [*place.iterdir()]:
                    if DRAFT.fullmatch(path.name) and not path.is_dir():
                        path.unlink()

    def checkpoints(self, keep: int = 3) -> Checkpoints:
        """Its checkpoints."""
        return Checkpoints(self.path / "checkpoints", keep)

    def lock(self) -> None:
        """Lock the folder against other training processes.  Raises RunError when one holds the lock."""
        from filelock import FileLock, Timeout

        if self.held_lock is not None:
            return
        check_appendable(self.path / LOCK)
        lock = FileLock(self.path / LOCK, timeout=PROBED)
        try:
            lock.acquire()
        except Timeout as error:
            raise RunError(f"Another process is training in {self.path}: wait for it, or stop it.") from error
        except OSError as error:
            raise RunError(
                f"{self.path} cannot be written to: its .lock cannot be opened ({reason(error)}).  Training writes "
                "into the run folder: copy it to a place of your own, and name the copy."
            ) from error
        self.held_lock = lock

    def unlock(self) -> None:
        """Release the lock."""
        if self.held_lock is not None:
            self.held_lock.release()
            self.held_lock = None


def next_number(outdir: Path) -> int:
    """The number of the run folder that is made next in `outdir`, which may not exist yet."""
    names = (path.name for path in (outdir.iterdir() if outdir.is_dir() else ()))
    return max((int(m[1]) for name in names if (m := re.match(r"(\d{5})-", name))), default=-1) + 1


def numbered(number: int, name: str) -> str:
    """The name of a run folder."""
    return f"{number:05d}-{name}"


def is_run(path: Path) -> bool:
    """Whether a path is a run folder: it has a config.yaml, whatever that is."""
    try:
        return path.is_dir() and os.path.lexists(path / "config.yaml")
    except (OSError, ValueError):  # a name that is too long, or that has a zero byte
        return False


def is_active(path: Path) -> bool:
    """Whether a process holds the lock of a run folder, which it does while it trains there.

    A folder without a lock, or whose lock this process may not open, counts as not active.
    """
    try:
        if not (path / LOCK).exists():
            return False
        return is_locked(path / LOCK)
    except OSError:
        return False


def is_locked(path: Path) -> bool:
    """Whether a process holds a lock.  Raises OSError for a file that cannot be opened.

    Asked by a shared lock, so that those who ask at the same time do not take each other for its holder; where a system
    has none, by the lock itself.
    """
    try:
        import fcntl
    except ImportError:
        from filelock import FileLock, Timeout

        try:
            with FileLock(path, timeout=0):
                return False
        except Timeout:
            return True
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def build_run_config(path: Path, values: Mapping[str, Any]) -> RunConfig:
    """The RunConfig of plain values, which are checked down to the last one.  Raises RunError naming `path`."""
    try:
        run_config = from_plain(RunConfig, values)
        if run_config.format > FORMAT:
            raise RunError("a newer GANForge wrote it")
        kinds = {"asked": str, "images": int, "fingerprint": str}
        for name, kind in kinds.items():
            if not isinstance(run_config.data.get(name), kind):
                raise RunError(f"data.{name} is missing, or no {'number' if kind is int else 'text'}.")
        for part, origin in run_config.parts.items():
            texts = [part, *origin.values()] if isinstance(origin, Mapping) else [part, origin]
            if not all(isinstance(text, str) for text in texts):
                raise RunError(f"parts.{part} is no text.")
        facts_of(run_config)
        run_of(run_config)
        read_options_of(run_config)
    except (GANForgeError, TypeError, ValueError) as error:
        raise RunError(f"{path} describes no run: {' '.join(str(error).split())[:400]}") from error
    return run_config


def facts_of(run_config: RunConfig) -> Facts:
    """The facts of the data of a run.  Raises OptionError for values that no data has."""
    facts = from_plain(Facts, run_config.facts)
    counts = ("source_channels", "instances", "smaller", "most", "vocabulary", "caption_length", "captions")
    for name in ("channels", "height", "width", *counts):
        least = int(name in ("channels", "height", "width"))
        if not least <= getattr(facts, name) <= MOST_OF_FACTS:
            raise OptionError(f"{name} cannot be {getattr(facts, name)}: it is between {least} and {MOST_OF_FACTS}.")
    return facts


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
