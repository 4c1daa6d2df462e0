"""Images in units of their own, from the file to the network and back: the range of values belongs to the run."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

import ganforge
from ganforge.cli import run as main
from ganforge.errors import DataError, OptionError
from ganforge.evaluation.evaluate import evaluate
from ganforge.images import read
from ganforge.inference.translate import translate
from ganforge.training.train import resume
from tests.support.sealed import write_config

COPY = '''
"""copy: returns what it is given."""
from collections.abc import Iterator
from dataclasses import dataclass
from torch import Tensor, nn
from torch.optim import SGD, Optimizer
from ganforge.batches import Facts, Paired
from ganforge.game import Clock, Game, Move

@dataclass(frozen=True)
class Config:
    pass

class Copy(Game[Config, Paired]):
    def __init__(self, config: Config, facts: Facts) -> None:
        super().__init__(config, facts)
        self.generator = nn.Conv2d(1, 1, 1)
    def players(self) -> dict[str, Optimizer]:
        return {"generator": SGD(self.generator.parameters(), 0.01)}
    def play(self, batches: Iterator[Paired], now: Clock) -> Iterator[Move]:
        pair = next(batches)
        yield Move("generator", l1=(self.generator(pair.source) - pair.target).abs().mean())
    def translate(self, images: Tensor) -> Tensor:
        return images
'''
LOW, HIGH = -1000.0, 1400.0
CT = np.linspace(LOW, HIGH, 256).reshape(16, 16)  # Hounsfield units, the whole range in one slice


def write_slices(folder: Path, kind: str) -> Path:
    """Pairs for training that span LOW ... HIGH on side A and -500 ... 900 on B, and a narrower test split."""
    for split, shown in (("train", CT), ("test", np.clip(CT, -100, 300))):
        for side, values in (("A", shown), ("B", shown / 2 + 200 - 2 * 100 * (split == "train"))):
            place = folder / split / side
            place.mkdir(parents=True)
            for k in range(3):
                save(place / f"{k}", np.roll(values, k, 0), kind)
    return folder


def save(path: Path, values: np.ndarray, kind: str) -> None:
    name, _, dtype = kind.rpartition("-")
    array = values.astype(dtype)
    if name == "tiff":
        Image.fromarray(array.astype(np.int32) if dtype.startswith("int") else array).save(path.with_suffix(".tif"))
    else:
        np.save(path.with_suffix(".npy"), array)


def train(place: Path, data: Path | str, model: str = "copy.py", **options: object) -> ganforge.Trained:
    (place / "copy.py").write_text(COPY)
    known = {"steps": 1, "batch": 2, "outdir": place / "runs", "quiet": True, "device": "cpu", "threads": 1}
    return ganforge.train(str(place / "copy.py") if model == "copy.py" else model, str(data), **{**known, **options})


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANFORGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("kind", ["float64", "int16", "tiff-int16"])
def test_hounsfield_units_survive_training_translation_and_another_machine(tmp_path: Path, kind: str) -> None:
    data = write_slices(tmp_path / "ct", kind)
    lines: list[str] = []
    run = train(tmp_path, data, say=lines.append)
    assert any("each side has a range of values of its own" in line.lower() for line in lines), lines
    stored = yaml.safe_load((run.path / "config.yaml").read_text())["data"]
    assert stored["ranges"]["source"] == [LOW, HIGH]
    assert stored["ranges"]["target"] == pytest.approx([-500, 700])
    # the very files of training and of the test split, which has other extremes
    for split in ("train", "test"):
        done = translate(run.path, data / split / "A", tmp_path / f"out-{kind}-{split}")
        assert (done.written, done.skipped) == (3, [])
        for k in range(3):
            made = read(done.out / f"{k}.npy")
            given = read(next((data / split / "A").glob(f"{k}.*")))
            wanted = (given.astype(np.float64) - LOW) / (HIGH - LOW) * 1200 - 500  # the same place in B's range
            assert made.dtype == np.float32
            assert np.abs(made - wanted).max() < 0.005 * (HIGH - LOW)
    # held out: 40 HU are the same number as in training
    seen = evaluate(run.path, metrics=("l1",), held_out=True)
    source, target = (np.stack([read(p) for p in sorted((data / "test" / s).iterdir())]) for s in "AB")
    expected = np.abs(((source - LOW) / (HIGH - LOW) * 2 - 1) - ((target + 500) / 1200 * 2 - 1)).mean()
    assert seen["l1"].value == pytest.approx(expected, abs=0.01)
    # another machine: run and data are elsewhere
    elsewhere = tmp_path / "elsewhere"
    shutil.move(str(data), elsewhere / "ct")
    shutil.move(str(run.path), elsewhere / "run")
    with pytest.raises(DataError, match=r"--data"):
        resume(elsewhere / "run", steps=2, quiet=True)
    resume(elsewhere / "run", steps=2, data=elsewhere / "ct", quiet=True)
    again = yaml.safe_load((elsewhere / "run" / "config.yaml").read_text())["data"]
    assert again["ranges"] == stored["ranges"]
    assert evaluate(elsewhere / "run", metrics=("l1",), held_out=True)["l1"].value == seen["l1"].value


def test_values_outside_of_the_range_are_clipped_and_counted(tmp_path: Path) -> None:
    run = train(tmp_path, write_slices(tmp_path / "ct", "float32"))
    (tmp_path / "hot").mkdir()
    np.save(tmp_path / "hot" / "metal.npy", (CT + 2000).astype(np.float32))
    done = translate(run.path, tmp_path / "hot", tmp_path / "out")
    assert done.notes == ["Images with values outside of -1000 ... 1400, the run's, which were clipped: 1."]
    assert read(tmp_path / "out" / "metal.npy").max() == pytest.approx(700)
    np.save(tmp_path / "hot" / "metal.npy", np.full((16, 16), np.nan, np.float32))
    with pytest.raises(DataError, match="not finite"):
        translate(run.path, tmp_path / "hot", tmp_path / "out")
    for side in "AB":
        np.save(tmp_path / "ct" / "test" / side / "1.npy", (CT + 2000).astype(np.float32))
    report = evaluate(run.path, metrics=("l1",), held_out=True)
    assert sum("1 of 3 images have values outside of" in note for note in report.warnings) == 2


def test_samples_are_written_in_the_units_of_the_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "ct.npy", np.stack([np.roll(CT, k, 0) for k in range(8)]).astype(np.int16))
    run = train(tmp_path, "ct.npy", "dcgan", preset="tiny", size=(16,))
    images = run.sample(4).numpy()
    main(["sample", str(run.path), "-n", "4", "--depth", "float", "-o", "four.npz"])
    made = np.load("four.npz")["images"]
    assert np.abs(made - ((images.transpose(0, 2, 3, 1) + 1) * 1200 - 1000)).max() < 0.1
    # judged as files, they are read in the range of the data: the same distance as that of the run
    capsys.readouterr()
    scores = [
        evaluate(what, "ct.npy", ("fid",), features="pixels", n=4, reals=8, out=f"{k}.json")["fid"].value
        for k, what in enumerate((run.path, "four.npz"))
    ]
    assert scores[0] == pytest.approx(scores[1], rel=0.01)


@pytest.mark.parametrize("kind", ["float32", "int64"])
def test_the_same_images_as_uint8_and_as_numbers_up_to_255_have_no_distance(tmp_path: Path, kind: str) -> None:
    pictures = np.random.default_rng(0).integers(3, 250, (8, 12, 12, 3), np.uint8)
    for name, array in (("bytes", pictures), ("numbers", pictures.astype(kind))):
        (tmp_path / name).mkdir()
        for k, picture in enumerate(array):
            np.save(tmp_path / name / f"{k}.npy", picture)
    np.save(tmp_path / "stack.npy", pictures.astype(kind))
    for what in ("numbers", "stack.npy"):
        for size in ((), (8,)):
            report = evaluate(what, "bytes", ("fid",), features="pixels", size=size, out=f"{what}{size}.json")
            assert abs(report["fid"].value) < 1e-4
        back = evaluate("bytes", what, ("fid",), features="pixels", out=f"back-{what}.json")
        assert abs(back["fid"].value) < 1e-4


def test_integers_are_read_alike_whatever_the_values_of_one_image(tmp_path: Path) -> None:
    from ganforge.data.open import open_data

    for place, kind in (("npy", "int16"), ("tif", "tiff-int16")):
        (tmp_path / place).mkdir()
        save(tmp_path / place / "0", CT, kind)
        save(tmp_path / place / "1", np.full((16, 16), 200.0), kind)  # no value below 0 in this one
    for place in ("npy", "tif"):
        data = open_data(place, size=None)
        assert data.ranges == {"images": (LOW, HIGH)}
        assert data.columns["images"][1].max() == pytest.approx(0.0)  # 200 is the middle
        assert data.columns["images"][1].min() == pytest.approx(0.0)


def test_runs_without_ranges_are_opened_as_before(tmp_path: Path) -> None:
    data = write_slices(tmp_path / "ct", "float32")
    run = train(tmp_path, data, steps=2)
    path = run.path / "config.yaml"
    config = yaml.safe_load(path.read_text())
    del config["data"]["ranges"], config["data"]["path"]
    write_config(run.path, config)
    resume(run.path, steps=3, quiet=True)
    assert "ranges" not in yaml.safe_load(path.read_text())["data"]
    with pytest.raises(DataError, match=r"-1000 to 1400.*no range"):
        translate(run.path, data / "train" / "A", tmp_path / "out")


def test_12_bits_in_16_and_ranges_are_said_before_training(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for k in range(2):
        Image.fromarray((np.arange(256).reshape(16, 16) * 9 + k).astype(np.uint16)).save(tmp_path / "deep" / f"{k}.png")
    assert any("12 of their 16 bits" in note for note in ganforge.examine("deep").notes)
    write_slices(tmp_path / "ct", "int16")
    notes = ganforge.examine("ct").notes
    assert any("A from -1000 to 1400" in note for note in notes)
    assert any("B from -500 to 700" in note for note in notes)


# -- a run is judged against its own data -----------------------------------------------------------


def folder_of(place: Path, seed: int) -> Path:
    place.mkdir(parents=True)
    for k, picture in enumerate(np.random.default_rng(seed).integers(0, 256, (6, 8, 8, 3), np.uint8)):
        Image.fromarray(picture).save(place / f"{k}.png")
    return place


def test_another_folder_of_the_same_name_is_not_the_runs_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder_of(tmp_path / "here" / "photos", 0)
    folder_of(tmp_path / "there" / "photos", 1)
    monkeypatch.chdir(tmp_path / "here")
    run = train(tmp_path, "photos", "dcgan", preset="tiny", size=(8,)).path
    stored = yaml.safe_load((run / "config.yaml").read_text())["data"]
    assert (stored["asked"], stored["path"]) == ("photos", str(tmp_path / "here" / "photos"))
    options = {"metrics": ("fid",), "features": "pixels", "n": 6}
    own = evaluate(run, **options)
    kept = (run / "report.json").read_text()
    monkeypatch.chdir(tmp_path / "there")
    assert evaluate(run, **options).data_fingerprint == own.data_fingerprint
    ganforge.compare((run, run), **options, out="page.html")
    resume(run, steps=2, quiet=True)
    # other data have a report of their own
    other = evaluate(run, "photos", **options)
    assert other.data_fingerprint != own.data_fingerprint
    assert (
        json.loads((run / "report.json").read_text())["data_fingerprint"]
        == own.data_fingerprint
        == json.loads(kept)["data_fingerprint"]
    )
    assert json.loads((run / "report-photos.json").read_text())["data_fingerprint"] == other.data_fingerprint
    with pytest.raises(OptionError, match="-o"):
        evaluate(run, "photos", **options, out=run / "report.json")
    # the run's data are gone: the folder of the same name is not taken for them
    shutil.rmtree(tmp_path / "here" / "photos")
    for judge in (lambda: evaluate(run, **options), lambda: ganforge.compare((run, run), **options, out="page.html")):
        with pytest.raises(DataError, match=r"not the data that the run was trained on.*--against"):
            judge()
    with pytest.raises(DataError, match="--data"):
        resume(run, steps=3, quiet=True)
    shutil.rmtree(tmp_path / "there" / "photos")
    with pytest.raises(DataError, match="--against"):
        evaluate(run, **options)


def test_pairs_of_a_relative_path_are_known_again_from_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_slices(tmp_path / "ct", "int16")
    run = train(tmp_path, "ct").path
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    evaluate(run, metrics=("l1",))
    resume(run, steps=2, quiet=True)
