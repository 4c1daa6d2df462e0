"""Examining data sets: facts, problems and notes of valid and of damaged data."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ganforge
from ganforge.cli import run as command
from ganforge.cli.data_report import choose_sheet_path, format_report
from ganforge.data.contact_sheet import CELL
from ganforge.data.open import open_data
from ganforge.errors import DataError, OptionError
from ganforge.images import read, write
from ganforge.images.high_bit_depth import PARTLY_READ
from tests.data.layouts.test_folders import uninstall_deep, write_image
from tests.support.goldens import SHARED


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("GANFORGE_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def sick(tmp_path) -> Path:
    """Two classes with everything that can be wrong with files."""
    root = tmp_path / "pets"
    for k in range(24):
        write_image(root / "cat" / f"{k:02}.png", (16, 16, 3))
    write_image(root / "cat" / "wide.png", (20, 40, 4))
    for k in range(2):
        write_image(root / "dog" / f"{k}.png", (16, 16))
    (root / "dog" / "copy.png").write_bytes((root / "cat" / "03.png").read_bytes())
    Image.fromarray(read(root / "cat" / "05.png")).save(root / "cat" / "other-bytes.png", compress_level=1)
    (root / "cat" / "torn.png").write_bytes((root / "cat" / "00.png").read_bytes()[:90])
    (root / "cat" / "text.jpg").write_text("hello")
    Image.new("RGB", (16, 16), "red").save(root / "cat" / "red.png")
    return root


def test_facts_are_the_files(sick):
    found = ganforge.examine(sick)
    assert found.layout == "one folder a class"
    assert found.images == 30
    assert (found.sizes.smallest, found.sizes.median, found.sizes.largest) == ((16, 16), (16, 16), (20, 40))
    assert found.sizes.different == 2
    assert found.channels == {1: 2, 3: 27, 4: 1}
    assert found.depths == {"8 bits": 30}
    assert found.classes == {"cat": 27, "dog": 3}
    assert found.provides == ("images", "condition", "a", "b")  # two classes are two domains as well


def test_damage_and_copies_are_named(sick):
    found = ganforge.examine(sick)
    assert set(found.corrupt) == {"cat/text.jpg", "cat/torn.png"}
    assert found.corrupt["cat/text.jpg"] == "it is not an image of a known format"
    assert sorted(found.duplicates) == [("cat/03.png", "dog/copy.png"), ("cat/05.png", "cat/other-bytes.png")]
    said = "\n".join(found.problems)
    assert "cannot be read, and will be left out: 2." in said
    assert "Exact copies of other images, which are trained on more often: 2." in said
    assert "Copies with another label: 1, the first cat/03.png and dog/copy.png." in said
    assert "Images of one flat colour: 1, the first cat/red.png." in said
    assert "30 images are few" in said


def test_uneven_empty_and_constant_labels_are_reported(tmp_path):
    for k in range(13):
        write_image(tmp_path / f"{k}.png", (8, 8))
    rows = [[f"{k}.png", 0 if k else 2] for k in range(13)]
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": rows}))
    said = "\n".join(ganforge.examine(tmp_path).problems)
    assert "Classes without an image: 1 of 3, the first 1." in said
    assert "The classes are uneven: 0 has 12 images and 2 1." in said
    (tmp_path / "dataset.json").unlink()
    lines = [f"{k}.png,{k % 2},0" for k in range(13)]
    (tmp_path / "attributes.csv").write_text("\n".join(["file_name,Odd,Bald", *lines]))
    found = ganforge.examine(tmp_path)
    assert found.attributes == {"Odd": 0.4615, "Bald": 0.0}
    assert "Attributes that are the same for all images: 1, the first Bald. Drop them." in found.problems


@pytest.mark.parametrize(("name", "advised"), [("left_hand", False), ("왼쪽", False), ("leftover", True)])
def test_mirroring_is_not_advised_where_a_label_names_a_side(tmp_path, name, advised):
    for k in range(4):
        folder = tmp_path / (name, "other")[k % 2]
        folder.mkdir(exist_ok=True)
        Image.fromarray(np.full((8, 8), 60 * k, np.uint8)).save(folder / f"{k}.png")
    [few] = [problem for problem in ganforge.examine(tmp_path).problems if "are few" in problem]
    assert ("train with --flip and --crop" in few) == advised
    assert (f"--flip would mirror '{name}'" in few) != advised


def test_labels_out_of_range_are_reported_as_a_problem(tmp_path):
    for k in range(3):
        write_image(tmp_path / f"{k}.png", (8, 8))
    (tmp_path / "dataset.json").write_text('{"labels": [["0.png", 0], ["1.png", -1], ["2.png", 1]]}')
    found = ganforge.examine(tmp_path)
    assert found.images == 3
    assert "labels run from -1 to 1; classes are 0, 1, 2" in found.problems[0]
    assert found.provides == ("images",)


def test_models_are_matched_by_columns_and_sizes(tmp_path):
    for k in range(4):
        write_image(tmp_path / f"{k}.png", (32, 64, 3))
    found = ganforge.examine(tmp_path)
    fits = {fit.model: fit for fit in found.models}
    assert set(fits) == set(ganforge.list())
    assert fits["dcgan"].command == f"ganforge train dcgan --data {tmp_path} --size 32 64"
    for fit in found.models:
        needs = ganforge.find(fit.model).game.batch_type.columns()
        assert fit.fits == ({*needs} <= {*found.provides}) or fit.why_not  # two squares side by side: pairs as well
        assert "condition" not in needs or "condition: one folder a class" in fit.why_not


def test_folders_that_look_like_label_maps_are_noted(tmp_path):
    for side in ("images", "labels"):
        for k in range(2):
            write_image(tmp_path / side / f"{k}.png", (8, 8))
    notes = ganforge.examine(tmp_path).notes
    assert notes[-1] == (
        f"The folders look like photographs and their label maps, taken as classes here; "
        f"to learn one alone: --data {tmp_path}/images."
    )


def test_a_folder_of_classes_says_how_its_sound_images_are_learnt_alone(tmp_path):
    for name, grey in (("bad", 250), ("good", 100)):
        (tmp_path / "train" / name).mkdir(parents=True)
        for k in range(3):
            write(tmp_path / "train" / name / f"{k}.png", np.full((8, 8, 1), grey + k, np.uint8))
    note = "One of 2 classes is good; to learn it alone, for `score`: --only good."
    assert ganforge.examine(tmp_path).notes[-1] == note
    alone = open_data(str(tmp_path / "train" / "good"), size=(8, 8))
    assert (len(alone), alone.facts.labels, int(np.max(alone.columns["images"]))) == (3, (), 102)
    assert not any("sound" in each for each in alone.notes)


def test_the_sheet_has_a_line_a_class_and_stays_out_of_the_data(sick, tmp_path):
    sheet = tmp_path / "sheet.png"
    assert ganforge.examine(sick, sheet=sheet).sheet == str(sheet)
    page = read(sheet)
    assert page.shape[0] == 2 * CELL + 4
    assert page.shape[2] == 3
    with pytest.raises(OptionError, match="would become one of the images"):
        ganforge.examine(sick, sheet=sick / "sheet.png")


def test_the_sheet_shows_what_an_augmentation_does(sick, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert command(["data", str(sick), "--augment", "ada"]) == 0
    shown, plain = read(Path(f"{sick.stem}-ada.png")), tmp_path / "none.png"
    assert shown.shape[0] == 4 * (CELL + 2) - 2  # the images, then one line for each of three probabilities
    ganforge.examine(sick, sheet=plain, augment="diffaug")
    assert np.array_equal(read(plain)[:CELL], shown[:CELL])
    assert not np.array_equal(read(plain)[CELL:], shown[CELL:])


def test_default_path_of_the_sheet(tmp_path, monkeypatch):
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path)
    assert choose_sheet_path("photos") == "photos-contact-sheet.png"
    assert choose_sheet_path("fashion-mnist") == "fashion-mnist-contact-sheet.png"
    monkeypatch.chdir(tmp_path / "photos")
    assert choose_sheet_path(".") == ""


def test_the_data_command_prints_text_or_json(sick, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert command(["data", str(sick)]) == 0
    said = capsys.readouterr().out
    for words in (
        "images      30, and 2 that cannot be read",
        "To fix",
        "cat/text.jpg: it is not an image",
        "Models",
    ):
        assert words in said
    assert (tmp_path / "pets-contact-sheet.png").exists()
    (tmp_path / "pets-contact-sheet.png").unlink()
    assert command(["data", str(sick), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["images"] == 30
    assert found["classes"] == {"cat": 27, "dog": 3}
    assert {"model", "fits", "why_not", "command"} == set(found["models"][0])
    assert not (tmp_path / "pets-contact-sheet.png").exists()
    assert command(["data", str(tmp_path / "nowhere")]) == 1
    assert "There is no data called" in capsys.readouterr().err


def test_data_without_a_readable_image_are_examined(tmp_path):
    for k in range(2):
        (tmp_path / f"{k}.png").write_bytes(b"?")
    found = ganforge.examine(tmp_path, sheet=tmp_path.parent / "none.png")
    assert (found.images, found.sizes, found.sheet) == (0, None, "")
    assert found.problems == ("None of the 2 images can be read.",)
    assert not any(fit.fits for fit in found.models)
    assert "None of the 2 images" in format_report(found)
    (tmp_path / "0.png").unlink()
    (tmp_path / "1.png").unlink()
    with pytest.raises(DataError, match="holds no image files"):
        ganforge.examine(tmp_path)


def test_arrays_of_any_depth_get_a_sheet(tmp_path):
    chance = np.random.default_rng(0)
    np.save(tmp_path / "a.npy", chance.uniform(-5, 5, (4, 200, 100, 7)).astype(np.float32))
    found = ganforge.examine(tmp_path / "a.npy", sheet=tmp_path / "sheet.png")
    assert (found.channels, found.depths) == ({7: 4}, {"float": 4})
    assert read(tmp_path / "sheet.png").shape == (CELL, 4 * (CELL + 4) - 4, 3)


def test_colour_of_16_bits_is_noted(tmp_path, monkeypatch):
    for k in range(3):
        write(tmp_path / f"{k}.png", np.random.default_rng(k).integers(0, 2**16, (8, 8, 3), np.uint16))
    found = ganforge.examine(tmp_path)
    assert found.depths == {"16 bits": 3}
    assert not any("16-bit" in note for note in found.notes)
    uninstall_deep(monkeypatch)
    found = ganforge.examine(tmp_path)
    assert found.depths == {"8 bits": 3}
    assert "3 of 3 images " + PARTLY_READ in found.notes


def test_a_real_set_of_faces():
    if not (SHARED / "data" / "celeba-mini").is_dir():
        pytest.skip("the shared data sets are not here: GANFORGE_SHARED names their folder")
    found = ganforge.examine(SHARED / "data" / "celeba-mini")
    assert (found.layout, found.images, len(found.attributes)) == ("attributes.csv", 4000, 40)
    assert 0.3 < found.attributes["Male"] < 0.5
