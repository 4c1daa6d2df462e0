"""What Python users hold: images of every kind, numbers with limits, and loaded games in the place of runs."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import ganforge
from ganforge.errors import DataError, OptionError
from ganforge.images import to_uint8
from ganforge.inference.given_images import to_tensor
from ganforge.training.plan import plan
from tests.inference.test_translate import trained as train_toy


@pytest.fixture(scope="module")
def negative(tmp_path_factory):
    """A translator that returns the negative."""
    return train_toy(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="module")
def sampler(tmp_path_factory):
    return ganforge.train("dcgan", outdir=tmp_path_factory.mktemp("runs"), preset="tiny", quiet=True)


PIXELS = np.random.default_rng(0).integers(0, 256, (2, 8, 12, 3), dtype=np.uint8)
EXACT = torch.from_numpy(PIXELS).permute(0, 3, 1, 2).float() / 127.5 - 1


def test_one_image_of_any_kind_gives_one_result(negative, tmp_path):
    Image.fromarray(PIXELS[0]).save(tmp_path / "a.png")
    given = {
        "path": tmp_path / "a.png",
        "text": str(tmp_path / "a.png"),
        "PIL": Image.fromarray(PIXELS[0]),
        "RGBA": Image.fromarray(PIXELS[0]).convert("RGBA"),
        "array": PIXELS[0],
        "float array": (PIXELS[0] / 127.5 - 1),
        "uint16": PIXELS[0].astype(np.uint16) * 257,
        "tensor": torch.from_numpy(PIXELS[0]).permute(2, 0, 1),
        "double": EXACT[0].double(),
        "slope": EXACT[0].clone().requires_grad_(),
    }
    for kind, image in given.items():
        made = negative.translate(image)
        assert made.shape == (3, 8, 12), kind
        torch.testing.assert_close(made, -EXACT[0], atol=1e-5, rtol=0, msg=kind)
    torch.testing.assert_close(negative.translate(EXACT[0].half()), -EXACT[0], atol=1e-3, rtol=0)


def test_several_images_give_several(negative):
    for images in (PIXELS, torch.from_numpy(PIXELS).permute(0, 3, 1, 2), [*PIXELS], [*map(Image.fromarray, PIXELS)]):
        torch.testing.assert_close(negative.translate(images), -EXACT, atol=1e-5, rtol=0)
    assert negative.translate([PIXELS[0]]).shape == (1, 3, 8, 12)


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        (PIXELS.transpose(0, 3, 1, 2), "transpose"),
        (torch.from_numpy(PIXELS).float(), "permute"),
        (torch.from_numpy(PIXELS).permute(0, 3, 1, 2).float(), r"from 0 to 255; .*divide"),
        (torch.full((2, 3, 8, 8), float("nan")), "not finite"),
        (PIXELS / 255 * 3, "from 0 to 3"),
        (PIXELS.astype(np.int64), "int64"),
        (torch.zeros(3, 8, 8, dtype=torch.int32), "int32"),
        ([PIXELS[0], PIXELS[0][:4]], "one size, not 4x12, 8x12"),
        ([], "empty list"),
        (torch.zeros(8, 8), r"tensor \(3, H, W\)"),
        (np.zeros((0, 8, 8, 3), np.uint8), "are"),
        (None, "NoneType is no image"),
        (Image.new("F", (4, 4), 200.0), "from 200 to 200"),
    ],
)
def test_other_images_get_one_sentence(negative, image, sentence):
    with pytest.raises(OptionError, match=sentence):
        negative.translate(image)


def test_files_of_floats_are_read_as_the_verb_reads_them(negative, tmp_path):
    np.save(tmp_path / "a.npy", (PIXELS[0] / 255).astype(np.float32))
    torch.testing.assert_close(negative.translate(tmp_path / "a.npy"), -EXACT[0], atol=1e-5, rtol=0)
    with pytest.raises(DataError, match=r"none\.png"):
        negative.translate(tmp_path / "none.png")


def test_palettes_and_grey_images_take_the_channels_of_the_run():
    grey = Image.fromarray(PIXELS[0, ..., 0])
    assert to_tensor(grey, 3)[0].shape == (1, 3, 8, 12)
    assert torch.equal(to_tensor(grey.convert("P"), 1)[0], to_tensor(PIXELS[0, ..., 0], 1)[0])
    black = Image.new("1", (4, 4), 1)
    assert torch.equal(to_tensor(black, 1)[0], torch.ones(1, 1, 4, 4))


@pytest.mark.parametrize(
    "options", [{"batch": 0}, {"batch": -1}, {"seed": None}, {"seed": "a"}, {"seed": 2**64}, {"start": -1}]
)
def test_numbers_of_a_call_have_limits(negative, sampler, options):
    (name,) = options
    with pytest.raises(OptionError, match=f"{name} cannot be"):
        sampler.sample(2, **options)
    with pytest.raises(OptionError, match=f"{name} cannot be"):
        negative.translate(EXACT, **options)


def test_the_number_of_samples_is_whole(sampler):
    for n in (0, -1, 2.0, "2", True):
        with pytest.raises(OptionError, match="n cannot be"):
            sampler.sample(n)
    assert torch.equal(sampler.sample(np.int64(2)), sampler.sample(2, seed=np.int32(0)))


def test_a_loaded_game_is_taken_where_a_run_is(sampler, negative, tmp_path):
    path = ganforge.sample(sampler, 16, out=tmp_path / "a.npz")
    assert np.array_equal(np.load(path)["images"], to_uint8(sampler.sample(16)))
    assert ganforge.sample(sampler, 2) == sampler.path / "samples" / "sample-seed0.png"
    assert ganforge.load(sampler) is sampler
    assert ganforge.show(sampler)["model"] == "dcgan"
    assert ganforge.interpolate(sampler, tmp_path / "walk.png", rows=1, steps=2)[0].is_file()
    Image.fromarray(PIXELS[0]).save(tmp_path / "in.png")
    assert ganforge.translate(negative, tmp_path / "in.png", tmp_path / "out.png").written == 1
    assert ganforge.export(sampler, tmp_path / "export", ["safetensors"])
    report = ganforge.evaluate(sampler, metrics=["kid"], features="pixels", n=4, device="cpu")
    assert (sampler.path / "report.json").is_file()
    assert report.subject.startswith(str(sampler.path))
    assert ganforge.resume(sampler, quiet=True).step == sampler.step


def test_compare_takes_runs_one_after_another(sampler, tmp_path):
    options = {"metrics": ["kid"], "features": "pixels", "n": 4, "out": tmp_path / "page.html", "size": 16}
    first, second = ganforge.compare(sampler, sampler.path, **options)
    assert first.figures == second.figures
    assert len(ganforge.compare([sampler, str(sampler.path)], None, ["kid"], **{**options, "metrics": ()})) == 2
    with pytest.raises(OptionError, match="two or more"):
        ganforge.compare(sampler)


def test_size_and_settings_of_the_model_are_keywords():
    def planned(**options):
        return plan("dcgan", preset="tiny", load=ganforge.load, **options)

    made = planned(size=32, lr=3e-4)
    assert (made.run.size, made.config.lr) == ((32,), 3e-4)
    assert planned(lr=1e-4, config={"width": 8}).config.width == 8
    assert planned(width=8, config=made.config).config.lr == 3e-4
    with pytest.raises(OptionError, match="did you mean lr"):
        planned(lrr=1e-4)
    with pytest.raises(OptionError, match="did you mean epochs"):
        planned(epoch=3)
    with pytest.raises(OptionError, match="given twice"):
        planned(lr=1e-4, config={"lr": 1e-3})


def test_a_game_shows_itself_in_one_line_and_its_images_as_pictures(sampler, negative, monkeypatch):
    assert repr(sampler) == f"Trained(dcgan, step 6, {str(sampler.path)!r}, cpu)"
    one, two = sampler.images(2, seed=3)
    assert np.array_equal(np.asarray(two), to_uint8(sampler.sample(2, seed=3))[1])
    assert one.mode == "RGB"
    (made,) = negative.images(PIXELS[0])
    assert np.array_equal(np.asarray(made), 255 - PIXELS[0])
    seen = []
    monkeypatch.setattr(Image.Image, "show", lambda image: seen.append(image))
    sheet = sampler.show(4)
    assert seen == [sheet]
    assert min(sheet.size) >= 2 * one.size[0]
    assert Path(sampler) == sampler.path
