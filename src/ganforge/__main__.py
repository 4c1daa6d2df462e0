"""The command `ganforge`, also as `python -m ganforge` (for torchrun)."""

import os
import sys
from io import TextIOWrapper

from ganforge.cli import run


def main() -> None:
    """Run the command and exit with its code."""
    # Before torch is imported: waiting threads spin for about a millisecond, then sleep.  Sleeping at once costs
    # a third of the speed of small networks; spinning on takes the core from the thread that they wait for.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "40000")
    for stream in (sys.stdout, sys.stderr):  # names that are no Unicode, and terminals that know no Korean
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
