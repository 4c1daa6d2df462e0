"""What makes it BicycleGAN: two cycles with one generator, and codes whose error moves the generator alone."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from ganforge import official
from ganforge.batches import Facts, Paired
from ganforge.draw import RoundDraw, RowDraw
from ganforge.errors import ModelError
from ganforge.game import Clock
from ganforge.inference.inference_mode import inference_mode
from ganforge.models.bicyclegan import BicycleGAN, Config, presets
from tests.support import goldens
from tests.support.witness import Witness, compare, ours

FACTS = Facts(3, 16, 16, source_channels=1)
CONFIG = presets["tiny"].config


def game(facts: Facts = FACTS, **changes: object) -> BicycleGAN:
    torch.manual_seed(0)
    own = BicycleGAN(replace(CONFIG, **changes), facts)
    own.draw = RoundDraw(0, 0, 0, 1, "cpu")
    return own


def pairs(n: int = 4, facts: Facts = FACTS) -> Paired:
    return Paired.example(n, facts)


# -- the game ---------------------------------------------------------------------------------


def test_the_error_of_codes_moves_the_generator_alone():
    own = game()
    moves = list(own.play(iter([pairs()]), Clock()))
    assert [move.player for move in moves] == ["generator", "discriminator", "discriminator_random"]
    terms = moves[0].terms

    def slopes(term: Tensor, network: torch.nn.Module) -> list[Tensor | None]:
        return list(torch.autograd.grad(term, list(network.parameters()), retain_graph=True, allow_unused=True))

    assert all(slope is None for slope in slopes(terms["code"], own.encoder))
    assert any(slope is not None and slope.any() for slope in slopes(terms["code"], own.generator))
    for term in ("fool", "l1", "kl"):
        assert any(slope is not None and slope.any() for slope in slopes(terms[term], own.encoder))
    assert all(slope is None for slope in slopes(terms["fool_random"], own.encoder))


def test_the_two_games_see_the_two_halves_of_a_batch():
    own, batch = game(conditional=True), pairs()
    seen: dict[str, list[Tensor]] = {"discriminator": [], "discriminator_random": []}
    for name, calls in seen.items():
        getattr(own, name).register_forward_pre_hook(lambda _net, given, calls=calls: calls.append(given[0]))
    list(own.play(iter([batch]), Clock()))
    both = torch.cat([batch.source, batch.target], 1)
    _, fake, real = seen["discriminator"]
    assert torch.equal(real, both[:2])
    assert torch.equal(fake[:, :1], batch.source[:2])
    _, fake, real = seen["discriminator_random"]
    assert torch.equal(real, both[2:])
    assert torch.equal(fake[:, :1], batch.source[:2])  # random codes about the images that were encoded


def test_a_code_of_nothing_is_free():
    own = game()
    own.encoder.forward = lambda images: (torch.zeros(len(images), 2), torch.zeros(len(images), 2))
    own.found = lambda images: torch.zeros(len(images), 2)
    first = next(own.play(iter([pairs()]), Clock()))
    assert float(first.terms["kl"]) == 0


def test_a_shared_discriminator_plays_both_games_in_one_move():
    own = game(shared=True)
    assert own.discriminator is own.discriminator_random
    assert [*own.players()] == ["generator", "discriminator"]
    moves = list(own.play(iter([pairs()]), Clock()))
    assert {"real", "fake", "real_random", "fake_random"} <= {*moves[1].terms}
    assert len(moves) == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"inject": "input", "upsample": "bilinear", "activation": "elu", "norm": "batch"},
        {"encoder": "layers", "norm": "none", "scales": 1, "gan": "vanilla", "dropout": True},
        {"scales": 3, "conditional": True, "gan": "wgangp", "activation": "lrelu"},
    ],
)
def test_options_play(changes: dict[str, Any]):
    own = game(replace(FACTS, height=32, width=48), **changes)
    for move in own.play(iter([pairs(facts=own.facts)]), Clock()):
        assert all(term.isfinite() for term in move.terms.values())


def test_one_image_becomes_many():
    own, source = game(), pairs(1).source
    with inference_mode(own):
        own.draw = RowDraw(0)
        several = own.translate(source.expand(4, -1, -1, -1))
        own.draw = RowDraw(0, 2)
        assert torch.allclose(own.translate(source)[0], several[2], atol=1e-5)  # answer k follows from (seed, k)
    assert all((several[i] - several[j]).abs().mean() > 1e-4 for i in range(4) for j in range(i))


def test_a_batch_without_halves_is_refused():
    with pytest.raises(ModelError, match="needs an even batch"):
        list(game().play(iter([pairs(3)]), Clock()))


# -- other people's numbers -------------------------------------------------------------------


@goldens.needed
@pytest.mark.parametrize("mode", ["vanilla", "lsgan", "wgangp"])
@pytest.mark.parametrize("form", ["list", "tensor"])
def test_the_authors_criterion(mode: str, form: str):
    table = goldens.table("bicyclegan", "LOSSES_bicyclegan")
    given = [table.inputs["p0"], table.inputs["p1"]] if form == "list" else table.inputs["single"]
    for real in (True, False):
        total, parts = official.network("bicyclegan", "GANLoss", mode)(given, real)
        name = f"gan.{mode}.{form}.{'real' if real else 'fake'}"
        torch.testing.assert_close(total, table.values[name].squeeze(), **table.tolerance)
        torch.testing.assert_close(torch.stack(parts), table.values[f"{name}.parts"], **table.tolerance)
        if form == "list":
            own = game(gan=mode).loss(given, real)
            torch.testing.assert_close(own, table.values[name].squeeze(), **table.tolerance)


SETTINGS: dict[str, dict[str, Any]] = {
    "default": {},
    "sameD_vanilla": {"shared": True, "gan": "vanilla"},
    "lambdas": {"fool": 0.7, "fool_random": 0.3, "l1": 3.0, "code": 2.0, "kl": 0.1},
}


@goldens.needed
@pytest.mark.parametrize("setting", SETTINGS)
def test_train(setting: str):
    table = goldens.table("bicyclegan", "TRAIN_bicyclegan")
    config = Config(width=2, judge_width=4, judge_layers=2, **SETTINGS[setting])
    own = BicycleGAN(config, Facts(3, 128, 128, source_channels=1))
    own.encoder = type(own.encoder)(3, 8, 4, 4)  # twice as wide as the generator
    unet = {"input_nc": 1, "output_nc": 3, "nz": 8, "num_downs": 7, "ngf": 2, "norm": "instance"}
    own.generator.load_state_dict(ours("bicyclegan", "G_Unet_add_all", table.weights["G"], **unet))
    encoder = {"output_nc": 8, "ndf": 4, "n_blocks": 4, "norm": "instance", "nl": "lrelu", "vaeLike": True}
    own.encoder.load_state_dict(ours("bicyclegan", "E_ResNet", table.weights["E"], **encoder))
    for name, discriminator in {"D": own.discriminator, "D2": own.discriminator_random}.items():
        if not (name == "D2" and config.shared):
            sizes = {"input_nc": 3, "ndf": 4, "n_layers": 2, "norm": "instance", "num_D": 2}
            discriminator.load_state_dict(ours("bicyclegan", "D_NLayersMulti", table.weights[name], **sizes))
    codes: list[tuple[Tensor, Tensor]] = []
    own.encoder.register_forward_hook(lambda _net, _in, out: codes.append(out))
    batches = [Paired(a, b) for a, b in zip(table.inputs["A"], table.inputs["B"], strict=True)]
    engine = Witness(own, batches, [[*noise] for noise in table.inputs["noise"]])
    engine.train()

    measured = {"mu": codes[0][0], "logvar": codes[0][1], "mu2": codes[1][0]}
    measured = {f"step0.{name}": value.detach().squeeze() for name, value in measured.items()}
    names = {"generator": "G", "encoder": "E", "discriminator": "D"}
    names |= {} if config.shared else {"discriminator_random": "D2"}
    measured |= {f"step0.gradnorm.{theirs}": engine.norms[name] for name, theirs in names.items()}
    encoded, random = (
        engine.recorded.of("discriminator"),
        engine.recorded.of("discriminator_random") or engine.recorded.of("discriminator"),
    )
    for step, (g, d, r) in enumerate(zip(engine.recorded.of("generator"), encoded, random, strict=True)):
        terms = {"G_GAN": g["fool"], "G_GAN2": g["fool_random"], "G_L1": g["l1"], "kl": g["kl"], "z_L1": g["code"]}
        terms["G_total"] = g["fool"] + g["fool_random"] + g["l1"] + g["kl"]
        terms |= {"D": d["real"] + d["fake"], "D2": r["real_random"] + r["fake_random"]}
        measured |= {f"step{step}.{name}": value for name, value in terms.items()}
    compare(measured, table, f"{setting}.")


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("G_Unet_add_all", {"nz": 4, "num_downs": 5, "ngf": 2, "norm": "none", "nl": "elu", "upsample": "bilinear"}),
        ("G_Unet_add_all", {"nz": 0, "num_downs": 6, "ngf": 2, "norm": "batch", "nl": "lrelu"}),
        ("G_Unet_add_input", {"nz": 4, "num_downs": 5, "ngf": 2, "norm": "none", "nl": "elu", "upsample": "bilinear"}),
        ("G_Unet_add_input", {"nz": 4, "num_downs": 6, "ngf": 2, "norm": "batch", "use_dropout": True}),
        ("E_ResNet", {"ndf": 4, "n_blocks": 4, "norm": "batch"}),
        ("E_ResNet", {"ndf": 4, "n_blocks": 4, "norm": "none", "vaeLike": True}),
        ("E_NLayers", {"ndf": 4, "n_layers": 4, "norm": "batch"}),
        ("E_NLayers", {"ndf": 4, "n_layers": 4, "norm": "none", "vaeLike": True}),
        ("D_NLayersMulti", {"ndf": 4, "norm": "instance", "num_D": 1}),
        ("define_G", {"nz": 0, "ngf": 2, "where_add": "all"}),
        ("define_D", {"ndf": 4, "netD": "basic_128_multi", "num_Ds": 2}),
        ("define_E", {"ndf": 4, "netE": "conv_128"}),
    ],
)
def test_every_official_option_has_keys_and_an_answer(name: str, arguments: dict[str, Any]):
    sizes = {"input_nc": 3} | ({} if name[0] == "D" or name == "define_D" else {"output_nc": 2})
    network = official.network("bicyclegan", name, **sizes, **arguments)
    own = network.network.state_dict()
    assert sorted(network.keys().values()) == sorted(own)
    official.load(network, {key: value + 1 for key, value in network.state_dict().items()})
    code = [torch.randn(1, arguments["nz"])] if arguments.get("nz") else []
    answer = network.eval()(torch.randn(1, 3, 128, 128), *code)
    for tensor in answer if isinstance(answer, (list, tuple)) else [answer]:
        assert tensor.isfinite().all()


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("G_Unet_add_all", {"norm": "group"}, "no norm 'group'; there are batch, instance, none"),
        ("G_Unet_add_all", {"nl": "gelu"}, "no non-linearity 'gelu'; there are relu, lrelu, elu"),
        ("G_Unet_add_all", {"upsample": "nearest"}, "no upsample 'nearest'; there are basic, bilinear"),
    ],
)
def test_unknown_options_are_named(name: str, arguments: dict[str, Any], said: str):
    with pytest.raises(ModelError, match=said):
        official.network("bicyclegan", name, input_nc=3, output_nc=3, nz=8, num_downs=7, **arguments)
