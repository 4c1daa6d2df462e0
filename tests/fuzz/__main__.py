"""Play one case again, or look for faults: `python -m tests.fuzz KIND SEED`, or `KIND`, or `all 50`."""

import json
import os
import sys
import time
from pathlib import Path

from tests.fuzz.kinds import KINDS
from tests.fuzz.pool import Pool, told


def main(words: list[str]) -> int:
    """Carry out what the words ask for; returns how many cases fail, at most 1."""
    if not words or words[0] not in (*KINDS, "all"):
        print(f"usage: python -m tests.fuzz KIND [SEED | FIRST-LAST]\n\nKinds: {', '.join(KINDS)}, or all.")
        return 2
    seeds = words[1] if len(words) > 1 else "0-49"
    first, _, last = seeds.partition("-")
    chosen, bad, start = list(KINDS) if words[0] == "all" else words[:1], 0, time.monotonic()
    record = Path(os.environ["FUZZ_RECORD"]).open("a") if os.environ.get("FUZZ_RECORD") else None  # noqa: SIM115
    with Pool() as pool:
        for seed in range(int(first), int(last or first) + 1):
            for kind in chosen:
                found = pool.verdict(kind, seed)
                bad += bool(found["faults"])
                if record:
                    print(json.dumps(found), file=record, flush=True)
                if found["faults"] or not last:
                    print(told(found), flush=True)
                if not last:
                    print(f"-- stdout\n{found.get('out', '')}\n-- stderr\n{found.get('err', '')}")
    print(
        f"{bad} of {(int(last or first) - int(first) + 1) * len(chosen)} cases fail; {time.monotonic() - start:.1f} s."
    )
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
