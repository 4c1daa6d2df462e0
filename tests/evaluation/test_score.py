"""Scores of images: windows that cover any size; truth from masks, tables and folders; thresholds; what is written."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

import ganforge
from ganforge.cli import run
from ganforge.data.contact_sheet import draw_cell
from ganforge.errors import DataError, OptionError
from ganforge.evaluation.score import number_flaws, smooth_maps
from ganforge.evaluation.score_items import reduce_mask
from ganforge.evaluation.score_page import SIDE, draw_triple, paint_heat
from ganforge.images import read, write
from ganforge.inference.trained import Trained

GREYNESS = '''
"""greyness: whatever is not middle grey is strange."""
from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from ganforge.batches import Facts, Images
from ganforge.game import Clock, Game, Move
from ganforge.run import Preset, Run


@dataclass(frozen=True)
class Config:
    lr: float = 0.1


class Greyness(Game[Config, Images]):
    averaged = ()

    def __init__(self, config: Config, facts: Facts) -> None:
        super().__init__(config, facts)
        self.level = nn.Linear(1, 1)

    def players(self) -> dict[str, Optimizer]:
        return {"level": SGD(self.level.parameters(), self.config.lr)}

    def play(self, batches: Iterator[Images], now: Clock) -> Iterator[Move]:
        yield Move("level", size=self.level.weight.square().sum())

    def score(self, images: Tensor) -> Tensor:
        return images.square().flatten(1).mean(1)

    def heat(self, images: Tensor) -> Tensor:
        return images.abs().mean(1, keepdim=True)


presets = {"tiny": Preset(Config(), Run(steps=1, batch=8, size=(16,), log_every=1, sample_every=0))}
'''
GREY = 128


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    home = tmp_path_factory.mktemp("greyness")
    (home / "greyness.py").write_text(GREYNESS)
    save(home / "data", {f"{k}.png": np.full((16, 16, 3), GREY, np.uint8) for k in range(8)})
    return ganforge.train(
        str(home / "greyness.py"), home / "data", "tiny", outdir=home / "runs", quiet=True, size=(16,)
    )


def save(folder: Path, images: dict[str, np.ndarray]) -> Path:
    for name, image in images.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write(folder / name, image)
    return folder


def sound(seed: int, side: int = 16) -> np.ndarray:
    """Grey with a little noise."""
    return np.random.default_rng(seed).integers(GREY - 8, GREY + 9, (side, side, 3)).astype(np.uint8)


def flawed(seed: int, side: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """The same with a bright square, and its mask."""
    image, mask = sound(seed, side), np.zeros((side, side, 1), np.uint8)
    image[3:8, 4:9], mask[3:8, 4:9] = 250, 255
    return image, mask


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Eight sound images in good/, three in scratch/, with masks in ground_truth/: MVTec's layout."""
    tops = {f"test/good/{k:03d}.png": sound(k) for k in range(8)}
    tops |= {f"train/good/{k:03d}.png": sound(50 + k) for k in range(2)}
    for k in range(3):
        tops[f"test/scratch/{k:03d}.png"], tops[f"ground_truth/scratch/{k:03d}_mask.png"] = flawed(20 + k)
    return save(tmp_path / "bottle", tops)


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "scores.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_folder_in_mvtecs_layout_is_scored_as_it_is(trained: Trained, pictures: Path, tmp_path: Path):
    report = ganforge.score(trained, pictures, tmp_path / "out", smooth=0)
    assert {name: figure.value for name, figure in report.figures.items()} == pytest.approx(
        {"auroc": 1, "ap": 1, "auroc_pixel": 1, "pro": 1}
    )
    written = rows(tmp_path / "out")
    assert [row["file"].partition("/")[0] for row in written] == ["scratch"] * 3 + ["good"] * 8
    assert [row["strange"] for row in written] == ["1"] * 3 + ["0"] * 8
    scores = [float(row["score"]) for row in written]
    assert scores == sorted(scores, reverse=True)
    expected = (read(pictures / "test" / written[0]["file"]).astype(float) / 127.5 - 1) ** 2
    assert scores[0] == pytest.approx(expected.mean(), rel=1e-4)
    heats = sorted((tmp_path / "out" / "heat").rglob("*.png"))
    assert len(heats) == 11
    heat = read(tmp_path / "out" / "heat" / "scratch" / "000.png")
    assert heat.shape == (16, 16, 3)
    assert heat[3:8, 4:9].min() > heat[9:].max()
    page = (tmp_path / "out" / "index.html").read_text()
    assert page.index("scratch/0") < page.index("good/0")
    assert "There is no threshold" in page


def test_a_threshold_states_its_false_alarms_and_is_checked_on_others(trained: Trained, pictures: Path, tmp_path: Path):
    others = save(tmp_path / "sound", {f"{k}.png": sound(100 + k) for k in range(40)})
    report = ganforge.score(trained, pictures, tmp_path / "out", sound=others, false_alarms=0.1)
    limit = report.threshold
    assert limit is not None
    assert limit.images == 40
    assert limit.rate <= 0.1
    assert limit.low < limit.rate < limit.high
    assert report.alarms is not None
    over = [row["over_threshold"] for row in rows(tmp_path / "out")]
    assert over[:3] == ["1"] * 3
    assert report.alarms.value == pytest.approx(over[3:].count("1") / 8)
    with pytest.raises(DataError, match="needs 99 sound images"):
        ganforge.score(trained, pictures, tmp_path / "out2", sound=others, false_alarms=0.01)


def test_a_threshold_is_not_set_by_images_that_are_strange_by_their_folder(
    trained: Trained, pictures: Path, tmp_path: Path
):
    others = {f"good/{k}.png": sound(100 + k) for k in range(40)} | {"defect/0.png": flawed(3)[0]}
    mixed = save(tmp_path / "mixed", others)
    with pytest.raises(DataError, match=r"--sound .*mixed .*defect/0\.png is strange by its folder"):
        ganforge.score(trained, pictures, tmp_path / "out", sound=mixed)
    assert ganforge.score(trained, pictures, tmp_path / "out", sound=mixed / "good").threshold


def test_images_without_a_mask_or_a_row_have_the_word_of_their_folder(trained: Trained, pictures: Path, tmp_path: Path):
    (pictures / "ground_truth/scratch/001_mask.png").unlink()
    report = ganforge.score(trained, pictures, tmp_path / "out", smooth=0)
    found = {one.name: (one.strange, one.mask is not None) for one in report.scored}
    assert found["scratch/001.png"] == (True, False)
    assert found["scratch/000.png"] == (True, True)
    assert found["good/000.png"] == (False, True)
    assert any("1 of 11 images, the first scratch/001.png, are without a mask" in note for note in report.notes)
    table = tmp_path / "labels.csv"
    table.write_text("good/000.png,good\nscratch/000.png,bad\n")
    report = ganforge.score(trained, pictures / "test", tmp_path / "out2", truth=table)
    assert sum(bool(one.strange) for one in report.scored) == 3
    assert any("9 of 11 images, the first good/001.png, are not named in" in note for note in report.notes)
    cells = save(tmp_path / "cells", {f"{k}.png": sound(k) for k in range(3)} | {"3.png": flawed(4)[0]})
    table.write_text("3.png,bad\n0.png,good\n")
    report = ganforge.score(trained, cells, tmp_path / "out3", truth=table)
    assert [one.strange for one in report.scored].count(None) == 2
    assert any("2 of 4 images" in note and "not known" in note for note in report.notes)


def test_a_table_or_folders_say_what_is_strange(trained: Trained, tmp_path: Path):
    source = save(tmp_path / "cells", {"a.png": sound(1), "b.png": flawed(2)[0], "c.png": sound(3)})
    table = tmp_path / "labels.csv"
    table.write_text("file,label\na.png,good\nb.png,defect\n")
    report = ganforge.score(trained, source, tmp_path / "out", truth=table)
    assert report.figures["auroc"].value == 1
    assert "auroc_pixel" not in report.figures
    assert [one.strange for one in report.scored] == [True, *(one.strange for one in report.scored[1:])]
    assert {one.name: one.strange for one in report.scored} == {"a.png": False, "b.png": True, "c.png": None}
    folders = save(tmp_path / "sorted", {"ok/a.png": sound(1), "broken/b.png": flawed(2)[0]})
    assert ganforge.score(trained, folders, tmp_path / "out3").figures["auroc"].value == 1
    assert not ganforge.score(trained, source, tmp_path / "out4").figures
    table.write_text("a.png,maybe\n")
    with pytest.raises(DataError, match=r"Row 1 of .* says 'maybe'"):
        ganforge.score(trained, source, tmp_path / "out", truth=table)
    table.write_text("z.png,1\n")
    with pytest.raises(DataError, match="names none of the 3 images"):
        ganforge.score(trained, source, tmp_path / "out", truth=table)
    with pytest.raises(DataError, match="No mask in"):
        ganforge.score(trained, source, tmp_path / "out", truth=folders)


def test_images_of_any_size_are_covered_by_windows(trained: Trained):
    wide = torch.zeros(2, 3, 32, 80)
    wide[0, :, 4:12, 70:78] = 1  # a window at the right end alone sees it
    scores, heat = trained.score(wide), trained.heat(wide)
    assert heat.shape == (2, 1, 32, 80)
    assert scores[1] == 0
    assert scores[0] > 1.8 * wide[0].square().mean()
    assert heat[0, 0, 4:12, 70:78].mean() > 0.7
    assert heat[0, 0, :, :60].max() == 0
    native = trained.score(wide, native=True)
    assert native[0] == pytest.approx(64 / 256)
    small = torch.full((1, 3, 8, 8), 0.5)
    assert trained.score(small)[0] == pytest.approx(0.25)
    assert trained.heat(small[0]).shape == (1, 8, 8)


def test_what_is_not_taken_is_noted_and_what_cannot_be_read_is_skipped(trained: Trained, tmp_path: Path):
    source = save(tmp_path / "cells", {"a.png": sound(1), "grey.png": sound(2)[..., :1]})
    (source / "b.heic").write_bytes(b"heic")
    (source / "c.png").write_bytes(b"none")
    report = ganforge.score(trained, source, tmp_path / "out")
    assert any(note.startswith("Not taken: 1 file that ends in heic") for note in report.notes)
    assert any(note.startswith("Grey images") for note in report.notes)
    assert not any("c.png" in note for note in report.notes)
    (skipped,) = report.skipped
    assert "c.png" in skipped
    assert skipped.split()[0] in (tmp_path / "out" / "index.html").read_text()
    (source / "a.png").unlink()
    (source / "grey.png").unlink()
    with pytest.raises(DataError, match=r"could be scored\. The first: c\.png"):
        ganforge.score(trained, source, tmp_path / "out2")


def test_a_run_of_native_crops_scores_in_them_everywhere(tmp_path: Path):
    (tmp_path / "greyness.py").write_text(GREYNESS)
    data = save(tmp_path / "data", {f"{k}.png": sound(k, 32) for k in range(4)})
    trained = ganforge.train(
        str(tmp_path / "greyness.py"), data, "tiny", outdir=tmp_path / "runs", quiet=True, native=True
    )
    source = save(tmp_path / "new", {"a.png": flawed(1, 32)[0]})
    (scored,) = ganforge.score(trained, source, tmp_path / "out").scored
    for loaded in (trained, ganforge.load(trained.path, device="cpu")):
        assert float(loaded.score(source / "a.png")) == pytest.approx(scored.score)
    assert float(trained.score(source / "a.png", native=False)) < 0.9 * scored.score
    for wrong in ({"batch": 0}, {"seed": "one"}):
        with pytest.raises(OptionError, match=next(iter(wrong))):
            trained.score(source / "a.png", **wrong)


def test_16_bit_and_float_images_are_read_in_the_runs_range(tmp_path: Path):
    (tmp_path / "greyness.py").write_text(GREYNESS)
    chance = np.random.default_rng(0)
    data = {f"{k}.tif": chance.uniform(-1000, 3000, (16, 16, 1)).astype(np.float32) for k in range(8)}
    data["0.tif"][0, 0], data["0.tif"][0, 1] = -1000, 3000
    trained = ganforge.train(
        str(tmp_path / "greyness.py"), save(tmp_path / "ct", data), "tiny", outdir=tmp_path / "runs", quiet=True
    )
    images = {"middle.tif": np.full((16, 16, 1), 1000, np.float32), "white.tif": np.full((16, 16, 1), 3000, np.float32)}
    report = ganforge.score(trained, save(tmp_path / "new", images), tmp_path / "out")
    found = {one.name: one.score for one in report.scored}
    assert found == pytest.approx({"white.tif": 1.0, "middle.tif": 0.0}, abs=1e-4)
    assert [one.name for one in report.scored] == ["white.tif", "middle.tif"]


def test_16_bit_integers_keep_their_depth(trained: Trained, tmp_path: Path):
    step = np.full((16, 16, 3), 32768, np.uint16)
    step[:, 8:] += 100  # less than one level of 8 bits
    (scored,) = ganforge.score(trained, save(tmp_path / "deep", {"a.png": step}), tmp_path / "out", smooth=0).scored
    assert 0 < scored.score < (1 / 255) ** 2
    assert scored.heat[0, 12] > 20 * scored.heat[0, 2]


def test_the_embedded_set_comes_with_its_truth(trained: Trained, tmp_path: Path):
    report = ganforge.score(trained, "shapes-defects", tmp_path / "out", sound="shapes-defects")
    assert 80 <= sum(bool(one.strange) for one in report.scored) <= 120
    assert all(one.mask is not None and one.mask.any() == one.strange for one in report.scored)
    assert report.threshold is not None
    assert report.threshold.images > 300
    assert {*report.figures} == {"auroc", "ap", "auroc_pixel", "pro"}


def test_flaws_are_numbered_smoothed_and_reduced():
    mask = np.zeros((6, 6), bool)
    mask[0, :2] = mask[4:, 4:] = True
    numbers = number_flaws(mask)
    assert sorted({*numbers[mask]}) == sorted({*numbers.ravel()} - {0})
    assert len({*numbers[mask]}) == 2
    maps = torch.zeros(1, 1, 9, 9)
    maps[0, 0, 4, 4] = 1
    smooth = smooth_maps(maps, 1.0)
    assert smooth.sum() == pytest.approx(1, abs=1e-3)
    weights = torch.exp(-torch.tensor([1.0, 0.0]) / 2)
    assert smooth[0, 0, 4, 5] / smooth[0, 0, 4, 4] == pytest.approx(float(weights[0]))
    assert torch.equal(smooth_maps(maps, 0), maps)
    dot = np.zeros((64, 64), bool)
    dot[33, 17] = True
    assert [*map(int, np.argwhere(reduce_mask(dot, (16, 16)))[0])] == [8, 4]
    assert not reduce_mask(np.zeros((64, 64), bool), (16, 16)).any()
    colours = paint_heat(np.array([[0.0, 1.0, 5.0]]), 1.0, (1, 3))
    assert colours.sum(2)[0, 0] < colours.sum(2)[0, 1] == colours.sum(2)[0, 2]


def test_what_stays_in_memory_of_an_image_is_what_the_page_shows(trained: Trained, tmp_path: Path):
    source = save(tmp_path / "large", {"tall.png": sound(0, 600)[:, :300], "small.png": sound(1)})
    kept = {one.name: one for one in ganforge.score(trained, source, tmp_path / "out").scored}
    assert kept["tall.png"].shown.shape == (SIDE, SIDE // 2, 3)
    assert kept["tall.png"].sides == (600, 300)
    assert np.array_equal(kept["small.png"].shown, read(source / "small.png"))
    assert read(tmp_path / "out" / "heat" / "tall.png").shape[:2] == (600, 300)
    whole = draw_cell(read(source / "tall.png"), SIDE)
    assert np.array_equal(draw_triple(kept["tall.png"], 1.0)[:, :SIDE], whole)


def test_the_command_line_and_its_refusals(trained: Trained, pictures: Path, tmp_path: Path, capsys):
    assert run(["score", str(trained.path), str(pictures), str(tmp_path / "out"), "--smooth", "2"]) == 0
    said = capsys.readouterr().out
    assert "auroc" in said
    assert "The strangest of 11 is scratch/" in said
    other = ganforge.train("dcgan", preset="tiny", outdir=tmp_path / "runs", quiet=True, steps=1, sample_every=0)
    with pytest.raises(OptionError, match=r"dcgan cannot score; of the models, anogan, .*can\."):
        ganforge.score(other, pictures, tmp_path / "out2")
    with pytest.raises(OptionError, match="among the sources"):
        ganforge.score(trained, pictures, pictures / "test" / "out")
    with pytest.raises(OptionError, match="--smooth"):
        ganforge.score(trained, pictures, tmp_path / "out3", smooth=-1)
