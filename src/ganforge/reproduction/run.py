"""Rows of an experiment, trained one after another for the same number of rounds, then judged by the same eyes.

FOLDER/asked.json          what was asked for, and the rounds that the budget allows: settled once
FOLDER/00002-cgan          the run folder of a row
FOLDER/results.json        every figure; table.md, index.html and pictures.png are made of the same
"""

import json
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ganforge import system
from ganforge.callbacks.log import rows as logged
from ganforge.catalogue import find as model_called
from ganforge.console import Say, silent
from ganforge.data.open import open_data
from ganforge.data.synthetic.domains import embedded
from ganforge.errors import DataError, ModelError, NotFiniteError, OptionError
from ganforge.evaluation.evaluate import judged
from ganforge.evaluation.inputs import EvalOptions, case
from ganforge.files import write_whole
from ganforge.images import to_uint8, visible
from ganforge.inference.load import load_part
from ganforge.metrics.estimate import Estimate
from ganforge.metrics.label_colours import MOST, packed
from ganforge.reproduction.experiment import Experiment, find, slug
from ganforge.reproduction.findings import Findings, Row, truth_of
from ganforge.reproduction.pace import seconds_a_round
from ganforge.reproduction.page import written
from ganforge.runs.folder import RunFolder
from ganforge.serialize import to_plain
from ganforge.training import train as training
from ganforge.training.plan import Plan, plan
from ganforge.training.train import resume

JUDGED = 500  # held-out pictures that a figure is of, where there are so many: as many as Cityscapes holds out
SHOWN = 6  # of them that are looked at
PARTS = 4  # checkpoints of a row, so that a machine that goes down takes little with it
LINES = 20  # of its log
EXAMINED = 50  # pictures of a side that are searched for colours

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
    """Make a table of a paper again: `ganforge.reproduce("pix2pix-table1", data="facades", budget=60)`.

    All rows together train for `budget` minutes, each for the same number of rounds; judging comes on top.  The same
    call goes on where it was stopped.  Without `data` it is the set that the program draws for such a model.

    Raises OptionError for an experiment that there is not, a budget that is too small, and a folder that holds
    another reproduction; DataError for data without pairs or, where they are needed, without label maps.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise OptionError("A reproduction plays one run after another in one process: start it without torchrun.")
    if not 0 < budget < float("inf"):
        raise OptionError(f"--budget {budget:g} is no time to train: give minutes, 20 for instance.")
    system.keep_memory()
    told = find(experiment)
    model = model_called(told.model)
    spec = str(data) or embedded(model.game.batch_type.columns())
    home = Path(data_home) if data_home is not None else None
    reading = facing(told, spec, direction, model.game.batch_type.columns(), home)
    asked: dict[str, Any] = {"data": spec, "preset": preset, "direction": reading, "seed": seed, "budget": budget}
    asked |= {"size": sized(told, model.preset(preset).run.size, size), "experiment": to_plain(told)}
    folder = Path(outdir) / f"reproduce-{name or f'{told.name}-{Path(spec).stem}'}"
    folder.mkdir(parents=True, exist_ok=True)
    lock = RunFolder(folder)
    lock.hold()
    try:
        own = {"threads": threads, "device": device, "data_home": home}
        played = Reproduction(told, asked, own, folder, quiet, say)
        played.settle()
        for row in told.rows:
            played.train(row)
        found = played.judge()
        written(found)
        return found
    finally:
        lock.release()


def facing(told: Experiment, spec: str, direction: Direction, needed: tuple[str, ...], home: Path | None) -> str:
    """The direction in which the experiment's label maps are where it wants them: they are painted in few colours.

    Raises DataError where the data has no pairs, or no label maps though the experiment needs some.
    """
    if direction != "auto" or not told.labels:
        return "AtoB" if direction == "auto" else direction
    found = open_data(spec, size=None, home=home, needed=needed)
    found.need("source", "target")
    counts = {side: len(np.unique(packed(np.asarray(found.columns[side][:EXAMINED])))) for side in ("source", "target")}
    fewer, other = sorted(counts, key=counts.__getitem__)
    if counts[fewer] > MOST or counts[fewer] == counts[other]:
        raise DataError(
            f"{told.name} needs label maps, and neither side of {spec} looks like some: they have {counts['source']} "
            f"and {counts['target']} colours in {EXAMINED} pictures or fewer, where label maps have at most {MOST}; if "
            "one side is label maps all the same, say which with --direction."
        )
    return "AtoB" if fewer == told.labels else "BtoA"


def sized(told: Experiment, preset: tuple[int, ...], size: int) -> tuple[int, ...]:
    """The size of the pictures: what was asked for, else the preset's, but at least what the rows need."""
    if size and size < told.least:
        raise OptionError(f"--size {size} is too small for {told.name}: its rows need {told.least} pixels a side.")
    if size:
        return (size,)
    return (told.least,) if preset and min(preset) < told.least else preset


@dataclass
class Reproduction:
    """One folder of rows."""

    told: Experiment
    asked: Mapping[str, Any]
    own: Mapping[str, Any]
    """What changes no result but in its last digits: threads, device, where data lies."""
    folder: Path
    quiet: bool
    say: Say
    rounds: int = 0

    def __post_init__(self) -> None:
        self.failed: dict[str, str] = {}

    def settle(self) -> None:
        """The number of rounds: what the folder says, or what the budget allows.  Raises OptionError."""
        record, now = self.folder / "asked.json", json.loads(json.dumps(to_plain(self.asked)))
        if record.is_file():
            before = json.loads(record.read_text(encoding="utf-8"))
            self.rounds = before.pop("rounds")
            if before != now:
                differs = ", ".join(key for key in now if now[key] != before.get(key))
                raise OptionError(
                    f"{self.folder} holds another reproduction (its {differs} differs): give this one a --name of its "
                    "own, or say what that one said to go on with it."
                )
            return
        count = len(self.told.rows)
        self.plan(next(iter(self.told.rows))).held_out()  # where nothing is held out, say so before anything is trained
        self.say(f"Measuring the pace of {count} rows.")
        each = {row: seconds_a_round(self.plan(row)) for row in self.told.rows}
        whole, seconds = sum(each.values()), 60 * self.asked["budget"]
        self.rounds = int(seconds / whole)
        if not self.rounds:
            raise OptionError(
                f"--budget {self.asked['budget']:g} is too small: one round of each of the {count} rows takes "
                f"{whole:.2g} seconds here, so give --budget {2 * whole / 60:.2g} at the least, and far more to learn."
            )
        write_whole(record, json.dumps({**now, "rounds": self.rounds}, indent=1) + "\n")
        slow = ", ".join(f"{row} {1000 * pace:.0f} ms" for row, pace in each.items())
        self.say(f"A round takes {slow}: {self.rounds:,} rounds for every row.")

    def settings(self, row: str) -> dict[str, Any]:
        """What a row's run is asked for."""
        asked = {key: self.asked[key] for key in ("preset", "direction", "seed", "size")}
        few = {"sample_every": 0, "save_every": max(1, self.rounds // PARTS), "keep": 1}
        few["log_every"] = max(1, self.rounds // LINES)
        return {"data": self.asked["data"], **asked, **self.own, **few, "config": dict(self.told.rows[row])}

    @property
    def batch(self) -> int:
        """Pairs in a round."""
        return model_called(self.told.model).preset(self.asked["preset"]).run.batch

    def plan(self, row: str) -> Plan:
        """A row's run, thought through."""
        return plan(self.told.model, load=load_part, **self.settings(row))

    def run(self, row: str) -> Path | None:
        """The run folder of a row, if it was begun."""
        begun = (path.parent for path in self.folder.glob("[0-9]*-*/config.yaml"))
        return next((path for path in begun if re.sub(r"^\d+-", "", path.name) == slug(row)), None)

    def train(self, row: str) -> None:
        """Train a row to its end, from its last checkpoint on.  Raises KeyboardInterrupt where a person stopped it."""
        place = f"Row {[*self.told.rows].index(row) + 1} of {len(self.told.rows)}, {row}"
        begun = self.run(row)
        if begun is not None and (RunFolder.open(begun).checkpoints().steps() or [0])[-1] >= self.rounds:
            self.say(f"{place}: trained before.")
            return
        self.say(f"{place}: {self.rounds:,} rounds.")
        calm = {"tensorboard": False, "doctor": False, "quiet": self.quiet, "say": self.say}
        try:
            if begun is not None:
                trained = resume(begun, **self.own, **calm)
            else:
                trained = training.train(
                    self.told.model, outdir=self.folder, name=slug(row), steps=self.rounds, **self.settings(row), **calm
                )
        except NotFiniteError as error:
            self.failed[row] = str(error)
            self.say(f"{place} broke down: {error}")
            return
        if trained.step < self.rounds:
            self.say("The same command goes on with this reproduction.")
            raise KeyboardInterrupt

    def judge(self) -> Findings:
        """Every row that stands, by the same measure on the same held-out pictures."""
        began, found = time.perf_counter(), list[Row]()
        pictures, notes = dict[str, np.ndarray](), dict[str, None]()
        for row in self.told.rows:
            figures, paper, path = (), self.told.figures.get(row, []), self.run(row)
            if row not in self.failed and path is not None:
                figures = self.judged(row, path, pictures, notes)
            seconds = sum(line["seconds"] for line in logged(path / "log.jsonl")) if path is not None else 0.0
            found.append(Row(row, path, figures, tuple(paper), seconds, self.failed.get(row, "")))
        if not any(row.figures for row in found):
            raise ModelError(f"Every row of {self.told.name} broke down; the first says: {found[0].why}")
        return Findings(
            self.folder, self.told, self.asked, self.rounds, self.batch, tuple(found), truth_of(self.told, found),
            pictures, tuple(notes), time.perf_counter() - began,
        )  # fmt: skip

    def judged(
        self, row: str, path: Path, pictures: dict[str, np.ndarray], notes: dict[str, None]
    ) -> tuple[Estimate, ...]:
        """The figures of one row; its pictures, and what there is to note, are put to the others'."""
        terms = EvalOptions(
            metrics=(self.told.metric,), n=JUDGED, seed=self.asked["seed"], held_out=True, device=self.own["device"]
        )
        found = case(path, None, terms, self.own["data_home"])
        report, _ = judged(found, terms, self.say)
        if unknown := [name for name in self.told.measures if name not in [f.name for f in report.figures]]:
            raise OptionError(
                f"{self.told.name} wants {unknown[0]}, and the metric {self.told.metric} gives "
                f"{', '.join(f.name for f in report.figures)}."
            )
        report.save(path / "report.json")
        notes |= dict.fromkeys(report.warnings)
        assert found.sources is not None
        sides = {"input": found.sources, row: found.fake, "truth": found.real}
        pictures.pop("truth", None)  # it stands last
        pictures |= {name: visible(to_uint8(side.rows(0, min(SHOWN, side.count)))) for name, side in sides.items()}
        return report.figures
