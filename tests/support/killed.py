"""Train a toy in children that are killed at random moments; prints the number of kills, and of kills during a save.

A separate program because it forks: torch is imported once, and each child starts from there.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from ganforge.engine import Engine
from ganforge.runs.checkpoint import Checkpoints
from tests.support.toys import FACTS, Config, Toy, make_loader, run


def train(folder: Path, save_every: int = 1) -> None:
    torch.manual_seed(0)
    kept = Checkpoints(folder, keep=2)
    engine = Engine(Toy(Config(), FACTS), run(steps=600, ema=50.0, save_every=save_every), make_loader(), kept)
    if kept.steps():
        engine.restore(kept.load()[1])
    engine.train()


def child(folder: Path, save_every: int = 1) -> int:
    """Start training in a child; returns its process number."""
    number = os.fork()
    if number == 0:
        code = 1
        try:
            train(folder, save_every)
            code = 0
        finally:
            os._exit(code)
    return number


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    Engine(Toy(Config(), FACTS), run(), make_loader())  # import everything that an engine needs before the first fork
    chance, kills, midway = random.Random(0), 0, 0
    while kills < 20:
        number = child(folder)
        time.sleep(chance.uniform(0.01, 0.2))
        end = time.monotonic() + 5
        while kills % 2 and not any(folder.glob(".*.partial")) and time.monotonic() < end:
            pass  # every other kill falls into a save, on a busy machine too
        os.kill(number, signal.SIGKILL)
        _, status = os.waitpid(number, 0)
        if os.WIFEXITED(status):
            break  # it had finished before
        kills += 1
        midway += any(folder.glob(".*.partial"))
    _, status = os.waitpid(child(folder, 100), 0)
    print(kills, midway)
    sys.exit(os.WEXITSTATUS(status))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
