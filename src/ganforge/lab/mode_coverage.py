"""The mode contest: train every objective on every plane, in processes, and go on after an interruption.

An experiment is one objective on one plane, all its seeds at once (mode_training.py).  Experiments are independent, so
they run in parallel processes; each is written to cells/PLANE-OBJECTIVE.json when it is done and read from there later.
"""

import json
import multiprocessing
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ganforge import system
from ganforge.errors import OptionError, RunError
from ganforge.files import replacing
from ganforge.lab.gaussian_mixtures import Coverage, Plane, find_plane, measure_coverage
from ganforge.lab.mode_figure import draw_contest
from ganforge.lab.mode_result import ContestResult, ModeResult
from ganforge.lab.mode_training import ModeTrainer, Rules
from ganforge.lab.objectives import OBJECTIVES

PLANES = ("ring", "grid")
SHOWN = 600  # points of the first seed that are kept for the figure
OnProgress = Callable[[int, int], None]  # (steps done, steps in all), over all experiments
STORED_NAMES = {
    "discriminator": "judge",
    "cross_entropy": "likelihood",
    "least_squares_discriminator": "squares",
    "least_squares_generator": "square",
    "wasserstein_critic": "difference",
    "negative_score": "score",
    "relativistic_discriminator": "paired",
    "relativistic_generator": "paired_back",
    "gradient_penalty": "slope_one",
    "r1_penalty": "flat_at_real",
    "r1_r2_penalty": "flat_at_both",
}
"""Names of objectives.py as cells/*.json has always spelled them, so that results of older versions are still read."""


class Contest(ContestResult):
    """The results of all objectives on all planes, with their figure."""

    def figure(self) -> Any:
        """Samples, modes and quality of every objective, as a matplotlib figure."""
        return draw_contest(self)


def run_contest(
    out: Path,
    objectives: Sequence[str],
    planes: Sequence[str],
    rules: Rules,
    workers: int = 0,
    on_progress: OnProgress = lambda done, of: None,
) -> Contest:
    """Run every experiment whose result is not yet in `out`, on all cores by default; returns all results.

    Raises OptionError for an unknown objective or plane, RunError where `out` cannot be written.
    """
    if unknown := [name for name in objectives if name not in OBJECTIVES]:
        raise OptionError(f"There is no objective {unknown[0]!r}: choose among {', '.join(OBJECTIVES)}.")
    experiments = [(p, o) for p in planes for o in objectives if find_plane(p)]
    missing = [one for one in experiments if read_result(out, *one, rules) is None]
    workers = max(1, min(workers or system.cores(), len(missing)))
    all_steps = rules.steps * len(experiments)
    done_before = rules.steps * (len(experiments) - len(missing))
    on_progress(done_before, all_steps)
    if missing:
        run_experiments(out, missing, rules, workers, lambda done: on_progress(done_before + done, all_steps))
    results = [read_result(out, *one, rules) for one in experiments]
    return Contest(rules, tuple(r for r in results if r is not None))


def run_experiments(
    out: Path, experiments: Sequence[tuple[str, str]], rules: Rules, workers: int, on_steps: Callable[[int], None]
) -> None:
    """Run (plane, objective) pairs in processes, the long ones first; `on_steps` gets the steps done so far."""
    ordered = sorted(experiments, key=lambda one: -relative_cost(one[1]))
    if workers == 1:
        for k, (plane, objective) in enumerate(ordered):
            run_experiment(out, plane, objective, rules, lambda step, k=k: on_steps(k * rules.steps + step))
        return
    context = multiprocessing.get_context("spawn")
    steps = context.Value("q", 0)
    with ProcessPoolExecutor(workers, context, init_worker, (steps,)) as pool:
        waiting: list[Future[None]] = [pool.submit(run_experiment, out, p, o, rules) for p, o in ordered]
        try:
            while not all(future.done() for future in waiting):
                on_steps(steps.value)
                time.sleep(0.2)
            for future in waiting:
                future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in (pool._processes or {}).values():
                process.terminate()
            raise
    on_steps(steps.value)


def relative_cost(objective: str) -> float:
    """The time that an objective takes, about, in units of one step of the plain objective."""
    o = OBJECTIVES[objective]
    return o.moves * (2.0 if o.penalty else 1.0) + 1.3 * o.unroll


COUNTER: Any = None
"""In a worker process: the number of steps that all workers have done."""


def init_worker(steps: Any) -> None:
    """Prepare a worker process: one thread, and the shared counter of steps."""
    global COUNTER
    COUNTER = steps
    torch.set_num_threads(1)


def count_step(step: int) -> None:
    """Add one step to the shared counter."""
    with COUNTER.get_lock():
        COUNTER.value += 1


def run_experiment(
    out: Path, plane_name: str, objective: str, rules: Rules, on_step: Callable[[int], None] = count_step
) -> None:
    """Train one objective on one plane and write the result."""
    start, plane = time.perf_counter(), find_plane(plane_name)
    points = ModeTrainer(plane, OBJECTIVES[objective], rules, range(rules.seeds)).train(on_step)
    shown = points[0, :SHOWN].astype(np.float64)
    result = ModeResult(
        plane_name,
        objective,
        tuple(measure_coverage(of_seed, plane) for of_seed in points),
        shown[np.isfinite(shown).all(1)],
        time.perf_counter() - start,
    )
    write_result(out, result, rules)


# -- the folder -----------------------------------------------------------------------------------


def result_path(out: Path, plane_name: str, objective: str) -> Path:
    """The file of an experiment's result."""
    return out / "cells" / f"{plane_name}-{objective}.json"


def result_settings(plane: Plane, objective: str, rules: Rules) -> Mapping[str, Any]:
    """Everything that a result depends on: a stored result with other settings is computed again."""
    settings = {}
    for key, value in vars(OBJECTIVES[objective]).items():
        name = getattr(value, "__name__", None)  # of a loss or a penalty
        settings[STORED_NAMES.get(key, key)] = STORED_NAMES.get(name, name) if name else value
    return json.loads(json.dumps({**asdict(rules), **settings, "means": plane.means.tolist(), "spread": plane.spread}))


def write_result(out: Path, result: ModeResult, rules: Rules) -> None:
    """Write a result atomically."""
    content = {
        "settings": result_settings(find_plane(result.plane), result.objective, rules),
        "seconds": round(result.seconds, 1),
        "seeds": [asdict(seed) for seed in result.seeds],
        "points": np.round(result.points, 3).tolist(),
    }
    with replacing(result_path(out, result.plane, result.objective)) as file:
        file.write(json.dumps(content).encode())


def read_result(out: Path, plane_name: str, objective: str, rules: Rules) -> ModeResult | None:
    """The stored result of the same settings, or None.  Raises RunError for a damaged file."""
    path = result_path(out, plane_name, objective)
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["settings"] != result_settings(find_plane(plane_name), objective, rules):
            return None
        seeds = tuple(Coverage(**seed) for seed in content["seeds"])
        points = np.array(content["points"]).reshape(-1, 2)
        return ModeResult(plane_name, objective, seeds, points, content["seconds"])
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path} is damaged ({error}): delete it, and it is computed again.") from error
