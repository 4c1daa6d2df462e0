"""The warm process: it has imported everything once, and forks two children a case, one that makes it, one that plays.

A program of its own: `python -m tests.fuzz.warm FOLDER` reads lines `KIND SEED` and answers each with a line of JSON.
"""

import contextlib
import io
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.fuzz import child
from tests.fuzz.case import Case, Chance, Making
from tests.fuzz.kinds import KINDS
from tests.fuzz.oracle import Played, judged, memory_of
from tests.fuzz.trees import state_of

TRAINED = [
    "--preset",
    "tiny",
    "--steps",
    "2",
    "--save-every",
    "1",
    "--no-tensorboard",
    "--batch",
    "2",
    "--device",
    "cpu",
]


MAKING = 300  # seconds that the files of a case may take


def main(home: Path) -> None:
    """Answer every line until there is no more."""
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's jobs in the background ignore it
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    warm_up(home)
    for line in sys.stdin:
        kind, seed = line.split()
        print(json.dumps(verdict(home, kind, int(seed))), file=answers, flush=True)


def warm_up(home: Path) -> None:
    """Import what the commands import, before the first fork."""
    import torch

    from ganforge.cli import run

    torch.set_num_threads(1)
    work = home / "warm"
    work.mkdir(parents=True, exist_ok=True)
    os.environ["MPLCONFIGDIR"] = str(work / "matplotlib")
    os.environ["GANFORGE_CACHE"] = str(work / "cache")
    os.environ["GANFORGE_DATA"] = str(work / "data")
    with contextlib.redirect_stdout(io.StringIO()):
        run(["data", "shapes-pairs", "--json", "--data-home", str(work)])
        run(["train", "gan", "--preset", "tiny", "--dry-run", "--threads", "1", "--device", "cpu"])
    import matplotlib.pyplot  # noqa: F401 - and with it the list of fonts, for which programs are started
    import safetensors.torch  # noqa: F401

    import ganforge

    for name in ("sample", "translate", "export", "import_weights", "study", "study_results", "evaluate", "Trained"):
        getattr(ganforge, name)


def verdict(home: Path, kind: str, seed: int) -> dict[str, Any]:
    """What came of a case: {what, words, faults, said ...}."""
    root = (home / f"{kind}-{seed}").resolve()
    place = root.parent / f"{root.name}.result"
    cleared(root)
    place.mkdir(parents=True)
    status, _ = forked(lambda: make(kind, seed, root, place))
    if status:
        return {"kind": kind, "seed": seed, "what": "the case was not made", "faults": [made_badly(place)], "words": []}
    case: Case = pickle.loads((place / "case").read_bytes())
    before = state_of(root)
    start = time.monotonic()
    status, usage = forked(lambda: child.carry_out(case, root))
    result_file = place / "result.json"
    result = json.loads(result_file.read_text()) if result_file.exists() else None
    streams = [
        (place / name).read_text("utf-8", "replace") if (place / name).exists() else "" for name in ("out", "err")
    ]
    played = Played(status, usage.ru_maxrss * 1024, time.monotonic() - start, result, *streams)
    faults = judged(case, played, before, root)
    if played.memory - memory_of(Path("/proc/self/status")) > 2**30:
        faults.append(f"memory: {played.memory / 2**30:.1f} GB")
    shown = {"out": played.out[-1500:], "err": played.err[-3000:], "seconds": round(played.seconds, 2)}
    if not os.environ.get("FUZZ_KEEP"):
        cleared(root)
    return {"kind": kind, "seed": seed, "what": case.what, "words": case.words, "faults": faults, **shown}


def make(kind: str, seed: int, root: Path, place: Path) -> None:
    """Write the files of a case, and the case itself beside them."""
    signal.alarm(MAKING)
    try:
        for name in ("work/out", "home", "cache", "data", "tmp"):
            (root / name).mkdir(parents=True)
        case = KINDS[kind](Making(Chance(f"{kind} {seed}"), root, lambda model: genuine(root.parent, model)))
        (place / "case").write_bytes(pickle.dumps(case))
    except BaseException:
        (place / "not-made").write_text(traceback.format_exc(), errors="replace")
        raise


def genuine(home: Path, model: str) -> Path:
    """A tiny run of a model, or a small study, made once."""
    from ganforge.cli import run
    from tests.fuzz import studies

    path = home / "genuine" / model
    if path.is_dir():
        return path
    draft = home / "genuine" / f".{model}-{os.getpid()}"
    draft.mkdir(parents=True)
    where = Path.cwd()
    os.chdir(draft)
    with contextlib.redirect_stdout(io.StringIO()):
        if model == "study":
            Path("work").mkdir()
            os.chdir("work")
            making = Making(Chance(0), draft, lambda name: path)
            words = studies.make_words(making, port := studies.free_port(), "../a.study")
            code = child.command(words, Case("", [], port=port), [])
            found = draft
        else:
            code = run(["train", model, *TRAINED, "--threads", "1", "--outdir", "runs", "--name", "base"])
            found = next(Path("runs").resolve().iterdir())
    os.chdir(where)
    if code not in (0, 130):
        raise AssertionError(f"no genuine {model}: exit {code}")
    (found / "checkpoints").exists() and (found / "checkpoints" / "best").write_text("step-000000001\n")
    found.rename(path)
    return path


def made_badly(place: Path) -> str:
    """Why a case was not made."""
    file = place / "not-made"
    return "the fuzzer itself: " + (file.read_text(errors="replace")[-1500:] if file.exists() else "a signal")


def forked(job: Callable[[], None]) -> tuple[int, Any]:
    """(status, resources) of a child that does the job."""
    sys.stdout.flush()
    sys.stderr.flush()
    number = os.fork()
    if number == 0:
        code = 1
        try:
            job()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    _, status, usage = os.wait4(number, 0)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(number, signal.SIGKILL)  # whatever it left behind
    return status, usage


def cleared(root: Path) -> None:
    """Remove what a case left: by rm where folders are deeper than Python walks."""
    for path in (root, root.parent / f"{root.name}.result"):
        try:
            shutil.rmtree(path)
        except FileNotFoundError:
            continue
        except (OSError, RecursionError):
            subprocess.run(["chmod", "-R", "u+rwX", str(path)], check=False, capture_output=True)
            subprocess.run(["rm", "-rf", str(path)], check=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
