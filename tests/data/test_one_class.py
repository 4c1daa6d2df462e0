"""One class alone, of data in classes."""

from pathlib import Path

import numpy as np
import pytest

import ganforge
from ganforge.data.open import open_data
from ganforge.data.read_options import ReadOptions
from ganforge.errors import DataError, ModelError, OptionError
from ganforge.evaluation.inputs import EvalOptions, open_inputs
from ganforge.images import write
from ganforge.training.own_data import median_size
from tests.data.layouts.test_folders import write_image

ONLY_GOOD = ReadOptions(only="good")


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    """Three bad images, lighter than 249, and three good ones, of 100 to 102; two of each are held out."""
    for split, count in (("train", 3), ("test", 2)):
        for name, grey in (("bad", 250), ("good", 100)):
            for k in range(count):
                path = tmp_path / "cells" / split / name / f"{k}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                write(path, np.full((8, 8, 1), grey + k, np.uint8))
    return tmp_path / "cells"


@pytest.mark.parametrize("held_out", [False, True])
def test_the_images_of_one_class_are_taken(cells: Path, held_out: bool):
    every = open_data(str(cells), size=(8, 8), held_out=held_out)
    alone = open_data(str(cells), size=(8, 8), held_out=held_out, reading=ONLY_GOOD)
    count = 2 if held_out else 3
    assert (len(every), len(alone), alone.facts.labels) == (2 * count, count, ())
    assert [int(image.max()) for image in alone.columns["images"]] == [100, 101, 102][:count]
    assert alone.fingerprint != every.fingerprint
    assert alone.notes[-1] == f"{count} of {2 * count} images are taken, those of class good."


def test_a_class_of_a_named_set(tmp_path: Path):
    every = open_data("shapes", size=(16, 16))
    name = every.facts.labels[1]
    alone = open_data("shapes", size=(16, 16), reading=ReadOptions(only=name))
    rows = np.flatnonzero(every.columns["condition"] == 1)
    assert 0 < len(alone) == len(rows) < len(every)
    np.testing.assert_array_equal(alone.columns["images"], every.columns["images"][rows])
    assert "condition" not in alone.columns


def test_a_class_that_is_not_there_is_one_sentence(cells: Path):
    with pytest.raises(DataError, match=r"has no class 'goood': its classes are bad, good\. Did you mean good\?"):
        open_data(str(cells), size=(8, 8), reading=ReadOptions(only="goood"))
    with pytest.raises(DataError, match="has no classes, and good alone is asked for"):
        open_data(str(cells / "train" / "bad"), size=(8, 8), reading=ONLY_GOOD)
    with pytest.raises(OptionError, match="this one needs images and condition"):
        open_data(str(cells), size=(8, 8), reading=ONLY_GOOD, needed=("images", "condition"))
    for side in ("A", "B"):
        write_image(cells / "pairs" / side / "0.png", (8, 8, 3))
    with pytest.raises(OptionError, match="has two sides"):
        open_data(str(cells / "pairs"), size=(8, 8), reading=ONLY_GOOD)
    with pytest.raises(OptionError, match="this one needs source and target"):
        open_data(str(cells / "pairs"), size=(8, 8), reading=ONLY_GOOD, needed=("source", "target"))


def test_a_folder_of_that_name_is_of_that_class(cells: Path):
    """Sound images alone, as of MVTec's layout, or a run's other data."""
    alone = open_data(str(cells / "train" / "good"), size=(8, 8), reading=ONLY_GOOD)
    assert len(alone) == 3


def test_the_size_is_that_of_the_class(tmp_path: Path):
    for name, side, images in (("good", 24, 3), ("bad", 200, 9)):
        for k in range(images):
            write_image(tmp_path / name / f"{k}.png", (side, side, 3))
    assert median_size(str(tmp_path), None, False) == (200, 200)
    assert median_size(str(tmp_path), None, False, "good") == (24, 24)


def test_other_data_without_the_class_are_evaluated_whole(cells: Path, tmp_path: Path):
    options = {"preset": "tiny", "quiet": True, "outdir": tmp_path, "sample_every": 0, "batch": 3, "only": "good"}
    run = ganforge.train("dcgan", cells, steps=2, **options)
    for against, count in ((cells / "train" / "bad", 3), (cells, 3)):
        inputs = open_inputs(run.path, against, EvalOptions(n=3), None)
        assert inputs.real.count == count


def test_a_run_learns_its_sound_class_alone_and_keeps_to_it(cells: Path, tmp_path: Path):
    options = {"preset": "tiny", "quiet": True, "outdir": tmp_path, "sample_every": 0, "batch": 3}
    run = ganforge.train("autoencoder", cells, steps=2, sound="good", **options)
    again = ganforge.resume(run.path, steps=4, quiet=True)
    assert (run.facts.labels, again.step) == ((), 4)
    assert "3 of 6" in str(open_data(str(cells), size=(16, 16), reading=ONLY_GOOD).notes)
    with pytest.raises(ModelError, match=r"train wgan_gp --data \S+ .*--only good"):
        ganforge.train("f_anogan", cells, sound="good", **options)
    with pytest.raises(OptionError, match="name the class good, and --only another, bad"):
        ganforge.train("autoencoder", cells, sound="good", only="bad", **options)
    with pytest.raises(DataError, match="no class 'fine'"):
        ganforge.train("autoencoder", cells, sound="fine", **options)
