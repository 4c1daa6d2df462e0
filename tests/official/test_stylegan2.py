"""StyleGAN2's networks in both dialects, its operations and losses, against the recorded ones of their authors."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge import official
from ganforge.batches import Facts, PerhapsLabelled
from ganforge.draw import Recorded
from ganforge.game import Clock
from ganforge.models.stylegan2 import Config, StyleGAN2
from ganforge.models.stylegan2 import layers as blocks
from ganforge.models.stylegan2.layers import EqualLinear, MinibatchDeviation, ModulatedConv2d
from ganforge.nn.blur import Blur
from ganforge.nn.penalties import gradient_square
from ganforge.nn.upfirdn import TAPS, make_filter, upfirdn2d
from tests.support import goldens

WIDTHS = [20, 16, 12]  # the recorded small networks of rosinality have a narrow table of channels
NETWORKS = [g for s in ("stylegan2_nv", "stylegan2_rosinality") for g in goldens.goldens(s)]
NETWORKS = [g for g in NETWORKS if g.class_name in ("Generator", "Discriminator")]
NAMES = [g.name for g in NETWORKS]
SMALL = [g for g in NETWORKS if g.facts["weights"] != "recipe"]


def golden(name: str) -> goldens.Golden:
    """A record of operations or losses, which has no class of one name."""
    path = next(p for f in goldens.FOLDERS if (p := goldens.SHARED / "golden" / f / f"{name}.json").exists())
    return goldens.Golden(path.with_suffix(""), goldens.json.loads(path.read_text(encoding="utf-8")))


def build(own: goldens.Golden) -> Any:
    arguments = dict(own.arguments[1])
    if own.name.endswith("_small"):
        arguments["widths"] = WIDTHS
    network = official.network("stylegan2", own.class_name, file=own.file, **arguments)
    return official.load(network, own.weights(network)).eval()


def run(own: goldens.Golden, network: Any, given: dict[str, Tensor]) -> dict[str, Tensor]:
    """Everything that is recorded of a network."""
    made: dict[str, Tensor] = {}
    z, c = given.get("z"), given.get("c")
    if own.class_name == "Discriminator":
        if "small" in given:
            return {"logits": network(F.interpolate(given["small"], size=256, mode="bilinear"))}
        if "rosinality" in own.name:
            return {"logits4": network(given["img"][:4]), "logits2": network(given["img"][4:])}
        few = None if c is None else c[:2]
        return {"logits": network(given["img"], c), "logits_n2": network(given["img"][:2], few)}
    assert z is not None
    if "rosinality" in own.name:
        made["img_const"], latents = network([z], return_latents=True)
        made["w"] = network.network.mapping(z)
        made["img_trunc07"] = network([z], truncation=0.7, truncation_latent=given["latent_avg"])[0]
        made["img_wplus"] = network([latents + 0.1 * given["dw"]], input_is_latent=True)[0]
        if "noise0" not in given:
            return made
        made |= {"latents": latents, "features_last": network([z], return_features=True)[1]}
        made["img_noise"] = network([z], noise=[given[f"noise{i}"] for i in range(5)])[0]
        made["img_mix_at3"] = network([z, z.flip(0)], inject_index=3)[0]
        deltas = [given.get(f"delta{i}") for i in range(8)]
        made["img_deltas"] = network([latents], input_is_latent=True, weights_deltas=deltas)[0]
        return made
    if "img_pool32" in own.facts["output_mean_std"]:
        image = network(z)
        return {
            "w": network.map_styles(z)[:, 0], "img_pool32": F.avg_pool2d(image, 8),
            "img_crop": image[:, :, 100:132, 60:92],
        }  # fmt: skip
    made["ws"] = network.map_styles(z, c)
    made |= {"ws_psi07": network.map_styles(z, c, 0.7), "ws_psi05_cut2": network.map_styles(z, c, 0.5, 2)}
    made |= {"img_const": network(z, c), "img_none": network(z, c, noise_mode="none")}
    made |= {"img_nonfused": made["img_const"], "img_psi07": network(z, c, 0.7)}
    mixed = torch.cat([made["ws"][:, :2], network.map_styles(z.flip(0), c)[:, 2:]], 1)
    made["img_mix2"] = network.network.synthesis(mixed)
    return made


@goldens.needed
@pytest.mark.parametrize("own", NETWORKS, ids=NAMES)
def test_outputs_and_gradients(own: goldens.Golden):
    network, recorded = build(own), own.io("out.")
    gradients = {key.removeprefix("grad_in."): recorded.pop(key) for key in [*recorded] if key.startswith("grad_in.")}
    given = {key: value.requires_grad_(key in gradients) for key, value in own.io("in.").items()}
    with torch.set_grad_enabled(bool(gradients)):
        made = run(own, network, given)
    assert made.keys() == recorded.keys()
    deep = own.facts["weights"] == "recipe"
    for key, value in recorded.items():
        torch.testing.assert_close(made[key], value, rtol=1e-4 if deep else 1e-5, atol=1e-4 if deep else 1e-5)
    if not gradients:
        return
    outputs = own.facts["grad_loss"].removeprefix("sum over outputs ").partition(" of ")[0].split(",")
    cotangents = {key: goldens.normal(f"cot/{key}", [*made[key].shape]).float() for key in outputs}
    parameters = dict(network.network.named_parameters())
    loss = torch.stack([(made[key] * cot).sum() for key, cot in cotangents.items()]).sum()
    found = torch.autograd.grad(loss, [*(given[key] for key in gradients), *parameters.values()], allow_unused=True)
    for key, value in zip(gradients, found[: len(gradients)], strict=True):
        torch.testing.assert_close(value, gradients[key], rtol=1e-3, atol=1e-4)
    lengths = dict(zip(parameters, found[len(gradients) :], strict=True))
    theirs = {key: lengths[ours] for key, ours in network.keys().items() if ours in lengths}
    for key, length in own.facts["param_grad_l2"].items():
        assert theirs[key].norm().item() == pytest.approx(length, rel=1e-3, abs=1e-5), key


@goldens.needed
@pytest.mark.parametrize("own", SMALL, ids=lambda own: own.name)
def test_sizes(own: goldens.Golden):
    assert sum(p.numel() for p in build(own).parameters()) == own.parameters
    for sizes, count, keys in own.defaults():
        with torch.device("meta"):
            network = official.network("stylegan2", own.class_name, file=own.file, **sizes)
        assert [(key, tuple(value.shape)) for key, value in network.state_dict().items()] == keys
        assert sum(p.numel() for p in network.parameters()) == count


@goldens.needed
@pytest.mark.parametrize("own", SMALL, ids=lambda own: own.name)
def test_arguments_follow_from_the_weights(own: goldens.Golden):
    first = build(own)
    again = type(first)(**type(first).arguments(first.state_dict()))
    assert {k: v.shape for k, v in again.state_dict().items()} == {k: v.shape for k, v in first.state_dict().items()}


# -- operations -------------------------------------------------------------------------------


@goldens.needed
def test_upfirdn():
    own = golden("stylegan2_nv/ops_upfirdn2d")
    x, recorded = own.io("in.")["x"], own.io("out.")

    def pair(value: Any) -> tuple[int, int]:
        return (value, value) if isinstance(value, int) else tuple(value)

    made = {}
    for name, (taps, options) in own.facts["cases"].items():
        kernel = torch.ones(1, 1) if taps is None else make_filter(taps)
        padding = options.get("padding", 0)
        padding = (padding,) * 4 if isinstance(padding, int) else tuple(padding)
        rest = {"flip": options.get("flip_filter", False), "gain": options.get("gain", 1.0)}
        made[name] = upfirdn2d(x, kernel, pair(options.get("up", 1)), pair(options.get("down", 1)), padding, **rest)  # pyright: ignore
    made |= {"filter_1331": make_filter(TAPS), "filter_sep9": make_filter(own.facts["cases"]["sep"][0])}
    made["filter_gain_flip"] = make_filter([[1, 2], [3, 5]], 4.0).flip(0, 1)
    made |= {"upsample2d": Blur().enlarge(x), "downsample2d": Blur().reduce(x)}
    made["filter2d"] = upfirdn2d(x, make_filter(TAPS), padding=(2, 1, 2, 1))
    made["upsample2d_4"] = upfirdn2d(x, make_filter(TAPS), (4, 4), padding=(3, 0, 3, 0), gain=16.0)
    made["downsample2d_flip_pad"] = upfirdn2d(x, make_filter(TAPS), down=(2, 2), padding=(0, 0, 0, 0), flip=True)
    assert made.keys() == recorded.keys()
    for name, value in recorded.items():
        torch.testing.assert_close(made[name], value, rtol=0.0, atol=1e-5, msg=lambda m, name=name: f"{name}: {m}")


@goldens.needed
def test_resampled_convolutions():
    """Those that the networks have; with one input channel fewer groups are what modulation with changes uses."""
    own = golden("stylegan2_nv/ops_conv2d_resample")
    given, recorded, blur = own.io("in."), own.io("out."), Blur()
    x, w3, w1 = given["x"], given["w3"], given["w1"]
    made = {
        "k3_pad1": blocks.convolve(x, w3, None, "same", blur),
        "k3_up2_noflipw": blocks.convolve(x, w3, None, "up", blur),
        "k3_down2": blocks.convolve(x, w3, None, "down", blur),
        "k1_up2": blocks.convolve(x, w1, None, "up", blur),
        "k1_down2": blocks.convolve(x, w1, None, "down", blur),
        "k3_g2_up2": blocks.convolve(x, w3[:, :2].flip(2, 3), None, "up", blur, 2),
        "k3_g2_down2": blocks.convolve(x, w3[:, :2], None, "down", blur, 2),
    }
    for name, value in made.items():
        torch.testing.assert_close(value, recorded[name], rtol=0.0, atol=2e-5, msg=lambda m, name=name: f"{name}: {m}")


@goldens.needed
@pytest.mark.parametrize("resample", ["same", "up", "down"])
@pytest.mark.parametrize("demodulate", [True, False])
def test_modulated_convolutions(resample: Any, demodulate: bool):
    own = golden("stylegan2_nv/ops_modulated_conv2d")
    given = own.io("in.")
    layer = ModulatedConv2d(4, 5, 3, 4, demodulate, resample)
    layer.weight.data, layer.style = given["w"], nn.Identity()  # pyright: ignore
    gain = 1.0 if demodulate else math.sqrt(4 * 9)  # theirs has no weight gain in here
    changes = torch.zeros(2, 5, 4, 3, 3)
    for change in (None, changes):  # one convolution, and one with weights of each image
        made = layer(given["x"], given["s"], torch.zeros(5), change, gain)
        made = made + 0.5 * given["noise"][:, :, : made.shape[2], : made.shape[2]]
        for fused in (0, 1):
            recorded = own.io("out.")[f"{resample}_demod{int(demodulate)}_fused{fused}"]
            torch.testing.assert_close(made, recorded, rtol=1e-5, atol=1e-5)


@goldens.needed
@pytest.mark.parametrize("resample", ["same", "up", "down"])
@pytest.mark.parametrize("demodulate", [True, False])
def test_modulated_convolutions_with_changed_weights(resample: Any, demodulate: bool):
    own = golden("stylegan2_rosinality/ops")
    given, recorded = own.io("in."), own.io("out.")
    layer = ModulatedConv2d(4, 5, 3, 6, demodulate, resample)
    layer.weight.data, layer.style.weight.data = given["w"], given["mw"]
    layer.style.bias.data = 1 + 0.2 * given["mb"]
    for change, end in ((None, ""), (0.3 * given["delta"], "_delta")):
        made = layer(given["x"], given["style"], torch.zeros(5), change)
        key = f"modconv_{resample}_demod{int(demodulate)}{end}"
        torch.testing.assert_close(made, recorded[key], rtol=1e-5, atol=1e-5)


@goldens.needed
def test_small_operations():
    own = golden("stylegan2_nv/ops_norm2nd_fc")
    given, recorded = own.io("in."), own.io("out.")
    linear = {"fc_lin": EqualLinear(6, 4), "fc_lrelu": EqualLinear(6, 4, active=True)}
    linear["fc_lr001"] = EqualLinear(6, 4, 0.01, active=True)
    for name, layer in linear.items():
        layer.weight.data, layer.bias.data = given["w"], given["b"]
        torch.testing.assert_close(layer(given["x"]), recorded[name])
    torch.testing.assert_close(blocks.normalise(given["x"]), recorded["norm2nd"])
    own = golden("stylegan2_nv/ops_bias_act")
    given, recorded = own.io("in."), own.io("out.")
    biased = given["x"] + given["b"][:, None, None]
    torch.testing.assert_close(blocks.activate(biased * blocks.GAIN), recorded["lrelu"])
    own = golden("stylegan2_nv/ops_minibatch_std")
    given, recorded = own.io("in."), own.io("out.")
    for name, value in recorded.items():
        group, planes = name.removeprefix("g").split("_f")
        layer = MinibatchDeviation(0 if group == "None" else int(group), int(planes))
        torch.testing.assert_close(layer(given["x"]), value)


@goldens.needed
def test_small_operations_of_rosinality():
    own = golden("stylegan2_rosinality/ops")
    given, recorded, blur = own.io("in."), own.io("out."), Blur()
    x = given["x"]
    made = {"pixelnorm": blocks.normalise(given["v"]), "make_kernel": blur.kernel, "upsample": blur.enlarge(x)}
    made |= {"downsample": blur.reduce(x), "blur_up": blur(x, 1, 4.0)}
    made["blur_2_1"] = upfirdn2d(x, blur.kernel, padding=(2, 1, 2, 1))
    made["noise"] = x + 0.7 * given["n"]
    for name, value in made.items():
        torch.testing.assert_close(value, recorded[name], rtol=1e-5, atol=1e-5)


@goldens.needed
def test_schedules():
    recorded = golden("stylegan2_nv/schedules").io("out.")
    players = StyleGAN2(Config(latent=4, style=4, capacity=32, most=4), Facts(3, 16, 16)).players()
    for player, key in (("generator", "adam_G"), ("discriminator", "adam_D")):
        group = players[player].param_groups[0]
        made = torch.tensor([group["lr"], *group["betas"]])
        torch.testing.assert_close(made, recorded[key].float())


# -- losses -----------------------------------------------------------------------------------


def recorded_game(own: goldens.Golden) -> tuple[StyleGAN2, dict[str, dict[str, str]]]:
    """The game of the recorded losses, and {G or D: {their key: ours}}."""
    config = Config(
        latent=8, style=8, mapping_layers=2, capacity=64, most=8, layer_noise=False, mixing=0.0, group=2, gamma=7.5
    )
    game, names = StyleGAN2(config, Facts(3, 8, 8)), {}
    weights, built = own.weights(game), own.facts["constructor"]
    for letter, kind in (("G", "Generator"), ("D", "Discriminator")):
        adapter = official.network("stylegan2", kind, file="training/networks.py", **built[letter])
        official.load(adapter, goldens.pick(weights, f"{letter}."))
        names[letter] = adapter.keys()
        getattr(game, kind.lower()).load_state_dict(adapter.network.state_dict())
    game.path_mean.fill_(0.05)
    return game.train(), names


@goldens.needed
def test_losses_and_their_gradients():
    own = golden("stylegan2_nv/loss_stylegan2")
    given, recorded = own.io("in."), own.io("out.")
    game, names = recorded_game(own)
    z, noise = given["z"], given["pl_noise"]
    batches = iter([PerhapsLabelled(given["real"])])
    game.draw = Recorded(z, z[:2], noise, z)
    moves = game.play(batches, Clock(batch=4))
    every, seen = {"Greg": 4, "Dreg": 16}, {}
    for phase in ("Gmain", "Greg", "Dmain", "Dreg"):
        move = next(moves)
        network = game.generator if phase[0] == "G" else game.discriminator
        parameters = dict(network.named_parameters())
        loss = torch.stack([term for term in move.terms.values() if term.requires_grad]).sum() / every.get(phase, 1)
        found = dict(zip(parameters, torch.autograd.grad(loss, [*parameters.values()], allow_unused=True), strict=True))
        for key, value in goldens.pick(recorded, f"{phase}.grad.").items():
            own_value = found[names[phase[0]][key]]
            own_value = torch.zeros_like(value) if own_value is None else own_value  # not in the graph at all
            torch.testing.assert_close(own_value, value, rtol=1e-3, atol=1e-6)
            seen[phase] = seen.get(phase, 0) + 1
        expected = {"Gmain": "Loss_G_loss", "Greg": "Loss_G_reg", "Dmain": "Loss_D_loss", "Dreg": "Loss_D_reg"}[phase]
        if phase != "Dmain":  # theirs reports the real images' half of D's loss there
            torch.testing.assert_close(loss.detach(), recorded[f"{phase}.{expected}"].mean(), rtol=1e-4, atol=1e-5)
    assert min(seen.values()) >= 7
    assert len(seen) == 4
    torch.testing.assert_close(game.path_mean, recorded["pl_mean_after"])


@goldens.needed
def test_the_mean_style_follows_a_forward_pass():
    own = golden("stylegan2_nv/loss_stylegan2")
    game, _ = recorded_game(own)
    game.draw = Recorded(own.io("in.")["z"])
    game.draw_styles(4, None)
    torch.testing.assert_close(game.generator.mapping.mean, own.io("out.")["w_avg_after_one_train_forward"])


@goldens.needed
def test_losses_of_rosinality():
    own = golden("stylegan2_rosinality/losses")
    given, recorded, built = own.io("in."), own.io("out."), own.facts["constructor"]
    weights, names, networks = own.weights(nn.Module()), {}, {}
    for letter, kind in (("G", "Generator"), ("D", "Discriminator")):
        adapter = official.network(
            "stylegan2", kind, file="models/stylegan2/model.py", **built[letter], widths=WIDTHS[:2]
        )
        official.load(adapter, goldens.pick(weights, f"{letter}."))
        networks[letter], names[letter] = adapter.network, adapter.keys()
    config = Config(latent=8, style=8, mapping_layers=2, capacity=64, most=8, mixing=0.0)
    game = StyleGAN2(config, Facts(3, 8, 8))
    game.generator, game.discriminator = networks["G"], networks["D"]  # pyright: ignore
    game.generator.mapping.mean.zero_()
    game.path_mean.fill_(0.05)
    constants = [layer.constant for layer in game.generator.modules() if isinstance(layer, blocks.StyledConv)]
    maps = [constant.expand(4, 1, *constant.shape) for constant in constants]
    game.draw = Recorded(given["z"], *maps, given["pl_noise"])
    path = game.path_penalty(4, None)
    r1 = gradient_square(game.discriminator, given["real"])
    torch.testing.assert_close(path.detach(), recorded["path_penalty"], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(game.path_mean, recorded["path_mean"], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(r1.detach(), recorded["r1"].squeeze(), rtol=1e-4, atol=1e-5)
    # The recorded gradients are of the penalty itself, and of 10 / 2 * r1 * 16.
    for loss, letter, start in ((path, "G", "path.grad.G."), (80 * r1, "D", "r1.grad.D.")):
        parameters = dict(networks[letter].named_parameters())
        found = dict(zip(parameters, torch.autograd.grad(loss, [*parameters.values()], allow_unused=True), strict=True))
        for key, value in goldens.pick(recorded, start).items():
            torch.testing.assert_close(
                found[names[letter][key]].reshape(value.shape),
                value,
                rtol=1e-3,
                atol=1e-5,
                msg=lambda m, k=key: f"{k}: {m}",
            )


@goldens.needed
def test_both_dialects_give_one_image():
    own = golden("stylegan2_rosinality/dialect_conversion")
    z, recorded = own.io("in.")["z"], own.io("out.")
    nvidia = official.network("stylegan2", "Generator", file="training/networks.py", **own.arguments[1])
    official.load(nvidia, goldens.pick(own.weights(nvidia), "nv."))
    other = official.network(
        "stylegan2", "Generator", file="models/stylegan2/model.py", size=16, style_dim=12, n_mlp=3, widths=[48, 24, 12]
    )
    assert other.state_dict()["convs.0.conv.weight"].ndim == 5
    other.network.load_state_dict(nvidia.network.state_dict())
    again = official.network(
        "stylegan2", "Generator", file="models/stylegan2/model.py", size=16, style_dim=12, n_mlp=3, widths=[48, 24, 12]
    )
    official.load(again, other.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(nvidia(z), recorded["img_nv"], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(nvidia(z, None, 0.7), recorded["img_psi07"], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(again([z])[0], recorded["img_rosinality"], rtol=1e-5, atol=1e-5)
