"""A process that holds one program and times it: `python -m benchmarks.worker MODULE:FUNCTION SETTINGS`.

It describes the program in one line of JSON.  Then every line of stdin is a number of steps to run, and is
answered by the seconds they took.  Processes keep the allocators, threads and libraries of programs apart.
"""

import importlib
import json
import os
import resource
import sys
import time
from dataclasses import asdict
from pathlib import Path


def main(address: str, settings: str) -> None:
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever libraries print must not be taken for a reply
    module, _, function = address.partition(":")
    program = getattr(importlib.import_module(module), function)(**json.loads(settings))
    facts = {name: value for name, value in asdict(program).items() if name != "play"}
    print(json.dumps({**facts, "memory": peak_memory()}), file=replies)
    for line in sys.stdin:
        began = time.perf_counter()
        program.play(int(line))
        seconds = time.perf_counter() - began
        print(json.dumps({"seconds": seconds, "memory": peak_memory()}), file=replies)


def peak_memory() -> float:
    """The most memory that this process has held so far, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count what the parent held before it became us
        held = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(held.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    main(*sys.argv[1:])
