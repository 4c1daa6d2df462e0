"""Runs of the quality tests, kept between calls of pytest: nothing is trained twice, and a cut training goes on.

A run lies under a hash of the code of its model and of the files in models/ and nn/ that this imports, of its settings,
its data and its kind of device.  The engine is not part of the hash: delete the folder, or name another with
GANFORGE_QUALITY_RUNS, to train everything again.
"""

import ast
import json
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ganforge
from ganforge import system
from ganforge.catalogue import file_of, is_own
from ganforge.data.cache import fingerprint
from ganforge.data.paths import cache_home
from ganforge.inference.load import load_part
from ganforge.inference.trained import Trained
from ganforge.serialize import to_plain
from ganforge.training.plan import Plan, plan

PACKAGE = Path(ganforge.__file__).parent
PACE = (20, 60)  # steps of the two trainings that a pace is read from, the second of more where they differ too little
LEAST = 15.0  # seconds of a processor by which they differ at least: in shorter ones a pace varied by a tenth


def runs_home() -> Path:
    """The folder of the kept runs."""
    return Path(os.environ.get("GANFORGE_QUALITY_RUNS") or cache_home() / "quality-runs")


def train_once(
    model: str, data: str | Path = "", preset: str = "small", *, changed: str = "", **options: Any
) -> Trained:
    """`ganforge.train`, or the run that it has made before with the same code, settings and data.

    `changed` says what a test has changed in the code of the running process.
    """
    planned = plan(model, data, preset, load=load_part, **options)
    home = runs_home() / f"{Path(model).stem}-{fingerprint(describe(planned), changed)[:20]}"
    begun = sorted(home.glob("*/config.yaml"))
    if not begun:
        made = ganforge.train(model, data, preset, outdir=home, name="run", quiet=True, tensorboard=False, **options)
    elif (
        list((run := begun[-1].parent).glob("checkpoints/*")) and (kept := ganforge.load(run)).step >= planned.run.steps
    ):
        return kept
    else:
        made = ganforge.resume(run, quiet=True, tensorboard=False, data_home=options.get("data_home"))
    if made.stopped_by:  # nothing is built on a part of a training
        raise KeyboardInterrupt
    return made


def describe(planned: Plan) -> str:
    """A hash of a planned run: its model's code, its settings, its data; parts are named by their folders."""
    run = {key: value for key, value in to_plain(planned.run).items() if key not in {"device", "threads"}}
    device = system.pick_device(planned.run.device).type
    code = code_of(model_files(planned.model.name))
    return fingerprint(code, to_plain(planned.config), run, planned.data.fingerprint, device)


def model_files(model: str) -> list[Path]:
    """The files that a model's code stands in, and those in models/ and nn/ that they import, directly or not."""
    file = Path(model) if is_own(model) else file_of(model)
    left = sorted(file.parent.glob("*.py")) if file.name == "__init__.py" else [file]
    found = set[Path]()
    while left:
        if (file := left.pop()) not in found:
            found.add(file)
            left += list_imports(file)
    return sorted(found)


def list_imports(file: Path) -> list[Path]:
    """The files in models/ and nn/ that a file imports."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    modules = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    places = [
        PACKAGE.parent.joinpath(*m.split(".")) for m in modules if m.startswith(("ganforge.models.", "ganforge.nn."))
    ]
    files = [place / "__init__.py" if place.is_dir() else place.with_suffix(".py") for place in places]
    return [file for file in files if file.exists()]


def measure_pace(model: str, data: str | Path = "", preset: str = "small", **options: Any) -> float:
    """Processor seconds of a step, from a short training and a longer one; kept like a run, so that what is trained
    for a time is trained once."""
    options |= {"sample_every": 0}
    planned = plan(model, data, preset, load=load_part, **{**options, "steps": PACE[1]})
    file = runs_home() / "paces" / f"{Path(model).stem}-{fingerprint(describe(planned))[:20]}.json"
    if not file.exists():
        few, many = PACE
        _time_training(model, data, preset, **options, steps=1)  # the first in a process is slower
        first = _time_training(model, data, preset, **options, steps=few)
        while (more := _time_training(model, data, preset, **options, steps=many) - first) < LEAST:
            many *= 4
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(more / (many - few)), encoding="utf-8")
    return json.loads(file.read_text(encoding="utf-8"))


def _time_training(model: str, data: str | Path, preset: str, **options: Any) -> float:
    """Processor seconds of a training, with all that surrounds its steps."""
    began = time.process_time()
    with TemporaryDirectory() as home:
        ganforge.train(model, data, preset, outdir=home, quiet=True, **options)
    return time.process_time() - began


def count_steps(seconds: float, model: str, data: str | Path = "", preset: str = "small", **options: Any) -> int:
    """The steps, in hundreds, that take about so many seconds of a processor."""
    return 100 * max(1, round(seconds / measure_pace(model, data, preset, **options) / 100))


def code_of(files: list[Path]) -> list[str]:
    """The code of some files as text, without comments, docstrings, layout and presets, whose settings a plan holds."""
    return [ast.dump(_CodeAlone().visit(ast.parse(file.read_text(encoding="utf-8")))) for file in files]


class _CodeAlone(ast.NodeTransformer):
    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        return None if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str) else node

    def visit_Assign(self, node: ast.Assign) -> ast.Assign | None:
        presets = any(isinstance(target, ast.Name) and target.id == "presets" for target in node.targets)
        return None if presets else node
