"""Strange or sound on real solar cells: f-AnoGAN beside an autoencoder and the nearest features, with intervals.

The cells are those of the package `elpv-dataset` (Buerhop-Lutz et al. 2018, Deitsch et al. 2019 and 2021; CC BY-NC-SA
4.0), graded by how probably they are defective.  They are read where the package is installed, and never shipped.
"""

import random
import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from ganforge.data.loader import to_images
from ganforge.data.open import open_data
from ganforge.evaluation.score import score
from ganforge.inference.trained import Trained
from ganforge.metrics.anomaly import auroc
from ganforge.metrics.estimate import Estimate
from ganforge.metrics.nearest_features import NearestFeatures
from tests.support.kept_runs import train_once

PACKAGE = find_spec("elpv_dataset")

pytestmark = [
    pytest.mark.quality,
    pytest.mark.skipif(PACKAGE is None, reason="no solar cells: pip install elpv-dataset"),
]
TRAINED_ON, THRESHOLD = 1_000, 254  # of the 1,508 sound cells; the others are scored, with the 715 of the highest grade
SIDE = 32


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`train/good`, `sound`, `test/good` and `test/defect`."""
    assert PACKAGE is not None
    assert PACKAGE.origin is not None
    source, home = Path(PACKAGE.origin).parent / "data", tmp_path_factory.mktemp("cells")
    rows = [line.split() for line in (source / "labels.csv").read_text().splitlines()]
    sound, defect = ([name for name, grade, _ in rows if float(grade) == kind] for kind in (0, 1))
    random.Random(0).shuffle(sound)
    end = TRAINED_ON + THRESHOLD
    parts = {"train/good": sound[:TRAINED_ON], "sound": sound[TRAINED_ON:end], "test/good": sound[end:]}
    for folder, names in {**parts, "test/defect": defect}.items():
        (home / folder).mkdir(parents=True)
        for name in names:
            shutil.copy(source / name, home / folder)
    return home


def figure_of(run: Trained, cells: Path, out: Path) -> Estimate:
    report = score(run, cells / "test", out, sound=cells / "sound")
    print(run.model, report.figures["auroc"], report.threshold, report.alarms)
    return report.figures["auroc"]


def test_cells_are_scored_beside_the_baselines(cells: Path, tmp_path: Path):
    data = cells / "train" / "good"
    options = {"size": (SIDE,), "sample_every": 0, "augment": "none"}
    gan = train_once("wgan_gp", data, steps=500, **options)
    encoder = train_once("f_anogan", data, config={"generator": str(gan.path)}, **options)
    own = train_once("autoencoder", data, **options)
    found = {run.model: figure_of(run, cells, tmp_path / run.model) for run in (encoder, own)}
    trained, sound, defect = (
        to_images(np.array(open_data(str(place), size=(SIDE, SIDE)).columns["images"]))
        for place in (data, cells / "test" / "good", cells / "test" / "defect")
    )
    bank = NearestFeatures().fit(trained.split(50))
    scores = torch.cat([bank.judge(images)[0] for images in (sound, defect)]).numpy()
    found["nearest features"] = auroc(scores, np.arange(len(scores)) >= len(sound))
    print(found)
    assert all(figure.low is not None and figure.low > 0.5 for figure in found.values())
