"""The result of an evaluation: as a value, as report.json, as a table."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ganforge.errors import RunError
from ganforge.files import write_atomic
from ganforge.metrics.estimate import Estimate
from ganforge.serialize import to_plain


@dataclass(frozen=True)
class Report:
    """The figures of an evaluation, and everything that they depend on."""

    subject: str
    against: str
    figures: tuple[Estimate, ...]
    n_fake: int
    n_real: int
    features: str = "none: each image against its own target"
    """The extractor, its weights and its preprocessing, in words."""
    key: str = ""
    """Identifies the extractor exactly: figures compare only where this is equal."""
    per_class: Mapping[str, tuple[Estimate, ...]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    seed: int = 0
    size: tuple[int, int] = (0, 0)
    channels: int = 0
    data_fingerprint: str = ""
    seconds: float = 0.0
    versions: Mapping[str, str] = field(default_factory=dict)
    pictures: tuple[str, ...] = ()
    """Paths of the grids that were written."""

    def __getitem__(self, name: str) -> Estimate:
        """The figure called `name`, which may lack its extractor: `report["fid"].value`.  Raises KeyError."""
        for called in (lambda full: full, lambda full: full.partition(" (")[0]):
            for figure in self.figures:
                if called(figure.name) == name:
                    return figure
        raise KeyError(f"{name!r}: there are {', '.join(figure.name for figure in self.figures)}")

    def save(self, path: Path) -> None:
        """Write the report as JSON; infinite or NaN figures become strings.  Raises RunError."""
        text = json.dumps(replace_non_finite(to_plain(self)), indent=1, ensure_ascii=False, allow_nan=False)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, text + "\n")
        except OSError as error:
            raise RunError(f"The report {path} cannot be written ({error.strerror}): name another with -o.") from error


def replace_non_finite(value: object) -> object:
    """The value with infinite and NaN floats as strings, since JSON has no such numbers."""
    if isinstance(value, dict):
        return {k: replace_non_finite(v) for k, v in value.items()}
    if isinstance(value, list):
        return [replace_non_finite(v) for v in value]
    return str(value) if isinstance(value, float) and not np.isfinite(value) else value


def format_report(report: Report) -> str:
    """The report as text: figures with 95 % intervals, then classes, then warnings."""
    lines = [f"{report.subject} against {report.against}: {report.n_fake:,} images against {report.n_real:,}"]
    widest = max((len(f.name) for f in report.figures), default=0)
    lines += [
        f"  {f.name:<{widest}}  {format_number(f.value):>9}  {format_interval(f):<22} {f.better} is better"
        for f in report.figures
    ]
    if report.per_class:
        names = list(dict.fromkeys(f.name for figures in report.per_class.values() for f in figures))
        first, wide = max(map(len, report.per_class)), [max(10, len(name)) for name in names]
        lines += ["", f"  {'':<{first}}  " + "  ".join(f"{n:>{w}}" for n, w in zip(names, wide, strict=True))]
        for label, figures in report.per_class.items():
            values = {f.name: format_number(f.value) for f in figures}
            cells = "  ".join(f"{values.get(n, ''):>{w}}" for n, w in zip(names, wide, strict=True))
            lines.append(f"  {label:<{first}}  {cells}".rstrip())
    lines += ["", *(f"Note: {warning}" for warning in report.warnings)] if report.warnings else []
    lines += [f"Wrote {path}" for path in report.pictures]
    return "\n".join(lines)


def format_interval(figure: Estimate) -> str:
    """[low, high], or an empty string where the estimate has no interval."""
    return (
        ""
        if figure.low is None or figure.high is None
        else f"[{format_number(figure.low)}, {format_number(figure.high)}]"
    )


def format_number(value: float) -> str:
    """A number with four significant digits."""
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


def rank_reports(reports: Sequence[Report], name: str) -> list[Report]:
    """Reports sorted by one figure, the best first."""
    sign = 1 if reports[0][name].better == "lower" else -1
    return sorted(reports, key=lambda report: sign * report[name].value)
