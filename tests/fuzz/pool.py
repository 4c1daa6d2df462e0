"""The warm process from outside: start it, ask for verdicts, stop it."""

import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

TOP = Path(__file__).parents[2]


class Pool:
    """A warm process and the folder that its cases lie in."""

    def __init__(self, home: Path | None = None) -> None:
        self.own = None if home else tempfile.TemporaryDirectory(prefix="fuzz-", ignore_cleanup_errors=True)
        self.home = home or Path(self.own.name if self.own else "")
        paths = [str(TOP / "src"), str(TOP), os.environ.get("PYTHONPATH", "")]
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        surroundings = {**os.environ, **threads, "PYTHONPATH": os.pathsep.join(paths), "CUDA_VISIBLE_DEVICES": ""}
        words = [sys.executable, "-m", "tests.fuzz.warm", str(self.home)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            words, stdin=pipe, stdout=pipe, text=True, encoding="utf-8", cwd=TOP, env=surroundings
        )

    def verdict(self, kind: str, seed: int) -> dict[str, Any]:
        """What came of a case."""
        if self.process.stdin is None or self.process.stdout is None:
            raise AssertionError("The warm process has no pipes.")
        self.process.stdin.write(f"{kind} {seed}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"The warm process ended at {kind} {seed}.")
        return json.loads(line)

    def close(self) -> None:
        """Stop it, and remove its folder."""
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()
        self.process.wait(30)
        if self.own:
            self.own.cleanup()

    def __enter__(self) -> "Pool":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def told(found: dict[str, Any]) -> str:
    """A failed case in words, with the command that plays it again."""
    words = "\n".join(f"  $ ganforge {shlex.join(words)}" for words in found["words"])
    faults = "\n".join(f"  - {fault}" for fault in found["faults"])
    return (
        f"{found['kind']} {found['seed']}: {found['what']}\n{words}\n{faults}\n"
        f"  Again: python -m tests.fuzz {found['kind']} {found['seed']}"
    )
