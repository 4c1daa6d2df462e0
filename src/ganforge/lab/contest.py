"""The mode contest: every objective on every plane, and what of it is left when it is stopped on the way.

A cell is one objective on one plane, all its seeds at once (player.py).  Cells are independent, so they are shared
out to processes; each is written to cells/PLANE-OBJECTIVE.json when it is done, and found there the next time.
"""

import json
import multiprocessing
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ganforge import machine
from ganforge.errors import OptionError, RunError
from ganforge.images import replacing
from ganforge.lab.objectives import OBJECTIVES
from ganforge.lab.planes import Coverage, Plane, coverage, plane
from ganforge.lab.player import Cell, Rules

PLANES = ("ring", "grid")
SHOWN = 600  # points of the first seed that are kept for the picture
STUDENT = (0, 12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
"""Student's t for 95 % of both sides, by degrees of freedom; 0 stands for none."""

Told = Callable[[int, int], None]  # (steps done, steps in all) of every cell together


@dataclass(frozen=True)
class Result:
    """What came out of a cell."""

    plane: str
    objective: str
    seeds: tuple[Coverage, ...]
    points: np.ndarray
    """(SHOWN, 2) of the first seed."""
    seconds: float

    def mean(self, of: Callable[[Coverage], float]) -> tuple[float, float, float]:
        """The mean over the seeds, and the limits of its 95 % interval by Student's t, kept to what was seen possible.

        One seed has no interval: the limits are not numbers.
        """
        values = np.array([of(seed) for seed in self.seeds], dtype=np.float64)
        if len(values) < 2:
            return float(values[0]), np.nan, np.nan
        t = STUDENT[len(values) - 1] if len(values) <= len(STUDENT) else 1.96
        half = t * values.std(ddof=1) / np.sqrt(len(values))
        return float(values.mean()), float(values.mean() - half), float(values.mean() + half)

    @property
    def verdict(self) -> str:
        """In words, by counting: how many seeds found every mode, lost more than half, or ended in no number."""
        modes, n = len(plane(self.plane).means), len(self.seeds)
        whole = sum(seed.modes == modes for seed in self.seeds)
        lost = sum(seed.finite and seed.modes < modes / 2 for seed in self.seeds)
        broke = sum(not seed.finite for seed in self.seeds)
        said = [f"all modes in {whole} of {n}"]
        said += [f"collapses in {lost}"] if lost else []
        said += [f"diverges in {broke}"] if broke else []
        return ", ".join(said)


@dataclass(frozen=True)
class Contest:
    """Everything that came out."""

    rules: Rules
    results: tuple[Result, ...]

    def figure(self) -> Any:
        """The picture of the contest, as a matplotlib figure."""
        from ganforge.lab.contest_figure import figure

        return figure(self)

    def table(self) -> str:
        """A table in Markdown: means over the seeds, with 95 % intervals."""
        lines = [
            f"{self.rules.seeds} seeds, {self.rules.steps} steps of the generator; mean [95 % interval]",
            "",
            "| plane | objective | modes found | within 3 spreads | reverse KL | seeds |",
            "|---|---|---|---|---|---|",
        ]
        for r in self.results:
            total = len(plane(r.plane).means)
            found = interval(r.mean(lambda c: c.modes), 1, (0, total))
            near = interval(r.mean(lambda c: 100 * c.quality), 0, (0, 100))
            apart = interval(r.mean(lambda c: c.reverse_kl), 2, (0, float(np.log(total))))
            title = OBJECTIVES[r.objective].title
            lines.append(f"| {r.plane} | {title} | {found} of {total} | {near} % | {apart} | {r.verdict} |")
        return "\n".join(lines)


def interval(values: tuple[float, float, float], digits: int, limits: tuple[float, float]) -> str:
    """`7.4 [6.3, 8.0]`, cut to what is possible; without limits where there is no interval."""
    mean, low, high = values
    if np.isnan(low):
        return f"{mean:.{digits}f}"
    return f"{mean:.{digits}f} [{max(low, limits[0]):.{digits}f}, {min(high, limits[1]):.{digits}f}]"


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
    workers = max(1, min(workers or machine.cores(), len(missing)))
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
