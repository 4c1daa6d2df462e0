"""`small` of r3gan and of stylegan2 against dcgan's at equal time; augmentation; truncation; a loss."""

from pathlib import Path
from statistics import mean
from typing import Any

import pytest
from PIL import Image

from ganforge.data.open import open_data
from ganforge.errors import WeightsError
from ganforge.evaluation.evaluate import evaluate
from ganforge.evaluation.inputs import EvalOptions, open_inputs
from ganforge.evaluation.truncation import measure_truncations
from ganforge.inference.trained import Trained
from ganforge.lab.mode_coverage import run_contest
from ganforge.lab.mode_training import Rules
from ganforge.metrics.extractors.lite0 import find_weights
from tests.support.equal_time import DATA, SIZE, train_for_the_time
from tests.support.goldens import SHARED
from tests.support.kept_runs import runs_home, train_once

pytestmark = pytest.mark.quality
SAMPLES, FACES = 5_000, SHARED / "data" / "celeba-mini"


def measure(run: Trained, features: str, **how: Any) -> float:
    """The Frechet distance of 5,000 samples of a run."""
    if features == "lite0":
        try:
            find_weights()
        except WeightsError as error:
            pytest.skip(str(error))
    out = run.path / f"{features}.json"
    distance = evaluate(run.path, features=features, metrics=("fid",), n=SAMPLES, out=out, **how)["fid"].value
    print(f"{run.path.parent.name}, {run.step} steps, {features}: {distance:.2f}")
    return distance


@pytest.mark.parametrize("features", ["classifier", "lite0"])
@pytest.mark.parametrize("model", ["r3gan", "stylegan2"])
def test_it_is_nearer_to_the_data_than_dcgan(model: str, features: str):
    """The means of three seeds; of stylegan2 and a classifier those of seed 0 are the other way round, 6.2 and 5.2."""
    ours, theirs = (
        mean(measure(train_for_the_time(name, seed), features) for seed in range(3)) for name in (model, "dcgan")
    )
    assert ours < theirs


@pytest.fixture(scope="module")
def few() -> Path:
    """500 images of the data in a folder."""
    folder = runs_home() / f"{DATA}-500"
    images = open_data(DATA, size=(SIZE, SIZE), channels=3).columns["images"][:500]
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number:03}.png")
    return folder


@pytest.mark.parametrize("features", ["classifier", "lite0"])
def test_augmentation_helps_where_images_are_few(features: str, few: Path):
    """stylegan2 on 500 images, compared with all: ADA's distance is below that of the same steps without it.

    With ten times this gamma D does not overfit in 4,000 steps, and ADA has nothing to mend: p ends at 0.05, and the
    distances are 10.7 and 9.9.
    """
    settings = {"config": {"gamma": 0.3, "mixing": 0.0}, "size": SIZE, "sample_every": 0, "steps": 6_000}
    runs = [train_once("stylegan2", few, **settings, augment=augment) for augment in ("ada", "none")]
    ours, theirs = (measure(run, features, against=DATA) for run in runs)
    assert ours < theirs


@pytest.mark.skipif(not FACES.is_dir(), reason="needs the faces of celeba-mini")
def test_truncation_raises_precision_and_lowers_recall():
    """Half an hour of a core.  A run whose samples ignored truncation would have equal figures.

    On the shapes recall falls likewise, and precision too: the mean of all kinds and colours is none of them.
    """
    run = train_once("stylegan2", FACES, steps=7_300, flip=True, sample_every=0)
    options = EvalOptions(n=2_000, features="classifier")
    curve = measure_truncations(open_inputs(run.path, None, options, None), options, (0.3, 0.5, 0.7, 0.85, 1.0))
    precision, recall = ([getattr(point, name).value for point in curve.points] for name in ("precision", "recall"))
    print(f"precision {precision}, recall {recall}")
    assert precision == sorted(precision, reverse=True)
    assert recall == sorted(recall)
    assert precision[0] > precision[-1] + 0.01
    assert recall[0] < recall[-1] - 0.02


@pytest.mark.parametrize(("plane", "modes", "steps"), [("ring", 8, 3_500), ("grid", 25, 10_000)])
def test_the_loss_of_r3gan_finds_all_modes_with_every_seed(plane: str, modes: int, steps: int, tmp_path: Path):
    """In the 3,500 steps of the contest the grid's last modes are missing in some seeds: 23 to 25 of 25."""
    (result,) = run_contest(tmp_path, ["relativistic"], [plane], Rules(steps=steps), workers=1).results
    print(plane, [(seed.modes, round(seed.quality, 2)) for seed in result.seeds])
    assert [seed.modes for seed in result.seeds] == [modes] * 5
