"""The command `ganforge`, also as `python -m ganforge` (for torchrun)."""

import os
import sys

from ganforge.cli import run


def main() -> None:
    """Run the command and leave with its exit code."""
    # Before torch comes in: threads that wait shall sleep.  Spinning ones fight for the cores that they wait for, and
    # where anything else runs beside a training, that makes it ten times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
