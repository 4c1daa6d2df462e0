"""invert, directions and edit: files, pages and sheets; directions of labels reach them and leave the others alone."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

import ganforge
from ganforge.cli import run
from ganforge.cli.codes import parse_direction
from ganforge.errors import DataError, OptionError
from ganforge.evaluation.boundaries import (
    Boundary,
    Movement,
    describe,
    find_boundaries,
    find_moves,
    opposed_labels,
)
from ganforge.images import read, write
from ganforge.inference.trained import Trained

PALETTE = '''
"""palette: a code is a colour, a brightness and what does nothing."""
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from ganforge.batches import Facts, Images
from ganforge.capabilities import Codes
from ganforge.game import Clock, Game, Move
from ganforge.run import Preset, Run


@dataclass(frozen=True)
class Config:
    lr: float = 0.1


class Palette(Game[Config, Images]):
    averaged = ()

    def __init__(self, config: Config, facts: Facts) -> None:
        super().__init__(config, facts)
        self.level = nn.Linear(1, 1)

    def players(self) -> dict[str, Optimizer]:
        return {"level": SGD(self.level.parameters(), self.config.lr)}

    def play(self, batches: Iterator[Images], now: Clock) -> Iterator[Move]:
        yield Move("level", size=self.level.weight.square().sum())

    def noise(self, n: int) -> Tensor:
        return self.draw.normal(n, 4)

    def code(self, noise: Tensor, truncation: float = 1.0) -> Codes:
        return Codes(noise[:, None].expand(-1, 2, -1) * truncation)

    def decode(self, codes: Codes) -> Tensor:
        red, light = torch.tanh(2 * codes.w[:, 0, 0]), torch.tanh(2 * codes.w[:, 1, 1])
        colour = torch.stack([light * 0.5 + red * 0.5, light * 0.5, light * 0.5 - red * 0.5], 1)
        return colour[:, :, None, None].expand(-1, -1, self.facts.height, self.facts.width)

    def features(self, images: Tensor) -> Tensor:
        return images.flatten(1)


presets = {"tiny": Preset(Config(), Run(steps=1, batch=8, size=(16,), log_every=1, sample_every=0))}
'''


def colour(red: float, light: float, source: np.random.Generator) -> np.ndarray:
    """An image (16, 16, 3) of a red or blue, light or dark colour."""
    values = np.array([light + red, light, light - red]) * 0.5 + source.normal(0, 0.02, (16, 16, 3))
    return ((values.clip(-1, 1) + 1) * 127.5).astype(np.uint8)


@pytest.fixture(scope="module")
def palette(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A run whose data have the attributes warm and light."""
    home = tmp_path_factory.mktemp("palette")
    source, rows = np.random.default_rng(0), ["image_id,warm,light"]
    for k in range(240):
        red, light = source.uniform(0.2, 1) * source.choice([-1, 1]), source.uniform(0.2, 1) * source.choice([-1, 1])
        write(home / "data" / f"{k:03d}.png", colour(red, light, source))
        rows.append(f"{k:03d}.png,{int(red > 0)},{int(light > 0)}")
    (home / "data" / "attributes.csv").write_text("\n".join(rows), encoding="utf-8")
    model = home / "palette.py"
    model.write_text(PALETTE, encoding="utf-8")
    return ganforge.train(str(model), str(home / "data"), "tiny", outdir=home / "runs", quiet=True, doctor=False)


@pytest.fixture(scope="module")
def photos(palette: Trained) -> Path:
    folder = palette.path.parents[1] / "photos"
    for k, (red, light) in enumerate([(0.6, -0.4), (-0.6, 0.4), (0.5, 0.5)]):
        write(folder / f"{k}.png", colour(red, light, np.random.default_rng(1)))
    return folder


def test_invert_writes_codes_images_and_a_page(palette: Trained, photos: Path, tmp_path: Path, capsys):
    out = tmp_path / "out"
    words = ["invert", str(palette.path), str(photos / "0.png"), str(photos), "-o", str(out), "--steps", "60"]
    assert run([*words, "--trust"]) == 0
    assert re.search(
        r"Photographs: 4. The mean squared difference is 0\.0\d+ of their variance", capsys.readouterr().out
    )
    assert {path.stem for path in (out / "codes").iterdir()} == {path.stem for path in out.glob("*.png")}
    assert len([*out.glob("*.png")]) == 4
    assert np.abs(read(out / "1.png").astype(int) - read(photos / "1.png")).mean() < 12
    assert (out / "index.html").read_text(encoding="utf-8").count("<figure>") == 4
    report = ganforge.invert(palette, photos, tmp_path / "again", steps=1)
    assert report.error > 0.3  # the descent is what finds them
    for wrong in (["invert", str(palette.path)], ["invert", str(palette.path), str(photos)]):
        assert run(wrong) == 1
    with pytest.raises(DataError, match="No photograph could be read"):
        ganforge.invert(palette, (), tmp_path / "none")
    with pytest.raises(OptionError, match="among the sources"):
        ganforge.invert(palette, photos, photos)


def test_directions_of_labels_reach_them_and_leave_the_others(palette: Trained, capsys):
    assert run(["directions", str(palette.path), "-n", "600", "--components", "2", "--factors", "2", "--trust"]) == 0
    said = capsys.readouterr().out
    assert "Labels are read by a classifier of the data's own 2 attributes" in said
    assert "component-2" in said
    found = {one.direction.name: one for one in ganforge.directions(palette, components=0, n=600)}
    assert {*found} == {"warm", "light"}
    for name, place in (("warm", 0), ("light", 1)):
        vector = found[name].direction.vector
        assert vector[place] > 0.8 * vector.norm()
        movement = found[name].movement
        assert movement is not None
        assert movement.reached > 0.9
        assert movement.kept > 0.9
        assert read(found[name].sheet).shape[1] == 7 * 18 - 2


def test_edit_writes_before_and_after(palette: Trained, photos: Path, tmp_path: Path, capsys):
    ganforge.directions(palette, components=1, n=600)
    out = tmp_path / "me"
    words = ["edit", str(palette.path), str(photos / "1.png"), "--direction", "warm=3", "-o", str(out)]
    assert run([*words, "--steps", "60", "--trust"]) == 0
    assert "Edited 1 image." in capsys.readouterr().out
    before, after = read(photos / "1.png").astype(int).mean((0, 1)), read(out / "1.png").astype(int).mean((0, 1))
    assert before[2] - before[0] > 50  # blue
    assert after[0] - after[2] > 50  # red
    assert abs(after[1] - before[1]) < 40
    assert "warm +3" in (out / "index.html").read_text(encoding="utf-8")
    ganforge.invert(palette, photos / "2.png", tmp_path / "codes", steps=60)
    report = ganforge.edit(palette, tmp_path / "codes" / "codes" / "2.safetensors", {"light": -3.0}, tmp_path / "dark")
    assert report.edited[0].target is None
    assert report.edited[0].after.mean() < report.edited[0].before.mean() - 0.3
    random = ganforge.edit(palette, (), {"warm": 0.0}, tmp_path / "random", n=3, seed=5)
    assert [one.name for one in random.edited] == ["seed5-0", "seed5-1", "seed5-2"]
    assert all(torch.equal(one.before, one.after) for one in random.edited)
    with pytest.raises(OptionError, match="Say what to edit"):
        ganforge.edit(palette, photos, {}, tmp_path / "none")
    with pytest.raises(OptionError, match="no direction 'smile'"):
        ganforge.edit(palette, photos, {"smile": 1.0}, tmp_path / "none")


@pytest.mark.parametrize("word", ["smiling", "=2", "smiling=much", ""])
def test_sizes_of_directions_are_numbers(word: str):
    assert parse_direction("long hair=-1.5") == ("long hair", -1.5)
    with pytest.raises(OptionError, match="smiling=2"):
        parse_direction(word)


def test_a_move_crosses_its_own_boundary_and_no_other():
    normals = [torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.6, 0.8, 0.0]), torch.tensor([0.0, 0.6, 0.8])]
    boundaries = [Boundary(str(k), normal, 1.0) for k, normal in enumerate(normals)]
    codes = torch.randn(1_000, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([3.0, 1.0, 0.3])
    free = torch.zeros(3, 3, dtype=torch.bool)
    for k, made in enumerate(find_moves(boundaries, codes, free)):
        assert made.norm() == pytest.approx(1.0, abs=1e-5)
        assert float(made @ normals[k]) > 0
        assert all(abs(float(made @ normals[j])) < 1e-5 for j in range(3) if j != k)
    opposed = free.clone()
    opposed[0, 1] = opposed[1, 0] = True
    first = find_moves(boundaries, codes, opposed)[0]
    assert abs(float(first @ normals[1])) > 0.1
    assert abs(float(first @ normals[2])) < 1e-5


def test_a_move_goes_where_codes_are():
    """Two numbers of a code rise together: a boundary of the first alone is crossed with both."""
    first, rest = torch.randn(2, 5_000, generator=torch.Generator().manual_seed(0))
    codes = torch.stack([first, first + 0.1 * rest], 1)
    (move,) = find_moves([Boundary("both", torch.tensor([1.0, 0.0]), 1.0)], codes, None)
    torch.testing.assert_close(move, torch.tensor([0.5**0.5, 0.5**0.5]), rtol=0.02, atol=0)


def test_boundaries_are_learned_from_both_sides_alone():
    codes = torch.randn(1_000, 5, generator=torch.Generator().manual_seed(0))
    logits = torch.stack([codes[:, 2], torch.ones(1_000)], 1)
    (boundary,) = find_boundaries(codes, logits, ["real", "always"])
    assert boundary.label == "real"
    assert boundary.normal[2] > 0.95
    assert boundary.accuracy > 0.95


def test_labels_that_no_image_has_together_exclude_each_other():
    truth = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    assert opposed_labels(truth).tolist() == [[False, True, False], [True, False, False], [False, False, False]]


def test_figures_that_there_are_none_for_are_not_said():
    boundary, nothing = Boundary("star", torch.ones(1), 0.9), float("nan")
    assert "70.0% of the images without it, and 80.0% of the others stay" in describe(boundary, Movement(0.7, 0.8))
    classes = describe(boundary, Movement(0.7, nothing))  # every other class excludes it
    assert classes.endswith("bring the label to 70.0% of the images without it")
    assert describe(boundary, Movement(nothing, nothing)).endswith("90.0% of the samples")


def test_negative_numbers_are_refused(palette: Trained):
    for what in ({"components": -3}, {"factors": -1}):
        with pytest.raises(OptionError, match="the least is 0"):
            ganforge.directions(palette, **what)
    with pytest.raises(OptionError, match="-n cannot be -3: the least is 0"):
        ganforge.edit(palette, directions={"component-1": 1.0}, n=-3)


def test_without_boundaries_components_are_stored(palette: Trained, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ganforge.evaluation.directions.find_boundaries", lambda *given: [])
    said = list[str]()
    found = ganforge.directions(palette, components=2, factors=2, n=200, say=said.append)
    assert [one.direction.name for one in found] == ["component-1", "component-2"]
    assert any("too few or nearly all samples show them" in line for line in said)
    assert any("No factors: " in line for line in said)


def test_data_that_were_named_must_have_labels(palette: Trained):
    with pytest.raises(DataError):
        ganforge.directions(palette, components=1, n=200, data="nowhere")
