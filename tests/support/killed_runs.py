"""Train a game on files in children that are killed at random moments; prints the kills, and those during a save.

    python -m tests.support.killed_runs FOLDER MODEL KILLS

FOLDER/quiet/00000-run is a run that nothing disturbed, FOLDER/killed/00000-run the one that was killed KILLS times.
A separate program because it forks: torch is imported once, and each child starts from there.
"""

import os
import random
import shutil
import signal
import sys
import time
import traceback
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import ganforge
from ganforge.callbacks import default_callbacks
from ganforge.runs.folder import is_run

OPTIONS = {
    **{"preset": "tiny", "steps": 60, "batch": 4, "size": (16,), "threads": 1, "device": "cpu"},
    **{
        "save_every": 1,
        "log_every": 1,
        "sample_every": 10,
        "keep": 2,
        "ema": 20.0,
        "tensorboard": False,
        "doctor": True,
    },
}


def write_photos(folder: Path, names: tuple[str, str]) -> None:
    """Two folders of twelve images with the same names: pairs, domains, or two classes."""
    for side, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for k in range(12):
            pixels = np.random.default_rng([side, k]).integers(0, 256, (20, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{k}.png")


def train(model: str, data: Path, out: Path) -> None:
    """Begin a run, or go on with the one that is there."""
    path = out / "00000-run"
    if is_run(path):
        ganforge.resume(path, quiet=True, tensorboard=False)
    else:
        shutil.rmtree(path, ignore_errors=True)  # killed before it had settings
        ganforge.train(model, data, outdir=out, name="run", quiet=True, **OPTIONS)


def child(*given: object) -> int:
    """Train in a child; returns its process number."""
    number = os.fork()
    if number == 0:
        code = 1
        try:
            train(*given)  # pyright: ignore[reportArgumentType]
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return number


def main(folder: Path, model: str, kills: int) -> None:
    """The quiet run, the kills, and the end of the killed run."""
    torch.set_num_threads(1)
    os.environ["GANFORGE_CACHE"] = str(folder / "cache")
    write_photos(folder / "photos", ("cat", "dog") if model == "cgan" else ("A", "B"))
    given = model, folder / "photos"
    default_callbacks(folder)  # import what a training needs before the first fork
    chance, midway, done = random.Random(model), 0, 0
    began = time.monotonic()
    _, status = os.waitpid(child(*given, folder / "quiet"), 0)
    whole = time.monotonic() - began
    while not status and done < kills:
        number = child(*given, folder / "killed")
        time.sleep(chance.uniform(0.2, 1.5) * whole / 6)
        os.kill(number, signal.SIGKILL)
        _, status = os.waitpid(number, 0)
        if os.WIFEXITED(status):  # it had finished before
            if not status:
                shutil.rmtree(folder / "killed")
            continue
        status = 0
        done += 1
        midway += any((folder / "killed").glob("*/checkpoints/.*.partial"))
    if not status:
        _, status = os.waitpid(child(*given, folder / "killed"), 0)
    print(done, midway)
    sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
