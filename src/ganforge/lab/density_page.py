"""The interactive page of a study: one HTML file that holds its data and loads nothing else."""

from pathlib import Path

import numpy as np

from ganforge.files import render_html, replacing
from ganforge.lab.density_result import LATTICE, DensityResult, Frame
from ganforge.lab.distributions import equally_likely_z
from ganforge.lab.exact import probability

TEMPLATE = Path(__file__).with_name("page.html")
MERGED = 2  # bins that are merged into one on the page
FAINT = 1e-3  # of the peak of p_data: where the density is below it, D* is not drawn


def render_page(study: DensityResult) -> str:
    """The page as HTML: a slider over the training, a play button, English and Korean."""
    x = average_bins(study.x)
    study_values = {
        "name": study.name,
        "broke": study.broke,
        "window": [float(study.edges[0]), float(study.edges[-1])],
        "x": rounded(x, 5),
        "data": rounded(average_bins(study.p_data)),
        "z": rounded(equally_likely_z()),
        "frames": [frame_values(study, frame) for frame in study.frames],
    }
    return render_html(TEMPLATE, study=study_values)


def write_page(study: DensityResult, path: Path) -> Path:
    """Write the page atomically; returns the path."""
    with replacing(path) as file:
        file.write(render_page(study).encode())
    return path


def frame_values(study: DensityResult, frame: Frame) -> dict[str, object]:
    """A frame as the page reads it; numbers that are not finite become null."""
    visible = average_bins(study.p_data + frame.p_g) > FAINT * study.p_data.max()
    best = np.where(visible, probability(average_optimum(study, frame)), np.nan)
    numbers = {"value": frame.value, "best": frame.best, "criterion": frame.criterion, "gap": frame.gap}
    numbers |= {"jsd": frame.jsd, "real": frame.says_real, "fake": frame.says_fake}
    return {
        "step": frame.step,
        "g": rounded(average_bins(frame.p_g)),
        "d": rounded(probability(average_bins(frame.logit))),
        "best_at": rounded(best),
        "map": rounded(np.interp(equally_likely_z(), LATTICE, frame.outputs)),
        **{name: round(v, 6) if np.isfinite(v) else None for name, v in numbers.items()},
    }


def average_optimum(study: DensityResult, frame: Frame) -> np.ndarray:
    """The logit of D* on the merged bins."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(average_bins(study.p_data)) - np.log(average_bins(frame.p_g))


def average_bins(values: np.ndarray) -> np.ndarray:
    """(bins,) -> (bins / MERGED,), means of neighbouring bins."""
    return values.reshape(-1, MERGED).mean(1)


def rounded(values: np.ndarray, digits: int = 4) -> list[float | None]:
    """Numbers with `digits` significant digits; None for those that are not finite."""
    return [float(f"{v:.{digits}g}") if np.isfinite(v) else None for v in values]
