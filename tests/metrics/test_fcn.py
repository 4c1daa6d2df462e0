"""The FCN-score: its values by hand, its segmenter on synthetic scenes with label maps."""

import math

import pytest
import torch
from torch import Tensor, nn

from ganforge.data.loader import to_images
from ganforge.data.synthetic.shapes import make_scenes
from ganforge.errors import DataError
from ganforge.metrics.fcn import FCNScore, confusion, fcn_score
from ganforge.metrics.label_colours import VOID
from ganforge.metrics.segmenter import (
    Segmenter,
    SegmenterConfig,
    load_or_train_segmenter,
    sample_windows,
    train_segmenter,
)

SIZE = (16, 16)
CONFIG = SegmenterConfig(rounds=40, batch=8, widths=(8, 16, 16), lr=1e-2)
CLASSES = 2


def world(first: int, count: int) -> tuple[Tensor, Tensor]:
    """Synthetic photographs and label maps: 1 where there is a shape."""
    scenes = make_scenes("shapes", range(first, first + count))
    maps = torch.from_numpy(scenes.label_map(SIZE)).clamp(max=1)
    return to_images(scenes.images(SIZE)), maps


def painted(maps: Tensor, classes: int = 3) -> Tensor:
    """Scores of a model that predicts exactly these maps."""
    return nn.functional.one_hot(maps, classes).movedim(-1, 1).float()


# -- the scores ----------------------------------------------------------------------------------


def test_the_scores_by_hand():
    true = torch.tensor([[[0, 0, 0, 0], [1, 1, 1, VOID]]])
    predicted = torch.tensor([[[0, 0, 1, 1], [1, 1, 2, 0]]])
    found = fcn_score(torch.zeros(1, 3, 2, 4), true, lambda photos: painted(predicted))
    assert found.pixel_accuracy == pytest.approx(4 / 7)  # the void pixel does not count
    assert found.accuracies[:2] == pytest.approx((2 / 4, 2 / 3))
    assert found.ious[:2] == pytest.approx((2 / 4, 2 / 5))
    assert math.isnan(found.accuracies[2])  # no label map has class 2, though it was predicted once
    assert math.isnan(found.ious[2])
    assert found.class_accuracy == pytest.approx((2 / 4 + 2 / 3) / 2)
    assert found.class_iou == pytest.approx((2 / 4 + 2 / 5) / 2)


def test_the_score_is_that_of_all_pixels_together():
    """Batches are counted together, not averaged."""
    _, true = world(0, 5)
    predicted = true.clone()
    predicted[3:] = 0
    whole = fcn_score(torch.zeros(5, 3, *SIZE), true, Playback(predicted))
    assert fcn_score(torch.zeros(5, 3, *SIZE), true, Playback(predicted), batch=2) == whole
    assert whole.pixel_accuracy == pytest.approx((predicted == true).double().mean().item())


class Playback:
    """A model that returns given label maps, batch after batch."""

    def __init__(self, maps: Tensor) -> None:
        self.maps, self.at = maps, 0

    def __call__(self, photographs: Tensor) -> Tensor:
        rows = self.maps[self.at : self.at + len(photographs)]
        self.at += len(photographs)
        return painted(rows, CLASSES)


def test_confusion_counts_true_by_predicted():
    counts = confusion(torch.tensor([0, 1, 1]), torch.tensor([0, 0, 1]), 2)
    assert counts.tolist() == [[1, 1], [0, 1]]


def test_mismatched_inputs_are_refused():
    photos, maps = world(0, 2)
    model = Playback(maps)
    with pytest.raises(DataError, match="do not match"):
        fcn_score(photos, maps[:1], model)
    with pytest.raises(DataError, match="do not match"):
        train_segmenter(photos, maps[:, :4], CLASSES, CONFIG)
    with pytest.raises(DataError, match="no photograph"):
        fcn_score(photos[:0], maps[:0], model)
    with pytest.raises(DataError, match="class 7"):
        fcn_score(photos, maps + 6, model)
    with pytest.raises(DataError, match="0 to 1"):
        train_segmenter(photos, maps + 6, CLASSES, CONFIG)
    with pytest.raises(DataError, match="No pixel"):
        fcn_score(photos, torch.full_like(maps, VOID), Playback(maps))


# -- the segmenter ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return train_segmenter(*world(0, 64), CLASSES, CONFIG)


def test_a_segmenter_learns_to_segment(segmenter: Segmenter):
    photos, maps = world(1000, 32)
    real = fcn_score(photos, maps, segmenter)
    shuffled = fcn_score(photos.roll(1, 0), maps, segmenter)
    grey = fcn_score(torch.zeros_like(photos), maps, segmenter)
    assert real.class_iou > 0.6
    assert real.class_iou > shuffled.class_iou + 0.1
    assert real.class_iou > grey.class_iou + 0.1


def test_training_is_deterministic_and_leaves_the_random_state_alone():
    config = SegmenterConfig(rounds=2, batch=4, widths=(4, 4), window=8)
    before = torch.get_rng_state()
    first, second = (train_segmenter(*world(0, 4), CLASSES, config).state_dict() for _ in range(2))
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    assert torch.equal(torch.get_rng_state(), before)
    other = train_segmenter(
        *world(0, 4), CLASSES, SegmenterConfig(rounds=2, batch=4, widths=(4, 4), window=8, seed=1)
    ).state_dict()
    assert not torch.equal(other["scores.0.weight"], first["scores.0.weight"])


def test_crops_of_photographs_and_maps_match():
    maps = torch.arange(3 * 8 * 8).view(3, 8, 8)
    photos, labels = sample_windows(
        maps[:, None].float(), maps, SegmenterConfig(batch=16, window=5), torch.Generator().manual_seed(0)
    )
    assert labels.shape == (16, 5, 5)
    assert torch.equal(photos[:, 0].long(), labels)
    assert len({int(m[0, 0]) for m in labels}) > 8
    assert {int((m[0, 1] - m[0, 0]).sign()) for m in labels} == {-1, 1}  # some are mirrored


def test_crops_without_any_class_do_no_harm():
    photos, maps = world(0, 2)
    maps[1] = VOID
    net = train_segmenter(photos, maps, CLASSES, SegmenterConfig(rounds=6, batch=1, widths=(4, 4)))
    assert all(value.isfinite().all() for value in net.state_dict().values())


@pytest.mark.parametrize(("side", "stride"), [(16, 1), (75, 2)])
def test_scores_have_the_photographs_size(side: int, stride: int):
    net = Segmenter(1, 5, (4, 4, 4), stride).eval()
    assert net(torch.zeros(1, 1, side, side + 3)).shape == (1, 5, side, side + 3)


def test_a_segmenter_is_trained_once(tmp_path, monkeypatch):
    monkeypatch.setenv("GANFORGE_CACHE", str(tmp_path))
    config, calls, messages = SegmenterConfig(rounds=1, batch=2, widths=(4, 4)), [], []

    def pairs() -> tuple[Tensor, Tensor]:
        calls.append(1)
        return world(0, 2)

    first = load_or_train_segmenter("data", pairs, CLASSES, config)
    again = load_or_train_segmenter("data", pairs, CLASSES, config)
    assert len(calls) == 1
    torch.testing.assert_close(again.state_dict(), first.state_dict(), rtol=0, atol=0)
    assert not again.training
    load_or_train_segmenter("other data", pairs, CLASSES, config)
    assert len(calls) == 2
    for path in tmp_path.rglob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:100])
    load_or_train_segmenter("data", pairs, CLASSES, config, messages.append)
    assert len(calls) == 3
    assert "damaged" in messages[0]


def test_a_segmenter_that_cannot_be_cached_still_works(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GANFORGE_CACHE", str(tmp_path / "file"))
    messages = []
    net = load_or_train_segmenter(
        "data", lambda: world(0, 2), CLASSES, SegmenterConfig(rounds=1, batch=2, widths=(4, 4)), messages.append
    )
    assert isinstance(fcn_score(*world(0, 2), net), FCNScore)
    assert "cannot be written" in messages[-1]
