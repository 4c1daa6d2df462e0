"""R3GAN's `small` preset against dcgan's at equal time, and its loss on points in the plane.

The time is the processor time of this process, so that other programs on the machine change little.
"""

import time
from pathlib import Path
from typing import Any

import pytest

import ganforge
from ganforge.errors import WeightsError
from ganforge.evaluation.evaluate import evaluate
from ganforge.lab.mode_coverage import run_contest
from ganforge.lab.mode_training import Rules
from ganforge.metrics.extractors.lite0 import find_weights

pytestmark = pytest.mark.quality
SECONDS = 600 * 2
"""Ten minutes on two cores."""
SIZE = 32


def steps_in_time(model: str, folder: Path) -> int:
    """Steps of a model in the time, from the pace of its second 20."""
    paces = []
    for steps in (10, 30):
        began = time.process_time()
        ganforge.train(
            model, "shapes-attributes", outdir=folder, steps=steps, sample_every=0, quiet=True, **SETTINGS[model]
        )
        paces.append(time.process_time() - began)
    return round(SECONDS * 20 / (paces[1] - paces[0]))


SETTINGS: dict[str, dict[str, Any]] = {"dcgan": {"size": SIZE, "ema": 10_000.0}, "r3gan": {}}


def distance(model: str, seed: int, features: str, folder: Path) -> float:
    """The Frechet distance of 5,000 samples of a run of that length."""
    run = folder / f"{model}-{seed}"
    if not run.exists():
        steps = steps_in_time(model, folder)
        config = {"config": {"decay": 32 * steps}} if model == "r3gan" else {}  # its schedules end with the run
        settings = {**SETTINGS[model], **config, "seed": seed, "steps": steps}
        trained = ganforge.train(model, "shapes-attributes", outdir=folder, quiet=True, **settings)
        trained.path.rename(run)
        print(f"{model}, seed {seed}: {steps} steps")
    out = run / f"{features}.json"
    return evaluate(run, features=features, metrics=("fid",), n=5_000, out=out)["fid"].value


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("features", ["classifier", "lite0"])
def test_r3gan_is_nearer_to_the_data_than_dcgan(features: str, seed: int, folder: Path):
    if features == "lite0":
        try:
            find_weights()
        except WeightsError as error:
            pytest.skip(str(error))
    ours, theirs = (distance(model, seed, features, folder) for model in ("r3gan", "dcgan"))
    print(f"seed {seed}, {features}: r3gan {ours:.2f}, dcgan {theirs:.2f}")
    assert ours < theirs


@pytest.mark.parametrize(("plane", "modes", "steps"), [("ring", 8, 3_500), ("grid", 25, 10_000)])
def test_its_loss_finds_all_modes_with_every_seed(plane: str, modes: int, steps: int, tmp_path: Path):
    """In the 3,500 steps of the contest the grid's last modes are missing in some seeds: 23 to 25 of 25."""
    (result,) = run_contest(tmp_path, ["relativistic"], [plane], Rules(steps=steps), workers=1).results
    print(plane, [(seed.modes, round(seed.quality, 2)) for seed in result.seeds])
    assert [seed.modes for seed in result.seeds] == [modes] * 5
