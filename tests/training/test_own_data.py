"""Defaults for a user's own data: size, augmentation, and advice on mirrors."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ganforge
from ganforge.catalogue import find
from ganforge.cli import run as main
from ganforge.inference.load import load_part
from ganforge.training import own_data
from ganforge.training.plan import plan


def write_photos(folder: Path, height: int, width: int, n: int = 4) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for k in range(n):
        pixels = np.random.default_rng(k).integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{k}.png")
    return folder


def planned(model: str, data: Path | str, **options):
    said: list[str] = []
    return plan(model, data, load=load_part, say=said.append, **options), said


def test_the_size_follows_the_median_of_the_images(tmp_path):
    data = write_photos(tmp_path / "p", 128, 192)
    made, said = planned("dcgan", data)
    assert made.run.size == (64,)
    assert (made.data.facts.height, made.data.facts.width) == (64, 64)
    assert "Size: 128x192 -> 64x64; --size changes it." in said
    made, said = planned("dcgan", data, size=32)
    assert made.run.size == (32,)
    assert not any(line.startswith("Size") for line in said)
    assert planned("dcgan", data, adapt=False)[0].run.size == (28,)
    assert planned("dcgan", data, preset="tiny")[0].run.size == (16,)


def test_small_images_keep_the_size_of_the_preset(tmp_path):
    assert planned("dcgan", write_photos(tmp_path / "p", 40, 40))[0].run.size == (28,)


def test_halves_of_pairs_count(tmp_path):
    made, said = planned("pix2pix", write_photos(tmp_path / "p", 96, 192))
    assert made.run.size == (64,)
    assert "Size: 96x96 -> 64x64; --size changes it." in said


@pytest.mark.parametrize(
    ("model", "kind"), [("dcgan", "ada"), ("wgan_gp", "diffaug"), ("lsgan", "diffaug"), ("pix2pix", "none")]
)
def test_few_images_are_augmented(tmp_path, model, kind):
    data = write_photos(tmp_path / "p", 32, 64 if model == "pix2pix" else 32)
    made, said = planned(model, data)
    assert made.run.augment == kind
    assert made.run_config().run["augment"] == kind
    line = f"4 images are few: --augment {kind} is on; --augment none switches it off."
    assert any(text.startswith(line) for text in said) == (kind != "none")
    assert planned(model, data, augment="none")[0].run.augment == "none"
    assert planned(model, data, adapt=False)[0].run.augment == "none"
    assert planned(model, data, preset="tiny")[0].run.augment == "none"


def test_many_images_and_embedded_ones_are_not_augmented(tmp_path, monkeypatch):
    monkeypatch.setattr(own_data, "FEW", 4)
    assert planned("dcgan", write_photos(tmp_path / "p", 32, 32))[0].run.augment == "none"
    monkeypatch.undo()
    made, said = planned("dcgan", "shapes")
    assert (made.run.augment, made.run.size) == ("none", (28,))
    assert not any("--augment" in line or line.startswith("Size") for line in said)


def test_mirrors_are_advised_against_where_labels_name_sides(tmp_path):
    for name in ("turn_left", "오른쪽"):
        write_photos(tmp_path / "sides" / name, 32, 32)
    write_photos(tmp_path / "plain" / "bright", 32, 32)
    write_photos(tmp_path / "plain" / "copyright", 32, 32)
    _, said = planned("dcgan", tmp_path / "sides", flip=True)
    assert "--flip mirrors the images, and the label 'turn_left' names a side" in " ".join(said)
    _, said = planned("dcgan", tmp_path / "sides")
    assert "--flip" not in " ".join(said)
    _, said = planned("dcgan", tmp_path / "plain", flip=True)
    assert "names a side" not in " ".join(said)
    assert "--flip adds mirrored images" in " ".join(planned("dcgan", tmp_path / "plain")[1])


def test_the_command_keeps_a_size_and_an_augmentation_that_equal_the_preset(tmp_path, capsys):
    data = write_photos(tmp_path / "p", 70, 70)
    assert main(["train", "dcgan", "--data", str(data), "--size", "28", "--augment", "none", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "augment: none" in out
    assert "height: 28" in out


def test_the_run_folder_is_named_before_the_first_step(tmp_path):
    said: list[str] = []
    run = ganforge.train("gan", preset="tiny", steps=1, outdir=tmp_path, quiet=True, say=said.append)
    assert f"Run folder: {run.path}" in said


def test_a_model_of_named_attributes_can_be_built():
    preset = find("stargan").preset("paper")
    assert own_data.can_build(find("stargan"), preset.config, preset.run, 64)
    small = find("cgan").preset("small")
    assert own_data.can_build(find("cgan"), small.config, small.run, 64)
