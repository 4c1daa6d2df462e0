"""Trainings that the studio starts: each is a process of its own that runs the public command.

It outlives the studio, and all that is known of it is read from its run folder.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from ganforge.catalogue import Model, find, names
from ganforge.data.named_sets import DOWNLOADED, NAMED
from ganforge.errors import DataError, OptionError, RunError
from ganforge.runs.folder import is_active
from ganforge.studio.library import Library
from ganforge.studio.processes import ENVIRONMENT, run_command

EMBEDDED = ("", *(name for name in NAMED if name not in DOWNLOADED))
"""Data without a file; the first stands for the model's own choice."""
ENDING = 10.0  # seconds that a training may take to end after it has released its run
MOST = 4  # trainings and other commands at a time


@dataclass
class Training:
    """A process that trains."""

    process: subprocess.Popen[bytes]
    words: Sequence[str | Path]
    """The command, from its verb on."""
    output: Path
    """What it prints."""
    name: str
    """A name that no other has; that of a new run's folder ends with it."""
    home: Path
    """The folder in which a new run is made."""
    resumed: Path | None = None
    """The run that it goes on with."""
    stopping: bool = False
    """Whether it was asked to end."""

    @property
    def live(self) -> bool:
        """Whether the process has not ended."""
        return self.process.poll() is None

    @property
    def run(self) -> Path | None:
        """Its run folder; None where that is not made yet."""
        return self.resumed or next(self.home.glob(f"{'[0-9]' * 5}-{self.name}"), None)


def find_listed(model: str) -> Model:
    """A model of the catalogue.  Raises OptionError for anything else: a path would be imported."""
    if model not in names():
        raise OptionError("There is no such model in the catalogue: choose one of the list.")
    return find(model)


class Trainings:
    """Starts, stops and resumes trainings in the library's folder."""

    def __init__(self, library: Library, data_roots: Sequence[str | Path] = (), allowed: bool = True) -> None:
        """`allowed`: whether visitors may start any."""
        self.library, self.allowed = library, allowed
        self.roots = [Path(root).expanduser().resolve() for root in data_roots]
        self.started: list[Training] = []  # the ended ones too, for what they printed
        self.commands = 0
        self.turn = threading.Lock()

    def data(self) -> dict[str, str]:
        """{name: what --data is given}: embedded sets, and what lies directly in the data roots."""
        found = {name: name for name in EMBEDDED}
        for root in self.roots:
            for path in sorted(root.iterdir()) if root.is_dir() else ():
                if not path.name.startswith(".") and path.resolve().is_relative_to(root):
                    found.setdefault(path.name, str(path))
        return found

    def may_read(self, data: str) -> bool:
        """Whether visitors may see data: those who may train, embedded sets and what lies in the data roots."""
        if not self.allowed or not data:
            return False
        if data in EMBEDDED:
            return True
        try:
            path = Path(data).resolve()
            return path.exists() and any(path.is_relative_to(root) for root in self.roots)
        except (OSError, ValueError):  # a name that is too long, or that has a zero byte
            return False

    def start(self, model: str, data: str, preset: str, steps: int | None = None) -> Training:
        """Start a training.  Raises OptionError for a model that the catalogue lacks, or where it may not be started;
        DataError for data outside the roots.
        """
        find_listed(model).preset(preset)
        known = self.data()
        if data not in known:
            raise DataError("There is no such data: choose one of the list, or name its folder with --data-root.")
        name = f"{model}-{token_hex(3)}"
        words: list[str | Path] = ["train", model, "--preset", preset, "--outdir", self.library.home, "--name", name]
        words += ["--data", known[data]] if data else []
        words += ["--steps", str(steps)] if steps else []
        return self.launch(words, name)

    def resume(self, key: object) -> Training:
        """Go on with a run.  Raises RunError where it is none, or trains already."""
        path = self.library.path(key)
        for training in self.of(path):
            if training.stopping and not is_active(path):  # it has saved, and is about to end
                with suppress(subprocess.TimeoutExpired):
                    training.process.wait(ENDING)
        return self.launch(["resume", path], f"{path.name}-{token_hex(3)}", path)

    def of(self, path: Path) -> list[Training]:
        """The trainings of a run that this studio started, the live ones first, then the newest."""
        own = [training for training in reversed(self.started) if training.run == path]
        return sorted(own, key=lambda training: not training.live)

    def check_allowed(self) -> None:
        """Raise OptionError where visitors may neither train nor look at data."""
        if not self.allowed:
            raise OptionError("This studio neither trains nor shows data for other machines: see --allow-train.")

    def check_count(self) -> None:
        """Raise OptionError where as many processes run as may."""
        if sum(training.live for training in self.started) + self.commands >= MOST:
            raise OptionError(f"{MOST} trainings and commands run already: stop one, or wait.")

    def examine(self, data: object, seconds: float, *options: str) -> str:
        """What the data doctor says of data that the studio knows.

        Raises OptionError where visitors may not look at data, DataError for data outside the roots.
        """
        self.check_allowed()
        known = self.data().get(data) if isinstance(data, str) else None
        if not known:
            raise DataError("There is no such data: choose one of the list, or name its folder with --data-root.")
        return self.run(["data", known, *options], seconds)

    def run(self, words: Sequence[str], seconds: float) -> str:
        """What a command prints, which counts as a process beside the trainings.  Raises as `run_command`."""
        with self.turn:
            self.check_count()
            self.commands += 1
        try:
            return run_command(words, seconds)
        finally:
            with self.turn:
                self.commands -= 1

    def launch(self, words: Sequence[str | Path], name: str, resumed: Path | None = None) -> Training:
        """Start the public command as a process that outlives this one.  Raises OptionError where it may not be,
        RunError for a run that trains already.
        """
        self.check_allowed()
        with self.turn:
            if resumed and (is_active(resumed) or any(training.live for training in self.of(resumed))):
                raise RunError(f"{resumed.name} is being trained already.")
            self.check_count()
            self.library.home.mkdir(parents=True, exist_ok=True)
            output = self.library.home / f".studio-{name}.log"
            with output.open("wb") as file:
                process = subprocess.Popen(
                    [sys.executable, "-m", "ganforge", *map(str, words)],
                    stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
                    start_new_session=True, env={**os.environ, **ENVIRONMENT},
                )  # fmt: skip
            training = Training(process, words, output, name, self.library.home, resumed)
            self.started.append(training)
            return training

    def find(self, name: str) -> Training | None:
        """The newest training of a run, by its key or the name of any of its trainings; None for those of others."""
        named = next((training for training in self.started if training.name == name), None)
        path = self.library.runs().get(name) or (named.run if named else None)
        return next(iter(self.of(path)), named) if path else named

    def find_key(self, name: str) -> str:
        """The key of a run, by itself or by the name of the training that makes it; empty where there is none yet."""
        found, training = self.library.runs(), self.find(name)
        if name in found or training is None:
            return name if name in found else ""
        return next((key for key, path in found.items() if path == training.run), "")

    def stop(self, name: str) -> None:
        """Ask a training to save and end.  Raises OptionError for one that this studio did not start."""
        training = self.find(name)
        if training is None or not training.live:
            raise OptionError("This studio did not start that training: stop it in its terminal with Ctrl-C.")
        training.stopping = True
        training.process.send_signal(signal.SIGINT)

    def said(self, name: str) -> str:
        """The last lines that a training printed."""
        training = self.find(name)
        if training is None:
            return ""
        text = training.output.read_bytes()[-4000:].decode("utf-8", "replace")
        return "\n".join(text.splitlines()[-12:])
