"""cas: a classifier trained on generated images alone."""

import numpy as np
import pytest

from ganforge.errors import DataError
from ganforge.metrics.cas import cas
from ganforge.metrics.extractors import classifier

LABELS = ("dark", "bright")


def pictures(n: int, seed: int, flipped: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Dark and bright noise with its class; a share `flipped` of the labels is wrong."""
    chance = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    images = chance.integers(0, 128, (n, 8, 8, 1)) + 127 * labels[:, None, None, None]
    return images.astype(np.uint8), np.where(chance.random(n) < flipped, 1 - labels, labels)


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(classifier, "PIXELS", 64 * 400)


def test_it_is_the_accuracy_on_real_images():
    good, wrong = cas(pictures(200, 0), pictures(80, 1), LABELS), cas(pictures(200, 0, 1.0), pictures(80, 1), LABELS)
    assert good.value > 0.95
    assert wrong.value < 0.05
    assert good.better == "higher"
    half = cas(pictures(200, 0), pictures(400, 1, 0.5), LABELS)
    assert 0.35 < half.value < 0.65
    assert half.high - half.low == pytest.approx(2 * 1.96 * np.sqrt(half.value * (1 - half.value) / 400), rel=1e-3)


def test_invalid_inputs_are_refused():
    images, labels = pictures(20, 0)
    with pytest.raises(DataError, match="image of class bright"):
        cas((images, labels * 0), (images, labels), LABELS)
    with pytest.raises(DataError, match="another kind"):
        cas((images[:, :4], labels), (images, labels), LABELS)
