"""RBDN: maxima go back to where they were found, any size is translated, the Caffe definitions are met."""

import json
from dataclasses import replace
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
from ganforge.engine import Engine
from ganforge.errors import ModelError
from ganforge.game import Clock
from ganforge.inference.inference_mode import inference_mode
from ganforge.models import rbdn
from ganforge.official.rbdn import euclidean, folded
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
