"""The FCN-score: its figures by hand, its judge on a world that knows its label maps."""

import math

import pytest
import torch
from torch import Tensor, nn

from ganforge.data.loader import to_images
from ganforge.data.synthetic.shapes import describe
from ganforge.errors import DataError
from ganforge.metrics.fcn import VOID, FCNScore, confusion, fcn_score
from ganforge.metrics.segmenter import Lesson, Reader, kept_reader, reader, windows

SIZE = (16, 16)
LESSON = Lesson(rounds=40, batch=8, widths=(8, 16, 16), lr=1e-2)
CLASSES = 2


def world(first: int, count: int) -> tuple[Tensor, Tensor]:
    """Photographs and label maps: 1 where a shape is."""
    scenes = describe("shapes", range(first, first + count))
    maps = torch.from_numpy(scenes.label_map(SIZE)).clamp(max=1)
    return to_images(scenes.images(SIZE)), maps


def painted(maps: Tensor, classes: int = 3) -> Tensor:
    """A judge's scores that read exactly these maps."""
    return nn.functional.one_hot(maps, classes).movedim(-1, 1).float()


# -- the figures ----------------------------------------------------------------------------------


def test_the_figures_by_hand():
    true = torch.tensor([[[0, 0, 0, 0], [1, 1, 1, VOID]]])
    read = torch.tensor([[[0, 0, 1, 1], [1, 1, 2, 0]]])
    found = fcn_score(torch.zeros(1, 3, 2, 4), true, lambda photos: painted(read))
    assert found.pixel_accuracy == pytest.approx(4 / 7)  # the void pixel does not count
    assert found.accuracies[:2] == pytest.approx((2 / 4, 2 / 3))
    assert found.ious[:2] == pytest.approx((2 / 4, 2 / 5))
    assert math.isnan(found.accuracies[2])  # no label map shows class 2, though it was read once
    assert math.isnan(found.ious[2])
    assert found.class_accuracy == pytest.approx((2 / 4 + 2 / 3) / 2)
    assert found.class_iou == pytest.approx((2 / 4 + 2 / 5) / 2)


def test_the_score_is_that_of_all_pixels_together():
    """Batches are counted together, not averaged."""
    _, true = world(0, 5)
    read = true.clone()
    read[3:] = 0
    whole = fcn_score(torch.zeros(5, 3, *SIZE), true, Playback(read))
    assert fcn_score(torch.zeros(5, 3, *SIZE), true, Playback(read), batch=2) == whole
    assert whole.pixel_accuracy == pytest.approx((read == true).double().mean().item())


class Playback:
    """A judge that says what was written down, batch after batch."""

    def __init__(self, maps: Tensor) -> None:
        self.maps, self.at = maps, 0

    def __call__(self, photographs: Tensor) -> Tensor:
        rows = self.maps[self.at : self.at + len(photographs)]
        self.at += len(photographs)
        return painted(rows, CLASSES)


def test_confusion_counts_true_by_read():
    counts = confusion(torch.tensor([0, 1, 1]), torch.tensor([0, 0, 1]), 2)
    assert counts.tolist() == [[1, 1], [0, 1]]


def test_what_does_not_belong_together_is_refused():
    photos, maps = world(0, 2)
    judge = Playback(maps)
    with pytest.raises(DataError, match="do not belong together"):
        fcn_score(photos, maps[:1], judge)
    with pytest.raises(DataError, match="do not belong together"):
        reader(photos, maps[:, :4], CLASSES, LESSON)
    with pytest.raises(DataError, match="no photograph"):
        fcn_score(photos[:0], maps[:0], judge)
    with pytest.raises(DataError, match="class 7"):
        fcn_score(photos, maps + 6, judge)
    with pytest.raises(DataError, match="0 to 1"):
        reader(photos, maps + 6, CLASSES, LESSON)
    with pytest.raises(DataError, match="No pixel"):
        fcn_score(photos, torch.full_like(maps, VOID), Playback(maps))


# -- the judge ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def judge() -> Reader:
    return reader(*world(0, 64), CLASSES, LESSON)


def test_a_reader_learns_to_read(judge: Reader):
    photos, maps = world(1000, 32)
    real = fcn_score(photos, maps, judge)
    shuffled = fcn_score(photos.roll(1, 0), maps, judge)
    grey = fcn_score(torch.zeros_like(photos), maps, judge)
    assert real.class_iou > 0.6
    assert real.class_iou > shuffled.class_iou + 0.1
    assert real.class_iou > grey.class_iou + 0.1


def test_a_reader_follows_from_its_lesson_and_leaves_chance_alone():
    lesson = Lesson(rounds=2, batch=4, widths=(4, 4), window=8)
    before = torch.get_rng_state()
    first, second = (reader(*world(0, 4), CLASSES, lesson).state_dict() for _ in range(2))
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    assert torch.equal(torch.get_rng_state(), before)
    other = reader(*world(0, 4), CLASSES, Lesson(rounds=2, batch=4, widths=(4, 4), window=8, seed=1)).state_dict()
    assert not torch.equal(other["scores.0.weight"], first["scores.0.weight"])


def test_windows_keep_photographs_and_maps_together():
    maps = torch.arange(3 * 8 * 8).view(3, 8, 8)
    photos, labels = windows(maps[:, None].float(), maps, Lesson(batch=16, window=5), torch.Generator().manual_seed(0))
    assert labels.shape == (16, 5, 5)
    assert torch.equal(photos[:, 0].long(), labels)
    assert len({int(m[0, 0]) for m in labels}) > 8
    assert {int((m[0, 1] - m[0, 0]).sign()) for m in labels} == {-1, 1}  # some are mirrored


def test_windows_without_any_class_teach_nothing_and_break_nothing():
    photos, maps = world(0, 2)
    maps[1] = VOID
    net = reader(photos, maps, CLASSES, Lesson(rounds=6, batch=1, widths=(4, 4)))
    assert all(value.isfinite().all() for value in net.state_dict().values())


@pytest.mark.parametrize(("side", "stride"), [(16, 1), (75, 2)])
def test_scores_have_the_photographs_sides(side: int, stride: int):
    net = Reader(1, 5, (4, 4, 4), stride).eval()
    assert net(torch.zeros(1, 1, side, side + 3)).shape == (1, 5, side, side + 3)


def test_a_judge_is_trained_once(tmp_path, monkeypatch):
    monkeypatch.setenv("GANFORGE_CACHE", str(tmp_path))
    lesson, asked, said = Lesson(rounds=1, batch=2, widths=(4, 4)), [], []

    def pairs() -> tuple[Tensor, Tensor]:
        asked.append(1)
        return world(0, 2)

    first = kept_reader("data", pairs, CLASSES, lesson)
    again = kept_reader("data", pairs, CLASSES, lesson)
    assert len(asked) == 1
    torch.testing.assert_close(again.state_dict(), first.state_dict(), rtol=0, atol=0)
    assert not again.training
    kept_reader("other data", pairs, CLASSES, lesson)
    assert len(asked) == 2
    for path in tmp_path.rglob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:100])
    kept_reader("data", pairs, CLASSES, lesson, said.append)
    assert len(asked) == 3
    assert "damaged" in said[0]


def test_a_judge_that_cannot_be_kept_still_judges(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GANFORGE_CACHE", str(tmp_path / "file"))
    said = []
    net = kept_reader("data", lambda: world(0, 2), CLASSES, Lesson(rounds=1, batch=2, widths=(4, 4)), said.append)
    assert isinstance(fcn_score(*world(0, 2), net), FCNScore)
    assert "cannot be written" in said[-1]
