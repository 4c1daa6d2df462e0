"""The command `ganforge`, also as `python -m ganforge` (for torchrun)."""

import os
import sys

from ganforge.cli import run


def main() -> None:
    """Run the command and leave with its exit code."""
    # Before torch comes in: threads that wait look around (about a millisecond), then sleep.  To sleep at once
    # costs a third of the speed of small networks; to spin on fights for the core that they wait for.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "40000")
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
