"""Strange or sound on the embedded cloth: f-AnoGAN beside AnoGAN, an autoencoder and the nearest features."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import ganforge
from ganforge.data.loader import to_images
from ganforge.data.open import open_data
from ganforge.data.synthetic.shapes import make_scenes
from ganforge.evaluation.score import ScoreReport, score
from ganforge.evaluation.score_items import SOUND_FROM
from ganforge.inference.scoring import judge
from ganforge.inference.trained import Trained
from ganforge.metrics.anomaly import auroc
from ganforge.metrics.nearest_features import NearestFeatures

pytestmark = pytest.mark.quality
DATA = "shapes-defects"
SEEDS = (0, 1, 2)
PART: dict[str, Any] = {"data": DATA, "size": (32,), "quiet": True, "sample_every": 0}


@pytest.fixture(scope="module", params=SEEDS, ids=lambda seed: f"seed{seed}")
def runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Trained, Trained, Path]:
    """The GAN and the encoder of one seed, each as `small` trains it."""
    home = tmp_path_factory.mktemp(f"anomaly{request.param}")
    options = {**PART, "seed": request.param, "outdir": home}
    gan = ganforge.train("wgan_gp", **options)
    return gan, ganforge.train("f_anogan", config={"generator": str(gan.path)}, **options), home


def scored(run: Trained, out: Path) -> ScoreReport:
    return score(run, DATA, out, sound=DATA)


def values(report: ScoreReport) -> dict[str, float]:
    return {name: round(figure.value, 4) for name, figure in report.figures.items()}


def test_f_anogan_finds_flaws_and_a_broken_encoder_does_not(runs: tuple[Trained, Trained, Path]):
    _, encoder, home = runs
    report = scored(encoder, home / "scores")
    found = values(report)
    print("f_anogan", found)
    assert found["auroc"] >= 0.90
    assert found["auroc_pixel"] >= 0.85
    threshold, alarms = report.threshold, report.alarms
    assert threshold is not None
    assert alarms is not None
    assert alarms.low is not None
    assert alarms.high is not None
    assert alarms.low <= threshold.high
    assert alarms.high >= threshold.low

    class Noise(nn.Module):
        """Codes that follow from nothing in the image."""

        def forward(self, images: Tensor) -> Tensor:
            return torch.randn(len(images), 64, generator=torch.Generator().manual_seed(len(images)))

    broken = ganforge.load(encoder.path, device="cpu")
    broken.game.encoder = Noise()  # pyright: ignore
    blind = scored(broken, home / "broken")
    print("broken encoder", values(blind))
    assert blind.figures["auroc"].value <= found["auroc"] - 0.2


def test_scores_do_not_depend_on_the_batch(runs: tuple[Trained, Trained, Path]):
    _, encoder, _ = runs
    images = to_images(open_data(DATA, size=(32, 32), held_out=True).columns["images"][:16])
    one, many = (encoder.score(images, batch=batch) for batch in (1, 16))
    torch.testing.assert_close(one, many, rtol=1e-4, atol=1e-5)


def test_the_encoder_is_fifty_times_as_fast_as_the_descent(runs: tuple[Trained, Trained, Path]):
    from ganforge.models.anogan import AnoGAN, Config

    gan, encoder, home = runs
    part = ganforge.load(gan.path, device="cpu").game.eval().requires_grad_(False)
    slow = AnoGAN(Config(), gan.facts, generator=part).eval()
    scenes = make_scenes(DATA, range(SOUND_FROM, SOUND_FROM + 64))
    images, strange = to_images(scenes.images((32, 32))), scenes.condition > 0
    taken, results = {}, {}
    for name, game in (("anogan", slow), ("f_anogan", encoder.game)):
        judge(game, images[:1], torch.device("cpu"))
        began = time.perf_counter()
        results[name] = judge(game, images, torch.device("cpu"), batch=16).scores.numpy()
        taken[name] = time.perf_counter() - began
    figures = {name: round(auroc(found, strange).value, 3) for name, found in results.items()}
    print(json.dumps({"seconds": taken, "auroc": figures, "home": str(home)}))
    assert taken["anogan"] >= 50 * taken["f_anogan"]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_baselines_at_equal_time_are_reported(seed: int, tmp_path: Path):
    options = {**PART, "seed": seed, "outdir": tmp_path}
    began = time.perf_counter()
    gan = ganforge.train("wgan_gp", **options)
    encoder = ganforge.train("f_anogan", config={"generator": str(gan.path)}, **options)
    whole = time.perf_counter() - began
    began = time.perf_counter()
    ganforge.train("autoencoder", **{**options, "steps": 50})
    pace = (time.perf_counter() - began) / 50
    own = ganforge.train("autoencoder", **options, steps=max(100, int(whole / pace)))
    figures = {"f_anogan": values(scored(encoder, tmp_path / "a")), "autoencoder": values(scored(own, tmp_path / "b"))}
    sound = to_images(np.array(open_data(DATA, size=(32, 32)).columns["images"][:500]))
    bank = NearestFeatures().fit(sound.split(50))
    scenes = make_scenes(DATA, range(SOUND_FROM, SOUND_FROM + 300))
    scores, maps = bank.judge(to_images(scenes.images((32, 32))))
    flaws = scenes.masks((32, 32))[:, 0].astype(bool) & (scenes.condition > 0)[:, None, None]
    figures["nearest features, not a GAN"] = {
        "auroc": auroc(scores.numpy(), scenes.condition > 0).value,
        "auroc_pixel": auroc(maps.numpy().ravel(), flaws.ravel()).value,
    }
    print(json.dumps(figures, indent=1))
    assert all(0 <= value <= 1 for own in figures.values() for value in own.values())
