"""The classifier as an extractor: training, caching, errors."""

from pathlib import Path

import numpy as np
import pytest
import torch

from ganforge.batches import Facts
from ganforge.data.dataset import DataSet
from ganforge.data.loader import to_images
from ganforge.data.open import open_data
from ganforge.errors import DataError
from ganforge.metrics.extractors import classifier
from ganforge.metrics.extractors.base import Pixels, extract_features


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANFORGE_CACHE", str(tmp_path))


def stripes(n: int = 240, side: int = 12) -> DataSet:
    """Two classes: horizontal and vertical stripes, at any phase, with noise."""
    chance = np.random.default_rng(0)
    label, phase = chance.integers(0, 2, n), chance.integers(0, 4, n)
    wave = ((np.arange(side)[None] + phase[:, None]) % 4 < 2).astype(np.float64)
    lying, standing = wave[:, :, None].repeat(side, 2), wave[:, None, :].repeat(side, 1)
    pictures = np.where(label[:, None, None] == 0, lying, standing) * 150 + chance.uniform(0, 100, (n, side, side))
    columns = {"images": pictures[..., None].astype(np.uint8), "condition": label}
    return DataSet("stripes", Facts(1, side, side, ("lying", "standing")), columns, "stripes-1")


def test_it_learns_and_is_cached() -> None:
    data = stripes()
    first = classifier.load_or_train_classifier(data)
    assert first.accuracy > 0.95
    again = classifier.load_or_train_classifier(data)
    images = to_images(np.array(data.columns["images"][:50]))
    result, cached = first(images), again(images)
    assert result.features.shape == (50, 128)
    assert result.logits is not None
    assert torch.equal(result.features, cached.features)
    assert (first.key, first.accuracy) == (again.key, again.accuracy)
    assert (first.predict_classes(images).numpy() == data.columns["condition"][:50]).mean() > 0.9
    assert "accurate" in first.about


def test_training_depends_on_the_seed_alone() -> None:
    data = stripes(60)
    one, same, other = (
        classifier.train_classifier(*data.columns.values(), 2, seed=seed).state_dict() for seed in (0, 0, 1)
    )
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one)


def test_attributes_are_predicted_independently() -> None:
    data = open_data("shapes", size=(16, 16))
    vectors = np.eye(2, dtype=np.float32)[data.columns["condition"][:60] % 2]
    facts = Facts(3, 16, 16, attributes=("even", "odd"))
    data = DataSet("s", facts, {"images": data.columns["images"][:60], "condition": vectors}, "attributes")
    trained = classifier.load_or_train_classifier(data)
    assert not trained.exclusive
    assert trained(to_images(np.array(data.columns["images"]))).logits is None


def test_a_damaged_cache_is_trained_again(tmp_path: Path) -> None:
    data = stripes(60)
    first = classifier.load_or_train_classifier(data)
    (path,) = (tmp_path / "classifiers").glob("*.safetensors")
    path.write_bytes(path.read_bytes()[:1000])
    assert classifier.load_or_train_classifier(data).accuracy == first.accuracy


def test_invalid_data_is_refused() -> None:
    data = stripes(60)
    with pytest.raises(DataError, match="no labels to train a classifier on"):
        classifier.load_or_train_classifier(DataSet("bare", data.facts, {"images": data.columns["images"]}, "bare"))
    alike = {"images": data.columns["images"], "condition": np.zeros(60, np.int64)}
    with pytest.raises(DataError, match="only one class"):
        classifier.load_or_train_classifier(DataSet("alike", data.facts, alike, "alike"))
    with pytest.raises(DataError, match="have 3 channels and the classifier was trained on images of 1"):
        classifier.load_or_train_classifier(data)(torch.zeros(2, 3, 12, 12))


def test_large_images_are_averaged_first() -> None:
    assert classifier.limit_size(torch.zeros(1, 3, 128, 30)).shape == (1, 3, 64, 30)


def test_features_of_a_stream_are_those_of_the_whole() -> None:
    images = torch.rand(10, 1, 20, 20) * 2 - 1
    pixels = Pixels(5)
    whole = extract_features(pixels, [images])
    assert torch.equal(whole.features, extract_features(pixels, images.split(3)).features)
    assert whole.features.shape == (10, 25)
    with pytest.raises(DataError, match="no images"):
        extract_features(pixels, [])
    images[7] = torch.nan
    with pytest.raises(DataError, match=r"Images 6 \.\.\. 8 hold NaN or infinite values"):
        extract_features(pixels, images.split(3))
