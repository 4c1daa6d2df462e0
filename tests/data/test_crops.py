"""Windows at the images' own scale, and pairs of low and high resolution: pixels are those of the files."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import ganforge
from ganforge.batches import Enlarged, Images, Instances, Paired, Unpaired
from ganforge.data.dataset import DataSet
from ganforge.data.loader import BatchLoader
from ganforge.data.open import open_data
from ganforge.data.read_options import ReadOptions
from ganforge.errors import DataError, ModelError
from ganforge.images import read, write
from ganforge.training.plan import plan
from tests.data.layouts.test_folders import write_image
from tests.support.goldens import SHARED
from tests.support.toys import RUN

T91 = SHARED / "data" / "sr" / "train-T91"
SHAPES = ((40, 33, 3), (24, 61, 3), (17, 16, 3), (90, 20, 3), (16, 16, 3))
WINDOWED = replace(RUN, batch=6, size=(16,), native=True, crop=True)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("GANFORGE_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Photographs of five sizes."""
    for k, shape in enumerate(SHAPES):
        write_image(tmp_path / "photos" / f"{k}.png", shape)
    return tmp_path / "photos"


def opened(path: Path, kind: Any = Images, size: tuple[int, int] | None = (16, 16), **options: Any) -> DataSet:
    options = {"native": True, "needed": kind.columns(), "optional": kind.optional_columns(), **options}
    return open_data(str(path), size=size, **options)


def bytes_of(images: Tensor) -> np.ndarray:
    """(n, H, W, C) of 0 ... 255, exactly."""
    return ((images + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()


def place_in(window: np.ndarray, wholes: list[np.ndarray]) -> tuple[int, int, int]:
    """The index of the image a window was cut from, and its place."""
    h, w = window.shape[:2]
    for k, whole in enumerate(wholes):
        room = whole[: whole.shape[0] - h + 1, : whole.shape[1] - w + 1]
        for top, left in np.argwhere((room == window[0, 0]).all(2)).tolist():
            if np.array_equal(whole[top : top + h, left : left + w], window):
                return k, top, left
    raise AssertionError("this window is in none of the files")


def files(folder: Path) -> list[np.ndarray]:
    return [read(path) for path in sorted(folder.iterdir())]


# -- windows ----------------------------------------------------------------------------------------


def test_a_window_is_the_pixels_of_the_file_at_every_place(photos: Path):
    loader, wholes = BatchLoader(opened(photos), Images, WINDOWED), files(photos)
    windows = np.concatenate([bytes_of(loader.batch(k).images) for k in range(60)])
    places = {place_in(window, wholes) for window in windows}
    assert {k for k, _, _ in places} == {0, 1, 2, 3, 4}
    for k, (height, width, _) in enumerate(SHAPES):  # from border to border
        for axis, span in ((1, height - 16), (2, width - 16)):
            begins = [place[axis] for place in places if place[0] == k]
            assert min(begins) <= span / 10
            assert max(begins) >= span * 9 / 10


def test_windows_follow_from_the_seed_and_from_their_place_alone(photos: Path):
    data = opened(photos)
    one, other = (BatchLoader(data, Images, WINDOWED) for _ in range(2))
    batches = [one.batch(k).images for k in range(5)]
    assert torch.equal(other.batch(3).images, batches[3])  # in any order
    halves = [other.batch(3, share, 2).images for share in (0, 1)]
    assert torch.equal(torch.cat(halves), batches[3])  # in any share
    assert torch.equal(BatchLoader(opened(photos), Images, WINDOWED).batch(4).images, batches[4])  # out of the cache
    assert not torch.equal(BatchLoader(data, Images, replace(WINDOWED, seed=1)).batch(3).images, batches[3])


def test_without_crop_the_window_is_the_middle(photos: Path):
    data, wholes = opened(photos), files(photos)
    middles = [whole[(h - 16) // 2 :, (w - 16) // 2 :][:16, :16] for whole in wholes for h, w in [whole.shape[:2]]]
    assert np.array_equal(data.columns["images"][np.arange(5)], np.stack(middles))
    loader = BatchLoader(data, Images, replace(WINDOWED, batch=5, crop=False))
    assert sorted(map(bytes, bytes_of(loader.batch(0).images))) == sorted(map(bytes, middles))
    assert (data.facts.height, data.facts.width, data.facts.channels) == (16, 16, 3)


def test_windows_of_one_cache_entry_have_any_size(photos: Path, monkeypatch: pytest.MonkeyPatch):
    first = opened(photos)
    monkeypatch.setattr("ganforge.data.value_range.prepare_decoding", lambda *_: pytest.fail("decoded twice"))
    wide = opened(photos, size=(12, 15))
    assert wide.columns["images"].shape == (5, 12, 15, 3)
    assert wide.fingerprint != first.fingerprint


def test_small_images_are_named_and_mirrored(photos: Path):
    data = opened(photos, size=(20, 18))
    assert any(
        note.startswith("2 of 5 images are smaller than the window of 20x18, the first 2.png: they are padded")
        for note in data.notes
    )
    small, column = files(photos)[2], data.columns["images"]
    window = column[np.array([2])][0]
    assert np.array_equal(window[:17, :16], small)
    assert np.array_equal(window[17:, :16], small[:-4:-1])
    assert np.array_equal(window[:17, 16:], small[:, :-3:-1])
    tiny = opened(photos, size=(64, 200)).columns["images"][np.array([4])]
    assert tiny.shape == (1, 64, 200, 3)


def test_depth_and_channels_are_kept_without_a_size_in_common(tmp_path: Path):
    chance = np.random.default_rng(0)
    deep = [chance.integers(0, 65536, (20 + k, 30, 1)).astype(np.uint16) for k in range(3)]
    for k, whole in enumerate(deep):
        write(tmp_path / f"{k}.png", whole)
    column = opened(tmp_path).columns["images"]
    assert column.dtype == np.uint16
    assert np.array_equal(column[np.array([1])][0], deep[1][2:18, 7:23])
    assert opened(tmp_path, channels=3).columns["images"].shape == (3, 16, 16, 3)


def test_a_cache_that_cannot_be_written_changes_nothing(photos: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    kept = opened(photos).columns["images"][np.arange(5)]
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("GANFORGE_CACHE", str(tmp_path / "file" / "cache"))
    data = opened(photos)
    assert any("decoded into memory" in note for note in data.notes)
    assert np.array_equal(data.columns["images"][np.arange(5)], kept)


def test_pairs_domains_and_derived_sources_share_their_windows(photos: Path, tmp_path: Path):
    for path in sorted(photos.iterdir()):
        write(tmp_path / "two" / "A" / path.name, read(path))
        write(tmp_path / "two" / "B" / path.name, 255 - read(path))
    flipped = replace(WINDOWED, flip=True)
    pairs = BatchLoader(opened(tmp_path / "two", Paired), Paired, flipped).batch(1)
    torch.testing.assert_close(pairs.source, -pairs.target)
    domains = opened(tmp_path / "two", Unpaired)
    assert [domains.columns[side].shape for side in "ab"] == [(5, 16, 16, 3)] * 2
    made = opened(photos, Paired, reading=ReadOptions(make="grey"))
    batch = BatchLoader(made, Paired, flipped).batch(2)
    weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    torch.testing.assert_close(batch.source, (batch.target * weights).sum(1, keepdim=True), rtol=0, atol=0.01)
    low = BatchLoader(opened(photos, Paired, reading=ReadOptions(make="lowres")), Paired, WINDOWED).batch(0)
    assert low.source.shape == low.target.shape == (6, 3, 16, 16)


def test_errors_of_native_crops(photos: Path, tmp_path: Path):
    with pytest.raises(DataError, match="say how large with --size, as in --size 96"):
        opened(photos, size=None)
    for folder in ("trainA", "trainB", "trainA_masks", "trainB_masks"):
        write_image(tmp_path / "masked" / folder / "1.png", (20, 20, 3))
        write_image(tmp_path / "masked" / folder / "2.png", (20, 20, 3))
    with pytest.raises(DataError, match="--native-crops is for images without masks"):
        opened(tmp_path / "masked", Instances)


def test_srgan_cuts_windows_by_default(photos: Path):
    srgan_plan = plan("srgan", photos, "tiny", load=pytest.fail)
    assert srgan_plan.run.native
    assert srgan_plan.run.crop
    shrunk = plan("srgan", photos, "tiny", native=False, crop=False, load=pytest.fail)
    assert isinstance(shrunk.data.columns["images"], np.ndarray)
    drawn = plan("srgan", "shapes", "tiny", load=pytest.fail)  # what is drawn has no other scale
    assert drawn.data.columns["images"].shape[1:3] == (16, 16)


def test_resuming_changes_nothing(photos: Path, tmp_path: Path):
    options: dict[str, Any] = {"quiet": True, "sample_every": 0, "device": "cpu", "outdir": tmp_path / "runs"}
    whole = ganforge.train("srgan", photos, "tiny", steps=6, **options)
    half = ganforge.train("srgan", photos, "tiny", steps=3, **options)
    went_on = ganforge.resume(half.path, steps=6, quiet=True)
    for key, value in whole.game.state_dict().items():
        assert torch.equal(value, went_on.game.state_dict()[key]), key


@pytest.mark.skipif(not T91.is_dir(), reason="no super-resolution sets: set GANFORGE_SHARED")
def test_windows_of_t91():
    data = opened(T91, size=(64, 64))
    windows = bytes_of(BatchLoader(data, Images, replace(WINDOWED, batch=8, size=(64,))).batch(0).images)
    wholes = files(T91)
    for window in windows:
        place_in(window, wholes)
    assert len(data) == 91


# -- pairs of low and high resolution ---------------------------------------------------------------


@pytest.fixture
def enlarged(tmp_path: Path) -> Path:
    """Pairs of which each low pixel is the colour of its four by four in the high one."""
    for k, (height, width) in enumerate(((12, 10), (7, 20), (9, 9))):
        small = write_image(tmp_path / "pairs" / "A" / f"{k}.png", (height, width, 3))
        write(tmp_path / "pairs" / "B" / f"{k}.bmp.png", small.repeat(4, 0).repeat(4, 1))
    for path in (tmp_path / "pairs" / "B").iterdir():
        path.rename(path.with_name(path.name.replace(".bmp", "")))
    return tmp_path / "pairs"


@pytest.mark.parametrize("crop", [False, True])
@pytest.mark.parametrize("size", [(16, 24), (32, 36)])
def test_both_windows_of_a_pair_show_the_same(enlarged: Path, crop: bool, size: tuple[int, int]):
    data = opened(enlarged, Enlarged, size)
    assert (data.facts.smaller, data.facts.height, data.facts.width) == (4, *size)
    run = replace(WINDOWED, crop=crop, flip=True, batch=3)
    for number in range(8):
        batch = BatchLoader(data, Enlarged, run).batch(number)
        assert batch.low.shape == (3, 3, size[0] // 4, size[1] // 4)
        torch.testing.assert_close(batch.low.repeat_interleave(4, 2).repeat_interleave(4, 3), batch.images)


def test_the_smaller_side_is_the_low_one_whatever_its_name(enlarged: Path):
    for one, other in (("A", "x"), ("B", "A"), ("x", "B")):
        (enlarged / one).rename(enlarged / other)
    assert opened(enlarged, Enlarged).columns["low"].shape == (3, 4, 4, 3)


def test_a_damaged_image_removes_its_partner_of_another_size(enlarged: Path):
    (enlarged / "A" / "1.png").write_bytes(b"?")
    data = opened(enlarged, Enlarged)
    assert len(data) == 2
    assert any(note.startswith("Left out") for note in data.notes)


def test_errors_of_invalid_superresolution_pairs(enlarged: Path, tmp_path: Path):
    with pytest.raises(DataError, match=r"by a factor of 4, and windows of 18x16 cannot be divided by it"):
        opened(enlarged, Enlarged, (18, 16))
    with pytest.raises(DataError, match="which keep their own scale: leave --native-crops on"):
        opened(enlarged, Enlarged, native=False)
    with pytest.raises(DataError, match=r"A/0.png is 12x10 pixels and its partner B/0.png is 48x40.*need one size"):
        opened(enlarged, Paired)
    write_image(enlarged / "A" / "3.png", (8, 8, 3))
    write_image(enlarged / "B" / "3.png", (16, 16, 3))
    with pytest.raises(DataError, match=r"A/3.png is 8x8 .* B/3.png is 16x16, and the first pair's sizes by 4: .* one"):
        opened(enlarged, Enlarged)
    write_image(tmp_path / "odd" / "A" / "1.png", (10, 10, 3))
    write_image(tmp_path / "odd" / "B" / "1.png", (25, 25, 3))
    with pytest.raises(DataError, match=r"A/1.png is 10x10 pixels and its partner B/1.png is 25x25: the sizes"):
        opened(tmp_path / "odd", Enlarged)


def test_srgan_learns_from_given_pairs_of_its_own_factor(enlarged: Path, tmp_path: Path):
    with pytest.raises(
        ModelError, match=r"enlarges 4 x 4 to 16 x 16, 4 times, and the model 2 times: set --config.sca"
    ):
        plan("srgan", enlarged, "tiny", load=pytest.fail)
    options: dict[str, Any] = {"quiet": True, "device": "cpu", "outdir": tmp_path / "runs", "config": {"scale": 4}}
    run = ganforge.train("srgan", enlarged, "tiny", sample_every=3, batch=3, **options)
    assert run.facts.smaller == 4
    sheet = read(max((run.path / "samples").glob("step-*.png")))
    assert sheet.std() > 0
    result = ganforge.evaluate(run.path, n=3)
    assert {figure.name for figure in result.figures} >= {"psnr", "ssim", "l1"}


def test_the_given_low_resolution_image_is_enlarged(enlarged: Path):
    from ganforge.game import Clock
    from ganforge.models import srgan

    srgan_plan = plan("srgan", enlarged, "tiny", config={"scale": 4}, batch=3, load=pytest.fail)
    game, batch = srgan_plan.game, BatchLoader(srgan_plan.data, Enlarged, srgan_plan.run).batch(0)
    assert isinstance(game, srgan.SRGAN)
    seen: list[Tensor] = []
    game.generator.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    next(game.play(iter([batch]), Clock()))
    torch.testing.assert_close(seen[0], (batch.low + 1) / 2)
