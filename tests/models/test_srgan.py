"""SRGAN: reduction by MATLAB's rule, two stages by the step, official networks, VGG from a file."""

import json
import math
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
from ganforge.batches import Enlarged, Facts
from ganforge.engine import Engine
from ganforge.errors import ModelError, WeightsError
from ganforge.game import Clock
from ganforge.images import read
from ganforge.inference.inference_mode import inference_mode
from ganforge.models import srgan
from ganforge.nn.bicubic import bicubic, weights
from ganforge.nn.losses import gan_loss
from ganforge.nn.superresolution import MSRResNet
from ganforge.nn.vgg import VGG, load_vgg
from ganforge.official.esrgan import interpolated
from ganforge.official.srgan import variation
from tests.support import goldens
from tests.support.goldens import SHARED, Golden
from tests.support.toys import make_loader

TINY, FACTS = srgan.presets["tiny"], Facts(3, 16, 16)
SETS = SHARED / "data" / "sr"


def played(steps: int = 6, facts: Facts = FACTS, **config: Any) -> Engine:
    torch.manual_seed(0)
    game = srgan.SRGAN(replace(TINY.config, **config), facts)
    run = replace(TINY.run, steps=steps, sample_every=0, save_every=0)
    return Engine(game, run, make_loader(run, facts, Enlarged))


def terms(game: srgan.SRGAN, step: int) -> list[tuple[str, set[str]]]:
    """The moves of a step, with their terms."""
    batches = iter([Enlarged.example(2, game.facts)])
    return [(m.player, {k for k in m.terms if k[:5] != "says_"}) for m in game.play(batches, Clock(step=step))]


# -- the game ------------------------------------------------------------------------------------


def test_stages_differ_in_the_loss_alone():
    game = srgan.SRGAN(replace(TINY.config, pretraining=2), FACTS)
    assert terms(game, 0) == terms(game, 1) == [("generator", {"pixel"})]
    assert terms(game, 2) == [("discriminator", {"real", "fake"}), ("generator", {"pixel", "fool"})]


def test_the_rate_drops_at_its_steps():
    game = srgan.SRGAN(replace(TINY.config, lr=1.0, drops=(3, 5), drop=0.1), FACTS)
    rates = []
    for step in (2, 3, 5):
        players = game.players()
        game.tune(players, Clock(step=step))
        rates.append(players["generator"].param_groups[0]["lr"])
    assert rates == pytest.approx([1.0, 0.1, 0.01])


@pytest.mark.parametrize("generator", ["srresnet", "msrresnet", "rrdb"])
@pytest.mark.parametrize("scale", [2, 4, 8])
def test_every_size_is_enlarged(generator: str, scale: int):
    game = srgan.SRGAN(replace(TINY.config, generator=generator, scale=scale, width=4, growth=2), FACTS)
    with inference_mode(game):
        answer = game.translate(torch.rand(1, 3, 5, 7) * 2 - 1)
    assert answer.shape == (1, 3, 5 * scale, 7 * scale)
    assert answer.abs().max() <= 1


def test_sides_must_be_multiples_of_the_scale():
    with pytest.raises(ModelError, match="18 x 16 cannot be reduced by 4"):
        srgan.SRGAN(replace(TINY.config, scale=4), Facts(3, 18, 16))
    with pytest.raises(ModelError, match="by 2, 4 or 8, not by 3"):
        srgan.SRGAN(replace(TINY.config, scale=3, generator="rrdb"), Facts(3, 18, 18))


def test_a_modified_srresnet_begins_near_the_enlargement():
    low = torch.rand(1, 3, 6, 6)
    torch.manual_seed(0)
    made = MSRResNet(3, 4, 8, 2)(low)
    torch.testing.assert_close(made, F.interpolate(low, scale_factor=4.0, mode="bilinear"), rtol=0, atol=0.3)


def test_a_relativistic_discriminator_compares():
    """Shifting every logit by the same number changes nothing."""
    losses = []
    for shift in (0.0, 5.0):
        game = srgan.SRGAN(replace(TINY.config, relativistic=True, pretraining=0), FACTS)
        torch.manual_seed(1)
        for parameter in game.parameters():
            torch.nn.init.normal_(parameter, 0, 0.1)
        game.discriminator[-2].bias.data += shift
        batches = iter([Enlarged.example(4, FACTS)])
        moves = list(game.eval().play(batches, Clock()))
        losses.append([moves[0].terms["real"], moves[0].terms["fake"], moves[1].terms["fool"]])
    torch.testing.assert_close(losses[0], losses[1])


def test_vgg_is_needed_for_training_only(tmp_path: Path):
    engine = played()
    assert not any("features" in key for key in engine.game.state_dict())
    game = srgan.SRGAN(replace(TINY.config, content="vgg", vgg=str(tmp_path / "none.pth")), FACTS)
    with inference_mode(game):
        game.translate(torch.zeros(1, 3, 8, 8))
    with pytest.raises(WeightsError, match=r"none.pth: get torchvision's vgg19-dcbb9e9d.pth and name it with"):
        game.players()


def test_content_as_vgg_sees_it(tmp_path: Path):
    torch.manual_seed(0)
    extractor, path = VGG(19, ["relu2_2"]), tmp_path / "vgg19.pth"
    torch.save({**extractor.state_dict(), "classifier.0.weight": torch.zeros(1)}, path)
    engine = played(4, content="vgg", vgg=str(path), vgg_layer="relu2_2", pixel_weight=0.01)
    before = {key: value.clone() for key, value in engine.game.extractor.load().state_dict().items()}
    engine.train()
    row = engine.means.take() or {}
    assert terms(engine.game, 3)[1] == ("generator", {"vgg", "pixel", "fool"})
    torch.testing.assert_close(engine.game.extractor.load().state_dict(), before, rtol=0, atol=0)
    assert row == {} or math.isfinite(row["generator/vgg"])
    torch.save({"features.0.weight": torch.zeros(2)}, path)
    with pytest.raises(WeightsError, match=r"does not hold torchvision's weights of VGG-19: features.0.weight"):
        load_vgg(path, 19, ["relu2_2"])
    path.write_bytes(b"torn")
    with pytest.raises(WeightsError, match="is damaged, or not a torch file"):
        load_vgg(path, 19, ["relu2_2"])


# -- reduction by MATLAB's rule ------------------------------------------------------------------


def test_reduction_keeps_what_is_linear_and_averages_what_would_alias():
    ramp = torch.linspace(-1, 1, 64).expand(1, 1, 32, 64)
    low = bicubic(ramp, 0.25)
    assert low.shape == (1, 1, 8, 16)
    expected = ramp.unflatten(3, (16, 4)).mean(4)[:, :, :8]
    torch.testing.assert_close(low[..., 2:-2], expected[..., 2:-2])  # the middle of four pixels
    stripes = torch.tensor([1.0, -1.0]).repeat(16).expand(1, 1, 32, 32)
    assert bicubic(stripes, 0.5)[..., 2:-2].abs().max() < 0.05
    assert bicubic(torch.ones(1, 2, 7, 9), 0.3).sub(1).abs().max() < 1e-6


@goldens.needed
def test_reduction_equals_the_recorded_one():
    io = load_file(SHARED / "golden" / "generation" / "srgan" / "Lornatang_imresize_and_metrics.io.safetensors")
    picture = io["in.im"].clamp(0, 1)[:1]
    for scale in (0.25, 0.5, 0.3, 2.0, 4.0):
        torch.testing.assert_close(bicubic(picture, scale)[0], io[f"out.imresize_{scale}"], rtol=0, atol=1e-5)


@pytest.mark.skipif(not SETS.is_dir(), reason="no super-resolution sets: set GANFORGE_SHARED")
def test_reduction_equals_matlab_on_the_given_images():
    """Theirs are MATLAB's, rounded after each axis; the large images were cut at their borders afterwards."""
    for name in ("Set5/{}/bird", "Set5/{}/butterfly", "Set14/{}/zebra", "Set14/{}/ppt3"):
        high, low = (read(SETS / f"{name.format(kind)}.png").astype(np.float32) for kind in ("HR", "LRx4"))
        down, across = (weights(side, 0.25) for side in high.shape[:2])
        halfway = (down @ torch.from_numpy(high).permute(2, 0, 1)).round().clamp(0, 255)
        made, given = (halfway @ across.T).round().clamp(0, 255), torch.from_numpy(low).permute(2, 0, 1)
        apart = (made - given)[:, 4:-4, 4:-4].abs()
        assert apart.max() <= 1
        assert (apart > 0).float().mean() < 3e-3
        at_once = bicubic(torch.from_numpy(high).permute(2, 0, 1)[None], 0.25)[0]
        torch.testing.assert_close(at_once, down @ torch.from_numpy(high).permute(2, 0, 1) @ across.T)


# -- other people's networks ---------------------------------------------------------------------


def golden(name: str) -> Golden:
    return next(g for system in ("srgan", "esrgan") for g in goldens.goldens(system) if g.path.name == name)


def loaded(found: Golden, prefix: str = "") -> official.Adapter:
    """The official network of a golden, with its weights, in eval mode."""
    positional, named = found.arguments
    network = official.network(found.facts["system"], found.class_name, *positional, file=found.file, **named)
    keys = {f"{prefix}{key}": key for key in network.state_dict()}
    spec = {key: spec for key, spec in found.facts.get("weight_spec", {}).items() if key in keys}
    found = Golden(found.path, {**found.facts, "weight_spec": spec})
    holder = torch.nn.Module()
    holder.state_dict = lambda: {full: network.state_dict()[key] for full, key in keys.items()}  # pyright: ignore
    weights = found.weights(holder)
    return official.load(network, {keys[key]: value for key, value in weights.items()}).eval()


def grown(small: Tensor, side: int) -> Tensor:
    return F.interpolate(small, size=(side, side), mode="bilinear", align_corners=False)


@goldens.needed
@pytest.mark.parametrize("name", ["Lornatang_SRResNet_x2", "Lornatang_SRResNet_x4"])
def test_lornatang_generators(name: str):
    found = golden(name)
    network, low = loaded(found), found.inputs()[0]
    clamped, free = found.outputs("eval")[:2]
    torch.testing.assert_close(network(low), clamped, **found.tolerance)
    torch.testing.assert_close(network.network(low), free, **found.tolerance)


@goldens.needed
@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("Lornatang_DiscriminatorForVGG", 96),
        ("leftthomas_Discriminator_recipe", 88),  # how it was enlarged is not documented: this gives the values to 5e-8
        ("tensorlayer_SRGAN_d", 128),
        ("BasicSR_VGGStyleDiscriminator128", 128),
    ],
)
def test_discriminators_of_enlarged_images(name: str, side: int):
    found = golden(name)
    network, small = loaded(found), found.inputs()[0]
    torch.testing.assert_close(network(grown(small, side)), found.outputs("eval")[0], **found.tolerance)


@goldens.needed
def test_content_losses():
    for name, prefix in (("Lornatang_ContentLoss_recipe", "L."), ("PerceptualLoss_recipe", "p.")):
        found = golden(name)
        network = loaded(found, prefix)
        made, true = (grown(images.clamp(0, 1), 64) for images in found.inputs())
        answers = network(made, true)
        if name.startswith("Lornatang"):
            answers = [answers, network.network(made)[0][:, ::32]]
        for answer, expected in zip(answers, found.outputs("eval"), strict=True):
            torch.testing.assert_close(answer, expected, **found.tolerance)


@goldens.needed
@pytest.mark.parametrize("name", ["SRGAN_d", "SRGAN_d2_recipe", "SRGAN_g_recipe"])
def test_tensorlayer_counts_what_its_norms_remember_as_well(name: str):
    network = loaded(golden(f"tensorlayer_{name}"))
    parameters = sum(parameter.numel() for parameter in network.parameters())
    moving = sum(m.num_features * 2 for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d))
    assert parameters + moving == golden(f"tensorlayer_{name}").parameters
    assert moving > 0


@goldens.needed
def test_leftthomas_losses():
    path = SHARED / "golden" / "generation" / "srgan" / "leftthomas_losses"
    found = Golden(path, {**json.loads(path.with_suffix(".json").read_text()), "class_name": "GeneratorLoss"})
    network = loaded(found, "g.")
    made, true, said = found.inputs()
    whole = network(said.sigmoid().mean(), grown(made, 48), grown(true, 48))
    parts = whole, variation(made), network.perceptual(grown(made, 48), grown(true, 48))
    for part, expected in zip(parts, found.outputs("eval"), strict=True):
        torch.testing.assert_close(part, expected, **found.tolerance)


@goldens.needed
def test_esrgan_losses_and_interpolation():
    """The relativistic losses, on recorded logits."""
    folder = SHARED / "golden" / "generation" / "esrgan"
    io = load_file(folder / "losses.io.safetensors")

    class Says(torch.nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images.mean((1, 2, 3))

    game = srgan.SRGAN(replace(TINY.config, relativistic=True, pretraining=0, fool_weight=5e-3), FACTS)
    game.discriminator = Says()
    real, fake = (logits.view(4, 1, 1, 1).expand(4, 3, 16, 16) for logits in (io["in.real"], io["in.fake"]))
    game.generator = torch.nn.Module()
    game.generator.forward = lambda low: (fake + 1) / 2  # pyright: ignore
    on_d, on_g = game.play(iter([Enlarged(real)]), Clock())
    answers = on_g.terms["fool"], on_d.terms["real"], on_d.terms["fake"]
    for answer, name in zip(answers, ("g_relativistic", "d_real", "d_fake"), strict=True):
        torch.testing.assert_close(answer, io[f"out.{name}"], rtol=0, atol=1e-6)
    weight = {"l1": 1e-2, "mse": 1.0}  # what the record was made with
    for name, error in (("l1", "absolute"), ("mse", "squared")):
        pixels = srgan.SRGAN(replace(TINY.config, error=error), FACTS).differ(io["in.a"], io["in.b"])
        torch.testing.assert_close(weight[name] * pixels, io[f"out.{name}"])
    for name, objective in (("vanilla", "vanilla"), ("lsgan", "lsgan"), ("wgan", "wgangp")):
        answers = {
            f"{name}_D_{kind}": gan_loss(io[f"in.{kind}"], kind == "real", objective) for kind in ("real", "fake")
        }
        for key, answer in {**answers, f"{name}_G": gan_loss(io["in.fake"], True, objective)}.items():
            torch.testing.assert_close(answer, io[f"out.{key}"])
    for who in ("D_real", "D_fake", "G"):  # softplus of the scores is the cross entropy of logits
        torch.testing.assert_close(io[f"out.wgan_softplus_{who}"], io[f"out.vanilla_{who}"])
    io = load_file(folder / "net_interp.io.safetensors")
    mixed = interpolated({"w": io["in.psnr"]}, {"w": io["in.esrgan"]}, 0.8)
    torch.testing.assert_close(mixed["w"], io["out.w"])


def test_the_first_release_numbers_the_same_layers():
    """RRDB_Net and RRDBNet hold the same weights under other names, as the official converter pairs them."""
    torch.manual_seed(0)
    old, new = (official.network("esrgan", name, 3, 3, 8, 2, gc=4, **more) for name, more in FIRST_RELEASE)
    weights = {key: torch.randn_like(value) / 8 for key, value in old.state_dict().items()}
    pairs = {"model.0.": "conv_first.", "model.1.sub.2.": "trunk_conv.", "model.3.": "upconv1.", "model.6.": "upconv2."}
    pairs |= {"model.8.": "HRconv.", "model.10.": "conv_last.", "model.1.sub.": "RRDB_trunk."}
    renamed = {}
    for key, value in weights.items():
        start = next(start for start in pairs if key.startswith(start))
        theirs = pairs[start] + key.removeprefix(start)
        renamed[theirs.replace(".0.weight", ".weight").replace(".0.bias", ".bias")] = value
    official.load(old, weights)
    official.load(new, renamed)
    low = torch.rand(1, 3, 4, 5)
    torch.testing.assert_close(old(low), new(low), rtol=0, atol=0)


FIRST_RELEASE: list[tuple[str, dict[str, Any]]] = [("RRDB_Net", {}), ("RRDBNet", {"file": "RRDBNet_arch.py"})]


def test_equal_names_are_distinguished_by_their_arguments():
    new = official.network("esrgan", "RRDBNet", num_in_ch=3, num_out_ch=3, num_feat=4, num_block=1, num_grow_ch=2)
    assert "body.0.rdb1.conv1.weight" in new.state_dict()
    old = official.network("esrgan", "RRDBNet", in_nc=3, out_nc=3, nf=4, nb=1, gc=2)
    assert "RRDB_trunk.0.RDB1.conv1.weight" in old.state_dict()
    with pytest.raises(ModelError, match="RRDBNet in 2 files"):
        official.network("esrgan", "RRDBNet", 3, 3, 4, 1, 2)


def test_counters_that_others_do_not_keep_stay():
    network = official.network("srgan", "SRGAN_d", dim=1)
    assert not any("num_batches" in key or key.startswith("network.") for key in network.state_dict())
    network.network[3].num_batches_tracked.fill_(7)
    official.load(network, {key: value + 1 for key, value in network.state_dict().items()})
    assert network.network[3].num_batches_tracked == 7
    assert network.network[3].bias.eq(1).all()
