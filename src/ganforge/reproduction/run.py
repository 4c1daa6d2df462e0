"""Train the rows of an experiment one after another for the same number of steps, then evaluate them alike.

FOLDER/asked.json          the options, and the steps that the budget allows: determined once
FOLDER/00002-cgan          the run folder of a row
FOLDER/results.json        every figure; table.md, index.html and pictures.png show the same
"""

import json
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from signal import SIGTERM
from typing import Any, Literal

import numpy as np

from ganforge import system
from ganforge.callbacks.log import read_rows
from ganforge.catalogue import find as find_model
from ganforge.console import Say, silent
from ganforge.data.open import open_data
from ganforge.data.synthetic.choose import choose_embedded
from ganforge.errors import DataError, ModelError, NotFiniteError, OptionError
from ganforge.evaluation.evaluate import evaluate_inputs
from ganforge.evaluation.inputs import EvalOptions, open_inputs
from ganforge.files import write_atomic
from ganforge.images import to_uint8, visible_channels
from ganforge.inference.load import load_part
from ganforge.metrics.estimate import Estimate
from ganforge.metrics.label_colours import MOST, pack_channels
from ganforge.reproduction.experiment import Experiment, find_experiment, slug
from ganforge.reproduction.findings import Findings, Row, build_truth_row
from ganforge.reproduction.pace import measure_step_seconds
from ganforge.reproduction.page import write_results
from ganforge.runs.folder import RunFolder
from ganforge.serialize import to_plain
from ganforge.training import train as training
from ganforge.training.plan import Plan, plan
from ganforge.training.train import resume

EVALUATED = 500  # held-out images to evaluate on, at most: the size of the Cityscapes validation split
SHOWN = 6  # of them on the page
PARTS = 4  # checkpoints per row, so that an interrupted run loses little
LINES = 20  # log lines per row
EXAMINED = 50  # images of a side in which colours are counted

Direction = Literal["auto", "AtoB", "BtoA"]


def reproduce(
    experiment: str,
    data: str | Path = "",
    budget: float = 20.0,
    preset: str = "small",
    *,
    direction: Direction = "auto",
    size: int = 0,
    seed: int = 0,
    threads: int = 0,
    device: str = "auto",
    outdir: str | Path = "runs",
    name: str = "",
    data_home: str | Path | None = None,
    quiet: bool = False,
    say: Say = silent,
) -> Findings:
    """Reproduce a table of a paper: `ganforge.reproduce("pix2pix-table1", data="facades", budget=60)`.

    All rows together train for `budget` minutes, each for the same number of steps; evaluation comes on top.  The
    same call resumes where it was stopped.  The default of `data` is the synthetic set for such a model.

    Raises OptionError for an unknown experiment, a budget that is too small, and a folder that holds another
    reproduction; DataError for data without pairs or, where they are needed, without label maps.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise OptionError("A reproduction trains one run after another in one process: start it without torchrun.")
    if not 0 < budget < float("inf"):
        raise OptionError(f"--budget {budget:g} is no time to train: give minutes, 20 for instance.")
    system.keep_memory()
    definition = find_experiment(experiment)
    model = find_model(definition.model)
    data_spec = str(data) or definition.data or choose_embedded(model.game)
    home = Path(data_home) if data_home is not None else None
    facing = choose_direction(definition, data_spec, direction, model.game.batch_type.columns(), home)
    options: dict[str, Any] = {"data": data_spec, "preset": preset, "direction": facing, "seed": seed}
    options |= {"budget": budget, "size": choose_size(definition, model.preset(preset).run.size, size)}
    later = ("data", "parts", "reader")  # fields that folders of older experiments do not record
    options["experiment"] = {k: value for k, value in to_plain(definition).items() if value or k not in later}
    folder = Path(outdir) / f"reproduce-{name or f'{definition.name}-{Path(data_spec).stem}'}"
    folder.mkdir(parents=True, exist_ok=True)
    lock = RunFolder(folder)
    lock.lock()
    try:
        own = {"threads": threads, "device": device, "data_home": home}
        reproduction = Reproduction(definition, options, own, folder, quiet, say)
        reproduction.settle_steps()
        for row in definition.rows:
            reproduction.train_row(row)
        findings = reproduction.evaluate_rows()
        write_results(findings)
        return findings
    finally:
        lock.unlock()


def choose_direction(
    experiment: Experiment, data_spec: str, direction: Direction, needed: tuple[str, ...], home: Path | None
) -> str:
    """The direction that puts label maps on the side that the experiment needs; they are recognised by few colours.

    Raises DataError where the data has no pairs, or no label maps though the experiment needs some.
    """
    if direction != "auto" or not experiment.labels:
        return "AtoB" if direction == "auto" else direction
    opened = open_data(data_spec, size=None, home=home, needed=needed)
    opened.need("source", "target")
    counts = {
        side: len(np.unique(pack_channels(np.asarray(opened.columns[side][:EXAMINED]))))
        for side in ("source", "target")
    }
    fewer, other = sorted(counts, key=counts.__getitem__)
    if counts[fewer] > MOST or counts[fewer] == counts[other]:
        raise DataError(
            f"{experiment.name} needs label maps, and neither side of {data_spec} looks like some: they have "
            f"{counts['source']} and {counts['target']} colours in {EXAMINED} images or fewer, "
            f"where label maps have at most {MOST}; if one side is label maps all the same, choose it with --direction."
        )
    return "AtoB" if fewer == experiment.labels else "BtoA"


def choose_size(experiment: Experiment, preset: tuple[int, ...], size: int) -> tuple[int, ...]:
    """The image size: `size` if given, else the preset's, but at least what the rows need.  Raises OptionError."""
    if size and size < experiment.least:
        raise OptionError(
            f"--size {size} is too small for {experiment.name}: its rows need {experiment.least} pixels per side."
        )
    if size:
        return (size,)
    return (experiment.least,) if preset and min(preset) < experiment.least else preset


@dataclass
class Reproduction:
    """One folder of rows."""

    experiment: Experiment
    options: Mapping[str, Any]
    own: Mapping[str, Any]
    """Options that change results only in the last digits: threads, device, data folder."""
    folder: Path
    quiet: bool
    say: Say
    steps: int = 0

    def __post_init__(self) -> None:
        self.failed: dict[str, str] = {}

    def settle_steps(self) -> None:
        """Set the number of steps: that of the folder, or what the budget allows.  Raises OptionError."""
        record, now = self.folder / "asked.json", json.loads(json.dumps(to_plain(self.options)))
        if record.is_file():
            before = json.loads(record.read_text(encoding="utf-8"))
            self.steps = before.pop("rounds")
            if before != now:
                differs = ", ".join(key for key in now if now[key] != before.get(key))
                raise OptionError(
                    f"{self.folder} holds another reproduction (its {differs} differs): give this one a --name of its "
                    "own, or repeat its options to resume it."
                )
            return
        count = len(self.experiment.rows)
        self.train_parts()
        self.plan(next(iter(self.experiment.rows))).held_out()  # fail before training where nothing is held out
        self.say(f"Measuring the speed of {count} rows.")
        seconds_per_step = {row: measure_step_seconds(self.plan(row)) for row in self.experiment.rows}
        total, seconds = sum(seconds_per_step.values()), 60 * self.options["budget"]
        self.steps = int(seconds / total)
        if not self.steps:
            raise OptionError(
                f"--budget {self.options['budget']:g} is too small: one step of each of the {count} rows takes "
                f"{total:.2g} seconds here, so give --budget {2 * total / 60:.2g} at the least, and far more to learn."
            )
        write_atomic(record, json.dumps({**now, "rounds": self.steps}, indent=1) + "\n")
        slow = ", ".join(f"{row} {1000 * pace:.0f} ms" for row, pace in seconds_per_step.items())
        self.say(f"A step takes {slow}: {self.steps:,} steps for every row.")

    def run_settings(self, row: str) -> dict[str, Any]:
        """The arguments of a row's run."""
        options = {key: self.options[key] for key in ("preset", "direction", "seed", "size")}
        intervals = {"sample_every": 0, "save_every": max(1, self.steps // PARTS), "keep": 1}
        intervals["log_every"] = max(1, self.steps // LINES)
        parts = {part: str(self.find_run(part)) for part in self.experiment.parts}
        return {
            "data": self.options["data"],
            **options,
            **self.own,
            **intervals,
            "config": {**parts, **self.experiment.rows[row]},
        }

    @property
    def batch(self) -> int:
        """Pairs per step."""
        return find_model(self.experiment.model).preset(self.options["preset"]).run.batch

    def plan(self, row: str) -> Plan:
        """The plan of a row's run."""
        return plan(self.experiment.model, load=load_part, adapt=False, **self.run_settings(row))

    def find_run(self, row: str) -> Path | None:
        """The run folder of a row, or None where it was not started."""
        started = (path.parent for path in self.folder.glob("[0-9]*-*/config.yaml"))
        return next((path for path in started if re.sub(r"^\d+-", "", path.name) == slug(row)), None)

    def train_parts(self) -> None:
        """Train the parts of all rows, and the reader, where they are not there yet."""
        e, wanted = self.experiment, self.options["preset"]
        models = {**e.parts, **({"reader": "text_encoder"} if e.reader else {})}
        for name, model in models.items():
            presets = find_model(model).presets
            preset = wanted if wanted in presets else "small"
            settings = {"data": self.options["data"], "preset": preset, "size": self.options["size"], **self.own}
            settings |= {"seed": self.options["seed"] + (name == "reader"), "sample_every": 0, "keep": 1}
            config = dict(e.reader) if name == "reader" else {}
            self.train_run(name, f"The {name}", model, presets[preset].run.steps, {**settings, "config": config})

    def train_row(self, row: str) -> None:
        """Train a row to its end, from its last checkpoint on.  Raises KeyboardInterrupt where it was stopped."""
        label = f"Row {[*self.experiment.rows].index(row) + 1} of {len(self.experiment.rows)}, {row}"
        try:
            self.train_run(row, label, self.experiment.model, self.steps, self.run_settings(row))
        except NotFiniteError as error:
            self.failed[row] = str(error)
            self.say(f"{label} diverged: {error}")

    def train_run(self, name: str, label: str, model: str, steps: int, settings: Mapping[str, Any]) -> None:
        """Train a run of the folder to its end.  Raises KeyboardInterrupt where it was stopped, NotFiniteError."""
        folder = self.find_run(name)
        if folder is not None and (RunFolder.open(folder).checkpoints().steps() or [0])[-1] >= steps:
            self.say(f"{label}: already trained.")
            return
        self.say(f"{label}: {steps:,} steps.")
        reporting = {"tensorboard": False, "doctor": False, "quiet": self.quiet, "say": self.say}
        if folder is not None:
            trained = resume(folder, **self.own, **reporting)
        else:
            options = {"outdir": self.folder, "name": slug(name), "steps": steps, "adapt": False}
            trained = training.train(model, **options, **settings, **reporting)
        if trained.step < steps:
            self.say("The same command resumes this reproduction.")
            raise SystemExit(128 + trained.stopped_by) if trained.stopped_by == SIGTERM else KeyboardInterrupt

    def evaluate_rows(self) -> Findings:
        """Evaluate every trained row on the same held-out images.  Raises ModelError where all rows failed."""
        began, rows = time.perf_counter(), list[Row]()
        images, notes = dict[str, np.ndarray](), dict[str, None]()
        for row in self.experiment.rows:
            figures, paper, path = (), self.experiment.figures.get(row, []), self.find_run(row)
            if row not in self.failed and path is not None:
                figures = self.evaluate_row(row, path, images, notes)
            seconds = (
                sum(line["seconds"] for line in read_rows(path / "log.jsonl", "seconds")) if path is not None else 0.0
            )
            rows.append(Row(row, path, figures, tuple(paper), seconds, self.failed.get(row, "")))
        if not any(row.figures for row in rows):
            raise ModelError(f"Every row of {self.experiment.name} diverged; the first with: {rows[0].why}")
        return Findings(
            self.folder, self.experiment, self.options, self.steps, self.batch, tuple(rows),
            build_truth_row(self.experiment, rows), images, tuple(notes), time.perf_counter() - began,
        )  # fmt: skip

    def evaluate_row(
        self, row: str, path: Path, images: dict[str, np.ndarray], notes: dict[str, None]
    ) -> tuple[Estimate, ...]:
        """The figures of one row; its images and notes are added to `images` and `notes`."""
        options = EvalOptions(
            metrics=(self.experiment.metric,),
            n=EVALUATED,
            seed=self.options["seed"],
            held_out=True,
            device=self.own["device"],
            reader=str(self.find_run("reader")) if self.experiment.reader else "",
        )
        inputs = open_inputs(path, None, options, self.own["data_home"])
        report, _ = evaluate_inputs(inputs, options, self.say)
        if unknown := [name for name in self.experiment.measures if name not in [f.name for f in report.figures]]:
            raise OptionError(
                f"{self.experiment.name} needs {unknown[0]}, and the metric {self.experiment.metric} gives "
                f"{', '.join(f.name for f in report.figures)}."
            )
        report.save(path / "report.json")
        notes |= dict.fromkeys(report.warnings)
        paired = inputs.sources is not None
        sides = {**({"input": inputs.sources} if paired else {}), row: inputs.fake}
        sides["truth" if paired else "real images"] = inputs.real
        images.pop([*sides][-1], None)  # it comes last
        images |= {
            name: visible_channels(to_uint8(side.rows(0, min(SHOWN, side.count)))) for name, side in sides.items()
        }
        return report.figures
