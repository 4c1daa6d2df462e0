"""Codes of photographs: by encoders and by descents, stored to the bit, tuned for one photograph at a time."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import ganforge
from ganforge.batches import Facts
from ganforge.capabilities import Codes
from ganforge.draw import RowDraw
from ganforge.errors import DataError, OptionError, WeightsError
from ganforge.images import grid
from ganforge.inference.codes import join_codes, split_codes
from ganforge.inference.coding import fit_window
from ganforge.inference.directions import (
    Direction,
    check_name,
    find_components,
    find_factors,
    load_directions,
    name_direction,
    save_directions,
)
from ganforge.inference.inference_mode import inference_mode
from ganforge.inference.inversion import find_patterns
from ganforge.inference.trained import Trained
from ganforge.models.hyperstyle import ChangedCodes

TINY: dict[str, Any] = {"preset": "tiny", "steps": 2, "sample_every": 0, "quiet": True, "doctor": False}
IMAGES = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Trained]:
    """A run of each model with codes, each built on the one before."""
    home = tmp_path_factory.mktemp("codes")
    style = ganforge.train("stylegan2", "shapes", outdir=home, **TINY)
    one = {"generator": str(style.path), "space": "w"}
    encoder = ganforge.train("e4e", "shapes", outdir=home, config=one, **TINY)
    hyper = ganforge.train("hyperstyle", "shapes", outdir=home, config={"encoder": str(encoder.path)}, **TINY)
    dcgan = ganforge.train("dcgan", "shapes", outdir=home, **TINY)
    return {"stylegan2": style, "e4e": encoder, "hyperstyle": hyper, "dcgan": dcgan}


def error(run: Trained, found: list[Any]) -> float:
    return float((run.decode(found) - IMAGES[: len(found)]).square().mean())


@pytest.mark.parametrize("name", ["stylegan2", "e4e", "hyperstyle"])
def test_a_stored_code_draws_the_same_image_to_the_bit(name: str, runs: dict[str, Trained], tmp_path: Path):
    run = runs[name]
    found = run.invert(IMAGES, steps=3)
    for k, one in enumerate(found):
        run.save_code(one, tmp_path / f"{k}.safetensors")
        again = run.load_code(tmp_path / f"{k}.safetensors")
        assert torch.equal(run.decode(again), run.decode(one))
        assert type(again.codes) is type(one.codes)
    assert isinstance(found[0].codes, ChangedCodes) == (name == "hyperstyle")
    joined = join_codes([one.codes for one in found])
    assert torch.equal(run.decode(joined), run.decode(found))
    assert len(split_codes(joined)) == 3
    other = runs["stylegan2" if name != "stylegan2" else "e4e"]
    with pytest.raises(DataError, match=r"another run or checkpoint.*ganforge invert"):
        other.load_code(tmp_path / "0.safetensors")


def test_damaged_codes_are_refused(runs: dict[str, Trained], tmp_path: Path):
    (tmp_path / "a.safetensors").write_bytes(b"no tensors")
    with pytest.raises(DataError, match="damaged"):
        runs["e4e"].load_code(tmp_path / "a.safetensors")
    weights = next(runs["e4e"].path.rglob("game.safetensors"))
    with pytest.raises(DataError, match="holds no code"):
        runs["e4e"].load_code(weights)


def test_a_descent_comes_nearer_and_each_image_has_its_own(runs: dict[str, Trained]):
    run = runs["stylegan2"]
    short, long = run.invert(IMAGES, steps=1), run.invert(IMAGES, steps=40)
    assert error(run, long) < 0.9 * error(run, short)
    alone = run.invert(IMAGES[1:2], steps=40)
    torch.testing.assert_close(alone[0].codes.w, long[1].codes.w, rtol=1e-3, atol=1e-4)
    one = run.invert(IMAGES, steps=10, space="w")
    assert torch.equal(one[0].codes.w[:, 0], one[0].codes.w[:, -1])
    assert not torch.equal(long[0].codes.w[:, 0], long[0].codes.w[:, -1])


def test_a_descent_says_how_much_is_done(runs: dict[str, Trained]):
    """Over all batches; an encoder says nothing."""
    said: list[float] = []
    runs["stylegan2"].invert(IMAGES, steps=2, batch=2, progress=said.append)
    assert said == pytest.approx([0, 1 / 3, 2 / 3, 5 / 6])
    runs["e4e"].invert(IMAGES, progress=said.append)
    assert len(said) == 4


def test_a_descent_also_finds_noise_without_patterns(runs: dict[str, Trained], tmp_path: Path):
    run = runs["stylegan2"]
    for conv in (m for m in run.game.modules() if hasattr(m, "strength")):
        conv.strength.data.fill_(0.3)  # pyright: ignore
    plain, noisy = run.invert(IMAGES, steps=40), run.invert(IMAGES, steps=40, noise=True)
    assert error(run, noisy) < error(run, plain)
    game: Any = run.game
    maps = game.noise_maps(noisy[0].codes.noise)  # pyright: ignore
    for noise in maps:
        assert abs(float(noise.mean())) < 1e-4
        assert float(noise.square().mean()) == pytest.approx(1.0, abs=1e-3)
    smooth = [torch.ones_like(noise) for noise in maps]
    assert float(find_patterns(maps)) < 0.05 * float(find_patterns(smooth))
    run.save_code(noisy[0], tmp_path / "0.safetensors")
    assert torch.equal(run.decode(run.load_code(tmp_path / "0.safetensors")), run.decode(noisy[0]))
    with pytest.raises(OptionError, match="no noise that a descent could find"):
        runs["e4e"].invert(IMAGES, method="descent", noise=True)


def test_an_encoder_is_used_where_there_is_one(runs: dict[str, Trained]):
    run = runs["e4e"]
    game: Any = run.game
    with inference_mode(game):
        expected = game.invert(IMAGES[:1]).w
    torch.testing.assert_close(run.invert(IMAGES)[0].codes.w, expected)
    by_descent = run.invert(IMAGES, method="descent", steps=20)
    assert not torch.equal(by_descent[0].codes.w, run.invert(IMAGES)[0].codes.w)
    with pytest.raises(OptionError, match=r"no encoder.* of the models, e4e, hyperstyle can"):
        runs["stylegan2"].invert(IMAGES, method="encoder")
    with pytest.raises(OptionError, match="dcgan has no codes; of the models, e4e, hyperstyle, stylegan2 have"):
        runs["dcgan"].invert(IMAGES)
    with pytest.raises(WeightsError, match=r"with --weights FOLDER, or say --perception own"):
        runs["stylegan2"].invert(IMAGES, method="descent", perception="lpips", weights="nowhere")
    with pytest.raises(OptionError, match="steps cannot be 0"):
        runs["stylegan2"].invert(IMAGES, method="descent", steps=0)


@pytest.mark.parametrize("name", ["stylegan2", "hyperstyle"])
def test_pivotal_tuning_comes_nearer_and_puts_the_weights_back(name: str, runs: dict[str, Trained], tmp_path: Path):
    run = runs[name]
    before = {key: value.clone() for key, value in run.game.state_dict().items()}
    states = {key: weight.requires_grad for key, weight in run.game.named_parameters()}
    plain = run.invert(IMAGES[:2], steps=5)
    tuned = run.invert(IMAGES[:2], steps=5, tune=15, tune_lr=1e-2, near=0.0)
    assert error(run, tuned) < 0.9 * error(run, plain)
    assert all(torch.equal(before[key], value) for key, value in run.game.state_dict().items())
    assert states == {key: weight.requires_grad for key, weight in run.game.named_parameters()}
    assert not torch.equal(*(next(iter(one.tuned.values())) for one in tuned))
    run.save_code(tuned[1], tmp_path / "1.safetensors")
    assert torch.equal(run.decode(run.load_code(tmp_path / "1.safetensors")), run.decode(tuned[1]))
    near = run.invert(IMAGES[:1], steps=5, tune=15, near=1e9)
    assert error(run, near) == pytest.approx(error(run, plain[:1]))


def test_edits_move_w_alone_and_an_edit_of_size_0_changes_nothing(runs: dict[str, Trained]):
    run = runs["hyperstyle"]
    save_directions(
        run.path, run.step, [Direction("bright", torch.ones(8), "made here"), Direction("thin", -torch.ones(8), "")]
    )
    (one,) = run.invert(IMAGES[:1])
    none, moved = run.edit(one, {"bright": 0.0}), run.edit(one, {"bright": 2.0, "thin": 1.0})
    assert torch.equal(run.decode(none), run.decode(one))
    torch.testing.assert_close(moved.codes.w, one.codes.w + 1)
    assert moved.codes.changes is one.codes.changes  # pyright: ignore
    assert not torch.equal(run.decode(moved), run.decode(one))
    with pytest.raises(OptionError, match="no direction 'smiling'; it has bright, thin"):
        run.edit(one, {"smiling": 1.0})


def test_interpolations_between_codes_are_straight(runs: dict[str, Trained], tmp_path: Path):
    run = runs["stylegan2"]
    walk = run.interpolate_codes(2, 3, seed=4)
    with inference_mode(run.game, RowDraw(4)) as game:
        w: Any = game.code(game.noise(3)).w.clone()  # pyright: ignore
    torch.testing.assert_close(walk[:, 0], run.decode(Codes(w[:2])))
    torch.testing.assert_close(walk[0, 1], run.decode(Codes((w[:1] + w[1:2]) / 2))[0])
    torch.testing.assert_close(walk[0, 2], walk[1, 0])
    around = run.interpolate_codes(2, 3, seed=4, closed=True)
    torch.testing.assert_close(around[1, 2], around[0, 0])
    grid, animation = ganforge.interpolate(run, tmp_path / "walk.png", rows=1, steps=3, space="code")
    assert grid.exists()
    assert animation.exists()
    with pytest.raises(OptionError, match="dcgan has no codes; of the models, e4e, hyperstyle, stylegan2 have"):
        runs["dcgan"].interpolate_codes()


def test_directions_are_stored_by_name(tmp_path: Path):
    save_directions(tmp_path, 3, [Direction("long hair", torch.arange(4.0), "by hand")])
    (one,) = load_directions(tmp_path, 3, ["long hair"])
    assert (one.vector.tolist(), one.about) == ([0, 1, 2, 3], "by hand")
    for name in ("../out", "", ".hidden", "a/b"):
        with pytest.raises(OptionError, match="cannot be called"):
            save_directions(tmp_path, 3, [Direction(name, torch.ones(1), "")])
    with pytest.raises(OptionError, match="find some with `ganforge directions RUN`"):
        load_directions(tmp_path / "none", 3, ["x"])
    with pytest.raises(OptionError, match=r"was found at step 3, and codes of step 9 are others.*@9"):
        load_directions(tmp_path, 9, ["long hair"])


@pytest.mark.parametrize(
    ("label", "name"), [("T-shirt/top", "T-shirt-top"), ("a.", "a"), ("///", "---"), ("..", "label")]
)
def test_directions_of_any_label_have_a_name_that_files_can_have(label, name):
    assert name_direction(label) == name
    check_name(name)


def test_components_and_factors_are_the_axes_of_codes_and_weights():
    source = torch.Generator().manual_seed(0)
    spread = torch.tensor([0.1, 3.0, 1.0])
    codes = torch.randn(4_000, 3, generator=source) * spread + 5
    first, second = find_components(codes, 2)
    torch.testing.assert_close(first.vector.abs(), torch.tensor([0.0, 3.0, 0.0]), rtol=0.05, atol=0.1)
    torch.testing.assert_close(second.vector.abs(), torch.tensor([0.0, 0.0, 1.0]), rtol=0.05, atol=0.1)

    class Weights:
        def style_weights(self) -> torch.Tensor:
            return torch.tensor([[0.0, 0.0, 2.0], [0.0, 0.1, 5.0], [1.0, 0.0, 0.0]])

    (factor,) = find_factors(Weights(), codes, 1)
    torch.testing.assert_close(factor.vector.abs(), torch.tensor([0.0, 0.0, 1.0]), rtol=0.05, atol=0.1)
    with pytest.raises(OptionError, match="does not show the weights"):
        find_factors(object(), codes, 1)


def test_photographs_are_cut_in_the_middle_not_squeezed():
    picture = torch.zeros(1, 1, 32, 96)
    picture[..., 32:64] = 1.0
    assert fit_window(picture, Facts(1, 16, 16)).min() > 0.8
    assert fit_window(picture, Facts(1, 16, 48)).shape == (1, 1, 16, 48)


def test_the_networks_that_find_codes_are_exported(runs: dict[str, Trained]):
    written = ganforge.export(runs["hyperstyle"].path)
    assert {path.name for path in written} == {"hypernetwork.safetensors", "hypernetwork.pt2"}
    network: Any = runs["hyperstyle"].game
    pair = torch.rand(2, 6, 16, 16)
    exported = torch.export.load(str(next(path for path in written if path.suffix == ".pt2"))).module()
    with inference_mode(network):
        expected = network.hypernetwork(pair)
    for made, own in zip(exported(pair), expected, strict=True):
        torch.testing.assert_close(made, own, rtol=1e-4, atol=1e-5)


def test_styles_are_mixed_in_a_table(runs: dict[str, Trained], tmp_path: Path):
    run = runs["stylegan2"]
    table = run.mix((4, 0), (2, 1, 3), seed=5, layers=3, truncation=0.7)
    with inference_mode(run.game, RowDraw(5)) as game:
        w: Any = game.code(game.noise(5), 0.7).w.clone()  # pyright: ignore
    assert table.shape[:2] == (3, 4)
    assert (table[0, 0] == 1).all()
    torch.testing.assert_close(table[1:, 0], run.decode(Codes(w[[4, 0]])))
    torch.testing.assert_close(table[0, 1:], run.decode(Codes(w[[2, 1, 3]])))
    torch.testing.assert_close(table[2, 3], run.decode(Codes(torch.cat([w[:1, :3], w[3:4, 3:]], 1)))[0])
    half = run.count_layers() // 2
    assert torch.equal(run.mix(seed=5), run.mix(seed=5, layers=half))
    path = ganforge.mix(run, tmp_path / "mixed", coarse=(0,), fine=(1, 2))
    with Image.open(path) as sheet:
        assert sheet.size == grid_size(run, 3, 2)
    for wrong, why in (
        ({"layers": run.count_layers()}, "--layers must lie between 1 and"),
        ({"layers": -1}, "layers"),
        ({"coarse": ()}, "needs images for both"),
        ({"fine": (-1,)}, "number of an image cannot be -1"),
        ({"truncation": 3.0}, "--truncation must lie between"),
        ({"style": 1.0}, "does not know --style"),
    ):
        with pytest.raises(OptionError, match=why):
            run.mix(**wrong)
    with pytest.raises(OptionError, match="dcgan has no codes; of the models, e4e, hyperstyle, stylegan2 have"):
        runs["dcgan"].mix()
    assert runs["dcgan"].count_layers() == 0


def test_a_run_without_codes_is_not_sent_to_look_for_directions(runs: dict[str, Trained], tmp_path: Path):
    with pytest.raises(OptionError, match="dcgan has no codes; of the models, e4e, hyperstyle, stylegan2 have"):
        ganforge.edit(runs["dcgan"], (), {"dark": 1.0}, tmp_path / "edited")


def grid_size(run: Trained, columns: int, rows: int) -> tuple[int, int]:
    """Width and height of a grid of a run's images."""
    blank = np.zeros((columns * rows, run.facts.height, run.facts.width, 3), np.uint8)
    high, wide = grid(blank, columns=columns).shape[:2]
    return wide, high
