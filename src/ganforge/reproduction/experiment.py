"""An experiment as its file tells it: what is trained, what is measured, what the paper found and what it concludes.

The keys of a file are the fields of `Experiment`; every `experiments/NAME.yaml` here is one, and so is a person's own
file.
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from ganforge.errors import OptionError
from ganforge.evaluation.feature_metrics import AGAINST_TRUTH, WHOLE
from ganforge.files import reason
from ganforge.serialize import from_plain

SHELF = Path(__file__).parent / "experiments"


@dataclass(frozen=True)
class Ordering:
    """One row of the table above another, in one measure."""

    better: str
    worse: str
    measure: str
    says: str
    """What the paper concludes from it, in a sentence."""


@dataclass(frozen=True)
class Experiment:
    """A table of a paper, and how to make it again."""

    name: str
    title: str
    source: str
    """The paper, the table, the address."""
    there: str
    """On what the paper's figures were measured, and after how much training."""
    model: str
    metric: str
    """What `evaluate` is asked for."""
    measures: Mapping[str, str]
    """{figure of the report: its name in the table}."""
    rows: Mapping[str, Mapping[str, Any]]
    """{row: settings of the model's Config, beside those of the preset}."""
    figures: Mapping[str, list[float]]
    """{row: the paper's figures, in the order of `measures`}."""
    orderings: tuple[Ordering, ...]
    truth: list[float] = field(default_factory=list)
    """The paper's figures of the true pictures, where the measure has some."""
    labels: Literal["", "source", "target"] = ""
    """Which side of the pairs are label maps; empty: neither has to be."""
    least: int = 0
    """Side, in pixels, that the rows need at least.  0: they take any."""


def names() -> list[str]:
    """All experiments that the package brings."""
    return sorted(path.stem for path in SHELF.glob("*.yaml"))


def find(name: str) -> Experiment:
    """The experiment of that name, or in that file.  Raises OptionError where there is none that is whole."""
    path = Path(name) if name.endswith((".yaml", ".yml")) else SHELF / f"{name}.yaml"
    if not path.is_file():
        near = difflib.get_close_matches(name, names(), 1)
        meant = f" Did you mean {near[0]}?" if near else ""
        raise OptionError(f"There is no experiment {name!r}: there are {', '.join(names())}.{meant}")
    try:
        said = yaml.safe_load(path.read_text(encoding="utf-8"))
        orderings = tuple(from_plain(Ordering, one) for one in said.pop("orderings"))
        found = from_plain(Experiment, {"name": path.stem, **said, "orderings": orderings})
    except (OSError, yaml.YAMLError, KeyError, AttributeError, TypeError, OptionError) as error:
        raise OptionError(f"The experiment {path} cannot be read: {reason(error)}") from error
    checked(found)
    return found


def slug(row: str) -> str:
    """A row's name as that of a folder: `U-Net (L1+cGAN)` is `u-net-l1+cgan`."""
    return re.sub(r"[^a-z0-9+]+", "-", row.lower()).strip("-")


def checked(experiment: Experiment) -> None:
    """Raise OptionError where a row, a measure or a figure that is spoken of is not there."""
    e, measured = experiment, (*AGAINST_TRUTH, *WHOLE)
    wrong = [f"its metric {e.metric!r} is none of {', '.join(measured)}"] if e.metric not in measured else []
    if not e.rows or not e.measures:
        wrong.append("it has no rows, or no measures")
    wrong += [f"its row {row!r} is no text: write it in quotes" for row in e.rows if not isinstance(row, str)]
    folders = [slug(str(row)) for row in e.rows]
    wrong += [f"two of its rows would lie in one folder, {one!r}" for one in folders if folders.count(one) > 1]
    named = [*e.figures, *(row for one in e.orderings for row in (one.better, one.worse))]
    wrong += [f"it speaks of the row {row!r}, which it does not have" for row in named if row not in e.rows]
    ordered = [one.measure for one in e.orderings if one.measure not in e.measures]
    wrong += [f"it orders by {measure!r}, which it does not measure" for measure in ordered]
    counts = {row: len(figures) for row, figures in {**e.figures, "the truth": e.truth}.items() if figures}
    odd = [f"{row} has {n} figures" for row, n in counts.items() if n != len(e.measures)]
    wrong += [f"{words} for {len(e.measures)} measures" for words in odd]
    if wrong:
        raise OptionError(f"The experiment {e.name} contradicts itself: {wrong[0]}.")
