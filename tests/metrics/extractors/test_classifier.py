"""The classifier as an extractor: it learns, it is kept, and it says what it cannot do."""

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
from ganforge.metrics.extractors.base import Pixels, reading


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANFORGE_CACHE", str(tmp_path))


def stripes(n: int = 240, side: int = 12) -> DataSet:
    """Two classes: stripes that lie and stripes that stand, at any phase, with noise."""
    chance = np.random.default_rng(0)
    label, phase = chance.integers(0, 2, n), chance.integers(0, 4, n)
    wave = ((np.arange(side)[None] + phase[:, None]) % 4 < 2).astype(np.float64)
    lying, standing = wave[:, :, None].repeat(side, 2), wave[:, None, :].repeat(side, 1)
    pictures = np.where(label[:, None, None] == 0, lying, standing) * 150 + chance.uniform(0, 100, (n, side, side))
    columns = {"images": pictures[..., None].astype(np.uint8), "condition": label}
    return DataSet("stripes", Facts(1, side, side, ("lying", "standing")), columns, "stripes-1")


def test_it_learns_is_kept_and_reads_the_same_again() -> None:
    data = stripes()
    first = classifier.classifier_of(data)
    assert first.accuracy > 0.95
    again = classifier.classifier_of(data)
    images = to_images(np.array(data.columns["images"][:50]))
    seen, seen_again = first(images), again(images)
    assert seen.features.shape == (50, 128)
    assert seen.logits is not None
    assert torch.equal(seen.features, seen_again.features)
    assert (first.key, first.accuracy) == (again.key, again.accuracy)
    assert (first.read(images).numpy() == data.columns["condition"][:50]).mean() > 0.9
    assert "right" in first.about


def test_training_follows_from_the_seed_alone() -> None:
    data = stripes(60)
    one, same, other = (classifier.learned(*data.columns.values(), 2, seed=seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one)


def test_attributes_are_learned_each_by_itself() -> None:
    data = open_data("shapes", size=(16, 16))
    vectors = np.eye(2, dtype=np.float32)[data.columns["condition"][:60] % 2]
    facts = Facts(3, 16, 16, attributes=("even", "odd"))
    data = DataSet("s", facts, {"images": data.columns["images"][:60], "condition": vectors}, "attributes")
    known = classifier.classifier_of(data)
    assert not known.exclusive
    assert known(to_images(np.array(data.columns["images"]))).logits is None


def test_a_damaged_cache_is_made_again(tmp_path: Path) -> None:
    data = stripes(60)
    first = classifier.classifier_of(data)
    (path,) = (tmp_path / "classifiers").glob("*.safetensors")
    path.write_bytes(path.read_bytes()[:1000])
    assert classifier.classifier_of(data).accuracy == first.accuracy


def test_what_it_cannot_do_is_said() -> None:
    data = stripes(60)
    with pytest.raises(DataError, match="no labels to learn a classifier from"):
        classifier.classifier_of(DataSet("bare", data.facts, {"images": data.columns["images"]}, "bare"))
    alike = {"images": data.columns["images"], "condition": np.zeros(60, np.int64)}
    with pytest.raises(DataError, match="only one class"):
        classifier.classifier_of(DataSet("alike", data.facts, alike, "alike"))
    with pytest.raises(DataError, match="have 3 channels and the classifier has learned pictures of 1"):
        classifier.classifier_of(data)(torch.zeros(2, 3, 12, 12))


def test_large_pictures_are_averaged_first() -> None:
    assert classifier.looked_at(torch.zeros(1, 3, 128, 30)).shape == (1, 3, 64, 30)


def test_a_stream_is_read_in_one_piece() -> None:
    images = torch.rand(10, 1, 20, 20) * 2 - 1
    pixels = Pixels(5)
    whole = reading(pixels, [images])
    assert torch.equal(whole.features, reading(pixels, images.split(3)).features)
    assert whole.features.shape == (10, 25)
    with pytest.raises(DataError, match="no pictures"):
        reading(pixels, [])
    images[7] = torch.nan
    with pytest.raises(DataError, match=r"Pictures 6 \.\.\. 8 hold numbers that are not finite"):
        reading(pixels, images.split(3))
