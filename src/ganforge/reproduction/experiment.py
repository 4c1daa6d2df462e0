"""Experiment files: what is trained and measured, the paper's figures, and the orderings it concludes from them.

The keys of a file are the fields of `Experiment`; every `experiments/NAME.yaml` here is one, and users can write
their own.
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from ganforge.errors import OptionError
from ganforge.files import reason
from ganforge.metrics import catalogue
from ganforge.serialize import from_plain

FOLDER = Path(__file__).parent / "experiments"


@dataclass(frozen=True)
class Ordering:
    """A claim that one row of the table is better than another, in one metric."""

    better: str
    worse: str
    measure: str
    says: str
    """The conclusion that the paper draws from it, in a sentence."""


@dataclass(frozen=True)
class Experiment:
    """A table of a paper, and how to reproduce it."""

    name: str
    title: str
    source: str
    """The paper, the table, the URL."""
    there: str
    """The data on which the paper's figures were measured, and the length of its training."""
    model: str
    metric: str
    """The metric given to `evaluate`."""
    measures: Mapping[str, str]
    """{figure of the report: its name in the table}."""
    rows: Mapping[str, Mapping[str, Any]]
    """{row: settings of the model's Config that override the preset}."""
    figures: Mapping[str, list[float]]
    """{row: the paper's figures, in the order of `measures`}."""
    orderings: tuple[Ordering, ...]
    truth: list[float] = field(default_factory=list)
    """The paper's figures of the real images, where the metric has some."""
    labels: Literal["", "source", "target"] = ""
    """Which side of the pairs must be label maps; empty: neither."""
    least: int = 0
    """Minimum image side, in pixels, that the rows need.  0: any."""
    data: str = ""
    """The data where the user names none; empty: the embedded set for the model."""
    parts: Mapping[str, str] = field(default_factory=dict)
    """{field of the model's Config: the model of its part}, trained once for all rows."""
    reader: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the text encoder, of the next seed, that reads the samples (`evaluate --reader`); empty: none."""

    @property
    def runs(self) -> list[str]:
        """Names of the runs that are no row: the parts, and the reader."""
        return [*self.parts, *(["reader"] if self.reader else [])]


def list_experiments() -> list[str]:
    """Names of all experiments in the package."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def find_experiment(name: str) -> Experiment:
    """The experiment of that name, or in that file.  Raises OptionError where it is missing or invalid."""
    path = Path(name) if name.endswith((".yaml", ".yml")) else FOLDER / f"{name}.yaml"
    if not path.is_file():
        near = difflib.get_close_matches(name, list_experiments(), 1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise OptionError(f"There is no experiment {name!r}: there are {', '.join(list_experiments())}.{hint}")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        orderings = tuple(from_plain(Ordering, one) for one in content.pop("orderings"))
        experiment = from_plain(Experiment, {"name": path.stem, **content, "orderings": orderings})
    except (OSError, yaml.YAMLError, KeyError, AttributeError, TypeError, OptionError) as error:
        raise OptionError(f"The experiment {path} cannot be read: {reason(error)}") from error
    check_experiment(experiment)
    return experiment


def slug(row: str) -> str:
    """A row's name as a folder name: `U-Net (L1+cGAN)` is `u-net-l1+cgan`."""
    return re.sub(r"[^a-z0-9+]+", "-", row.lower()).strip("-")


def check_experiment(experiment: Experiment) -> None:
    """Raise OptionError where the experiment refers to a row, metric or figure that it does not have."""
    e = experiment
    known = [name for name, metric in catalogue.find_all().items() if metric.needs in ("target", "inputs")]
    wrong = [f"its metric {e.metric!r} is none of {', '.join(known)}"] if e.metric not in known else []
    if not e.rows or not e.measures:
        wrong.append("it has no rows, or no measures")
    wrong += [f"its row {row!r} is not text: write it in quotes" for row in e.rows if not isinstance(row, str)]
    folders = [slug(str(row)) for row in (*e.runs, *e.rows)]
    wrong += [f"two of its rows would have one folder, {one!r}" for one in folders if folders.count(one) > 1]
    named = [*e.figures, *(row for one in e.orderings for row in (one.better, one.worse))]
    wrong += [f"it refers to the row {row!r}, which it does not have" for row in named if row not in e.rows]
    ordered = [one.measure for one in e.orderings if one.measure not in e.measures]
    wrong += [f"it orders by {measure!r}, which it does not measure" for measure in ordered]
    counts = {row: len(figures) for row, figures in {**e.figures, "the truth": e.truth}.items() if figures}
    mismatched = [f"{row} has {n} figures" for row, n in counts.items() if n != len(e.measures)]
    wrong += [f"{words} for {len(e.measures)} measures" for words in mismatched]
    if wrong:
        raise OptionError(f"The experiment {e.name} contradicts itself: {wrong[0]}.")
