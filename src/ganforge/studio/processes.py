"""The public command as a process of its own: an argument list, never a shell."""

import os
import subprocess
import sys
from collections.abc import Sequence

from ganforge.errors import OptionError

ENVIRONMENT = {"NO_COLOR": "1", "COLUMNS": "160"}


def run_command(words: Sequence[str], seconds: float) -> str:
    """What `ganforge WORDS` prints.  Raises OptionError with its last line where it fails, or takes too long."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "ganforge", *words],
            capture_output=True, stdin=subprocess.DEVNULL, timeout=seconds, env={**os.environ, **ENVIRONMENT},
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise OptionError(f"`ganforge {words[0]}` took more than {seconds:.0f} s: run it in a terminal.") from error
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["it failed"]
        raise OptionError(said[-1].removeprefix("ganforge: "))
    return done.stdout.decode("utf-8", "replace")
