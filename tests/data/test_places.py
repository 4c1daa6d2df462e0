"""The data doctor on label maps and boxes: what it reports is what training opens, with the same sentences."""

import json

import numpy as np
import pytest
from PIL import Image

import ganforge
from ganforge.batches import LaidOut, Paired, Segmented
from ganforge.cli import run as command
from ganforge.data.inspect import inspect_source
from ganforge.data.open import choose_make, find_data, open_data
from ganforge.data.places import examine_places
from ganforge.data.places_sheet import ACROSS, CELL, draw_legend, draw_places_sheet
from ganforge.data.read_options import ReadOptions
from ganforge.errors import DataError
from ganforge.images import read
from tests.data.layouts import test_label_maps, test_layouts_of_boxes
from tests.data.layouts.test_folders import cache, zip_folder
from tests.data.layouts.test_label_maps import photo, scene, write, write_set

assert cache

MAPS = {name: make for name, make in test_label_maps.LAYOUTS.items() if "side" not in name}
BOXES = {name: make for name, make in test_layouts_of_boxes.LAYOUTS.items() if "splits" not in name}
MAP_FAULTS = {name: make for name, (make, _) in test_label_maps.FAULTS.items()}
BOX_FAULTS = {name: make for name, (make, _) in test_layouts_of_boxes.FAULTS.items()}


def opens(path, batch_type):
    """The data set of a model with such batches, read as a new run reads it; or its error."""
    needed = batch_type.columns()
    try:
        reading = choose_make(str(path), ReadOptions(), needed)
        return open_data(str(path), size=(8, 8), needed=needed, optional=batch_type.optional_columns(), reading=reading)
    except DataError as error:
        return error


def agree(path):
    examination, _ = inspect_source(find_data(str(path)))
    said = " ".join((*examination.problems, *examination.notes))
    for batch_type, column in ((Segmented, "label_map"), (LaidOut, "boxes"), (Paired, "source")):
        found = opens(path, batch_type)
        provided = column in examination.provides
        assert provided == (not isinstance(found, DataError)), (column, examination.provides, found)
        if isinstance(found, DataError):
            known = str(found) in said or "What would provide" in str(found) or "do not make pairs" in str(found)
            assert known or column == "source" or "none of the" in str(found), found
        elif column == "label_map":
            assert tuple(examination.regions) == found.facts.regions
            assert ("instance_map" in examination.provides) == ("instance_map" in found.columns)
        elif column == "boxes":
            assert ("", *examination.objects) == found.facts.objects
            assert examination.most == found.facts.most
    return examination


@pytest.mark.parametrize("name", MAPS)
def test_agreement_on_maps(tmp_path, name):
    MAPS[name](tmp_path)
    examination = agree(tmp_path)
    assert {"label_map", "boxes", "source"} <= {*examination.provides}
    assert abs(sum(examination.regions.values()) - 1) < 1e-4


@pytest.mark.parametrize("name", BOXES)
def test_agreement_on_boxes(tmp_path, name):
    test_layouts_of_boxes.write_images(tmp_path)
    BOXES[name](tmp_path)
    examination = agree(tmp_path)
    assert "label_map" not in examination.provides
    assert sum(examination.objects.values()) == 9


@pytest.mark.parametrize("name", MAP_FAULTS)
def test_agreement_on_faulty_maps(tmp_path, name):
    MAP_FAULTS[name](tmp_path)
    agree(tmp_path)


@pytest.mark.parametrize("name", BOX_FAULTS)
def test_agreement_on_faulty_boxes(tmp_path, name):
    BOX_FAULTS[name](tmp_path)
    agree(tmp_path)


def test_agreement_in_a_zip(tmp_path):
    write_set(tmp_path / "set")
    test_layouts_of_boxes.voc(tmp_path / "set")
    path = zip_folder(tmp_path / "set", tmp_path / "set.zip")
    assert {"label_map", "boxes"} <= {*agree(path).provides}


@pytest.mark.parametrize("name", ["shapes-maps", "shapes-layouts"])
def test_named_sets(name, monkeypatch):
    monkeypatch.setattr("ganforge.data.synthetic.places.COUNT", 12)
    examination, seen = inspect_source(find_data(name))
    assert ("label_map" in examination.provides) == (name == "shapes-maps") != ("boxes" in examination.provides)
    assert draw_places_sheet(seen.places).shape[1] > CELL * ACROSS
    assert examination.objects.get("star", 1)
    assert examination.regions.get("star", 1)


def test_what_is_odd_is_said(tmp_path):
    write_set(tmp_path, count=4)
    (tmp_path / "classes.txt").write_text("a\nb\nc\nd\nnever")
    write(tmp_path / "labels/1.png", np.zeros((24, 32), np.uint8))
    (tmp_path / "labels/3.png").write_bytes(b"?")
    examination = agree(tmp_path)
    text = " ".join((*examination.problems, *examination.notes))
    assert "Label maps of one region alone: 1, the first labels/1.png" in text
    assert (
        "Label maps that cannot be used, whose images are left out: 1. The first: labels/3.png cannot be read" in text
    )
    assert "Regions that no map has: 1 of 5, the first never" in text
    assert examination.regions["never"] == 0


def test_boxes_that_are_lost_are_said(tmp_path):
    test_layouts_of_boxes.write_images(tmp_path, size=(40, 80))
    boxes = [
        [[70, 0, 10, 10], [30, 10, 20, 20]],
        [[90, 0, 10, 10], [30, 10, 20, 20]],
        [[30, 10, 20, 20], [0, 0, 80, 40]],
    ]
    rows = [
        {"file_name": f"images/{k}.png", "objects": {"bbox": b, "categories": ["x"] * 2}} for k, b in enumerate(boxes)
    ]
    (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    examination = agree(tmp_path)
    assert any("1 box empty or outside of the image, the first of images/1.png" in p for p in examination.problems)
    assert any("1 of 5 boxes lie outside of the square in the middle" in note for note in examination.notes)
    data = open_data(str(tmp_path), size=(40, 40), needed=LaidOut.columns())
    assert any("1 of 5 boxes lie outside of the centre that is cut out" in note for note in data.notes)


def test_images_called_labels_are_no_problem(tmp_path):
    for k in range(3):
        for folder in ("images", "labels"):
            write(
                tmp_path / f"{folder}/{k}.png", np.random.default_rng(k).integers(0, 256, (99, 99, 3), dtype=np.uint8)
            )
    examination, _ = inspect_source(find_data(str(tmp_path)))
    assert not any("label map" in problem for problem in examination.problems)
    assert any("No label maps: labels/0.png has" in note for note in examination.notes)
    assert len(opens(tmp_path, Paired)) == 3  # pairs of images, as before


def test_the_sheet_shows_photographs_maps_boxes_and_a_legend(tmp_path):
    write_set(tmp_path, size=(40, 40))
    test_layouts_of_boxes.voc(tmp_path)
    source = find_data(str(tmp_path))
    readable = {image.name: image.read_header() for image in source.images}
    places = examine_places(source, readable)
    sheet = draw_places_sheet(places)
    assert sheet.shape[1] == 6 * CELL + 5 * 4
    assert sheet.shape[0] > CELL
    colours = places.facts.region_colours
    shown = sheet[:CELL, CELL + 4 : 2 * CELL + 4].reshape(-1, 3)
    assert {tuple(c) for c in np.unique(shown, axis=0).tolist()} - {(244, 244, 244)} == {*colours}
    legend = sheet[CELL:].reshape(-1, 3).tolist()
    assert all(list(colour) in legend for colour in colours)
    without = draw_places_sheet(examine_places(find_data(str(tmp_path)), readable))
    assert (without == sheet).all()
    assert draw_legend([("a", (1, 2, 3))], 300).shape[1] == 300


def test_command_and_json(tmp_path, capsys):
    write_set(tmp_path / "set", size=(40, 40))
    test_layouts_of_boxes.voc(tmp_path / "set")
    sheet = tmp_path / "sheet.png"
    assert command(["data", str(tmp_path / "set"), "--json", "-o", str(sheet)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [*found["regions"]] == ["0", "1", "2", "3"]
    assert found["objects"] == {"cat": 3, "dog": 4, "sky": 2}
    assert found["most"] == 3
    assert {"label_map", "boxes", "box_labels", "source"} <= {*found["provides"]}
    assert read(sheet).shape[2] == 3
    assert command(["data", str(tmp_path / "set"), "--no-sheet"]) == 0
    assert "regions     4: 0 " in capsys.readouterr().out
    assert ganforge.examine(tmp_path / "set", unknown=3).regions.get("unknown")


# -- label maps as sources ------------------------------------------------------------------------------


def pairs(path, make="none", **options):
    return open_data(str(path), size=None, needed=Paired.columns(), reading=ReadOptions(make=make), **options)


def test_colours_and_one_hot_are_made_of_the_indices(tmp_path):
    write_set(tmp_path)
    (tmp_path / "colours.txt").write_text("10 20 30 a\n200 40 40 b\n40 200 40 c\n40 40 200 d\n")
    data = pairs(tmp_path, "colours")
    assert data.facts.source_channels == 3
    assert data.facts.channels == 3
    assert len(data) == 3
    assert (data.columns["source"][np.arange(3)] == data.columns["target"]).all()
    planes = pairs(tmp_path, "one-hot")
    assert planes.facts.source_channels == 4
    assert planes.fingerprint != data.fingerprint
    stored = planes.columns["source"][np.array([1])]
    assert (stored[0] == 255 * (scene(1)[..., None] == np.arange(4))).all()
    turned = open_data(str(tmp_path), size=None, needed=Paired.columns(), reading=ReadOptions("BtoA", "colours"))
    assert (turned.columns["target"][np.arange(3)] == data.columns["source"][np.arange(3)]).all()


@pytest.mark.parametrize("native", [False, True])
def test_one_hot_sources_share_the_window(tmp_path, native):
    from ganforge.data.loader import BatchLoader
    from ganforge.run import Run

    for k in range(4):
        found = scene(k, size=(60, 80))
        write(tmp_path / f"images/{k}.png", photo(found))
        write(tmp_path / f"labels/{k}.png", found)
    reading = ReadOptions(make="one-hot")
    data = open_data(str(tmp_path), size=(24, 24), needed=Paired.columns(), reading=reading, crop=True, native=native)
    run = Run(batch=4, size=(24,), crop=True, flip=True, native=native)
    batch = BatchLoader(data, Paired, run).batch(3)
    assert batch.source.shape == (4, 4, 24, 24)
    assert {*batch.source.unique().tolist()} == {-1.0, 1.0}
    drawn = photo(batch.source.argmax(1).numpy()).transpose(0, 3, 1, 2) / 127.5 - 1
    assert (np.abs(drawn - batch.target.numpy()).max(1) < 0.2).mean() > (0.999 if native else 0.8)


def test_new_runs_take_maps_in_their_colours_and_sides_as_they_are(tmp_path):
    write_set(tmp_path / "maps")
    needed, said = Paired.columns(), []
    assert choose_make(str(tmp_path / "maps"), ReadOptions(), needed, say=said.append).make == "colours"
    assert "one-hot has a channel for each region" in said[0]
    assert choose_make(str(tmp_path / "maps"), ReadOptions(make="one-hot"), needed).make == "one-hot"
    assert choose_make(str(tmp_path / "maps"), ReadOptions(), Segmented.columns()).make == "none"
    (tmp_path / "maps/classes.txt").write_text("too few")
    assert choose_make(str(tmp_path / "maps"), ReadOptions(), needed, say=said.append).make == "none"
    assert "The label maps are read as images: labels/0.png has the value 1" in said[1]
    assert choose_make("shapes-maps", ReadOptions(), needed).make == "colours"
    assert choose_make("shapes-pairs", ReadOptions(), needed).make == "none"
    for k in range(3):
        (tmp_path / "sides/A").mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo(scene(k))).save(tmp_path / f"sides/A/{k}.jpg")
        write(tmp_path / f"sides/B/{k}.png", scene(k), test_label_maps.COLOURS)
    assert choose_make(str(tmp_path / "sides"), ReadOptions(), needed).make == "none"
    before = pairs(tmp_path / "sides")
    assert before.facts.source_channels == 3
    assert not before.facts.regions
    assert (before.columns["target"][1] == photo(scene(1))).all()
    assert pairs(tmp_path / "sides", "colours").facts.regions == ("0", "1", "2", "3")


def test_a_run_of_a_paired_model_trains_on_maps_and_opens_them_again(tmp_path):
    write_set(tmp_path / "set", count=6, size=(32, 32))
    options = {"data": tmp_path / "set", "preset": "tiny", "steps": 1, "batch": 2, "size": 16, "device": "cpu"}
    said: list[str] = []
    ganforge.train("regression", **options, outdir=tmp_path / "runs", quiet=True, say=said.append)
    text = next((tmp_path / "runs").glob("*/config.yaml")).read_text()
    assert "make: colours" in text
    assert "unknown: 255" in text
    assert any("The source is the label map" in line for line in said)
