"""Label maps as people hold them: files, images, arrays; what is drawn of them, and what is refused."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import ganforge
from ganforge.batches import Facts, Segmented
from ganforge.capabilities import list_questions
from ganforge.catalogue import find
from ganforge.cli import run as command
from ganforge.errors import DataError, ModelError, OptionError
from ganforge.images import read
from ganforge.inference.input_columns import read_regions
from ganforge.inference.trained import Trained

NAMES, COLOURS = ("sky", "sea", "land"), ((10, 20, 200), (0, 90, 90), (120, 200, 30))
FACTS = Facts(3, 32, 32, regions=NAMES, region_colours=COLOURS)


def spade(facts: Facts = FACTS, **changes) -> Trained:
    torch.manual_seed(0)
    config = replace(find("spade").preset("tiny").config, **changes)
    game = find("spade").game(config, facts)
    return Trained(game.eval(), Path(), "spade", 1)


def write_map(path: Path, numbers: np.ndarray) -> Path:
    image = Image.fromarray(numbers.astype(np.uint8), "P")
    image.putpalette([value for colour in COLOURS for value in colour])
    image.save(path)
    return path


@pytest.fixture
def numbers() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 3, (32, 64))


def test_a_palette_numbers_and_colours_are_one_map(tmp_path, numbers):
    path = write_map(tmp_path / "map.png", numbers)
    Image.fromarray(np.array(COLOURS, np.uint8)[numbers]).save(tmp_path / "colour.png")
    Image.fromarray(numbers.astype(np.uint8)).save(tmp_path / "grey.png")
    expected = torch.from_numpy(numbers)
    for name in (path, tmp_path / "colour.png", tmp_path / "grey.png"):
        assert torch.equal(read_regions(name, FACTS), expected)
    trained = spade()
    answer = trained.translate(path, seed=5)
    assert answer.shape == (3, 32, 64)
    for given in (Image.open(path), Image.open(tmp_path / "colour.png"), numbers, expected, str(path)):
        assert torch.equal(trained.translate(given, seed=5), answer)
    assert trained.translate([path, path], seed=5).shape == (2, 3, 32, 64)
    assert not torch.equal(trained.translate(path, seed=6), answer)  # another answer to the same map


def test_maps_of_any_size_are_padded_and_tiled(numbers):
    trained, odd = spade(), torch.from_numpy(numbers[:27, :41])
    assert trained.translate(odd).shape == (3, 27, 41)
    assert trained.translate(torch.from_numpy(np.tile(numbers, (3, 2))), tile=64).shape == (3, 96, 128)


def test_instances_and_batches_are_taken(numbers):
    facts = replace(FACTS, instance_maps=True)
    trained, label_map = spade(facts), torch.from_numpy(numbers)
    plain = trained.translate(label_map)
    instances = torch.zeros_like(label_map)
    instances[:, 40:] = 1
    assert not torch.equal(trained.translate(label_map, instance_map=instances), plain)
    assert trained.translate(Segmented.example(2, facts)).shape == (2, 3, 32, 32)
    with pytest.raises(OptionError, match=r"instance_map .* does not fit"):
        trained.translate(label_map, instance_map=instances[:8])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (torch.full((8, 8), 3), "has the value 3, and the regions are 0 sky, 1 sea, 2 land"),
        (torch.full((8, 8), -1), "has the value -1"),
        (torch.zeros(8, 8), "whole numbers"),
        (torch.zeros(2, 2, 8, 8, dtype=torch.int64), "whole numbers"),
        ([], "must have one size, not none"),
        ([np.zeros((8, 8), int), np.zeros((8, 9), int)], "must have one size, not 8x8, 8x9"),
    ],
)
def test_what_is_no_map_is_refused(given, message):
    with pytest.raises(OptionError, match=message):
        spade().translate(given)


def test_a_value_that_no_region_has_is_named_with_its_file(tmp_path):
    path = tmp_path / "odd.png"
    Image.fromarray(np.full((8, 8), 7, np.uint8)).save(path)
    with pytest.raises(DataError, match=r"odd\.png has the value 7, which no region of this run has: 0 sky, 1 sea"):
        spade().translate(path)
    Image.fromarray(np.full((8, 8, 3), 9, np.uint8)).save(path)
    with pytest.raises(DataError, match=r"the colour \(9, 9, 9\)"):
        spade().translate(path)


def test_styles_are_files_images_and_between_two(tmp_path, numbers):
    trained, rng = spade(), np.random.default_rng(1)
    for name in ("a", "b"):
        Image.fromarray(rng.integers(0, 256, (40, 30, 3), dtype=np.uint8)).save(tmp_path / f"{name}.png")
    a, b = (str(tmp_path / f"{name}.png") for name in ("a", "b"))
    styled = trained.translate(numbers, seed=1, style=a)
    assert torch.equal(styled, trained.translate(numbers, seed=2, style=a))
    assert torch.equal(styled, trained.translate(numbers, style=Image.open(a)))
    assert not torch.equal(styled, trained.translate(numbers, style=b))
    torch.testing.assert_close(trained.translate(numbers, style=a, to_style=b, amount=0.0), styled)
    with pytest.raises(ModelError, match="--style as well as --to-style"):
        trained.translate(numbers, to_style=a)
    with pytest.raises(OptionError, match="between 0 and 1"):
        trained.translate(numbers, style=a, amount=2.0)
    with pytest.raises(OptionError, match="--style has 2 rows for 3 images"):
        trained.translate([numbers] * 3, style=torch.zeros(2, 3, 8, 8))
    questions = {question.name: question.meaning for question in list_questions(trained.game.translate)}
    assert questions == {"style": "image", "to_style": "image", "amount": ""}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Label maps in colours of a palette, and images that follow from them."""
    root, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for side in ("images", "labels"):
        (root / side).mkdir()
    for k in range(8):
        numbers = rng.integers(0, 3, (4, 4)).repeat(8, 0).repeat(8, 1)
        write_map(root / "labels" / f"{k}.png", numbers)
        Image.fromarray(np.array(COLOURS, np.uint8)[numbers]).save(root / "images" / f"{k}.png")
    (root / "labels" / "classes.txt").write_text("\n".join(NAMES))
    return root


def test_a_run_on_a_persons_maps_answers_files(data, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run = ganforge.train("spade", data, "tiny", batch=2, quiet=True)
    assert run.facts.regions == NAMES
    assert read(next((run.path / "samples").glob("step-*.png"))).shape[2] == 3  # map | answer | truth
    source = data / "labels"
    assert command(["translate", str(run.path), str(source), "out", "-n", "2", "--sheet", "sheet.png"]) == 0
    said = capsys.readouterr().out
    assert "Wrote 16 into out" in said
    assert "one result each" not in said
    one = ["translate", str(run.path), str(source / "0.png")]
    assert command([*one, "one.png", "--style", f"{data}/images/1.png"]) == 0
    assert read(Path("one.png")).shape == (32, 32, 3)
    assert command([*one, "x.png", "--masks", str(source)]) == 1
    assert "takes no --masks" in capsys.readouterr().err
    edited = np.array(Image.open(source / "0.png"))
    edited[:16] = 2
    write_map(tmp_path / "edited.png", edited)
    assert command([one[0], one[1], "edited.png", "after.png"]) == command([*one, "before.png"]) == 0
    assert not np.array_equal(read(Path("after.png")), read(Path("before.png")))
    with pytest.raises(OptionError, match="takes no layouts"):
        ganforge.rearrange(run, [("sky", 0.0, 0.0, 1.0, 1.0)])
    plain = ganforge.train("spade", data, "tiny", batch=2, steps=1, use_vae=False, quiet=True)
    assert command(["translate", str(plain.path), str(source / "0.png"), "y.png", "-n", "2"]) == 0
    assert "Inputs of one result, whatever the seed, which was written several times: 1." in capsys.readouterr().out
    report = ganforge.evaluate(run, metrics=("fcn",), n=8)
    values = {figure.name: figure.value for figure in report.figures}
    assert 0 <= values["fcn_class_iou"] < values["real_fcn_class_iou"]


def test_a_run_on_float_images_answers_in_their_units(data, tmp_path):
    shutil.copytree(data / "labels", tmp_path / "ct" / "labels")
    (tmp_path / "ct" / "images").mkdir()
    for path in (data / "labels").glob("*.png"):
        values = np.array(Image.open(path)).astype(np.float32) * 2000 - 1000
        Image.fromarray(values).save(tmp_path / "ct" / "images" / f"{path.stem}.tif")
    run = ganforge.train("spade", tmp_path / "ct", "tiny", batch=2, steps=1, outdir=tmp_path / "runs", quiet=True)
    assert run.range_out() == (-1000, 3000)
    source = data / "labels" / "0.png"
    ganforge.translate(run, source, tmp_path / "out", seed=3)
    expected = run.translate(source, seed=3).permute(1, 2, 0).numpy() * 2000 + 1000
    (made,) = (tmp_path / "out").iterdir()
    np.testing.assert_allclose(read(made), expected, atol=0.01)
