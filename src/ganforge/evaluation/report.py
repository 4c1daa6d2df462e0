"""What an evaluation found: as a value, as report.json, as a table."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ganforge.errors import RunError
from ganforge.files import write_whole
from ganforge.metrics.estimate import Estimate
from ganforge.serialize import to_plain


@dataclass(frozen=True)
class Report:
    """What an evaluation found, and everything that its figures depend on."""

    subject: str
    against: str
    figures: tuple[Estimate, ...]
    n_fake: int
    n_real: int
    features: str = "none: each picture against its own truth"
    """The extractor, its weights and its preprocessing, in words."""
    key: str = ""
    """The same, exactly: figures compare only where this is equal."""
    per_class: Mapping[str, tuple[Estimate, ...]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    seed: int = 0
    size: tuple[int, int] = (0, 0)
    channels: int = 0
    data_fingerprint: str = ""
    seconds: float = 0.0
    versions: Mapping[str, str] = field(default_factory=dict)
    pictures: tuple[str, ...] = ()
    """Grids that were written."""

    def __getitem__(self, name: str) -> Estimate:
        """The figure called `name`: `report["fid"].value`.  Raises KeyError."""
        for figure in self.figures:
            if figure.name == name:
                return figure
        raise KeyError(f"{name!r}: there are {', '.join(figure.name for figure in self.figures)}")

    def save(self, path: Path) -> None:
        """Write everything as JSON; an infinite figure is written as the word.  Raises RunError."""
        said = json.dumps(spelled(to_plain(self)), indent=1, ensure_ascii=False, allow_nan=False)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, said + "\n")
        except OSError as error:
            raise RunError(f"The report {path} cannot be written ({error.strerror}): name another with -o.") from error


def spelled(said: object) -> object:
    """Plain values without the numbers that JSON does not have."""
    if isinstance(said, dict):
        return {k: spelled(v) for k, v in said.items()}
    if isinstance(said, list):
        return [spelled(v) for v in said]
    return str(said) if isinstance(said, float) and not np.isfinite(said) else said


def table(report: Report) -> str:
    """The report as a person reads it: figures with what 95 of 100 samples would give, then classes, then warnings."""
    lines = [f"{report.subject} against {report.against}: {report.n_fake:,} pictures against {report.n_real:,}"]
    widest = max((len(f.name) for f in report.figures), default=0)
    lines += [
        f"  {f.name:<{widest}}  {number(f.value):>9}  {interval(f):<22} {f.better} is better" for f in report.figures
    ]
    if report.per_class:
        names = list(dict.fromkeys(f.name for figures in report.per_class.values() for f in figures))
        first, wide = max(map(len, report.per_class)), [max(10, len(name)) for name in names]
        lines += ["", f"  {'':<{first}}  " + "  ".join(f"{n:>{w}}" for n, w in zip(names, wide, strict=True))]
        for label, figures in report.per_class.items():
            said = {f.name: number(f.value) for f in figures}
            cells = "  ".join(f"{said.get(n, ''):>{w}}" for n, w in zip(names, wide, strict=True))
            lines.append(f"  {label:<{first}}  {cells}".rstrip())
    lines += ["", *(f"Note: {warning}" for warning in report.warnings)] if report.warnings else []
    lines += [f"Wrote {path}" for path in report.pictures]
    return "\n".join(lines)


def interval(figure: Estimate) -> str:
    """[low, high], or nothing where the measure has none."""
    return "" if figure.low is None or figure.high is None else f"[{number(figure.low)}, {number(figure.high)}]"


def number(value: float) -> str:
    """Four digits that count."""
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


def in_order(reports: Sequence[Report], name: str) -> list[Report]:
    """The best first, by one figure."""
    sign = 1 if reports[0][name].better == "lower" else -1
    return sorted(reports, key=lambda report: sign * report[name].value)
