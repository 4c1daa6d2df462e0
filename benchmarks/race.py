"""Programs taking turns: A B C A B C ..., so that whatever else the machine does meets all of them alike."""

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
    """A program that takes part."""

    label: str
    program: str
    """MODULE:FUNCTION that builds it, in this package."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    python: str = sys.executable


@dataclass(frozen=True)
class Pace:
    """How long a race is."""

    turns: int = 5
    """Counted runs of every program."""
    seconds: float = 3.0
    """About the length of one run."""
    warm: int = 3
    """Rounds before the clock counts: the first ones allocate, choose kernels and compile."""
    threads: int = 2
    passive: bool = False
    """Threads sleep while they wait: on a machine that others use too, spinning would steal from them and us."""


@dataclass
class Result:
    """What a program did in a race."""

    facts: Mapping[str, Any]
    rounds: int = 0
    seconds: list[float] = field(default_factory=list)
    """Of each turn."""
    memory: float = 0.0
    """Peak, in MiB."""

    @property
    def paces(self) -> list[float]:
        """Rounds a second, turn by turn."""
        return [self.rounds / seconds for seconds in self.seconds]

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
        self.label, self.said = entry.label, tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed by stop)
        n = str(pace.threads)
        threads = {"OMP_NUM_THREADS": n, "TF_NUM_INTRAOP_THREADS": n, "TF_NUM_INTEROP_THREADS": n}
        policy = {"OMP_WAIT_POLICY": "passive"} if pace.passive else {}
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        self.process = subprocess.Popen(
            [entry.python, "-m", "benchmarks.worker", f"benchmarks.{entry.program}", json.dumps(dict(entry.settings))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.said,
            text=True,
            env={**os.environ, **threads, **policy, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "2"},
        )

    def answer(self) -> dict[str, Any]:
        """The next line it says.  Raises RuntimeError with its last words when it has died."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            self.said.seek(0)
            raise RuntimeError(f"{self.label} has died:\n{self.said.read()[-2_000:]}")
        return json.loads(line)

    def play(self, rounds: int) -> dict[str, Any]:
        """Seconds that so many rounds take, and the peak of memory so far."""
        assert self.process.stdin
        print(rounds, file=self.process.stdin, flush=True)
        return self.answer()

    def stop(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()
        self.said.close()


def race(entries: Sequence[Entry], pace: Pace) -> dict[str, Result]:
    """{label: result} of programs that play in turns.

    Raises RuntimeError when one dies, or when training programs turn out to have different networks.
    """
    workers = [Worker(entry, pace) for entry in entries]
    try:
        results = {worker.label: Result(worker.answer()) for worker in workers}
        sizes = {label: r.facts["parameters"] for label, r in results.items() if r.facts["parameters"]}
        if len({*sizes.values()}) > 1:
            raise RuntimeError(f"These programs do not do the same work: their parameters are {sizes}.")
        for worker in workers:
            worker.play(pace.warm)
            a_round = worker.play(pace.warm)["seconds"] / pace.warm
            results[worker.label].rounds = max(1, round(pace.seconds / a_round))
        for _ in range(pace.turns):
            for worker in workers:
                said = worker.play(results[worker.label].rounds)
                results[worker.label].seconds.append(said["seconds"])
                results[worker.label].memory = said["memory"]
        return results
    finally:
        for worker in workers:
            worker.stop()
