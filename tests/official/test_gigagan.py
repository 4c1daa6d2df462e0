"""The networks, layers and losses of gigagan-pytorch against its recorded numbers, and its checkpoints."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ganforge import official
from ganforge.errors import OptionError, WeightsError
from ganforge.inference.load import load
from ganforge.interop.importing import import_weights
from ganforge.models.gigagan import attention, resampling
from ganforge.models.gigagan.adaptive import AdaptiveConv2d
from ganforge.models.gigagan.discriminator import resize
from ganforge.models.gigagan.generator import StyleNetwork
from ganforge.official import gigagan
from ganforge.official.gigagan import WORDS, rename
from tests.support import goldens

FOLDER = goldens.SHARED / "golden" / "generation" / "gigagan"
CLIP = 10  # length of the recorded features
STYLE = {"dim": 8, "depth": 2}
TEXT = {"dim": 6, "depth": 1, "dim_head": 4, "heads": 2, "clip_width": CLIP}


def golden(name: str) -> goldens.Golden:
    return goldens.Golden(FOLDER / name, goldens.json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8")))


def network_of(found: goldens.Golden, **more: Any) -> official.Adapter:
    """The official network with the recorded weights, in evaluation mode."""
    arguments = {**found.arguments[1], **more}
    if "text_encoder" in arguments:
        arguments["text_encoder"] = {**arguments["text_encoder"], "clip_width": CLIP}
    built = official.network("gigagan", found.class_name, **arguments)
    return official.load(built, found.weights(built)).eval()


def near(measured: Mapping[str, Tensor], found: goldens.Golden) -> None:
    """The outputs by name against the recorded ones, which are all of them."""
    recorded = {key: value for key, value in found.io("out.").items() if not key.startswith("grad_in.")}
    assert {*measured} == {*recorded}
    for key, value in measured.items():
        torch.testing.assert_close(value.detach().float(), recorded[key].float(), rtol=1e-5, atol=1e-5, msg=key)


def check_slopes(
    found: goldens.Golden,
    outputs: Mapping[str, Tensor],
    inputs: Mapping[str, Tensor],
    network: official.Adapter | None = None,
) -> None:
    """The gradients of the recorded loss with respect to the inputs, and their lengths for the weights of a network."""
    listed = found.facts["grad_loss"].partition("outputs ")[2].partition(" of ")[0].split(",")
    loss = sum((outputs[key] * goldens.normal(f"cot/{key}", [*outputs[key].shape]).float()).sum() for key in listed)
    slopes = torch.autograd.grad(loss, [*inputs.values()], retain_graph=True)  # pyright: ignore
    for key, slope in zip(inputs, slopes, strict=True):
        torch.testing.assert_close(slope, found.io("out.")[f"grad_in.{key}"], rtol=1e-3, atol=1e-3, msg=key)
    if network is None:
        return
    own = dict(network.network.named_parameters())
    names = {theirs: own[ours] for theirs, ours in network.keys().items() if ours in own}
    slopes = torch.autograd.grad(loss, [*names.values()], allow_unused=True)  # pyright: ignore
    lengths = {key: 0.0 if s is None else float(s.norm()) for key, s in zip(names, slopes, strict=True)}
    assert lengths == pytest.approx(found.facts["param_grad_l2"], rel=1e-3, abs=1e-4)


def inputs_of(found: goldens.Golden) -> dict[str, Tensor]:
    return {k: v.requires_grad_(v.is_floating_point()) for k, v in found.io("in.").items()}


def blank(encodings: Tensor, *starts: int) -> Tensor:
    """Encodings (N, T, K) whose rows are 0 from these words on, as the recorded networks had them."""
    lengths = torch.tensor(starts)
    return encodings * (torch.arange(encodings.shape[1]) < lengths[:, None])[..., None]


# -- networks ---------------------------------------------------------------------------------


@goldens.needed
def test_text_encoder():
    found = golden("TextEncoder")
    given, network = inputs_of(found), network_of(found, clip_width=CLIP)
    sentence, words, mask = network(blank(given["enc"], 4, 3))
    outputs = {"global_token": sentence, "tokens": words, "mask": mask.float()}
    near(outputs, found)
    check_slopes(found, outputs, given, network)


@goldens.needed
def test_generator():
    found = golden("Generator_text")
    given, network = inputs_of(found), network_of(found)
    sides = [side for side in (4, 8, 16) for _ in range(2)]
    noise = [goldens.normal(f"noise{i}", [2, 1, side, side]).float() for i, side in enumerate(sides, 1)]
    image, images = network(given["z"], blank(given["enc"], 4, 6), noise)
    outputs = {"rgb": image, **{f"rgbs.{i}": each for i, each in enumerate(images)}}
    near({**outputs, "n_noise": torch.tensor(float(len(noise)))}, found)
    check_slopes(found, outputs, given, network)


@goldens.needed
def test_discriminator():
    found = golden("Discriminator_text")
    given, network = inputs_of(found), network_of(found)
    scores, patches, drawn = network(given["img"], (), given["txt"])
    outputs = {"logits": scores, "multiscale.0": patches[0], "aux_recon.0": drawn[0]}
    smaller = (resize(2 * given["img"] - 1, 8) + 1) / 2
    near({**outputs, "rgb8": smaller}, found)
    check_slopes(found, outputs, given, network)
    given_smaller = network(given["img"], (smaller,), given["txt"])[0]
    torch.testing.assert_close(given_smaller, scores, rtol=1e-5, atol=1e-5)


@goldens.needed
@pytest.mark.parametrize("kind", ["uncond", "text"])
def test_upsampler(kind: str):
    found = golden(f"UnetUpsampler_{kind}")
    more = {"style_network": {**STYLE, "dim_text_latent": 6}, "text_encoder": TEXT} if kind == "text" else {}
    given, network = inputs_of(found), network_of(found, **{"style_network": STYLE, **more})
    mask = torch.tensor([[True, True, False, False], [True] * 4])
    words = (given["g"], given["f"], mask) if kind == "text" else ()
    image, images = network(given["lo"], given["z"], *words)
    outputs = {"rgb": image, **{f"rgbs.{i}": each for i, each in enumerate(images)}}
    near(outputs, found)
    check_slopes(found, outputs, given, network)


@goldens.needed
@pytest.mark.parametrize("kind", ["cond", "uncond"])
def test_vision_aided_discriminator(kind: str):
    found = golden("VisionAidedDiscriminator")
    arguments = {"unconditional": kind == "uncond", **found.facts["constructor"][kind]}
    network = official.network("gigagan", "VisionAidedDiscriminator", **arguments, clip_width=12)
    official.load(network, goldens.pick(found.weights(network), f"{kind[0]}."))
    given = found.io("in.")
    scores = network(given["enc"], given["txt"] if kind == "cond" else None)
    for number, each in enumerate(scores):
        torch.testing.assert_close(each, found.io("out.")[f"{kind}.{number}"], rtol=1e-5, atol=1e-5)
    assert len(scores) == 2


@goldens.needed
@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("TextEncoder", {"clip_width": CLIP}),
        ("Generator_text", {}),
        ("Discriminator_text", {}),
        ("UnetUpsampler_uncond", {"style_network": STYLE}),
        ("UnetUpsampler_text", {"style_network": {**STYLE, "dim_text_latent": 6}, "text_encoder": TEXT}),
    ],
)
def test_sizes(name: str, more: dict[str, Any]):
    found = golden(name)
    network = network_of(found, **more)
    assert sum(p.numel() for p in network.parameters()) == found.parameters
    assert {*network.state_dict()} == {*found.weights(network)}
    assert sorted(network.keys().values()) == sorted(network.network.state_dict())
    for arguments, count, keys in found.defaults():
        with torch.device("meta"):
            built = official.network("gigagan", found.class_name, **arguments)
        assert [(key, tuple(value.shape)) for key, value in built.state_dict().items()] == keys
        assert sum(p.numel() for p in built.parameters()) == count


# -- layers -----------------------------------------------------------------------------------


def fill(layer: nn.Module, weights: Mapping[str, Tensor], start: str, rules: Any = WORDS) -> nn.Module:
    """Our layer with the recorded weights whose names begin with `start`."""
    own = goldens.pick(weights, start)
    names = {key: rename(f"x.{key}", rules).removeprefix("x.") for key in layer.state_dict()}
    assert {*names.values()} == {*own}
    layer.load_state_dict({key: own[theirs] for key, theirs in names.items()})
    return layer


@goldens.needed
@pytest.mark.parametrize("form", ["convolve_grouped", "convolve_bank"])
def test_adaptive_convolution(form: str, monkeypatch: pytest.MonkeyPatch):
    found = golden("AdaptiveConv2DMod")
    given, weights = inputs_of(found), goldens.load_file(FOLDER / "AdaptiveConv2DMod.weights.safetensors")
    monkeypatch.setattr(AdaptiveConv2d, "has_small_images", lambda _self, _x: form == "convolve_bank")
    made = {}
    for name, kernel, bank, demodulate in (
        ("a", 3, 3, True),
        ("b", 3, 1, True),
        ("c", 1, 1, False),
        ("d", 3, 2, False),
    ):
        layer = AdaptiveConv2d(4, 5, kernel, bank, demodulate)
        layer.weight.data = weights[f"{name}.weights"].flatten(0, 1)
        choice = {3: given["k3"], 2: given["k2"], 1: None}[bank]
        made[name] = layer(given["x"], given["mod"], choice)
        if name == "a":
            made["a_scales"] = layer(torch.cat([given["x"], given["x"] + 1]), given["mod"], choice)
    near(made, found)
    check_slopes(found, made, given)


@goldens.needed
def test_attentions():
    found = golden("attention_blocks")
    given, weights = inputs_of(found), goldens.load_file(FOLDER / "attention_blocks.weights.safetensors")
    x, words = given["x"], given["ctx"]
    mask, every = torch.tensor([[1, 1, 1, 0], [1, 1, 0, 0]]).bool(), torch.ones(2, 4, dtype=torch.bool)
    read = [*WORDS, (r"^(x(?:\.layers\.\d+\.0)?)\.read\.", r"\1.to_qkv."), (r"^x\.(0|1)\.weight$", r"x.\1.gamma")]
    feed = [(r"^x\.0\.weight", "x.0.gamma")]
    norm = [(r"^x\.weight", "x.gamma")]
    cross = fill(attention.CrossAttention(6, 5, 4, 2), weights, "cross.")
    text = fill(attention.WordAttention(5, 4, 2), weights, "text.", read)
    made = {
        "l2": fill(attention.SelfAttention(6, 4, 2), weights, "l2.")(x),
        "dot": fill(attention.SelfAttention(6, 4, 2, distance=False), weights, "dot.")(x),
        "cross": cross(x, words, every),
        "cross_mask": cross(x, words, mask),
        "text": text(words, every),
        "text_mask": text(words, mask),
        "ff2": fill(attention.feed_forward(6, 2), weights, "ff2.", feed)(x),
        "ff1": fill(attention.feed_forward(5, 2, maps=False), weights, "ff1.", feed)(words),
        "sab": fill(attention.self_attention(6, 4, 2, 2, distance=True), weights, "sab.")(x),
        "cab": fill(attention.cross_attention(6, 5, 4, 2, 2), weights, "cab.")(x, words, mask),
        "crms": fill(attention.RMSNorm(6), weights, "crms.", norm)(x),
        "rms": fill(attention.RMSNorm(5, maps=False), weights, "rms.", norm)(words),
    }
    layers = attention.TextNetwork(5, 5, 2, 4, 2, times=2, learned=True)
    own = goldens.pick(weights, "tr.")
    names = {key: rename(f"text.{key}", WORDS).removeprefix("text_encoder.transformer.") for key in layers.state_dict()}
    layers.load_state_dict({k: own[t] for k, t in names.items() if t in own}, strict=False)
    y = words
    for layer in layers.layers:
        y = layer(y, mask)
    made["tr"] = layers.norm(y)
    near(made, found)
    check_slopes(found, made, given)


@goldens.needed
def test_attention_that_is_differentiated_twice_is_the_same():
    source = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(2, 3, 5, 4, generator=source) for _ in range(3))
    for attend in (attention.attend, attention.attend_by_distance):
        torch.testing.assert_close(attend(query, key, value, twice=True), attend(query, key, value))


@goldens.needed
def test_resampling():
    found = golden("resample_blocks")
    given, weights = inputs_of(found), goldens.load_file(FOLDER / "resample_blocks.weights.safetensors")
    x = given["x"]
    doubled = [(r"^x\.blur\.weights", "x.1.f")]
    style = [(r"^x\.layers\.(\d+)", lambda m: f"x.net.{2 * int(m[1])}")]
    made = {
        "up": fill(resampling.Double(), weights, "up.", doubled)(x),
        "ps": fill(resampling.ShuffledDouble(4, 3), weights, "ps.", [(r"^x\.conv", "x.net.0")])(x),
        "down": fill(resampling.Halve(4), weights, "down.", [(r"^x\.conv", "x.1")])(x),
        "blur": fill(resampling.Blur(), weights, "blur.", [(r"^x\.weights", "x.f")])(x),
        "se": fill(resampling.Excite(4, 6, 3), weights, "se.", [(r"^x\.net\.(\d)", lambda m: f"x.{int(m[1]) + 1}")])(x),
        "noise": fill(resampling.AddNoise(4), weights, "noise.", [("strength", "weight")])(x, given["n"]),
        "style": fill(StyleNetwork(5, 3, 4, unit_variance=False), weights, "sty.", style)(given["z"], given["txt"]),
        "style0": fill(StyleNetwork(5, 2, unit_variance=False), weights, "sty0.", style)(given["z"]),
    }
    near(made, found)
    check_slopes(found, made, given)


@goldens.needed
def test_losses():
    found = golden("losses")
    given = inputs_of(found)
    images = given["img"]
    a, b = (images * given["w"]).sum((1, 2, 3)).tanh(), images.square().mean((1, 2, 3))
    near(
        {
            "g_hinge": gigagan.generator_hinge_loss(given["fake"]),
            "d_hinge": gigagan.discriminator_hinge_loss(given["real"], given["fake"]),
            "matching": gigagan.aux_matching_loss(given["real"], given["fake"]),
            "gp_default": gigagan.gradient_penalty(images, [a, b], [1.0, 1.0]),
            "gp_w": gigagan.gradient_penalty(images, [a, b], [1.0, 0.1]),
            "gp_c1": gigagan.gradient_penalty(images, [a], [1.0], weight=2.0, center=1.0),
        },
        found,
    )


# -- checkpoints ------------------------------------------------------------------------------


def save_checkpoint(folder: Path) -> tuple[Path, official.Adapter, official.Adapter]:
    """A checkpoint {G, D, ...} of small networks, and these."""
    torch.manual_seed(0)
    text = {**TEXT, "dim_head": 8}
    generator = official.network(
        "gigagan", "Generator", 16, 4, 16, style_network={**STYLE, "dim_text_latent": 6}, text_encoder=text,
        dim_latent=12, self_attn_resolutions=(8,), self_attn_dim_head=8, self_attn_heads=2, self_attn_ff_mult=2,
        cross_attn_resolutions=(16,), cross_attn_dim_head=8, cross_attn_heads=2, cross_attn_ff_mult=2,
        num_conv_kernels=3,
    )  # fmt: skip
    discriminator = official.network(
        "gigagan", "Discriminator", 16, 4, 16, attn_resolutions=(8,), attn_dim_head=8, attn_heads=2, ff_mult=2,
        text_encoder=text, multiscale_input_resolutions=(8,), num_conv_kernels=2,
    )  # fmt: skip
    for network in (generator, discriminator):
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, 0.1, 0.3)
    held = {"G": generator.state_dict(), "D": discriminator.state_dict(), "steps": 5, "version": "0.3.1"}
    averages = {f"ema_model.{key}": value for key, value in generator.state_dict().items()}
    held["G_ema"] = {**averages, "initted": torch.tensor([True]), "step": torch.tensor([5])}
    torch.save(held, folder / "model-5.ckpt")
    return folder / "model-5.ckpt", generator.eval(), discriminator.eval()


@pytest.mark.parametrize("entry", ["G", "G_ema"])
def test_a_checkpoint_becomes_a_run(entry: str, tmp_path: Path):
    path, generator, _ = save_checkpoint(tmp_path)
    run = load(import_weights(path, "gigagan", tmp_path / "run", entry=entry))
    game, config = run.game, run.game.config
    assert (config.reading, config.networks, config.features) == ("lucidrains", "base", CLIP)
    noise, features = torch.randn(2, 8), torch.randn(2, 5, CLIP)
    with torch.no_grad():
        own: Any = game.generator
        made = own(own.guide(noise, features, torch.ones(2, 5, dtype=torch.bool), None))
        torch.testing.assert_close((made[-1] + 1) / 2, generator(noise, features)[0], rtol=1e-4, atol=1e-4)
    with pytest.raises(OptionError, match="has no encoder of sentences"):
        run.sample(1)


def test_scores_change_their_sign(tmp_path: Path):
    path, _, discriminator = save_checkpoint(tmp_path)
    torch.save(torch.load(path)["D"], tmp_path / "D.pt")
    torch.save(torch.load(path)["G"], tmp_path / "G.pt")
    run = load(import_weights([tmp_path / "G.pt", tmp_path / "D.pt"], "gigagan", tmp_path / "run"))
    images, sentence = torch.rand(2, 3, 16, 16), torch.randn(2, 6)
    with torch.no_grad():
        theirs, patches, _ = discriminator(images, (), sentence)
        ours: Any = run.game.discriminator
        *own, last = ours(2 * images - 1, (), sentence)
    torch.testing.assert_close(-last.view(-1, 2), theirs, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(-own[0], patches[0], rtol=1e-4, atol=1e-4)


def test_an_upsampler_becomes_a_run(tmp_path: Path):
    torch.manual_seed(0)
    network = official.network(
        "gigagan", "UnetUpsampler", 6, 16, 8, style_network=STYLE, dim_mults=(1, 2, 3), full_attn=(False, False, True),
        cross_attn=(False,) * 3, self_attn_dim_head=4, self_attn_heads=2, cross_attn_dim_head=4, attn_depths=(1, 1, 1),
    ).eval()  # fmt: skip
    torch.save({"G": network.state_dict(), "steps": 5}, tmp_path / "up.pt")
    heads = {
        "self_attn_dim_head": 4,
        "self_attn_heads": 2,
        "cross_attn_dim_head": 4,
        "image_size": 16,
        "input_image_size": 8,
    }
    run = load(import_weights(tmp_path / "up.pt", "gigagan", tmp_path / "run", arguments=heads))
    assert (run.game.config.networks, run.game.config.scale, run.game.config.texts) == ("upsampler", 2, False)
    images = torch.rand(2, 3, 12, 20) * 2 - 1
    assert run.translate(images).shape == (2, 3, 24, 40)
    with torch.no_grad():
        noise, own = torch.randn(2, 8), run.game.generator
        made = own(images[..., :8, :8], own.guide(noise, None, None, None))[-1]  # pyright: ignore
        torch.testing.assert_close(
            (made + 1) / 2, network((images[..., :8, :8] + 1) / 2, noise)[0], rtol=1e-4, atol=1e-4
        )


@pytest.mark.parametrize(
    ("change", "said"), [("surplus", "unexpected: surplus"), ("missing", "missing: init_block|init_block")]
)
def test_a_key_too_many_or_too_few_is_an_error(change: str, said: str, tmp_path: Path):
    weights = dict(torch.load(save_checkpoint(tmp_path)[0])["G"])
    if change == "surplus":
        weights["surplus"] = torch.zeros(1)
    else:
        del weights["init_block"]
    torch.save(weights, tmp_path / "G.pt")
    with pytest.raises(WeightsError, match=said):
        import_weights(tmp_path / "G.pt", "gigagan", tmp_path / "run", class_name="Generator")
