"""RBDN: maxima go back to where they were found, any size is translated, the Caffe definitions are met."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from ganforge import official
from ganforge.batches import Facts, Paired
from ganforge.data.dataset import DataSet
from ganforge.data.loader import BatchLoader
from ganforge.data.open import open_data
from ganforge.data.read_options import ReadOptions
from ganforge.engine import Engine
from ganforge.errors import ModelError
from ganforge.game import Clock
from ganforge.images import write
from ganforge.inference.inference_mode import inference_mode
from ganforge.models import rbdn
from ganforge.models.rbdn import colour
from ganforge.official.rbdn import Colour, euclidean, folded
from ganforge.run import Run
from ganforge.runs.checkpoint import Checkpoints
from tests.support import goldens
from tests.support.goldens import SHARED, Golden

TINY, FACTS = rbdn.presets["tiny"], Facts(3, 16, 16, source_channels=1)


def game(**config: Any) -> rbdn.RBDN:
    torch.manual_seed(0)
    return rbdn.RBDN(replace(TINY.config, **config), FACTS)


def test_a_branch_puts_maxima_back_where_they_were_found():
    maps = torch.randn(2, 3, 8, 8)
    pooled, places = F.max_pool2d(maps, 2, return_indices=True)
    back = F.max_unpool2d(pooled, places, 2)
    kept = back != 0
    assert kept.sum() == pooled.numel()
    assert torch.equal(back[kept], maps[kept])
    branch = rbdn.Branch(3, 2)
    assert torch.equal(branch(maps)[:, :3], maps)  # what came in stays, and comes first


def test_a_deeper_branch_sees_farther():
    seen = []
    for branches in (1, 2, 3):
        net = rbdn.RBDNet(1, 1, 2, branches, 1).eval()
        for parameter in net.parameters():
            torch.nn.init.constant_(parameter, 0.1)
        source = torch.rand(1, 1, 128, 128, requires_grad=True)
        net(source)[0, 0, 64, 64].backward()
        assert source.grad is not None
        seen.append(int((source.grad[0, 0].abs().sum(0) > 0).sum()))
    assert seen[0] < seen[1] < seen[2]


def test_any_size_is_translated_and_the_inside_does_not_feel_the_padding():
    trained = game()
    images = torch.rand(2, 1, 21, 30) * 2 - 1
    with inference_mode(trained):
        assert trained.translate(images).shape == (2, 3, 21, 30)
        whole = trained.translate(F.pad(images, (0, 2, 0, 3), mode="replicate"))
        assert torch.equal(whole[..., :21, :30], trained.translate(images))
    with pytest.raises(ModelError, match="make --size a multiple of 8"):
        rbdn.RBDN(TINY.config, Facts(3, 20, 16))


def test_the_error_is_the_paper_s_and_rates_are_each_layer_s_own():
    one = game(white=255.0)
    pair = Paired.example(2, FACTS)
    (move,) = one.play(iter([pair]), Clock())
    made = one.generator((pair.source + 1) * 127.5)
    torch.testing.assert_close(move.terms["error"], euclidean(made, (pair.target + 1) * 127.5))
    players = game(lr=1.0, last_lr=0.1, drop_every=10).players()
    assert [g["lr"] for g in players["generator"].param_groups] == pytest.approx([1, 0.1, 0.1, 0.1])
    game(lr=1.0, drop_every=10).tune(players, Clock(step=25))
    assert [g["lr"] for g in players["generator"].param_groups] == pytest.approx([0.01, 1e-3, 1e-3, 1e-3])


def test_the_authors_rates_are_those_of_their_definitions():
    """Norms 1, biases 0.1, the last layer 0.1; everything decays; every parameter is in one group."""
    own = game(lr=1.0, last_lr=0.1, weight_decay=5e-4, authors_rates=True)
    groups = own.players()["generator"].param_groups
    assert [g["lr"] for g in groups] == pytest.approx([1, 0.1, 0.1, 0.1, 1])
    assert {g["weight_decay"] for g in groups} == {5e-4}
    norms = {id(p) for m in own.modules() if isinstance(m, torch.nn.BatchNorm2d) for p in m.parameters()}
    assert {id(p) for p in groups[4]["params"]} == norms
    assert sorted(id(p) for g in groups for p in g["params"]) == sorted(map(id, own.parameters()))


# -- denoising --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six images of a middle grey, all larger than a window and of different sizes."""
    folder = tmp_path_factory.mktemp("photos")
    chance = np.random.default_rng(0)
    for k in range(6):
        write(folder / f"{k}.png", chance.integers(100, 150, (24 + k, 30, 3), dtype=np.uint8))
    return folder


def noisy(photos: Path, run: Run, seed: int = 0) -> BatchLoader:
    size, reading = (run.size[0], run.size[0]), ReadOptions(make="noise")
    data = open_data(
        str(photos), size=size, channels=1, crop=run.crop, native=run.native, needed=Paired.columns(),
        reading=reading, seed=seed, home=photos / "home",
    )  # fmt: skip
    return BatchLoader(data, Paired, replace(run, seed=seed))


WINDOWS = Run(steps=6, batch=6, size=(16,), channels=1, native=True, crop=True, flip=True, save_every=0, log_every=1)


@pytest.mark.parametrize(("native", "crop"), [(True, True), (True, False), (False, True), (False, False)])
def test_noise_is_new_every_time_and_follows_from_seed_and_place(photos: Path, native: bool, crop: bool):
    run = replace(WINDOWS, native=native, crop=crop)
    loader = noisy(photos, run)
    batches = [loader.batch(k) for k in range(30)]
    noise = torch.cat([(b.source - b.target) * 127.5 for b in batches])  # where white is 255
    deviations = noise.std((1, 2, 3))
    assert 7 < deviations.min() < 12
    assert 44 < deviations.max() < 58  # of 256 pixels each
    assert noise.mean().abs() < 1
    assert torch.unique(noise.flatten(1), dim=0).shape[0] == len(noise)  # no noise twice
    assert batches[0].source.abs().max() > 1  # it is not cut off at black and white
    again = noisy(photos, run)
    assert torch.equal(again.batch(7).source, batches[7].source)
    assert torch.equal(torch.cat([again.batch(7, k, 3).source for k in range(3)]), batches[7].source)
    assert not torch.equal(noisy(photos, run, seed=1).batch(7).source, batches[7].source)


def test_the_same_row_has_the_same_noise_where_it_is_asked_for_by_its_number(photos: Path):
    """As when a run is judged: its images are asked for by their rows."""
    loader = noisy(photos, replace(WINDOWS, crop=False, flip=False))
    column, rows = loader.data.columns["source"], np.arange(6)
    assert np.array_equal(column[rows], column[rows])
    assert np.array_equal(column[rows][3:5], column[rows[3:5]])


def test_a_denoiser_resumes_to_the_bit(photos: Path, tmp_path: Path):
    def engine(checkpoints: Checkpoints | None = None, steps: int = 6) -> Engine:
        torch.manual_seed(0)
        config = replace(rbdn.presets["denoising"].config, branches=2, width=4, depth=2)
        own = rbdn.RBDN(config, Facts(1, 16, 16, source_channels=1))
        return Engine(own, replace(WINDOWS, steps=steps), noisy(photos, WINDOWS), checkpoints)

    whole = engine()
    whole.train()
    engine(Checkpoints(tmp_path), steps=3).train()
    second = engine()
    second.restore(Checkpoints(tmp_path).load()[1])
    second.train()
    for (name, a), b in zip(whole.game.state_dict().items(), second.game.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


def test_it_learns_to_colour():
    """Images whose channels follow from the grey source: after some steps the error is a fraction."""
    grey = np.random.default_rng(0).integers(0, 256, (16, 16, 16, 1), dtype=np.uint8).repeat(4, 1)[:, :16]
    colours = np.concatenate([grey, 255 - grey, grey // 2], 3)
    data = DataSet("toy", FACTS, {"source": grey, "target": colours})
    run = replace(TINY.run, steps=60, batch=8, save_every=0)
    learner = game(lr=1e-2, last_lr=1.0, weight_decay=0.0)
    loader = BatchLoader(data, Paired, run)
    with inference_mode(learner):
        pair = loader.batch(0)
        before = F.mse_loss(learner.translate(pair.source), pair.target)
    Engine(learner, run, loader).train()
    with inference_mode(learner):
        after = F.mse_loss(learner.translate(pair.source), pair.target)
    assert after < before / 3


# -- the Caffe definitions -----------------------------------------------------------------------


def golden(name: str) -> Golden:
    path = SHARED / "golden" / "generation" / "rbdn" / name
    return Golden(path, json.loads(path.with_suffix(".json").read_text()))


def loaded(found: Golden) -> official.Adapter:
    network = official.network("rbdn", found.class_name, file=found.file, **found.facts["constructor"])
    return official.load(network, found.weights(network)).eval()


@goldens.needed
@pytest.mark.parametrize("task", ["colorization", "denoising", "relighting"])
def test_definitions_at_their_own_size(task: str):
    found = golden(f"{task}_official_recipe")
    network = loaded(found)
    assert sum(p.numel() for p in network.parameters()) == found.parameters
    assert list(network.state_dict()) == list(found.facts["weight_spec"])
    torch.testing.assert_close(network(*found.inputs()), found.outputs("eval")[0], **found.tolerance)


@goldens.needed
@pytest.mark.parametrize("task", ["colorization", "denoising"])
def test_definitions_with_taps_and_gradients(task: str):
    found = golden(f"{task}_small")
    network, taps = loaded(found), dict[str, Tensor]()
    trunk = network.network.get_submodule("trunk")
    trunk.get_submodule("branch").register_forward_hook(lambda _net, _in, out: taps.update(mergeB1=out))
    (x,) = found.inputs()
    answer = network(x.requires_grad_())
    recorded = found.io("out.")
    torch.testing.assert_close(answer, recorded["pred"], **found.tolerance)
    torch.testing.assert_close(taps["mergeB1"], recorded["tap.mergeB1"], **found.tolerance)
    cotangent = goldens.normal("cot/pred", list(answer.shape)).float()
    (answer * cotangent).sum().backward()
    torch.testing.assert_close(x.grad, recorded["grad_in.x"], rtol=1e-3, atol=1e-4)
    for arguments, count, keys in found.defaults():
        whole = official.network("rbdn", found.class_name, file=found.file, **arguments)
        assert [(key, tuple(value.shape)) for key, value in whole.state_dict().items()] == keys
        assert sum(p.numel() for p in whole.parameters()) == count


@goldens.needed
def test_a_definition_in_training():
    found = golden("denoising_train_bn")
    network, (x, label) = loaded(found), found.inputs()
    answer, recorded = network(x.requires_grad_()), found.io("out.")
    error = euclidean(answer, label)
    torch.testing.assert_close(answer, recorded["pred"], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(error, recorded["euclidean"], rtol=1e-5, atol=1e-3)
    error.backward()
    assert x.grad is not None
    cotangent = goldens.normal("cot/euclidean", []).float()
    torch.testing.assert_close(x.grad * cotangent, recorded["grad_in.x"], rtol=1e-2, atol=1e-2)


@goldens.needed
def test_statistics_fold_into_scale_and_shift():
    io = load_file(SHARED / "golden" / "generation" / "rbdn" / "bn_fold.io.safetensors")
    made = folded(io["in.mean"], io["in.var"].abs() + 0.1, io["in.scale"], io["in.shift"])
    torch.testing.assert_close(made, (io["out.new_scale"], io["out.new_shift"]))
    norm, maps = torch.nn.BatchNorm2d(4, eps=1e-9).eval(), torch.randn(2, 4, 3, 3)
    state = {"running_mean": io["in.mean"], "running_var": io["in.var"].abs() + 0.1}
    norm.load_state_dict({**state, "weight": io["in.scale"], "bias": io["in.shift"]}, strict=False)
    torch.testing.assert_close(norm(maps), maps * made[0].view(1, 4, 1, 1) + made[1].view(1, 4, 1, 1))


def test_relighting_is_bgr_there_and_rgb_here():
    network = official.network("rbdn", "net definition", 4, file="inference/relighting/test.prototxt").eval()
    weights = {key: torch.randn_like(value) for key, value in network.state_dict().items()}
    official.load(network, weights)
    torch.testing.assert_close(dict(network.state_dict()), weights)
    rgb = torch.rand(1, 3, 16, 16)
    torch.testing.assert_close(network(rgb.flip(1)).flip(1), network.network(rgb))


# -- colouring ---------------------------------------------------------------------------------------


def test_lab_has_its_published_values_and_comes_back() -> None:
    colours = torch.tensor([[1.0, -1, -1], [1, 1, 1], [-1, -1, 1], [-1, -1, -1]])[..., None, None]
    known = torch.tensor([[53.24, 80.09, 67.20], [100, 0, 0], [32.30, 79.19, -107.86], [0, 0, 0]])
    assert torch.allclose(colour.rgb_to_lab(colours).flatten(1), known, atol=0.01)
    images = torch.rand(2, 3, 9, 7) * 2 - 1
    assert torch.allclose(colour.lab_to_rgb(colour.rgb_to_lab(images)), images, atol=1e-4)
    grey = torch.rand(2, 1, 9, 7) * 2 - 1
    assert torch.equal(colour.lightness(grey), colour.lightness(grey.expand(-1, 3, -1, -1)))


def test_a_true_colour_is_spread_over_the_nearest_cells_and_drawn_again() -> None:
    cells = colour.cells()
    assert cells.shape == (261, 2)
    ab = colour.rgb_to_lab(torch.rand(2, 3, 4, 4) * 2 - 1)[:, 1:]
    truth = colour.encode(ab, cells)
    assert torch.allclose(truth.sum(1), torch.ones(2, 4, 4), atol=1e-5)
    nearest = torch.cdist(ab.permute(0, 2, 3, 1).reshape(-1, 2), cells).argmin(1)
    assert torch.equal(truth.argmax(1).flatten(), nearest)
    assert (truth > 0).sum(1).eq(colour.NEAREST).all()
    drawn = colour.decode((truth + 1e-12).log() / colour.SHARPER, cells)  # the mean of a spread colour is near it
    assert (drawn - ab).norm(dim=1).max() < 12


def test_rare_cells_weigh_more_and_the_mean_weight_is_one() -> None:
    frequencies = torch.tensor([0.7, 0.2, 0.1, 0.0])
    weights = colour.weigh(frequencies)
    assert torch.equal(weights.argsort(), torch.arange(4))
    assert float((weights * frequencies).sum()) == pytest.approx(1)


def colouring(**changes: Any) -> rbdn.RBDN:
    config = rbdn.Config(branches=1, width=8, depth=2, optimiser="adam", lr=1e-2, last_lr=1.0, colours=True, **changes)
    torch.manual_seed(0)
    return rbdn.RBDN(config, Facts(3, 16, 16, source_channels=1))


def test_a_network_learns_which_lightness_has_which_colour() -> None:
    """Dark images are blue, light ones are yellow; the colours come back from grey images of any size."""
    game = colouring()
    dark, light = torch.tensor([-0.9, -0.9, 0.6]), torch.tensor([0.9, 0.8, -0.6])
    target = torch.stack([dark, light] * 4)[:, :, None, None].expand(-1, -1, 16, 16).contiguous()
    source = colour.lab_to_rgb(torch.cat([colour.lightness(target) + 50, torch.zeros(8, 2, 16, 16)], 1))[:, :1]
    player = game.players()["generator"]
    for step in range(60):
        move = next(game.play(iter([Paired(source, target)]), Clock(step, 0, 0, 0.0)))
        player.zero_grad()
        move.terms["colour"].backward()
        player.step()
    game.eval()
    drawn = game.translate(source[:2, :, :13, :15])
    assert drawn.shape == (2, 3, 13, 15)
    assert (drawn - target[:2, :, :13, :15]).abs().mean() < 0.15
    assert game.generator.frequencies.sum() == pytest.approx(1, abs=1e-4)


def test_images_without_colour_teach_nothing_and_grey_targets_are_refused() -> None:
    game = colouring()
    grey = torch.rand(2, 1, 16, 16).expand(-1, 3, -1, -1)
    move = next(game.play(iter([Paired(grey[:, :1], grey)]), Clock(0, 0, 0, 0.0)))
    assert float(move.terms["colour"].detach()) == 0
    with pytest.raises(ModelError, match="the targets have 1 channels, not 3"):
        rbdn.RBDN(rbdn.Config(branches=1, colours=True), Facts(1, 16, 16))


def test_the_network_is_that_of_the_authors_but_for_the_cells() -> None:
    torch.manual_seed(0)
    theirs = official.network("rbdn", "net definition", file=Colour.file, num_output_64_replaced_by=5).network
    ours = colour.ColourNet(theirs["trunk"], theirs["back"], 5)
    ours.last.weight.data.copy_(theirs["bins"].weight[:261])
    ours.last.bias.data.copy_(theirs["bins"].bias[:261])
    light = torch.randn(2, 1, 32, 32) * 50
    theirs.eval()
    expected = theirs["bins"](theirs["back"](theirs["trunk"](light)[0]))[:, :261]
    assert expected.shape == (2, 261, 8, 8)
    assert torch.allclose(ours.eval()(light), expected)
