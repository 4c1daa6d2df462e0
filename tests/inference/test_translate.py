"""Translating: tensors of any size, tiles, files of every kind, videos; and one sentence for what cannot be."""

import builtins
import functools
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import ganforge
from ganforge.cli import run as main
from ganforge.errors import DataError, OptionError
from ganforge.images import read, to_uint8, video
from ganforge.inference.tiles import tile_starts, translate_tiled
from tests.data.layouts.test_folders import noise, uninstall_deep, write_image, zip_folder

TOY = '''
"""toy: the negative, with a brightness that is drawn."""
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated
import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer
from ganforge.batches import Facts, Paired
from ganforge.capabilities import Label, Range
from ganforge.game import Clock, Game, Move

@dataclass(frozen=True)
class Config:
    scale: int = 1
    masked: bool = False

class Toy(Game[Config, Paired]):
    multiple = 4
    def __init__(self, config: Config, facts: Facts) -> None:
        super().__init__(config, facts)
        self.generator = nn.Conv2d(3, 3, 3, 1, 1)
    def players(self) -> dict[str, Optimizer]:
        return {"generator": SGD(self.generator.parameters(), 0.1)}
    def play(self, batches: Iterator[Paired], now: Clock) -> Iterator[Move]:
        pair = next(batches)
        yield Move("generator", l1=(self.generator(pair.source) - pair.target).abs().mean())
    def translate(self, images: Tensor, light: Annotated[float, Range(0, 1)] = 0.0, reverse: bool = False) -> Tensor:
        assert all(side % 4 == 0 for side in images.shape[2:]), images.shape
        made = images if reverse else -images
        made = made + light * self.draw.normal(len(images), 1, 1, 1)
        return made.clamp(-1, 1).repeat_interleave(self.config.scale, 2).repeat_interleave(self.config.scale, 3)
'''
MASKED = TOY.replace("images: Tensor, light", "images: Tensor, masks: Tensor, light").replace(
    "made = images if", "images = images * (1 - masks.amax(1, keepdim=True)); made = images if"
)


def trained(folder, text=TOY, **config):
    (folder / "toy.py").write_text(text)
    options = {"steps": 1, "batch": 2, "size": (16,), "sample_every": 0, "config": config, "quiet": True}
    return ganforge.train(str(folder / "toy.py"), outdir=folder / "runs", **options)


@pytest.fixture(scope="module", autouse=True)
def fewer_scenes():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ganforge.data.synthetic.domains.COUNT", 20)
        yield


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="module")
def run(toy):
    return toy.path


def images(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


# -- tensors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(16, 16), (9, 13), (1, 1), (2, 30)])
def test_any_size_comes_back_as_it_was(toy, size):
    given = images(3, 3, *size)
    assert torch.equal(toy.translate(given), -given)
    assert torch.equal(toy.translate(given, reverse=True), given)


def test_row_k_follows_from_seed_and_k(toy):
    same = images(1, 3, 8, 8).expand(5, -1, -1, -1)
    five = toy.translate(same, 3, light=0.5)
    assert torch.equal(toy.translate(same, 3, batch=2, light=0.5), five)
    assert torch.equal(toy.translate(same[:2], 3, start=3, light=0.5), five[3:])
    assert len({float(row.mean()) for row in five}) == 5
    assert not torch.equal(toy.translate(same, 4, light=0.5), five)


@pytest.mark.parametrize(("size", "tile", "scale"), [((50, 70), 16, 1), ((33, 20), 12, 2), ((40, 8), 24, 1)])
def test_tiles_meet_without_seams(size, tile, scale):
    seen = []

    def once(part):
        seen.append(tuple(part.shape[2:]))
        return part.repeat_interleave(scale, 2).repeat_interleave(scale, 3)

    given = images(2, 3, *size)
    made = translate_tiled(once, [given], 4, tile)
    torch.testing.assert_close(made, given.repeat_interleave(scale, 2).repeat_interleave(scale, 3))
    assert len(set(seen)) == 1
    assert all(side <= tile for side in seen[0])
    assert len(seen) > 1


def test_tiles_blend_linearly_and_cover_all():
    shades = iter((0.0, 1.0, 1.0, 1.0, 1.0, 1.0))
    made = translate_tiled(lambda part: torch.full_like(part, next(shades)), [torch.zeros(1, 1, 8, 28)], 4, 16)
    row = made[0, 0, 0]
    assert (row[:12] == 0).all()
    assert (row[16:] == 1).all()
    assert (row[12:16].diff() > 0).all()
    for length in range(16, 90):
        places = [*tile_starts(length, 16)]
        assert places[0] == 0
        assert places[-1] == length - 16
        assert all(0 < after - before <= 12 for before, after in pairwise(places))


def test_large_images_are_tiled_by_default(toy, monkeypatch):
    sizes = []
    monkeypatch.setattr("ganforge.inference.tiles.LARGE", 400)
    monkeypatch.setattr("ganforge.inference.tiles.TILE", 16)
    real = type(toy.game).translate

    @functools.wraps(real)
    def noted(self, images, **answers):
        sizes.append(images.shape)
        return real(self, images, **answers)

    monkeypatch.setattr(type(toy.game), "translate", noted)
    given = images(1, 3, 20, 24)
    torch.testing.assert_close(toy.translate(given), -given)
    assert {tuple(size[2:]) for size in sizes} == {(16, 16)}


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (lambda t: t.translate(images(1, 1, 8, 8)), r"takes images \(N, 3, H, W\), not \(1, 1, 8, 8\)"),
        (lambda t: t.translate(images(8, 8)), r"is a tensor \(3, H, W\), not \(8, 8\)"),
        (lambda t: t.translate(images(1, 3, 8, 8), masks=images(1, 1, 8, 8)), "takes no masks"),
        (lambda t: t.translate(images(1, 3, 8, 8), to="blond"), "does not know --to; its options are light, reverse"),
        (lambda t: t.translate(images(1, 3, 8, 8), light=2.0), "--light must lie between 0 and 1"),
        (lambda t: t.sample(1), "cannot sample"),
    ],
)
def test_wrong_requests_are_one_sentence(toy, given, why):
    with pytest.raises(OptionError, match=why):
        given(toy)


# -- files ------------------------------------------------------------------------------------------


def negative(array):
    return 255 - array


@pytest.mark.parametrize("archive", [False, True])
def test_folders_keep_names_structure_and_sizes(run, tmp_path, archive, capsys):
    root = tmp_path / "in"
    one, two = write_image(root / "a.v1.png", (7, 9, 3)), write_image(root / "deep" / "b.bmp", (16, 5, 3))
    Image.fromarray(one).save(root / "a.v1.tif")  # the same name but for its ending
    (root / "bad.jpg").write_bytes(b"?")
    (root / "notes.txt").write_text("?")
    source = zip_folder(root, tmp_path / "in.zip") if archive else root
    words = ["translate", str(run), str(source), str(tmp_path / "out")]
    assert main(words) == 0
    found = {p.relative_to(tmp_path / "out").as_posix(): read(p) for p in (tmp_path / "out").rglob("*.png")}
    assert sorted(found) == ["a.v1.png", "a.v1.tif.png", "deep/b.png"]
    assert np.array_equal(found["a.v1.png"], negative(one))
    assert np.array_equal(found["deep/b.png"], negative(two))
    said = capsys.readouterr().out
    assert "Skipped: bad.jpg cannot be read" in said
    assert "Wrote 3 into" in said
    assert "skipped 1" in said


def test_the_command_names_the_file_that_it_wrote(run, tmp_path, capsys):
    write_image(tmp_path / "one.png", (6, 6, 3))
    assert main(["translate", str(run), str(tmp_path / "one.png"), str(out := tmp_path / "result.png")]) == 0
    assert f"Wrote {out}\n" in capsys.readouterr().out


def test_one_file_many_answers_and_the_way_back(run, tmp_path):
    array = write_image(tmp_path / "one.png", (6, 6, 3))
    ganforge.translate(run, tmp_path / "one.png", tmp_path / "x" / "result.bmp")
    assert np.array_equal(read(tmp_path / "x" / "result.bmp"), negative(array))
    ganforge.translate(run, tmp_path / "one.png", tmp_path / "back", reverse=True)
    assert np.array_equal(read(tmp_path / "back" / "one.png"), array)
    for folder, n in (("three", 3), ("two", 2)):
        done = ganforge.translate(run, tmp_path / "one.png", tmp_path / folder, n=n, seed=5, light=0.5)
        assert done.written == n
    three = [read(tmp_path / "three" / f"one-{k}.png") for k in range(3)]
    assert not np.array_equal(three[0], three[1])
    for k in range(2):
        assert np.array_equal(read(tmp_path / "two" / f"one-{k}.png"), three[k])


@pytest.mark.parametrize("suffix", ["png", "npy"])
def test_grey_alpha_and_depth_are_converted_and_reported(run, tmp_path, monkeypatch, suffix):
    if suffix == "npy":
        uninstall_deep(monkeypatch)
    root = tmp_path / "in"
    grey, clear = write_image(root / "grey.png", (6, 6)), write_image(root / "clear.png", (6, 6, 4))
    deep = np.random.default_rng(0).integers(0, 2**16, (6, 6, 3)).astype(np.uint16)
    np.save(root / "deep.npy", deep)
    np.save(root / "float.npy", (deep / 65535).astype(np.float32))
    np.save(root / "wild.npy", deep.astype(np.float32))
    np.save(root / "many.npy", noise(6, 6, 7))
    done = ganforge.translate(run, root, tmp_path / "out")
    assert done.notes == [
        "Images with transparent parts, which were laid on white: 1.",
        "Grey images, which were given three equal channels: 1.",
    ]
    assert np.array_equal(read(tmp_path / "out" / "grey.png"), negative(grey)[..., None].repeat(3, 2))
    cover = clear[..., 3:] / 255
    expected = 255 - (clear[..., :3] * cover + 255 * (1 - cover))
    assert np.abs(read(tmp_path / "out" / "clear.png") - expected).max() <= 1
    assert np.array_equal(read(tmp_path / "out" / f"deep.{suffix}"), 65535 - deep)
    assert np.allclose(read(tmp_path / "out" / "float.npy"), 1 - 2 * (deep / 65535), atol=1e-6)
    assert len(done.skipped) == 2
    assert "many.npy cannot be translated: An image of 7 channels cannot be converted to 3." in done.skipped
    assert any("wild.npy cannot be translated: its values run from" in said for said in done.skipped)


def test_super_resolution_and_comparison_sheets(tmp_path):
    made = trained(tmp_path, scale=2)
    arrays = [write_image(tmp_path / "in" / f"{k}.png", (48, 96, 3)) for k in range(2)]
    truth = [write_image(tmp_path / "truth" / f"{k}.jpg", (96, 192, 3)) for k in range(2)]
    done = ganforge.translate(made.path, tmp_path / "in", tmp_path / "out", truth=tmp_path / "truth")
    assert read(tmp_path / "out" / "1.png").shape == (96, 192, 3)
    assert done.sheet == str(tmp_path / "out-sheet.png")
    sheet = read(Path(done.sheet))
    assert sheet.shape == (2 * 192 + 4, 3 * 192 + 8, 3)
    assert np.array_equal(sheet[48:144, :192], arrays[0].repeat(2, 0).repeat(2, 1))
    assert np.array_equal(sheet[48:144, 196:388], negative(arrays[0]).repeat(2, 0).repeat(2, 1))
    assert np.array_equal(sheet[48:144, 392:], read(tmp_path / "truth" / "0.jpg"))
    assert len(truth) == 2
    sheet = ganforge.translate(made.path, tmp_path / "in", tmp_path / "out", n=2, sheet=tmp_path / "s.png").sheet
    assert read(Path(sheet)).shape == (2 * 192 + 4, 3 * 192 + 8, 3)


def test_masks_go_in_beside(tmp_path):
    made = trained(tmp_path, MASKED)
    array = write_image(tmp_path / "in" / "x.png", (8, 10, 3))
    write_image(tmp_path / "in" / "bare.png", (8, 10, 3))
    for k in range(2):
        plane = np.zeros((8, 10), np.uint8)
        plane[k * 4 : k * 4 + 2] = 255
        (tmp_path / "masks").mkdir(exist_ok=True)
        Image.fromarray(plane).save(tmp_path / "masks" / f"x_{k}.png")
    done = ganforge.translate(made.path, tmp_path / "in", tmp_path / "out", masks=tmp_path / "masks")
    result = read(tmp_path / "out" / "x.png")
    assert (result[[0, 1, 4, 5]] == 128).all()
    assert np.array_equal(result[[2, 3, 6, 7]], negative(array)[[2, 3, 6, 7]])
    assert done.notes == ["Images without an instance in a mask: 1."]
    with pytest.raises(OptionError, match="needs --masks FOLDER"):
        ganforge.translate(made.path, tmp_path / "in", tmp_path / "out")
    given = images(2, 3, 8, 8)
    assert made.translate(given, masks=torch.ones(2, 3, 8, 8)).abs().max() == 0
    with pytest.raises(OptionError, match="do not fit images"):
        made.translate(given, masks=torch.ones(2, 3, 4, 8))


def test_wrong_places_are_one_sentence(run, tmp_path, capsys):
    write_image(tmp_path / "in" / "a.png", (6, 6, 3))
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "x.png").write_bytes(b"?")
    for source, out, why in (
        ("in", "in/out", "The results would be written among the sources"),
        ("in", "in", "The results would be written among the sources"),
        ("nowhere", "out", "nowhere does not exist"),
        ("empty", "out", "holds no images and no videos"),
        ("bad", "out", "x.png cannot be read"),
    ):
        with pytest.raises((OptionError, DataError), match=why):
            ganforge.translate(run, tmp_path / source, tmp_path / out)
    for options, why in (
        ({"masks": tmp_path / "in"}, "takes no --masks"),
        ({"truth": tmp_path / "empty"}, "holds no images: it should hold the truth"),
        ({"n": 0}, "0 results"),
    ):
        with pytest.raises((OptionError, DataError), match=why):
            ganforge.translate(run, tmp_path / "in", tmp_path / "out", **options)
    assert main(["translate", str(run), str(tmp_path / "in")]) == 1
    assert "Give what to translate, and where the results go" in capsys.readouterr().err
    dcgan = ganforge.train("dcgan", preset="tiny", steps=0, outdir=tmp_path, quiet=True, sample_every=0)
    with pytest.raises(OptionError, match="dcgan cannot translate"):
        ganforge.translate(dcgan.path, tmp_path / "in", tmp_path / "out")


# -- videos -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(32, 48), (33, 47)])
def test_videos_frame_by_frame(run, tmp_path, size):
    pytest.importorskip("av")
    frames = [np.full((*size, 3), (40 * k, 200 - 30 * k, 90), np.uint8) for k in range(5)]
    clip = tmp_path / "in" / "clip.mp4"
    assert video.write(clip, iter(frames), video.Fraction(10)) == 5
    done = ganforge.translate(run, tmp_path / "in", tmp_path / "out")
    made = video.read(tmp_path / "out" / "clip.mp4")
    assert made.rate == 10
    shown = [*made.frames]
    assert len(shown) == 5
    assert all(np.abs(frame - negative(was).astype(int)).max() < 12 for frame, was in zip(shown, frames, strict=True))
    assert done.notes == ["Videos, which were written without their sound: 1."]
    (tmp_path / "in" / "clip.mp4").write_bytes(b"not a video at all")
    with pytest.raises(DataError, match=r"clip.mp4 cannot be read as a video"):
        ganforge.translate(run, tmp_path / "in", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["clip.mp4"]


def test_without_a_library_a_video_says_what_to_install(run, tmp_path, monkeypatch):
    array = write_image(tmp_path / "in" / "a.png", (6, 6, 3))
    (tmp_path / "in" / "b.mp4").write_bytes(b"?")
    real = builtins.__import__

    def missing(name, *rest):
        if name == "av":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
    done = ganforge.translate(run, tmp_path / "in", tmp_path / "out")
    assert done.written == 1
    assert re.search(r"Videos need .*pip install 'ganforge\[video\]'", done.skipped[0])
    assert np.array_equal(read(tmp_path / "out" / "a.png"), negative(array))


# -- runs -------------------------------------------------------------------------------------------


def test_a_run_remembers_how_its_data_is_read(tmp_path):
    for k in range(6):
        write_image(tmp_path / "photos" / f"{k}.png", (16, 16, 3))
    (tmp_path / "toy.py").write_text(TOY)
    options = {"batch": 2, "size": (16,), "sample_every": 0, "quiet": True, "outdir": tmp_path / "runs"}
    reading = {"make": "blur", "direction": "BtoA"}
    run = ganforge.train(str(tmp_path / "toy.py"), tmp_path / "photos", steps=2, **reading, **options)
    again = ganforge.resume(run.path, steps=4, quiet=True)
    whole = ganforge.train(str(tmp_path / "toy.py"), tmp_path / "photos", steps=4, **reading, **options)
    other = ganforge.train(str(tmp_path / "toy.py"), tmp_path / "photos", steps=4, make="blur", **options)
    for one, same in ((whole, True), (other, False)):
        assert torch.equal(one.game.generator.weight, again.game.generator.weight) == same
    assert ganforge.show(str(run.path))["data"]["reading"] == {**reading, "unknown": 255, "tokens": "words", "only": ""}
    drawn = ganforge.train(str(tmp_path / "toy.py"), steps=1, **options)
    assert drawn.path.name.endswith("toy-shapes-pairs")
    assert to_uint8(drawn.translate(images(1, 3, 16, 16))).shape == (1, 16, 16, 3)


def test_the_command_trains_from_made_pairs(tmp_path, capsys):
    (tmp_path / "toy.py").write_text(TOY)
    words = ["train", str(tmp_path / "toy.py"), "--data", "shapes-unpaired", "--size", "16", "--dry-run"]
    assert main(words) == 1
    assert "This model needs source and target, but shapes-unpaired provides only a, b" in capsys.readouterr().err
    words[3:4] = ["shapes-defects", "--make", "mask", "--direction", "BtoA"]
    assert main(words) == 0
    assert "make: mask" in capsys.readouterr().out


NAMED = (
    TOY.replace("Facts, Paired", "Facts, Labelled as Paired")
    .replace("light: Annotated[float, Range(0, 1)] = 0.0", "to: Label = None")
    .replace("light * self.draw.normal(len(images), 1, 1, 1)", "(0 if to is None else to[:, :3, None, None])")
    .replace("pair.source) - pair.target", "pair.images) - pair.images")
)


def test_attributes_are_named_on_the_command_line(tmp_path, capsys):
    for k in range(4):
        write_image(tmp_path / "faces" / f"{k}.png", (16, 16, 3))
    lines = ["file_name,blond,old,smiling", *(f"{k}.png,{k % 2},{k // 2},1" for k in range(4))]
    (tmp_path / "faces" / "attributes.csv").write_text("\n".join(lines))
    (tmp_path / "toy.py").write_text(NAMED)
    options = {"steps": 1, "batch": 2, "sample_every": 1, "quiet": True, "outdir": tmp_path / "runs"}
    run = ganforge.train(str(tmp_path / "toy.py"), tmp_path / "faces", **options)
    assert read(run.path / "samples" / "step-000000001.png").shape[1] == 4 * 18 - 2  # the source, three attributes
    words = ["translate", str(run.path), str(tmp_path / "faces" / "0.png"), str(tmp_path / "o.png")]
    assert main([*words, "--to", "blond,smiling"]) == 0
    before, after = read(tmp_path / "faces" / "0.png").astype(float), read(tmp_path / "o.png")
    expected = np.clip(255 - before + np.array([127.5, 0, 127.5]), 0, 255)
    assert np.abs(after - expected).max() <= 1
    assert main([*words, "--to", "bald"]) == 1
    assert "'bald' is no attribute of this run, whose attributes are blond, old, smiling" in capsys.readouterr().err
