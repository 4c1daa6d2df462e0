"""Programs taking turns: A B C A B C ..., so that other load on the machine affects all of them alike."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Entry:
    """A program in a race."""

    label: str
    program: str
    """MODULE:FUNCTION that builds it, in this package."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    python: str = sys.executable


@dataclass(frozen=True)
class Pace:
    """The length of a race."""

    turns: int = 5
    """Counted runs of every program."""
    seconds: float = 3.0
    """About the length of one run."""
    warm: int = 3
    """Steps before timing starts: the first ones allocate, choose kernels and compile."""
    threads: int = 2
    passive: bool = False
    """Threads sleep while they wait: on a machine that others use too, spinning would take time from both."""


@dataclass
class Result:
    """The result of a program in a race."""

    facts: Mapping[str, Any]
    steps: int = 0
    seconds: list[float] = field(default_factory=list)
    """Of each turn."""
    memory: float = 0.0
    """Peak, in MiB."""

    @property
    def paces(self) -> list[float]:
        """Steps per second, turn by turn."""
        return [self.steps / seconds for seconds in self.seconds]

    def rates(self, unit: str) -> list[float]:
        """`images`, `flops` or `parameters` a second, turn by turn."""
        return [self.facts[unit] * pace for pace in self.paces]

    def times(self, other: "Result") -> float:
        """How many times as fast as `other`: the median over turns, each turn compared within itself."""
        worth = self.facts["images"] / other.facts["images"] if other.facts["images"] else 1.0
        return worth * statistics.median(a / b for a, b in zip(self.paces, other.paces, strict=True))


class Worker:
    """A program in a process of its own."""

    def __init__(self, entry: Entry, pace: Pace) -> None:
        self.label, self.output = entry.label, tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed by stop)
        n = str(pace.threads)
        threads = {"OMP_NUM_THREADS": n, "TF_NUM_INTRAOP_THREADS": n, "TF_NUM_INTEROP_THREADS": n}
        policy = {"OMP_WAIT_POLICY": "passive"} if pace.passive else {}
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        self.process = subprocess.Popen(
            [entry.python, "-m", "benchmarks.worker", f"benchmarks.{entry.program}", json.dumps(dict(entry.settings))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.output,
            text=True,
            env={**os.environ, **threads, **policy, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "2"},
        )

    def read_reply(self) -> dict[str, Any]:
        """The next line of its output.  Raises RuntimeError with its last output when it has died."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            self.output.seek(0)
            raise RuntimeError(f"{self.label} has died:\n{self.output.read()[-2_000:]}")
        return json.loads(line)

    def play(self, steps: int) -> dict[str, Any]:
        """Seconds that so many steps take, and the peak of memory so far."""
        assert self.process.stdin
        print(steps, file=self.process.stdin, flush=True)
        return self.read_reply()

    def stop(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()
        self.output.close()


def race(entries: Sequence[Entry], pace: Pace) -> dict[str, Result]:
    """{label: result} of programs that play in turns.

    Raises RuntimeError when one dies, or when training programs turn out to have different networks.
    """
    workers = [Worker(entry, pace) for entry in entries]
    try:
        results = {worker.label: Result(worker.read_reply()) for worker in workers}
        sizes = {label: r.facts["parameters"] for label, r in results.items() if r.facts["parameters"]}
        if len({*sizes.values()}) > 1:
            raise RuntimeError(f"These programs do not do the same work: their parameters are {sizes}.")
        for worker in workers:
            worker.play(pace.warm)
            a_step = worker.play(pace.warm)["seconds"] / pace.warm
            results[worker.label].steps = max(1, round(pace.seconds / a_step))
        for _ in range(pace.turns):
            for worker in workers:
                reply = worker.play(results[worker.label].steps)
                results[worker.label].seconds.append(reply["seconds"])
                results[worker.label].memory = reply["memory"]
        return results
    finally:
        for worker in workers:
            worker.stop()
