"""The interactive page of a study: one file of HTML with its data inside, which asks nothing of any network."""

import json
from pathlib import Path

import numpy as np

from ganforge.files import replacing
from ganforge.lab.density_result import LATTICE, DensityResult, Frame
from ganforge.lab.distributions import equally_likely
from ganforge.lab.exact import probability

TEMPLATE = Path(__file__).with_name("page.html")
COARSE = 2  # bins that become one on the page
FAINT = 1e-3  # of the peak of p_data: with less density than that D* is not drawn


def page(study: DensityResult) -> str:
    """The page as text: a slider over the training, a play button, English and Korean."""
    x = coarse(study.x)
    data = {
        "name": study.name,
        "broke": study.broke,
        "window": [float(study.edges[0]), float(study.edges[-1])],
        "x": short(x, 5),
        "data": short(coarse(study.p_data)),
        "z": short(equally_likely()),
        "frames": [moment(study, frame) for frame in study.frames],
    }
    # "</" would end the script that holds the data; JSON may write it with a stroke before the slash.
    text = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("</", "<\\/")
    return TEMPLATE.read_text(encoding="utf-8").replace("@STUDY@", text)


def write_page(study: DensityResult, path: Path) -> Path:
    """Write the page; returns where."""
    with replacing(path) as file:
        file.write(page(study).encode())
    return path


def moment(study: DensityResult, frame: Frame) -> dict[str, object]:
    """A frame as the page reads it; what is not finite becomes null."""
    there = coarse(study.p_data + frame.p_g) > FAINT * study.p_data.max()
    best = np.where(there, probability(coarse_optimum(study, frame)), np.nan)
    numbers = {"value": frame.value, "best": frame.best, "criterion": frame.criterion, "gap": frame.gap}
    numbers |= {"jsd": frame.jsd, "real": frame.says_real, "fake": frame.says_fake}
    return {
        "step": frame.step,
        "g": short(coarse(frame.p_g)),
        "d": short(probability(coarse(frame.logit))),
        "best_at": short(best),
        "map": short(np.interp(equally_likely(), LATTICE, frame.heights)),
        **{name: round(v, 6) if np.isfinite(v) else None for name, v in numbers.items()},
    }


def coarse_optimum(study: DensityResult, frame: Frame) -> np.ndarray:
    """The logit of D* of the coarser bins."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(coarse(study.p_data)) - np.log(coarse(frame.p_g))


def coarse(values: np.ndarray) -> np.ndarray:
    """Means of neighbours."""
    return values.reshape(-1, COARSE).mean(1)


def short(values: np.ndarray, digits: int = 4) -> list[float | None]:
    """Numbers with few digits; what is not finite is None."""
    return [float(f"{v:.{digits}g}") if np.isfinite(v) else None for v in values]
