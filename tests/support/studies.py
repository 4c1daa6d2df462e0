"""Small studies of the grey levels of images, and a simulated participant."""

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from ganforge.human_study.store import Settings, Study

SHORT = Settings(practice=2, trials=3, height=8, width=8)


def png(level: int) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (8, 8), (level, level, level)).save(buffer, "PNG")
    return buffer.getvalue()


def level(content: bytes) -> int:
    with Image.open(BytesIO(content)) as image:
        return np.asarray(image)[0, 0, 0].item()


def five(path: Path) -> Study:
    """Five fakes of the grey levels 0 ... 4, five reals of 200 ... 204."""
    fakes = [(f"fake {k}", png(k)) for k in range(5)]
    reals = [(f"real {k}", png(200 + k)) for k in range(5)]
    return Study.create(path, SHORT, fakes, reals)


def answer_all(study: Study, participant: str, fooled: list[bool], exposure: float = 1000.0) -> None:
    """Answer the next trials, wrongly where `fooled`."""
    for wrong in fooled:
        state = study.state(participant)
        fake = "left" if level(study.picture(state.left) or b"") < 100 else "right"
        other = "right" if fake == "left" else "left"
        study.show(participant, state.trial)
        study.answer(participant, state.trial, other if wrong else fake, exposure, 500.0)


def folder(path: Path, n: int, side: int, shade: int) -> Path:
    path.mkdir()
    chance = np.random.default_rng(shade)
    for k in range(n):
        Image.fromarray(chance.integers(shade, shade + 50, (side, side, 3), np.uint8)).save(path / f"{k}.png")
    return path
