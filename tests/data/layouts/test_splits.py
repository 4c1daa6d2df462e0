"""Split words at every depth and in every spelling: no image of a held-out folder is trained on."""

import pytest

from ganforge.data.layouts.folders import find_images, open_folder
from ganforge.data.layouts.splits import Splits, phase_of
from ganforge.data.open import find_data, open_data
from ganforge.errors import DataError
from tests.data.layouts.test_folders import cache, write_image, zip_folder
from tests.data.layouts.test_layouts import png, tarred

assert cache  # the fixture: a cache of its own for every test


@pytest.mark.parametrize(
    ("name", "phase"),
    [
        *[
            (name, "train")
            for name in ("train", "Training", "TRAIN", "Train_set", "trainset", "train-images", "train2017")
        ],
        *[
            (name, "train")
            for name in (
                "1.Training",
                "training_data",
                "images_train",
                "학습",
                "01. 학습데이터",
                "훈련용",
                "trn",
                "Trainings",
            )
        ],
        *[
            (name, "test")
            for name in (
                "test",
                "Testing",
                "Test_set",
                "testset",
                "test images",
                "eval",
                "evaluation",
                "테스트셋",
                "tst",
                "Tests",
            )
        ],
        *[
            (name, "val")
            for name in ("val", "valid", "Validation", "2.Validation", "val2017", "hold-out", "held_out", "검증", "dev")
        ],
        *[
            (name, "")
            for name in ("cat", "test_tube", "station", "contest", "invalid", "trains", "latest", "value", "detest")
        ],
    ],
)
def test_a_folder_says_a_split_in_many_spellings(name, phase):
    assert phase_of(name) == phase


def trained_and_held(root):
    """Names of the images that are trained on, and of those held out."""
    found = []
    for held_out in (False, True):
        try:
            found.append([image.name for image in find_images(root, held_out).images])
        except DataError as error:
            found.append(str(error))
    return found


@pytest.mark.parametrize("archive", [False, True])
@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("Train_set/{}", "Test_set/{}"),
        ("{}/train", "{}/test"),
        ("{}/images/training", "{}/images/val"),
        ("training_set/training_set/{}", "test_set/test_set/{}"),
        ("pets_train/{}", "pets_test/{}"),
        ("DIV2K_train_HR/{}", "DIV2K_valid_HR/{}"),
        ("data/1.Training/{}", "data/2.Validation/{}"),
        ("학습용/{}", "평가용/{}"),
        ("{}", "{}/test"),
        ("{}", "testing/{}"),
    ],
)
def test_held_out_images_are_found_at_every_depth(tmp_path, train, test, archive):
    root = tmp_path / "pets"
    for kind in ("cat", "dog"):
        for k in range(2):
            write_image(root / train.format(kind) / f"{k}.png")
        write_image(root / test.format(kind) / "9.png")
    path = zip_folder(root, tmp_path / "pets.zip") if archive else root
    trained, held = trained_and_held(path)
    assert sorted(trained) == sorted(f"{train.format(kind)}/{k}.png" for kind in ("cat", "dog") for k in range(2))
    assert sorted(held) == sorted(f"{test.format(kind)}/9.png" for kind in ("cat", "dog"))
    if train != "{}/images/training":
        assert open_folder(path, size=None).facts.labels == ("cat", "dog")
        assert open_folder(path, size=None, held_out=True).columns["condition"].tolist() == [0, 1]
    (note,) = [note for note in find_images(path).notes if note.startswith("Taken: ")]
    assert note.endswith("(2 images).")


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("{0}/train{0}", "{0}/test{0}"),
        ("{0}/Train_set", "{0}/Test_set"),
        ("traina", "testa"),
        ("train_{0}", "val_{0}"),
        ("Training/{0}", "Validation/{0}"),
        ("{0}", "{0}/test"),
        ("{0}/street/train", "{0}/street/test"),
    ],
)
def test_held_out_pairs_are_found_at_every_depth(tmp_path, train, test):
    for side in "AB":
        spelled = [name.format(side) if "{" in name else f"{name[:-1]}{side.lower()}" for name in (train, test)]
        for k in range(3):
            write_image(tmp_path / spelled[0] / f"{k}.png")
        for k in range(2):
            write_image(tmp_path / spelled[1] / f"{k}.png")
    for needed in (("source", "target"), ("a", "b")):
        assert len(open_data(str(tmp_path), size=None, needed=needed)) == 3
        assert len(open_data(str(tmp_path), size=None, needed=needed, held_out=True)) == 2
    assert len(open_data(str(tmp_path), size=None)) == 6


@pytest.mark.parametrize(
    "names", [("test/A/{}", "test/B/{}"), ("testA/{}", "testB/{}"), ("test/{}", "val/{}"), ("x/test/{}",)]
)
def test_data_that_are_all_held_out_are_not_trained_on(tmp_path, names):
    for name in names:
        for k in range(3):
            write_image(tmp_path / name.format(f"{k}.png"))
    trained, held = trained_and_held(tmp_path)
    assert "has no training images, only held-out ones: " in trained
    assert names[0].split("/")[-2] in trained or "test" in trained
    assert len(held) >= 3
    if names[0].startswith("test/"):
        assert f"give that folder: --data {tmp_path}/test" in trained
        assert len(find_images(tmp_path / "test").images) >= 3


@pytest.mark.parametrize(
    "names",
    [
        ("train/bus/1.png", "train/train/2.png", "test/bus/3.png"),  # a class called train
        ("train/cat/1.png", "train/test/2.png", "val/cat/3.png"),  # a class called test
    ],
)
def test_classes_may_be_called_like_splits_inside_of_a_split(tmp_path, names):
    for name in names:
        write_image(tmp_path / name)
    assert trained_and_held(tmp_path)[0] == [*names[:2]]
    assert len(find_images(tmp_path).labels.names) == 2


def test_valid_and_invalid_are_classes(tmp_path):
    for name in ("valid/1.png", "invalid/2.png"):
        write_image(tmp_path / name)
    assert find_images(tmp_path).labels.names == ("invalid", "valid")


def test_a_deep_train_without_a_held_out_folder_is_no_split():
    names = ["land/bus/1.png", "land/train/2.png", "sea/ship/3.png"]
    splits = Splits(names)
    assert splits.choose(False) == names
    assert splits.choose(True) is None


def test_held_out_shards_are_not_trained_on(tmp_path):
    members = [("1.png", png()), ("1.cls", b"0"), ("2.png", png()), ("2.cls", b"1")]
    for name in ("pets-000.tar", "pets-testset-000.tar"):
        tarred(tmp_path / name, members)
    assert [image.name for image in find_images(tmp_path).images] == ["pets-000.tar: 1.png", "pets-000.tar: 2.png"]
    assert len(find_data(str(tmp_path), held_out=True).images) == 2
    (tmp_path / "pets-000.tar").unlink()
    with pytest.raises(DataError, match=r"no training shards, only held-out ones: pets-testset-000\.tar"):
        find_images(tmp_path)
