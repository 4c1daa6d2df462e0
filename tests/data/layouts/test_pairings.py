"""Pairs that folders A and B do not say: other names of folders, endings of names, halves; and hints where none are."""

import numpy as np
import pytest

from ganforge.data.inspect import inspect_source
from ganforge.data.layouts.folders import find_images
from ganforge.data.open import find_data, open_data
from ganforge.data.read_options import ReadOptions
from ganforge.errors import DataError, OptionError
from tests.data.layouts.test_folders import cache, write_image, zip_folder

assert cache
PAIRS, DOMAINS = ("source", "target"), ("a", "b")


def opened(path, needed=PAIRS, **options):
    return open_data(str(path), size=options.pop("size", None), needed=needed, **options)


@pytest.mark.parametrize("archive", [False, True])
@pytest.mark.parametrize(
    ("source", "target"),
    [
        *[("Source/{}", "Target/{}"), ("INPUT/{}", "Output/{}"), ("a/{}", "b/{}"), ("labels/{}", "images/{}")],
        *[
            ("train/a/{}", "train/b/{}"),
            ("LR/{}", "HR/{}"),
            ("{}_A", "{}_B"),
            ("{}-input", "{}-target"),
            ("x/{}_a", "x/{}_b"),
        ],
        *[("traina/{}", "trainb/{}"), ("train_A/{}", "train_B/{}"), ("TrainA/{}", "TrainB/{}")],
    ],
)
def test_pairs_are_found_in_many_spellings(tmp_path, source, target, archive):
    root = tmp_path / "set"
    first, second = (
        np.stack([write_image(root / f"{spelled.format(k)}.png", (8, 8, 3)) for k in range(3)])
        for spelled in (source, target)
    )
    path = zip_folder(root, tmp_path / "set.zip") if archive else root
    data = opened(path)
    assert np.array_equal(data.columns["source"], first)
    assert np.array_equal(data.columns["target"], second)
    assert np.array_equal(opened(path, reading=ReadOptions("BtoA")).columns["source"], second)
    two = opened(path, DOMAINS)
    assert {two.columns["a"].tobytes(), two.columns["b"].tobytes()} == {first.tobytes(), second.tobytes()}
    assert {*PAIRS, *DOMAINS} <= {*inspect_source(find_images(path))[0].provides}
    assert len(opened(path, ("images",))) == 6


def test_folders_of_pairs_stay_classes_for_models_of_classes(tmp_path):
    for side in "ab":
        for k in range(2):
            write_image(tmp_path / side / f"{k}.png")
    data = opened(tmp_path, ("images", "condition"))
    assert data.facts.labels == ("a", "b")
    assert "Source is a, target is b: --direction BtoA exchanges them." in opened(tmp_path).notes


@pytest.mark.parametrize("width", [16, 17])
def test_two_squares_may_have_a_line_between_them(tmp_path, width):
    whole = np.stack([write_image(tmp_path / f"{k}.png", (8, width, 3)) for k in range(2)])
    data = opened(tmp_path)
    assert np.array_equal(data.columns["source"], whole[:, :, :8])
    assert np.array_equal(data.columns["target"], whole[:, :, -8:])


@pytest.mark.parametrize("shape", [(8, 24), (8, 18), (12, 16), (8, 25)])
def test_halves_of_any_shape_are_pairs_if_asked_for(tmp_path, shape):
    whole = np.stack([write_image(tmp_path / f"{k}.png", (*shape, 3)) for k in range(2)])
    with pytest.raises(
        DataError, match=r"If a source and a target lie side by side in each image, say --make halves\."
    ):
        opened(tmp_path)
    data, half = opened(tmp_path, reading=ReadOptions(make="halves")), shape[1] // 2
    assert np.array_equal(data.columns["source"], whole[:, :, :half])
    assert np.array_equal(data.columns["target"], whole[:, :, -half:])
    turned = opened(tmp_path, reading=ReadOptions("BtoA", "halves"))
    assert np.array_equal(turned.columns["source"], whole[:, :, -half:])
    notes = inspect_source(find_images(tmp_path))[0].notes
    assert any("--make halves makes pairs of them" in note for note in notes) == (shape[1] >= 2.3 * shape[0])


def test_halves_that_cannot_be_are_one_sentence(tmp_path):
    with pytest.raises(OptionError, match="--make halves makes pairs, and this model needs images"):
        opened("shapes", ("images",), reading=ReadOptions(make="halves"))
    with pytest.raises(OptionError, match="--make halves is for images of a person's own, and shapes is a named set"):
        opened("shapes", reading=ReadOptions(make="halves"), size=(16, 16))
    for k in range(2):
        write_image(tmp_path / "thin" / f"{k}.png", (8, 1, 3))
        write_image(tmp_path / "sides" / "A" / f"{k}.png")
        write_image(tmp_path / "sides" / "B" / f"{k}.png")
    with pytest.raises(DataError, match=r"has two sides already; --make is for plain images"):
        opened(tmp_path / "sides", reading=ReadOptions(make="halves"))
    with pytest.raises(DataError, match="it is one pixel wide, and has no halves"):
        opened(tmp_path / "thin", reading=ReadOptions(make="halves"), size=(8, 8))


def test_two_other_folders_are_named_in_a_hint(tmp_path):
    for kind in ("day", "night"):
        for k in range(2):
            write_image(tmp_path / kind / f"{k}.png")
    with pytest.raises(DataError, match="If day and night are the two sides of pairs, call these folders A and B"):
        opened(tmp_path)
    assert "source" not in inspect_source(find_images(tmp_path))[0].provides


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (("Source/1", "Source/2", "Target/1"), "Source/2.png has no partner"),
        (("1_A", "2_A", "1_B"), "2_A.png has no partner"),
        (("A/1", "A/x/1", "B/1", "B/2"), "has no partner"),
    ],
)
def test_partners_that_are_missing_are_named(tmp_path, names, why):
    for name in names:
        write_image(tmp_path / f"{name}.png")
    with pytest.raises(DataError, match=why):
        opened(tmp_path)
    assert "source" not in inspect_source(find_images(tmp_path))[0].provides


def test_two_images_of_one_name_are_named_by_both_commands(tmp_path):
    for name in ("A/0.jpg", "A/0.png", "A/1.png", "B/0.png", "B/1.png"):
        write_image(tmp_path / name)
    with pytest.raises(
        DataError, match=r"pairs are ambiguous: A/0\.jpg and A/0\.png\. Remove one of each\."
    ) as refused:
        opened(tmp_path)
    found = inspect_source(find_images(tmp_path))[0]
    assert str(refused.value) in found.problems
    assert "source" not in found.provides


def test_folders_without_an_image_are_named(tmp_path):
    for name in ("cat/1.png", "dog/1.png"):
        write_image(tmp_path / "pets" / name)
    (tmp_path / "pets" / "owl").mkdir()
    for path in (tmp_path / "pets", zip_folder(tmp_path / "pets", tmp_path / "pets.zip")):
        source = find_data(str(path))
        assert source.labels.names == ("cat", "dog")
        assert "Folders without an image, which are not classes: owl." in source.notes


def test_a_note_on_one_side_names_a_folder_that_is_there(tmp_path):
    for side in "AB":
        for k in range(2):
            write_image(tmp_path / "x" / side / f"{k}.png")
    assert f"one alone is --data {tmp_path}/x/A." in find_images(tmp_path / "x").every_note[-1]
    assert not any(
        "one alone" in note for note in find_images(zip_folder(tmp_path / "x", tmp_path / "x.zip")).every_note
    )
