"""What games learn about real clothes and drawn digits, read by independent classifiers.

Each trains the `small` preset that a person gets, for some minutes; Fashion-MNIST is looked for where `--data
fashion-mnist` looks, and beside the recorded numbers.
"""

import numpy as np
import pytest
import torch

import ganforge
from ganforge.callbacks.log import read_rows
from ganforge.data.loader import to_images
from ganforge.data.open import open_data
from ganforge.errors import DataError
from ganforge.inference.inference_mode import inference_mode
from ganforge.metrics.extractors.classifier import Classifier, load_or_train_classifier
from ganforge.metrics.fid import Gaussian, frechet_distance
from tests.support.goldens import SHARED
from tests.support.kept_runs import train_once

pytestmark = pytest.mark.quality
HOME = SHARED / "data" if (SHARED / "data").is_dir() else None


def clothes(size: int = 32, held_out: bool = False):
    """Fashion-MNIST at a size."""
    try:
        return open_data("fashion-mnist", size=(size, size), channels=1, home=HOME, held_out=held_out)
    except DataError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return load_or_train_classifier(clothes())


def test_cgan_draws_the_requested_class(classifier: Classifier):
    run = train_once("cgan", "fashion-mnist", data_home=HOME, channels=1)
    asked = enumerate(run.facts.labels)
    read = [
        (classifier.predict_classes(run.sample(200, seed=k, label=name)) == k).float().mean().item()
        for k, name in asked
    ]
    print({name: round(share, 2) for name, share in zip(run.facts.labels, read, strict=True)})
    assert np.mean(read) >= 0.8


@pytest.mark.parametrize(("model", "most"), [("lsgan", 3.0), ("wgan_gp", 6.0)])
def test_what_is_drawn_looks_like_clothes(model: str, most: float, classifier: Classifier):
    """The Frechet distance in a clothes classifier's features.  lsgan's discriminator diverged once: 20 and more."""
    run = train_once(model, "fashion-mnist", data_home=HOME, channels=1)
    real = torch.cat(
        [classifier(part).features for part in to_images(clothes().columns["images"][:5_000].copy()).split(500)]
    )
    drawn = torch.cat([classifier(part).features for part in run.samples(2_000, seed=0, batch=500)])
    distance = frechet_distance(Gaussian.of(drawn), Gaussian.of(real))
    print(f"{model}: {distance:.2f}")
    assert distance < most


@pytest.mark.parametrize(("data", "least"), [("fashion-mnist", 0.5), ("shapes-digits", 0.5)])
def test_infogan_finds_classes_without_labels(data: str, least: float):
    """The share of held-out images whose category is their class, under the best naming of categories."""
    if data == "fashion-mnist":
        clothes()
    run = train_once("infogan", data, data_home=HOME)
    size = (run.facts.height, run.facts.width)
    held_out = open_data(data, size=size, channels=1, home=HOME, held_out=True)
    with inference_mode(run.game) as game:
        parts = np.array_split(held_out.columns["images"][:2_000], 20)
        read = torch.cat([game.recognise(to_images(part.copy())) for part in parts])
    categories = read[:, : game.config.categories[0]].argmax(1).numpy()
    counts = np.zeros((game.config.categories[0], len(held_out.facts.labels)))
    np.add.at(counts, (categories, held_out.columns["condition"][:2_000]), 1)
    share = best_naming(counts) / len(categories)
    print(f"{data}: {share:.1%}")
    assert share >= least


def best_naming(counts: np.ndarray) -> float:
    """The largest sum of entries with one a row and none twice in a column."""
    best = {0: 0.0}  # {columns taken, as bits: the largest sum with them}
    for row in counts:
        longer: dict[int, float] = {}
        for taken, total in best.items():
            for k, count in enumerate(row):
                if not taken >> k & 1:
                    longer[taken | 1 << k] = max(longer.get(taken | 1 << k, 0.0), total + count)
        best = longer
    return max(best.values())


def test_wgans_estimate_follows_the_quality_of_its_samples(classifier: Classifier):
    """Rank correlation, over checkpoints, of the logged distance with the Frechet distance of what is drawn."""
    run = train_once("wgan", "fashion-mnist", data_home=HOME, channels=1, save_every=100, keep=100)
    seen = to_images(clothes(held_out=True).columns["images"][:5_000].copy())
    real = Gaussian.of(torch.cat([classifier(part).features for part in seen.split(500)]))
    logged = {int(row["step"]): row["critic/distance"] for row in read_rows(run.path / "log.jsonl")}
    estimates, distances = [], []
    for step in sorted(set(logged) & {int(p.name.split("-")[1]) for p in (run.path / "checkpoints").glob("step-*")}):
        there = ganforge.load(f"{run.path}@{step}")
        drawn = Gaussian.of(torch.cat([classifier(part).features for part in there.samples(2_000, seed=0, batch=500)]))
        estimates.append(logged[step])
        distances.append(frechet_distance(drawn, real))
        print(f"step {step}: estimate {estimates[-1]:.3f}, Frechet distance {distances[-1]:.2f}")
    assert len(distances) >= 8
    assert rank_correlation(estimates, distances) > 0.7


def rank_correlation(one: list[float], other: list[float]) -> float:
    """Spearman's."""
    ranks = [np.argsort(np.argsort(values)) for values in (one, other)]
    return float(np.corrcoef(*ranks)[0, 1])
