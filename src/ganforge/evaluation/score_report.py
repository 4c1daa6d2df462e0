"""The result of `score`, as values."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ganforge.metrics.anomaly import Threshold
from ganforge.metrics.estimate import Estimate


@dataclass(frozen=True)
class Scored:
    """One image with its score."""

    name: str
    score: float
    heat: np.ndarray
    """float32 (h, w), smoothed; empty from a game without `heat`."""
    shown: np.ndarray
    """uint8 (h, w, 3): the image, reduced to what the page shows of it."""
    sides: tuple[int, int]
    """Height and width of the image itself."""
    strange: bool | None
    mask: np.ndarray | None


@dataclass
class ScoreReport:
    """The result of `score`."""

    out: Path
    scored: list[Scored]
    """All images, the strangest first."""
    threshold: Threshold | None = None
    alarms: Estimate | None = None
    """The share of the images that are known to be sound which lie above the threshold."""
    figures: dict[str, Estimate] = field(default_factory=dict)
    """{auroc, ap, auroc_pixel, pro: its value}, as far as the truth is known."""
    highest: float = 0.0
    """The heat that the brightest colour of the maps stands for."""
    smooth: float = 0.0
    notes: list[str] = field(default_factory=list)
    """What was converted, what was not taken, and what the truth lacks."""
    skipped: list[str] = field(default_factory=list)
    """A sentence about each file that could not be scored."""
