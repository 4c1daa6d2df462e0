"""Measure the time of a training step: a few are run and discarded."""

import time
from dataclasses import replace

import torch

from ganforge import system
from ganforge.data.loader import BatchLoader
from ganforge.engine import Callback, Engine
from ganforge.training.plan import Plan

LONGEST = 10**9  # steps; the stopwatch ends the run long before
WARM = 2  # warm-up steps that are not timed
LEAST, SECONDS = 3, 2.0  # timed steps and seconds, at least


def measure_step_seconds(plan: Plan) -> float:
    """Seconds per step, timed on the plan's first steps; nothing is written, but its networks are trained on."""
    run, stopwatch = replace(plan.run, steps=LONGEST, save_every=0), Stopwatch()
    system.use_threads(run.threads)
    loader = BatchLoader(plan.data, plan.game.batch_type, run)
    Engine(plan.game, run, loader, None, [stopwatch], system.pick_device(run.device)).train()
    return stopwatch.seconds


class Stopwatch(Callback):
    """Times the steps, and stops the run when enough are timed."""

    seconds = 0.0

    def after_step(self, engine: Engine) -> None:
        if engine.step < WARM:
            return
        if engine.device.type == "cuda":  # CUDA runs asynchronously: wait
            torch.cuda.synchronize(engine.device)
        now = time.perf_counter()
        if engine.step == WARM:
            self.began = now
            return
        self.seconds = (now - self.began) / (engine.step - WARM)
        if engine.step - WARM >= LEAST and now - self.began >= SECONDS:
            engine.stopping = "Enough steps are timed."
