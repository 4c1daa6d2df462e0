"""Layouts as users write them, and what changes when objects are moved."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import ganforge
from ganforge.batches import Facts, Images, LaidOut
from ganforge.catalogue import find
from ganforge.cli import run as command
from ganforge.errors import DataError, OptionError
from ganforge.images import read
from ganforge.inference.input_columns import input_columns
from ganforge.inference.layouts import read_layout, to_boxes, to_tensors
from ganforge.inference.rearrange import rearrange
from ganforge.inference.trained import Trained
from ganforge.runs.checkpoint import Checkpoints, State
from ganforge.runs.folder import RunConfig, RunFolder, versions
from ganforge.serialize import to_plain

FACTS = Facts(3, 32, 32, objects=("", "star", "big ring"), most=4)
TEXT = "layout:star 0.1 0.2 0.5 0.6; big ring 0.5, 0.5, 0.9, 0.9"
IMAGES = Images(torch.zeros(1, 3, 32, 32))
STAR, RING = ("star", 0.1, 0.2, 0.5, 0.6), ("big ring", 0.5, 0.5, 0.9, 0.9)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run folder of an untrained LostGAN."""
    preset = find("lostgan").preset("tiny")
    torch.manual_seed(0)
    game = find("lostgan").game(preset.config, FACTS)
    folder = RunFolder(tmp_path_factory.mktemp("run"))
    settings = {"config": to_plain(preset.config), "run": to_plain(preset.run), "facts": to_plain(FACTS)}
    data = {"asked": "", "images": 0, "fingerprint": ""}
    folder.rewrite(RunConfig("lostgan", "tiny", **settings, data=data, versions=versions()))
    Checkpoints(folder.path / "checkpoints").save(6, State({"game": game.state_dict()}, {}))
    return folder.path


@pytest.fixture(scope="module")
def trained(run) -> Trained:
    return ganforge.load(run, device="cpu")


def test_a_text_a_file_and_a_list_are_the_same_layout(tmp_path):
    file = tmp_path / "layout.json"
    file.write_text(json.dumps([{"object": name, "box": box} for name, *box in (STAR, RING)]), encoding="utf-8-sig")
    assert read_layout(TEXT, FACTS) == read_layout(file, FACTS) == read_layout([STAR, RING], FACTS) == [STAR, RING]
    file.write_text(json.dumps({"objects": [list(STAR), None, list(RING)]}))
    assert [box[0] for box in read_layout(str(file), FACTS)] == ["star", "", "big ring"]
    boxes, labels = to_tensors([[STAR, ("", 0, 0, 0, 0), RING]], FACTS)
    assert labels.tolist() == [[1, 0, 2, 0]]
    assert to_boxes(boxes[0], labels[0], FACTS)[2][0] == "big ring"
    torch.testing.assert_close(boxes[0, 2], torch.tensor(RING[1:]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("layout:stra 0 0 1 1", "no object 'stra'; this run knows star, big ring"),
        ("layout:star 0 0 1", "is no box: write a name and the corners"),
        ("layout:star 0 0 x 1", "is no box"),
        ("layout:star 0 0 1.2 1", "lie between 0 and 1"),
        ("layout:star 0.5 0 0.5 1", "left before right"),
        ("layout:star nan 0 1 1", "lie between 0 and 1"),
        ("layout:", "has no object"),
        ("layout:;;", "has no object"),
        ("layout:" + "star 0 0 1 1;" * 5, "has 5 boxes, and images of this run have at most 4"),
    ],
)
def test_a_layout_that_is_none_is_refused(text, message):
    with pytest.raises(OptionError, match=message):
        read_layout(text, FACTS)


@pytest.mark.parametrize("content", ["{", "3", '{"objects": 4}', "[" * 5000, " " * 2**20 + "[]"])
def test_a_file_that_is_no_layout_is_refused(tmp_path, content):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(DataError, match=r"a\.json"):
        read_layout(tmp_path / "a.json", FACTS)


def test_an_entry_that_is_no_box_and_a_folder_are_refused(tmp_path):
    for entry in ({"object": "star", "box": 5}, {"object": "star"}, 5, ["star", "abcd"]):
        (tmp_path / "a.json").write_text(json.dumps([entry]))
        with pytest.raises(OptionError, match=r"a\.json is no box"):
            read_layout(tmp_path / "a.json", FACTS)
    (tmp_path / "b.json").mkdir()
    with pytest.raises(DataError, match=r"b\.json is no layout .*is a folder"):
        read_layout(tmp_path / "b.json", FACTS)


def test_python_takes_texts_tensors_and_batches(trained):
    boxes, labels = to_tensors([[STAR, RING]], FACTS)
    one = trained.translate(TEXT, seed=3)
    assert one.shape == (3, 32, 32)
    assert torch.equal(one, trained.translate(boxes[0], seed=3, box_labels=labels[0]))
    several = trained.translate([TEXT, [STAR]], seed=3)
    assert several.shape == (2, 3, 32, 32)
    torch.testing.assert_close(several[0], one)
    batch = LaidOut.example(3, FACTS)
    assert trained.translate(batch).shape == (3, 3, 32, 32)
    assert input_columns(trained.game) == ("boxes", "box_labels")


@pytest.mark.parametrize(
    ("boxes", "labels", "message"),
    [
        (torch.zeros(1, 4, 4), None, "takes boxes and box_labels, not boxes"),
        (torch.zeros(1, 4, 4), torch.zeros(1, 4), "takes box_labels"),
        (torch.zeros(1, 4, 3), torch.zeros(1, 4, dtype=torch.int64), "takes boxes"),
        (torch.zeros(1, 4, 4), torch.full((1, 4), 3), "box_labels run from 3 to 3"),
        (torch.zeros(1, 4, 4), torch.ones(1, 4, dtype=torch.int64), "left before right"),
        (torch.full((1, 4, 4), torch.nan), torch.ones(1, 4, dtype=torch.int64), "left before right"),
    ],
)
def test_tensors_that_are_no_layout_are_refused(trained, boxes, labels, message):
    with pytest.raises(OptionError, match=message):
        trained.translate(boxes, **({} if labels is None else {"box_labels": labels}))


def test_images_are_no_layout(trained):
    for given in (lambda: trained.translate_batches(torch.zeros(1, 3, 32, 32)), lambda: trained.translate(IMAGES)):
        with pytest.raises(OptionError, match="takes boxes and box_labels, not"):
            given()
    with pytest.raises(OptionError, match="cannot be tiled"):
        trained.translate(TEXT, tile=64)


def test_the_command_translates_texts_files_and_folders(run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert command(["translate", str(run), TEXT, "out.png", "-n", "2"]) == 0
    assert not np.array_equal(read(Path("out-0.png")), read(Path("out-1.png")))
    folder = tmp_path / "layouts"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / f"{name}.json").write_text(json.dumps([list(STAR)]))
    (folder / "c.json").write_text("[]")
    assert command(["translate", str(run), "layouts", "drawn", "--sheet", "sheet.png"]) == 0
    assert sorted(path.name for path in (tmp_path / "drawn").iterdir()) == ["a.png", "b.png"]
    assert "c.json cannot be translated: The layout has no object" in capsys.readouterr().out
    assert command(["translate", str(run), TEXT, "folder"]) == 0
    assert np.array_equal(read(Path("folder/layout.png")), read(Path("out-0.png")))
    assert command(["translate", str(run), "nothing.json", "x.png"]) == 1
    assert "give a layout, layout:star" in capsys.readouterr().err


def test_a_folder_called_layout_changes_nothing_for_a_text(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "layout").mkdir()
    assert command(["translate", str(run), TEXT, "out.png"]) == 0
    assert read(Path("out.png")).shape == (32, 32, 3)
    assert command(["translate", str(run), TEXT, "layout/made.png"]) == 0
    assert np.array_equal(read(Path("layout/made.png")), read(Path("out.png")))


def test_results_are_in_the_units_of_the_data(trained, tmp_path):
    scientific = replace(trained, ranges={"images": (-1000.0, 3000.0)})
    ganforge.translate(scientific, TEXT, tmp_path / "ct", seed=3)
    expected = trained.translate(TEXT, seed=3).permute(1, 2, 0).numpy() * 2000 + 1000
    np.testing.assert_allclose(np.load(tmp_path / "ct" / "layout.npy"), expected, atol=0.01)


def test_a_moved_object_keeps_the_codes_of_all(run, tmp_path, monkeypatch):
    done = rearrange(
        run, "star 0.1 0.2 0.5 0.6; big ring 0.5 0.5 0.9 0.9", tmp_path / "strip.png",
        move=["star", "0.2,-0.1"], resize=["big ring", "0.5"], remove=["star"], add=["star 0 0 0.3 0.3"],
    )  # fmt: skip
    assert len(done.images) == 5
    assert done.layouts[1][0] == pytest.approx(("star", 0.3, 0.1, 0.7, 0.5))
    assert done.layouts[2][1] == pytest.approx(("big ring", 0.6, 0.6, 0.8, 0.8))
    assert [box[0] for box in done.layouts[3]] == ["", "big ring"]  # the ring keeps its place, and with it its code
    assert [box[0] for box in done.layouts[4]] == ["", "big ring", "star"]
    assert read(done.path).shape[2] == 3
    again = ganforge.load(run, device="cpu").translate([list(done.layouts[3])], seed=0)
    assert np.array_equal(done.images[3], np.asarray(ganforge.images.to_uint8(again))[0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"move": ["disc", "0.1,0"]}, "no 'disc'; it has star"),
        ({"move": ["star:2", "0.1,0"]}, "no 'star:2'"),
        ({"move": ["star:two", "0.1,0"]}, "no 'star:two'"),
        ({"move": ["star:-1", "0.1,0"]}, "no 'star:-1'"),
        ({"move": ["star"]}, "takes a name and a change in turn"),
        ({"move": ["star", "0.1"]}, "it is two numbers"),
        ({"resize": ["star", "x"]}, "it is a number"),
        ({"move": ["star", "2,0"]}, "left before right"),
        ({"add": ["disc 0 0 1 1"]}, "no object 'disc'"),
    ],
)
def test_a_change_that_is_not_possible_is_refused(run, changes, message):
    with pytest.raises(OptionError, match=message):
        rearrange(run, "star 0.1 0.2 0.5 0.6", **changes)
