"""The mode contest: every objective on every plane, and what of it is left when it is stopped on the way.

A cell is one objective on one plane, all its seeds at once (mode_training.py).  Cells are independent, so they are
shared out to processes; each is written to cells/PLANE-OBJECTIVE.json when it is done, and found there the next time.
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
from ganforge.lab.gaussian_mixtures import Coverage, Plane, coverage, plane
from ganforge.lab.mode_figure import figure
from ganforge.lab.mode_result import ContestResult, Result
from ganforge.lab.mode_training import Cell, Rules
from ganforge.lab.objectives import OBJECTIVES

PLANES = ("ring", "grid")
SHOWN = 600  # points of the first seed that are kept for the picture
Told = Callable[[int, int], None]  # (steps done, steps in all) of every cell together


class Contest(ContestResult):
    """The contest, with its picture."""

    def figure(self) -> Any:
        """The picture of the contest, as a matplotlib figure."""
        return figure(self)


def play_all(
    out: Path,
    objectives: Sequence[str],
    planes: Sequence[str],
    rules: Rules,
    workers: int = 0,
    told: Told = lambda done, of: None,
) -> Contest:
    """Play every cell that is not yet in `out`, on as many processes as there are cores; returns all results.

    Raises OptionError for an objective or plane that there is not, RunError where `out` cannot be written.
    """
    if strangers := [name for name in objectives if name not in OBJECTIVES]:
        raise OptionError(f"There is no objective {strangers[0]!r}: choose among {', '.join(OBJECTIVES)}.")
    wanted = [(p, o) for p in planes for o in objectives if plane(p)]
    missing = [cell for cell in wanted if read(out, *cell, rules) is None]
    workers = max(1, min(workers or system.cores(), len(missing)))
    all_steps = rules.steps * len(wanted)
    done_before = rules.steps * (len(wanted) - len(missing))
    told(done_before, all_steps)
    if missing:
        share_out(out, missing, rules, workers, lambda done: told(done_before + done, all_steps))
    results = [read(out, *cell, rules) for cell in wanted]
    return Contest(rules, tuple(r for r in results if r is not None))


def share_out(
    out: Path, cells: Sequence[tuple[str, str]], rules: Rules, workers: int, told: Callable[[int], None]
) -> None:
    """Play cells in processes, the long ones first, and pass on how far they are."""
    ordered = sorted(cells, key=lambda cell: -cost(cell[1]))
    if workers == 1:
        for k, (where, objective) in enumerate(ordered):
            play_cell(out, where, objective, rules, lambda step, k=k: told(k * rules.steps + step))
        return
    context = multiprocessing.get_context("spawn")
    steps = context.Value("q", 0)
    with ProcessPoolExecutor(workers, context, prepare, (steps,)) as pool:
        waiting: list[Future[None]] = [pool.submit(play_cell, out, p, o, rules) for p, o in ordered]
        try:
            while not all(future.done() for future in waiting):
                told(steps.value)
                time.sleep(0.2)
            for future in waiting:
                future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in (pool._processes or {}).values():
                process.terminate()
            raise
    told(steps.value)


def cost(objective: str) -> float:
    """About how long an objective takes, in steps of the plain game."""
    o = OBJECTIVES[objective]
    return o.moves * (2.0 if o.penalty else 1.0) + 1.3 * o.unroll


COUNTER: Any = None
"""Of a process that shares the work: the steps that all of them have done."""


def prepare(steps: Any) -> None:
    """Make a process ready: one thread, and the counter that it reports to."""
    global COUNTER
    COUNTER = steps
    torch.set_num_threads(1)


def count(step: int) -> None:
    """Add one step to the counter."""
    with COUNTER.get_lock():
        COUNTER.value += 1


def play_cell(out: Path, plane_name: str, objective: str, rules: Rules, told: Callable[[int], None] = count) -> None:
    """Play one cell and write what came out."""
    began, where = time.perf_counter(), plane(plane_name)
    points = Cell(where, OBJECTIVES[objective], rules, range(rules.seeds)).play(told)
    kept = points[0, :SHOWN].astype(np.float64)
    write(
        out,
        Result(
            plane_name,
            objective,
            tuple(coverage(one, where) for one in points),
            kept[np.isfinite(kept).all(1)],
            time.perf_counter() - began,
        ),
        rules,
    )


# -- the folder -----------------------------------------------------------------------------------


def path_of(out: Path, plane_name: str, objective: str) -> Path:
    """Where a cell's result lies."""
    return out / "cells" / f"{plane_name}-{objective}.json"


def settings(where: Plane, objective: str, rules: Rules) -> Mapping[str, Any]:
    """Everything that a result depends on: a result of other settings is played anew."""
    told = {k: v if isinstance(v, int | float | str | tuple) else getattr(v, "__name__", None)
            for k, v in vars(OBJECTIVES[objective]).items()}  # fmt: skip
    return json.loads(json.dumps({**asdict(rules), **told, "means": where.means.tolist(), "spread": where.spread}))


def write(out: Path, result: Result, rules: Rules) -> None:
    """Keep a result, whole or not at all."""
    told = {
        "settings": settings(plane(result.plane), result.objective, rules),
        "seconds": round(result.seconds, 1),
        "seeds": [asdict(seed) for seed in result.seeds],
        "points": np.round(result.points, 3).tolist(),
    }
    with replacing(path_of(out, result.plane, result.objective)) as file:
        file.write(json.dumps(told).encode())


def read(out: Path, plane_name: str, objective: str, rules: Rules) -> Result | None:
    """A result that is there, of the same settings; None otherwise.  Raises RunError for a damaged one."""
    path = path_of(out, plane_name, objective)
    if not path.is_file():
        return None
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        if told["settings"] != settings(plane(plane_name), objective, rules):
            return None
        seeds = tuple(Coverage(**seed) for seed in told["seeds"])
        return Result(plane_name, objective, seeds, np.array(told["points"]).reshape(-1, 2), told["seconds"])
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path} is damaged ({error}): delete it, and the cell is played again.") from error
