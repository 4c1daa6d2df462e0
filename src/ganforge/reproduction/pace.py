"""How long a round takes here: a few are played and thrown away."""

import sys
import time
from dataclasses import replace

import torch

from ganforge import system
from ganforge.data.loader import BatchLoader
from ganforge.engine import Callback, Engine
from ganforge.training.plan import Plan

WARM = 2  # rounds that are not counted: memory is found, kernels are chosen
LEAST, SECONDS = 3, 2.0  # so many are, and for so long


def seconds_a_round(thought: Plan) -> float:
    """Measured by playing the plan's first rounds; nothing is written, and the plan's networks are spent."""
    run, watch = replace(thought.run, steps=sys.maxsize, save_every=0), Stopwatch()
    system.use_threads(run.threads)
    deck = BatchLoader(thought.data, thought.model.game.batch_type, run)
    Engine(thought.game, run, deck, None, [watch], system.pick_device(run.device)).train()
    return watch.seconds


class Stopwatch(Callback):
    """Ends the run when it knows the pace."""

    seconds = 0.0

    def round(self, engine: Engine) -> None:
        if engine.step < WARM:
            return
        if engine.device.type == "cuda":  # rounds are queued there: wait for them
            torch.cuda.synchronize(engine.device)
        now = time.perf_counter()
        if engine.step == WARM:
            self.began = now
            return
        self.seconds = (now - self.began) / (engine.step - WARM)
        if engine.step - WARM >= LEAST and now - self.began >= SECONDS:
            engine.stopping = "The pace is known."
