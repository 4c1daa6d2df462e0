"""`python -m benchmarks [NAME ...] [--quick]`: measure, and print Markdown.

`python -m benchmarks equality --against CHECKOUT` measures nothing: it tests whether two checkouts compute the same.
"""

import argparse
import os
import sys

import torch

from benchmarks import equality
from benchmarks.cases import CASES, Terms
from benchmarks.race import Pace
from ganforge import system

BUSY = 0.1  # share of the processors that others use, from which on the machine is not ours alone


def main() -> None:
    if sys.argv[1:2] == ["equality"]:
        sys.exit(equality.main(sys.argv[2:]))
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which of {', '.join(CASES)}; all without a name")
    parser.add_argument("--quick", action="store_true", help="two short turns instead of five: does everything run?")
    parser.add_argument("--threads", type=int, default=min(2, system.cores()), help="CPU threads of every program")
    parser.add_argument(
        "--peers",
        metavar="PYTHON",
        default=os.environ.get("GANFORGE_PEERS_PYTHON", sys.executable),
        help="an interpreter that has keras and tensorflow (GANFORGE_PEERS_PYTHON)",
    )
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in CASES]:
        parser.error(f"there is no benchmark {unknown[0]!r}: choose among {', '.join(CASES)}")
    load = 1 - system.idle_cores(2.0) / system.cores()
    turns, seconds, warm = (2, 0.3, 1) if options.quick else (5, 3.0, 3)
    pace = Pace(turns, seconds, warm, options.threads, passive=load > BUSY)
    print(conditions(pace, load), flush=True)
    for name in options.names or CASES:
        for text in CASES[name](Terms(pace, options.quick, options.peers)):
            print(text, flush=True)


def conditions(pace: Pace, load: float) -> str:
    """What the numbers depend on: the machine, its load, the length of the runs."""
    quiet = "quiet"
    if pace.passive:
        quiet = f"busy ({load:.0%} of it before we began; threads wait asleep): do not quote these numbers"
    return (
        f"{system.processor()}, {pace.threads} threads, {torch.backends.cpu.get_cpu_capability()}"
        f"{' with bf16' if system.is_bf16_faster() else ''}, torch {torch.__version__}; the machine is {quiet}.\n"
        f"Medians of {pace.turns} turns of about {pace.seconds} s (smallest-largest).\n"
    )


if __name__ == "__main__":
    main()
