"""Other people's networks, met by ours: keys, weights, outputs, running statistics, training."""

import os
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ganforge import official
from ganforge.batches import Facts
from ganforge.errors import ModelError, WeightsError
from ganforge.models import dcgan, wgan
from ganforge.official import Adapter
from tests.support import goldens
from tests.support.goldens import Golden
from tests.support.witness import Witness, as_images, compare, ours

BY_HAND: dict[str, str] = {  # goldens that one forward does not meet, each with its reason
    **dict.fromkeys(("srgan/Lornatang_SRResNet_x2", "srgan/Lornatang_SRResNet_x4"), "also without the clamp"),
    **dict.fromkeys(("srgan/Lornatang_ContentLoss_recipe", "esrgan/PerceptualLoss_recipe"), "keys of a wrapper"),
    "srgan/Lornatang_DiscriminatorForVGG": "its input is enlarged first, and its features are recorded as well",
    "srgan/leftthomas_Discriminator_recipe": "its input is enlarged first",
    "srgan/tensorlayer_SRGAN_d": "its input is enlarged first, and its count includes moving statistics",
    "srgan/tensorlayer_SRGAN_d2_recipe": "its count includes moving statistics",
    "srgan/tensorlayer_SRGAN_g_recipe": "its count includes moving statistics",
    "esrgan/BasicSR_VGGStyleDiscriminator128": "its input is enlarged first",
    **dict.fromkeys(
        (f"gan_cls/{n}" for n in ("lua_cls_coco_netD", "lua_cls_coco_large_netD", "aelnouby_discriminator_recipe")),
        "its input is enlarged first",
    ),
    **dict.fromkeys(
        (f"gigagan/{n}" for n in ("Discriminator_text", "Generator_text", "TextEncoder", "UnetUpsampler_text")),
        "test_gigagan.py",
    ),
    **dict.fromkeys((f"gigagan/{n}" for n in ("UnetUpsampler_uncond", "VisionAidedDiscriminator")), "test_gigagan.py"),
    **dict.fromkeys((f"stackgan/{n}" for n in ("CA_NET", "STAGE2_D", "STAGE2_G")), "test_stackgan.py"),
    **dict.fromkeys((f"anogan/official_{n}" for n in ("Generator", "Discriminator", "Encoder")), "test_anogan.py"),
    **dict.fromkeys((f"lostgans/{n}" for n in ("mask_v1", "G_v1_64", "G_v2_128", "G_v2_256")), "test_lostgans.py"),
    **{g.name: "test_hyperstyle.py" for g in goldens.goldens("hyperstyle")},
    **dict.fromkeys((f"r3gan/{n}" for n in ("losses", "ops", "schedule_cosine")), "no networks: test_r3gan.py"),
}
ELSEWHERE = {
    "text_encoder": "gan_cls",
    "stylegan2": "stylegan2_nv",
    "e4e": "hyperstyle",
}  # {system: the folder in which its goldens are}
GOLDENS = [g for system in official.systems() for g in goldens.goldens(system) if g.name not in BY_HAND]
CASES = [pytest.param(g, id=g.name) for g in GOLDENS] or [pytest.param(None, marks=goldens.needed, id="none")]
SIZES = [
    pytest.param("dcgan", "Generator", {"globals": {"nz": 5, "ngf": 4, "ndf": 4, "nc": 1}, "ngpu": 1}, id="dcgan.G"),
    pytest.param("dcgan", "_netD", {"globals": {"nz": 5, "ngf": 4, "ndf": 6, "nc": 2}, "ngpu": 1}, id="dcgan.D"),
    *(
        pytest.param("wgan", name, {"isize": 32, "nz": 5, "nc": 2, f"n{name[-1].lower()}f": 4, "ngpu": 1}, id=name)
        for name in ("MLP_G", "MLP_D")
    ),
    *(
        pytest.param("wgan", name, dict(isize=32, nz=5, nc=2, ngpu=0, n_extra_layers=2, **width), id=name)
        for name, width in [
            ("DCGAN_G", {"ngf": 4}),
            ("DCGAN_G_nobn", {"ngf": 4}),
            ("DCGAN_D", {"ndf": 4}),
            ("DCGAN_D_nobn", {"ndf": 4}),
        ]
    ),
    *(
        pytest.param("pix2pix", name, {"input_nc": 2, **options}, id=f"{name}-{'-'.join(map(str, options.values()))}")
        for name, options in [
            ("UnetGenerator", {"output_nc": 1, "num_downs": 6, "ngf": 2, "norm": "instance", "use_dropout": True}),
            ("UnetGenerator", {"output_nc": 1, "num_downs": 3, "ngf": 2, "norm": "none"}),
            ("ResnetGenerator", {"output_nc": 1, "ngf": 2, "norm": "none", "use_dropout": True, "n_blocks": 2}),
            ("ResnetGenerator", {"output_nc": 1, "ngf": 2, "padding_type": "zero", "use_dropout": True}),
            ("ResnetGenerator", {"output_nc": 1, "ngf": 2, "padding_type": "replicate", "norm_layer": "instance"}),
            ("NLayerDiscriminator", {"ndf": 2, "n_layers": 1, "norm": "instance"}),
            ("PixelDiscriminator", {"ndf": 2, "norm": "none"}),
            ("define_G", {"output_nc": 1, "ngf": 2, "netG": "resnet_6blocks", "init_type": "orthogonal"}),
            ("define_D", {"ndf": 2, "netD": "n_layers", "n_layers_D": 2, "init_type": "kaiming"}),
        ]
    ),
]


def small() -> Adapter:
    return official.network("wgan", "DCGAN_D", isize=16, nz=4, nc=1, ndf=4, ngpu=1)


# -- the recorded numbers ---------------------------------------------------------------------


@goldens.needed
def test_every_system_has_goldens():
    folders = [goldens.SHARED / "golden" / folder for folder in goldens.FOLDERS]
    systems = {ELSEWHERE.get(system, system) for system in official.systems()}
    assert all(any([*(folder / system).glob("*.json")] for folder in folders) for system in systems)


@pytest.mark.parametrize("golden", CASES)
def test_outputs(golden: Golden):
    for mode in golden.modes:
        network = build(golden)
        weights = golden.weights(network)
        official.load(network, weights).train(mode == "train")
        with torch.no_grad():
            answers = flat([network(*golden.inputs()) for _ in range(golden.calls)])
        for answer, expected in zip(answers, golden.outputs(mode), strict=True):
            torch.testing.assert_close(answer, expected, **golden.tolerance)
        after = weights | golden.io(f"after.{mode}.")
        torch.testing.assert_close(network.state_dict(), dict(after), rtol=0.0, atol=2e-5)


@pytest.mark.parametrize("golden", CASES)
def test_sizes(golden: Golden):
    assert sum(p.numel() for p in build(golden).parameters()) == golden.parameters
    for arguments, count, keys in golden.defaults():
        with torch.device("meta"):
            sizes = {"class": golden.class_name, **arguments}  # of a wrapper, where programs save that
            network = official.network(golden.facts["system"], sizes.pop("class"), file=golden.file, **sizes)
        assert [(key, tuple(value.shape)) for key, value in network.state_dict().items()] == keys
        assert sum(p.numel() for p in network.parameters()) == count


def build(golden: Golden) -> Adapter:
    positional, named = golden.arguments
    return official.network(golden.facts["system"], golden.class_name, *positional, file=golden.file, **named)


def flat(answer: Any) -> list[Tensor]:
    if isinstance(answer, Tensor):
        return [answer]
    parts = answer.values() if isinstance(answer, Mapping) else answer
    return [tensor for part in parts for tensor in flat(part)]


# -- the recorded training --------------------------------------------------------------------


@goldens.needed
def test_train_dcgan():
    table = goldens.table("dcgan", "TRAIN_dcgan")
    game = dcgan.DCGAN(dcgan.Config(latent=16, width=8), Facts(3, 64, 64))
    sizes = {"nz": 16, "ngf": 8, "ndf": 8, "nc": 3}
    game.generator.load_state_dict(ours("dcgan", "Generator", table.weights["G"], globals=sizes))
    game.discriminator.load_state_dict(ours("dcgan", "Discriminator", table.weights["D"], globals=sizes))
    said: list[Tensor] = []
    game.discriminator.register_forward_hook(lambda _net, _in, logits: said.append(logits.detach().sigmoid().mean()))
    engine = Witness(game, as_images(table.inputs["x"]), [[z] for z in table.inputs["z"].flatten(2)])
    engine.train()

    measured = {f"step0.gradnorm.{p[0].upper()}": length for p, length in engine.lengths.items()}
    for step in range(3):
        on_d, on_g = engine.recorded.of("discriminator")[step], engine.recorded.of("generator")[step]
        measured |= {f"step{step}.D": on_d["real"] + on_d["fake"], f"step{step}.G": on_g["fool"]}
        measured |= {f"step{step}.{name}": said[3 * step + i] for i, name in enumerate(["Dx", "DGz1", "DGz2"])}
    compare(measured, table)


@goldens.needed
@pytest.mark.parametrize("optimiser", ["rmsprop", "adam"])
def test_train_wgan(optimiser: Any):
    table = goldens.table("wgan", "TRAIN_wgan")
    config = wgan.Config(
        latent=12,
        width=8,
        clip="before",
        optimiser=optimiser,
        critic_moves=2,
        thorough_moves=3,
        thorough_start=1,
    )
    game = wgan.WGAN(config, Facts(3, 32, 32))
    sizes = {"isize": 32, "nz": 12, "nc": 3, "ngpu": 1}
    game.generator.load_state_dict(ours("wgan", "DCGAN_G", table.weights["G"], **sizes, ngf=8))
    game.critic.load_state_dict(ours("wgan", "DCGAN_D", table.weights["D"], **sizes, ndf=8))
    z, last = table.inputs["zD"].flatten(2), table.inputs["zG"].flatten(2)
    engine = Witness(game, as_images(table.inputs["x"]), [[*z[:3], last[0]], [*z[3:], last[1]]])
    engine.train()

    measured = {"gradnorm.D": engine.lengths["critic"], "gradnorm.G": engine.lengths["generator"]}
    for i, terms in enumerate(engine.recorded.of("critic")):  # their D is our -f, so E[D(x)] is our term `real`
        measured |= {f"critic{i}.real": terms["real"], f"critic{i}.fake": -terms["fake"]}
        measured[f"critic{i}.D"] = -terms["distance"]
    measured |= {f"gen{i}.G": terms["fool"] for i, terms in enumerate(engine.recorded.of("generator"))}
    measured["maxabsD"] = torch.stack([p.detach().abs().max() for p in game.critic.parameters()]).max()
    compare(measured, table, f"{optimiser}.")


# -- without recorded numbers -----------------------------------------------------------------


@pytest.mark.parametrize(("system", "name", "arguments"), SIZES)
def test_keys_are_a_bijection(system: str, name: str, arguments: dict[str, Any]):
    network = official.network(system, name, **arguments)
    keys = network.keys()
    assert list(network.state_dict()) == list(keys)
    assert sorted(keys.values()) == sorted(network.network.state_dict())
    assert set(network.layers) & set(keys.values()) == set()


@pytest.mark.parametrize(("system", "name", "arguments"), SIZES)
def test_weights_come_back_as_they_went_in(system: str, name: str, arguments: dict[str, Any]):
    one, other = (official.network(system, name, **arguments) for _ in range(2))
    weights = {key: value + 1 for key, value in one.state_dict().items()}
    torch.testing.assert_close(official.load(other, weights).state_dict(), weights, rtol=0, atol=0)
    nested = nn.ModuleDict({"net": one})  # inside another module, too
    nested.load_state_dict({f"net.{key}": value for key, value in weights.items()})
    torch.testing.assert_close(one.network.state_dict(), other.network.state_dict(), rtol=0, atol=0)


def test_an_official_critic_scores_as_ours_in_the_mirror():
    network, pictures = small().eval(), torch.randn(3, 1, 16, 16)
    torch.testing.assert_close(network(pictures), -network.network(pictures).mean().reshape(1))


def test_parallel_and_ageing_weights_load():
    network = small()
    weights = {f"module.{key}": value for key, value in network.state_dict().items() if "num_batches" not in key}
    assert not any("num_batches" in key for key in weights)
    official.load(network, weights)


def test_statistics_that_old_torch_kept_for_nothing_are_left_out():
    network = official.network("cyclegan", "NLayerDiscriminator", 3, 4, norm="instance")
    weights = network.state_dict()
    old = {"model.3.running_mean": torch.zeros(8), "model.3.running_var": torch.ones(8)}
    official.load(network, {**weights, **old})
    with pytest.raises(WeightsError, match=r"unexpected: model.3.weight, model.3.running_mean"):
        official.load(network, {**weights, "model.3.weight": torch.ones(8), **old})


def test_wrong_weights_are_named():
    network, weights = small(), small().state_dict()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    weights["surplus"] = torch.zeros(1)
    weights["main.pyramid:8:batchnorm.bias"] = torch.zeros(3)
    del weights["main.final:8-1:conv.weight"]
    with pytest.raises(WeightsError) as caught:
        official.load(network, weights)
    said = str(caught.value)
    assert "missing: main.final:8-1:conv.weight;" in said
    assert "unexpected: surplus;" in said
    assert "main.pyramid:8:batchnorm.bias is 3 where the network has 8" in said
    torch.testing.assert_close(network.state_dict(), before, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("wgam", "DCGAN_D"), "no official system 'wgam'; there are .*wgan"),
        (("_adapter", "Adapter"), "no official system"),
        (("wgan", "DCGAN"), "no class 'DCGAN'; it has DCGAN_G, .*MLP_D"),
        (("wgan", "MLP_G", 32), "missing a required argument: 'nz'"),
        (("wgan", "DCGAN_G", 48, 100, 3, 64, 1), "isize=48"),
    ],
)
def test_what_does_not_exist_is_named(arguments: tuple[Any, ...], said: str):
    with pytest.raises(ModelError, match=said):
        official.network(*arguments)


# -- files ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["safetensors", "zip", "legacy"])
def test_files_are_read(kind: str, tmp_path: Path):
    weights, path = dict(small().state_dict()), tmp_path / "netD.pth"
    if kind == "safetensors":
        path = path.with_suffix(".safetensors")
        save_file(weights, path)
    else:
        torch.save(weights, path, _use_new_zipfile_serialization=kind == "zip")
    torch.testing.assert_close(official.read(path), weights)


def test_a_file_of_several_networks_asks_for_one(tmp_path: Path):
    path, weights = tmp_path / "both.pt", dict(small().state_dict())
    torch.save({"netD": weights, "netD_ema": weights, "epoch": 3}, path)
    torch.testing.assert_close(official.read(path, "netD"), weights)
    with pytest.raises(WeightsError, match="Its entries are netD, netD_ema: name one of them with --entry"):
        official.read(path)


@pytest.mark.parametrize("how", ["pickle", "zip", "legacy"])
def test_nothing_in_a_file_runs(how: str, tmp_path: Path):
    path, trace = tmp_path / "evil.pth", tmp_path / "it ran"
    evil = {"main.0.weight": torch.zeros(1), "trap": Trap(trace)}
    if how == "pickle":
        path.write_bytes(pickle.dumps(evil))
    else:
        torch.save(evil, path, _use_new_zipfile_serialization=how == "zip")
    with pytest.raises(WeightsError, match=f"^{re.escape(str(path))} is not a"):
        official.read(path)
    assert not trace.exists()
    pickle.loads(pickle.dumps(evil))
    assert trace.exists(), "the trap is a real one"


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize("name", ["torn.pth", "torn.safetensors", "none.pth"])
def test_damaged_files_are_named(name: str, tmp_path: Path):
    path = tmp_path / name
    if name != "none.pth":
        torch.save(small().state_dict(), path)
        path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(WeightsError, match=re.escape(str(path))):
        official.read(path)
