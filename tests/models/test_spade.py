"""What makes it SPADE: the map normalises every layer, so that uniform regions keep their names."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import ganforge
from ganforge import official
from ganforge.batches import Facts, Segmented
from ganforge.draw import Recorded, RoundDraw, RowDraw
from ganforge.engine import Engine
from ganforge.errors import ModelError, OptionError, WeightsError
from ganforge.game import Clock
from ganforge.inference.inference_mode import inference_mode
from ganforge.interop.importing import import_weights
from ganforge.models.spade import Config, GauGAN, presets
from ganforge.models.spade.generator import SPADE, Generator, find_boundaries
from ganforge.models.spade.losses import average_loss, match_features, score_loss
from ganforge.models.spade.others import encoder_side
from ganforge.nn.vgg import CONTENT, VGG
from ganforge.run import Run
from tests.support import goldens
from tests.support.witness import RecordedLoader, Witness, compare

FACTS = Facts(3, 32, 64, regions=("sky", "sea", "land"), instance_maps=True)
CONFIG = presets["tiny"].config


def game(facts: Facts = FACTS, **changes: Any) -> GauGAN:
    torch.manual_seed(0)
    own = GauGAN(replace(CONFIG, **changes), facts)
    own.draw = RoundDraw(0, 0, 0, 1, "cpu")
    return own


def maps(n: int = 2, facts: Facts = FACTS) -> Segmented:
    return Segmented.example(n, facts)


# -- the networks -----------------------------------------------------------------------------


def test_a_uniform_map_has_no_effect_after_a_norm_and_an_effect_after_spade():
    """Section 3, figure 3: without modulation every uniform map gives the same features, all of them 0."""
    torch.manual_seed(0)
    layer, enter = SPADE(4, 3, 8, "instance"), nn.Conv2d(3, 4, 1)
    for parameter in layer.parameters():
        nn.init.normal_(parameter)
    uniform = torch.eye(3)[:, :, None, None].expand(-1, -1, 8, 8)
    features = enter(uniform)
    assert features.std(0).mean() > 0.1
    assert layer.norm(features).abs().max() < 1e-2
    inside = layer(features, uniform)[:, :, 2:-2, 2:-2]
    assert min((inside[i] - inside[j]).abs().mean() for i in range(3) for j in range(i)) > 0.1


def test_boundaries_have_both_sides():
    instances = torch.tensor([[[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 3, 3], [3, 3, 3, 3]]])
    expected = torch.tensor([[0, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 1], [0, 0, 0, 0]])
    assert torch.equal(find_boundaries(instances)[0, 0], expected.float())
    assert not find_boundaries(torch.ones(1, 4, 4, dtype=torch.int64)).any()


@pytest.mark.parametrize(("layers", "doublings"), [("normal", 5), ("more", 6), ("most", 7)])
def test_the_generator_doubles_up_to_the_sides_of_any_map(layers: Any, doublings: int):
    network = Generator(3, 2, 2, layers, "batch", 4)
    seen: list[torch.Size] = []
    for block in network.blocks:
        block.register_forward_pre_hook(lambda _net, given: seen.append(given[0].shape[2:]))
    planes = torch.rand(2, 3, 2**doublings, 3 * 2**doublings)
    assert network(planes).shape == (2, 2, *planes.shape[2:])
    assert seen[0] == (1, 3)
    assert seen[-1] == planes.shape[2:]


def test_a_first_step_of_every_kind_of_layer_is_that_of_the_authors_code():
    """Weights under spectral normalisation as torch draws them, the others Xavier with gain 0.02; biases 0."""
    own = game(width=16, hidden=32)
    block: Any = own.generator.blocks[0]
    bound = (block.conv1.in_channels * 9) ** -0.5
    assert block.conv1.weight.abs().max().item() == pytest.approx(bound, rel=0.01)
    fan = 9 * (32 + 256)
    assert block.norm1.gamma.weight.std().item() == pytest.approx(0.02 * (2 / fan) ** 0.5, rel=0.05)
    assert not any(p.any() for name, p in own.generator.named_parameters() if name.endswith("bias"))
    first = own.discriminator.scales[0][0][0].weight
    assert first.std().item() == pytest.approx(0.02 * (2 / (16 * (first.shape[0] + first.shape[1]))) ** 0.5, rel=0.2)


@pytest.mark.parametrize(
    ("sides", "side"), [((1024, 256), 256), ((300, 600), 256), ((128, 255), 128), ((64, 64), 64), ((32, 4), 8)]
)
def test_the_encoder_halves_until_four_pixels_are_left(sides: tuple[int, int], side: int):
    assert encoder_side(*sides) == side


# -- the game ---------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_the_discriminator_sees_a_newly_generated_fake_beside_the_same_images(norm: Any):
    own, batch = game(judge_norm=norm), maps()
    seen: list[tuple[Tensor, ...]] = []
    own.discriminator.register_forward_pre_hook(lambda _net, given: seen.append(given))
    moves = list(own.play(iter([batch]), Clock()))
    assert [move.player for move in moves] == ["generator", "discriminator", "reader"]
    *before, (planes, second) = seen
    assert torch.equal(planes[:2], planes[2:])
    assert torch.equal(planes[0, :3].argmax(0), batch.label_map[0])
    again, first = (torch.cat(tensors) for tensors in zip(*before, strict=True))
    assert torch.equal(planes, again)
    assert torch.equal(first[2:], second[2:])
    assert torch.equal(first[2:], batch.images)
    assert not torch.equal(first[:2], second[:2])
    assert first.requires_grad
    assert not second.requires_grad


def test_the_real_half_alone_is_judged_as_in_one_batch():
    """The discriminator's vectors move once a move, and its weights are those of the fake half."""
    one, other, batch = game(), game(), maps()
    planes, fake = one.make_planes(batch.label_map, batch.instance_map), -batch.images
    apart = one.discriminate(planes, fake.clone().requires_grad_(), batch.images)
    together = other.discriminate(planes, fake, batch.images)
    for a, b in zip(apart, together, strict=True):
        torch.testing.assert_close(a, b)
    for (name, a), b in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    assert not any(x.requires_grad for scale in apart[1] for x in scale)


def test_the_style_encoder_learns_with_the_generator_from_every_term():
    own = game()
    terms = next(own.play(iter([maps()]), Clock())).terms
    weights = [*own.encoder.parameters()]
    assert {id(w) for w in weights} <= {id(p) for g in own.players()["generator"].param_groups for p in g["params"]}
    for name, term in terms.items():
        slopes = torch.autograd.grad(term, weights, retain_graph=True, allow_unused=True)
        assert any(slope is not None and slope.any() for slope in slopes), name


def test_the_reader_learns_from_real_images_alone():
    own = game()
    *_, last = own.play(iter([maps()]), Clock())
    slopes = torch.autograd.grad(last.terms["regions"], [*own.generator.parameters()], allow_unused=True)
    assert all(slope is None for slope in slopes)


def test_every_weight_moves_in_bf16():
    """Autocast keeps casts of weights, and those made without gradients have none."""
    own = game()
    engine = Engine(own, Run(steps=1, batch=2, precision="bf16", device="cpu"), RecordedLoader([maps()]))
    before = {name: p.detach().clone() for name, p in own.named_parameters()}
    engine.train()
    still = {name for name, p in own.named_parameters() if torch.equal(p, before[name])}
    assert not {name for name in still if not name.endswith("bias")}


@pytest.mark.parametrize(
    "changes",
    [
        {"use_vae": False, "content": "none", "features": 0.0},
        {"gan": "lsgan", "judge_norm": "batch", "scales": 1},
        {"gan": "vanilla", "judge_norm": "none", "judge_layers": 3},
        {"gan": "wgangp", "norm": "instance", "boundaries": False},
    ],
)
def test_options_play(changes: dict[str, Any]):
    own = game(**changes)
    names = {name for move in own.play(iter([maps()]), Clock()) for name in move.terms}
    assert ("kl" in names) == own.config.use_vae
    assert ("content" in names) == (own.config.content != "none")
    assert ("features" in names) == bool(own.config.features)
    for move in own.play(iter([maps()]), Clock()):
        assert all(term.isfinite() for term in move.terms.values())


@pytest.mark.parametrize(("weight", "term"), [("features", "features"), ("content_weight", "content"), ("kl", "kl")])
def test_the_weights_of_the_terms(weight: str, term: str):
    twice = {weight: 2 * getattr(CONFIG, weight)}
    plain, changed = (next(game(**changes).play(iter([maps()]), Clock())).terms for changes in ({}, twice))
    for name, value in plain.items():
        assert value.any(), name
        torch.testing.assert_close(changed[name], value * (2 if name == term else 1))


def test_two_rates():
    def rates(own: GauGAN) -> dict[str, tuple[float, tuple[float, float]]]:
        return {name: (g["lr"], g["betas"]) for name, o in own.players().items() for g in o.param_groups}

    assert rates(game(content="none")) == {"generator": (1e-4, (0.0, 0.9)), "discriminator": (4e-4, (0.0, 0.9))}
    assert {rate for rate, _ in rates(game(content="none", ttur=False)).values()} == {2e-4}


def test_missing_vgg_is_a_sentence():
    with pytest.raises(WeightsError, match=r"there is no nowhere.pth.*--config.content classifier"):
        game(content="vgg", vgg="nowhere.pth").players()


@pytest.mark.parametrize(
    ("facts", "changes", "said"),
    [
        (Facts(3, 32, 32), {}, "needs data with label maps"),
        (replace(FACTS, height=40), {}, r"multiples of 32, not to 40 x 64: near is --size 32 64"),
        (FACTS, {"layers": "more"}, r"multiples of 64"),
        (replace(FACTS, width=32), {"norm": "instance"}, "the least is --size 64"),
    ],
)
def test_data_that_does_not_fit_is_a_sentence(facts: Facts, changes: dict[str, Any], said: str):
    with pytest.raises(ModelError, match=said):
        game(facts, **changes)


def test_a_batch_of_one_at_the_least_side_is_a_sentence():
    own = game(replace(FACTS, width=32))
    with pytest.raises(ModelError, match=r"larger --batch, or images of --size 64"):
        next(own.play(iter([maps(1, own.facts)]), Clock()))
    assert len(list(own.play(iter([maps(2, own.facts)]), Clock()))) == 3


# -- translation ------------------------------------------------------------------------------


def test_one_map_becomes_many_images_and_image_k_follows_from_seed_and_k():
    own, batch = game(), maps(1)
    many = batch.label_map.expand(4, -1, -1), batch.instance_map.expand(4, -1, -1)  # pyright: ignore
    with inference_mode(own):
        own.draw = RowDraw(0)
        several = own.translate(*many)
        own.draw = RowDraw(0, 2)
        torch.testing.assert_close(own.translate(batch.label_map, batch.instance_map)[0], several[2])
        assert min((several[i] - several[j]).abs().mean() for i in range(4) for j in range(i)) > 1e-6
        larger = batch.label_map.repeat(1, 3, 2)
        assert own.translate(larger).shape == (1, 3, *larger.shape[1:])


def test_without_an_encoder_a_run_answers_a_map_in_one_way():
    own, batch = game(use_vae=False), maps()
    assert own.averaged == ("generator",)
    assert {name for name, _ in own.named_children()} == {"generator", "discriminator", "reader"}
    assert game().averaged == ("generator", "encoder")
    with inference_mode(own):
        own.draw = Recorded()  # nothing is drawn
        first = own.translate(batch.label_map, batch.instance_map)
        assert torch.equal(first, own.translate(batch.label_map, batch.instance_map))
        with pytest.raises(ModelError, match="no style encoder"):
            own.translate(batch.label_map, style=batch.images)


def test_a_style_is_the_mean_code_of_a_reference_image():
    own, batch = game(), maps()
    with inference_mode(own):
        own.draw = Recorded()
        styled = own.translate(batch.label_map, batch.instance_map, style=batch.images[:1])
        code = own.encoder(batch.images[:1])[0].expand(2, -1)
        own.draw = Recorded(code)
        assert torch.equal(styled, own.translate(batch.label_map, batch.instance_map))
        ends = {"style": batch.images[:1], "to_style": batch.images[1:]}
        between = [
            own.translate(batch.label_map, batch.instance_map, **ends, amount=share) for share in (0.0, 0.5, 1.0)
        ]
        torch.testing.assert_close(between[0], styled)
        assert not torch.equal(between[0], between[1])
        last = own.translate(batch.label_map, batch.instance_map, style=batch.images[1:])
        torch.testing.assert_close(between[2], last)


def test_the_boundaries_of_instances_are_seen_and_without_them_those_of_regions():
    own, batch = game(), maps()
    edges = own.make_planes(batch.label_map, batch.instance_map)[:, 3:]
    assert torch.equal(edges, find_boundaries(batch.instance_map))  # pyright: ignore
    assert torch.equal(own.make_planes(batch.label_map, None)[:, 3:], find_boundaries(batch.label_map))
    assert game(boundaries=False).make_planes(batch.label_map, batch.instance_map).shape[1] == 3


# -- other people's numbers -------------------------------------------------------------------


def golden(name: str) -> goldens.Golden:
    path = goldens.SHARED / "golden" / "translation" / "spade" / name
    return goldens.Golden(path, json.loads(path.with_suffix(".json").read_text(encoding="utf-8")))


def loaded(name: str) -> dict[str, Tensor]:
    """The weights of a recorded network, under our keys."""
    recorded = golden(name)
    network = official.network("spade", recorded.class_name, **recorded.arguments[1])
    return official.load(network, recorded.weights(network)).network.state_dict()


SETTINGS: dict[str, dict[str, Any]] = {
    "hinge": {},
    "ls_nofeat": {"gan": "lsgan", "features": 0.0},
    "original_nottur": {"gan": "vanilla", "ttur": False, "beta1": 0.5, "beta2": 0.999},
}


@goldens.needed
@pytest.mark.parametrize("setting", SETTINGS)
def test_train(setting: str):
    table = goldens.table("spade", "TRAIN_spade")
    config = Config(width=1, judge_width=4, content="none", **SETTINGS[setting])
    own = GauGAN(config, Facts(3, 32, 32, regions=("a", "b", "c"), instance_maps=True))
    own.generator.load_state_dict(loaded("G_train"))
    own.discriminator.load_state_dict(loaded("D_train"))
    fakes: list[Tensor] = []
    own.generator.register_forward_hook(lambda _net, _in, fake: fakes.append(fake.detach()))
    columns = (table.inputs[name] for name in ("img", "label", "inst"))
    batches = [Segmented(image, label[:, 0], inst[:, 0]) for image, label, inst in zip(*columns, strict=True)]
    engine = Witness(own, batches)
    engine.train()

    measured = {f"step0.gradnorm.{name[0].upper()}": engine.norms[name] for name in ("generator", "discriminator")}
    measured["step0.fake"] = fakes[0]
    moves = zip(engine.recorded.of("generator"), engine.recorded.of("discriminator"), strict=True)
    for step, (g, d) in enumerate(moves):
        measured |= {f"step{step}.GAN": g["fool"], f"step{step}.D_Fake": d["fake"], f"step{step}.D_real": d["real"]}
        if config.features:
            measured[f"step{step}.GAN_Feat"] = g["features"]
    compare(measured, table, f"{setting}.")


@goldens.needed
@pytest.mark.parametrize(
    ("mode", "objective"), [("hinge", "hinge"), ("ls", "lsgan"), ("original", "vanilla"), ("w", "wgangp")]
)
def test_adversarial_losses(mode: str, objective: Any):
    table = goldens.table("spade", "LOSSES_spade")
    outputs = [[table.inputs["p0"]], [table.inputs["p1"]]]
    measured = {}
    for name, real, judging in (("D_real", True, True), ("D_fake", False, True), ("G", True, False)):
        measured[f"multi.{name}"] = average_loss(outputs, real, objective, judging)
        measured[f"single.{name}"] = score_loss(table.inputs["p0"], real, objective, judging)
    compare(measured, table, f"gan.{mode}.")


@goldens.needed
def test_features_codes_and_maps():
    table = goldens.table("spade", "LOSSES_spade")
    given = table.inputs
    own = game(Facts(3, 32, 32, regions=tuple("abcdef"), instance_maps=True))
    own.discriminator.forward = lambda *_: [[given[f"{scale}{i}"] for i in range(3)] for scale in "fh"]
    fake, real = own.discriminate(given["vx"], given["vx"], given["vx"])
    own.encoder.forward = lambda _images: (given["mu"], given["logvar"])
    label, inst = given["label"][:, 0], given["inst"][:, 0]
    kl = own.encode(given["img"])[1]
    measured = {
        "feat": own.config.features * match_features(fake, real),
        "split.fake0": fake[0][-1],
        "split.real0": real[0][-1],
        "kld": kl,
        "kld.x005": own.config.kl * kl,
        "edges": find_boundaries(inst),
        "semantics": own.make_planes(label, inst),
    }
    for name, value in measured.items():
        assert torch.allclose(value.squeeze(), table.values[name].squeeze(), **table.tolerance), name


@goldens.needed
def test_vgg():
    """Official images are not normalised: VGG sees them in [-1, 1]."""
    table = goldens.table("spade", "LOSSES_spade")
    vgg, own = VGG(19, tuple(CONTENT)), game(content="vgg")
    weights = {}
    for key, value in vgg.state_dict().items():
        scale = 1.4 / value[0].numel() ** 0.5 if key.endswith("weight") else 0.1
        weights[key] = goldens.normal(key, [*value.shape]).float() * scale
    vgg.load_state_dict(weights)
    own.extractor.vgg = vgg
    one, other = table.inputs["vx"], table.inputs["vy"]
    measured = {"loss": own.compare_content(one, other)}
    pairs = zip(*(vgg(images * vgg.std + vgg.mean) for images in (one, other)), strict=True)
    for number, (a, b) in enumerate(pairs):
        measured |= {f"slice{number}": a[0, :2, :4, :4], f"l1.{number}": (a - b).abs().mean()}
    compare(measured, table, "vgg.")


@goldens.needed
@pytest.mark.parametrize(("setting", "ttur"), [("ttur", True), ("no_ttur", False)])
def test_learning_rates(setting: str, ttur: bool):
    """Those of the first epoch; how they fall is the schedule of the run."""
    table = goldens.table("spade", "LOSSES_spade")
    players = game(content="none", ttur=ttur).players()
    first = [players[name].param_groups[0]["lr"] for name in ("generator", "discriminator")]
    torch.testing.assert_close(torch.tensor(first), table.values[f"lr.{setting}"][0].float(), rtol=1e-5, atol=0)


# -- other people's files ---------------------------------------------------------------------


def saved(name: str, path: Path, **arguments: Any) -> tuple[Path, official.Adapter]:
    torch.manual_seed(1)
    network = official.network("spade", name, **arguments).eval()
    for tensor in network.parameters():
        nn.init.normal_(tensor, 0.0, 0.1)
    torch.save(network.state_dict(), path)
    return path, network


def test_official_files_become_a_run(tmp_path: Path):
    sizes = {"label_nc": 4, "contain_dontcare_label": True}
    more = {"ngf": 2, "crop_size": 256, "use_vae": True, "z_dim": 256}
    first, generator = saved("SPADEGenerator", tmp_path / "9_net_G.pth", **sizes, **more)
    second, discriminator = saved("MultiscaleDiscriminator", tmp_path / "9_net_D.pth", **sizes, ndf=4)
    third, encoder = saved("ConvEncoder", tmp_path / "9_net_E.pth", ngf=2)
    run = import_weights([first, second, third], "spade", tmp_path / "run", config={"content": "none"})
    own: Any = ganforge.load(run, device="cpu").game
    assert len(own.facts.regions) == 5
    assert own.facts.instance_maps
    batch = Segmented.example(1, own.facts)
    planes, image = own.make_planes(batch.label_map, batch.instance_map), batch.images
    with torch.no_grad():
        mean = encoder(image)[0]
        expected, scores = generator(planes, mean), discriminator(torch.cat([planes, image], 1))[1][-1]
        styled = own.translate(batch.label_map, batch.instance_map, style=image)
    torch.testing.assert_close(styled, expected, rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(own.discriminator(planes, image)[1][-1], scores, rtol=1e-4, atol=1e-5)
    assert expected.std() > 0.01


RELEASED = {
    "ADE20K": ({"label_nc": 150, "contain_dontcare_label": True, "no_instance": True}, (151, False, "normal")),
    "Cityscapes": ({"label_nc": 35, "num_upsampling_layers": "more"}, (35, True, "more")),
    "COCO-Stuff": ({"label_nc": 182, "contain_dontcare_label": True}, (183, True, "normal")),
}
OTHERS = {
    "without boundaries": ({"label_nc": 20, "no_instance": True}, (20, False, "normal")),
    "36 channels, not Cityscapes": (
        {"label_nc": 35, "contain_dontcare_label": True, "no_instance": True, "num_upsampling_layers": "normal"},
        (36, False, "normal"),
    ),
    "151 channels, with boundaries": ({"label_nc": 150, "no_instance": False}, (150, True, "normal")),
    "its number of regions": ({"label_nc": 20}, (20, True, "normal")),
    "not square": ({"label_nc": 5, "use_vae": True, "aspect_ratio": 2.0}, (5, True, "normal")),
}


def generator_file(path: Path, **options: Any) -> Path:
    network = official.network("spade", "SPADEGenerator", ngf=2, crop_size=128, **options)
    torch.save(network.state_dict(), path)
    return path


@pytest.mark.parametrize("data", RELEASED)
def test_what_no_shape_of_the_released_weights_shows_is_assumed_and_said(data: str, tmp_path: Path):
    (options, facts), said = RELEASED[data], list[str]()
    run = import_weights(generator_file(tmp_path / "G.pth", **options), "spade", tmp_path / "run", say=said.append)
    own: Any = ganforge.load(run, device="cpu").game
    assert (len(own.facts.regions), own.facts.instance_maps, own.config.layers) == facts
    assumed = f"no_instance={not facts[1]}, num_upsampling_layers={facts[2]}. Say otherwise with --set"
    assert any(assumed in line for line in said)


@pytest.mark.parametrize("case", OTHERS)
def test_the_user_says_what_no_shape_shows(case: str, tmp_path: Path):
    (options, facts), said = OTHERS[case], list[str]()
    file, own = generator_file(tmp_path / "G.pth", **options), {k: v for k, v in options.items() if k != "use_vae"}
    run = import_weights(file, "spade", tmp_path / "run", arguments=own, say=said.append)
    found: Any = ganforge.load(run, device="cpu").game
    assert (len(found.facts.regions), found.facts.instance_maps, found.config.layers) == facts
    assert found.facts.width == 128 or not found.config.use_vae
    assert found.facts.height == 128 / options.get("aspect_ratio", 1) or not found.config.use_vae
    assert not any(f"{name}=" in line for line in said for name in own)


def test_an_option_is_given_to_the_files_whose_class_has_it(tmp_path: Path):
    options = {"label_nc": 4, "no_instance": True}
    first, _ = saved("SPADEGenerator", tmp_path / "G.pth", **options, ngf=2, use_vae=True)
    second, _ = saved("MultiscaleDiscriminator", tmp_path / "D.pth", **options, ndf=4)
    third, _ = saved("ConvEncoder", tmp_path / "E.pth", ngf=2)
    files = [first, second, third]
    run = import_weights(files, "spade", tmp_path / "run", arguments={"no_instance": True})
    assert not ganforge.load(run, device="cpu").game.facts.instance_maps
    with pytest.raises(OptionError, match=r"no class of these files .* has an argument no_instances"):
        import_weights(files, "spade", tmp_path / "other", arguments={"no_instances": True})


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("SPADEGenerator", {"norm_G": "spectralbatch"}, "no norm 'spectralbatch'; there are spade"),
        ("SPADEGenerator", {"num_upsampling_layers": "less"}, "'less'; there are normal, more, most"),
        ("MultiscaleDiscriminator", {"norm_D": "instance"}, "no norm 'instance'; there are spectralinstance"),
        ("ConvEncoder", {"crop_size": 128}, "256 pixels"),
    ],
)
def test_unknown_options_are_named(name: str, arguments: dict[str, Any], said: str):
    with pytest.raises(ModelError, match=said):
        official.network("spade", name, **arguments)
