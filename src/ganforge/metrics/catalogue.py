"""Find metrics by the name of their file: `fid` is ganforge/metrics/fid.py, `is` (a keyword) is metrics/is_.py."""

import difflib
import importlib
import keyword
import re
from pathlib import Path
from typing import TYPE_CHECKING

from ganforge import metrics
from ganforge.errors import OptionError

if TYPE_CHECKING:
    from ganforge.metrics.metric import Metric

KINDS = {
    "features": "features",
    "logits": "features with class logits",
    "target": "paired data",
    "inputs": "see its definition",
    "labels": "a target label for each image",
    "captions": "a text encoder",
}
"""What a metric needs, in words, in the order of the table."""
BEGIN, END = "<!-- metrics: written from the declarations by docs/draw.py -->", "<!-- end of metrics -->"


def names() -> list[str]:
    """Names of all metrics, alphabetically: files with a line that begins with `METRIC = `.  Imports none of them."""
    files = [file for folder in metrics.__path__ for file in Path(folder).glob("*.py")]
    return sorted(
        name_of(file.stem) for file in files if re.search(r"^METRIC = ", file.read_text(encoding="utf-8"), re.MULTILINE)
    )


def name_of(stem: str) -> str:
    """The name of a metric from that of its file: `is` of is_.py, because a module cannot have a keyword's name."""
    return stem[:-1] if stem.endswith("_") and keyword.iskeyword(stem[:-1]) else stem


def find(name: str) -> "Metric":
    """The metric of that name; imports its file alone.  Raises OptionError with the nearest names."""
    if name not in (known := names()):
        near = difflib.get_close_matches(name, known, 3, 0.5)
        hint = f"Did you mean {' or '.join(near)}?" if near else f"There are {', '.join(known)}."
        raise OptionError(f"There is no metric {name!r}. {hint}")
    return importlib.import_module(f"ganforge.metrics.{name}{'_' * keyword.iskeyword(name)}").METRIC


def find_all() -> "dict[str, Metric]":
    """{name: metric} of all metrics, imported: by what they need, then by their own order, then by name."""
    places = [*KINDS]

    def place(item: "tuple[str, Metric]") -> tuple[int, int, str]:
        name, metric = item
        return places.index("features" if metric.of_features else metric.needs), metric.order, name

    return dict(sorted(((name, find(name)) for name in names()), key=place))


def format_table() -> str:
    """The table of all metrics in docs/metrics.md."""
    lines = [
        "| name | definition | interval | needs | better | default | `--select` |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, metric in find_all().items():
        default, select = ("yes" if mark else "" for mark in (metric.default, metric.select))
        cells = (f"`{name}`", metric.about, metric.interval, KINDS[metric.needs], metric.better, default, select)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def write_table(path: Path) -> None:
    """Replace the table between the two comments of a Markdown page.  Raises ValueError where there are none."""
    before, begin, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path} has no table of metrics: it goes between {BEGIN!r} and {END!r}.")
    path.write_text(f"{before}{BEGIN}\n{format_table()}\n{END}{after}", encoding="utf-8")
