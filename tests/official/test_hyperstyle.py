"""The encoders and hypernetworks of StyleGAN2 against the recorded ones of their authors, and their files."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from ganforge import official
from ganforge.errors import ModelError, WeightsError
from ganforge.inference.load import load
from ganforge.interop.importing import import_weights
from ganforge.models.e4e.encoder import StyleBlock
from ganforge.models.hyperstyle.hypernetwork import Head, SeparableHead, SeparableKernel, SharedHead, SharedKernel
from ganforge.nn import likeness
from ganforge.nn.backbones import FaceUnit, SqueezeExcite
from ganforge.nn.likeness import Likeness
from ganforge.nn.ranger import Ranger
from ganforge.official.hyperstyle import SEPARATE
from tests.support import goldens

FOLDER = goldens.SHARED / "golden" / "generation" / "hyperstyle"
FOUND = {g.path.name: g for g in goldens.goldens("hyperstyle")}
RENAMED = {"shortcut_layer": "shortcut", "res_layer": "residual", "output.1.": "output.", "output.0.": "output."}
RENAMED |= SEPARATE
UNITS: dict[str, Any] = {"bottleneck_IR_proj": (8, 12, 2, False), "bottleneck_IR_same": (8, 8, 2, False)}
UNITS |= {"bottleneck_IR_SE_proj": (16, 32, 2), "bottleneck_IR_SE_same": (32, 32, 1)}


def record(name: str) -> goldens.Golden:
    return goldens.Golden(FOLDER / name, json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8")))


def fill(network: nn.Module, own: goldens.Golden, skip: str = "") -> nn.Module:
    """The network with the recorded weights under our names."""
    state = {}
    for key, value in own.weights(network).items():
        for theirs, ours in RENAMED.items():
            key = key.replace(theirs, ours)
        if not (skip and key.startswith(skip)):
            state[key] = value
    network.load_state_dict(state)
    return network.eval()


def pieces() -> dict[str, nn.Module]:
    units = {name: FaceUnit(*sizes) for name, sizes in UNITS.items()}
    return {
        **units,
        "SEModule": SqueezeExcite(32),
        "GradualStyleBlock": StyleBlock(6, 8, 16),
        "SharedWeightsHypernet": SharedKernel(8, 5, 4, 3),
        "SharedWeightsHypernet_per_channel": SharedKernel(8, 5, 4, 3, per_channel=True),
        "SeparableBlock": SeparableKernel(6, (5, 4, 3)),
        "RefinementBlock_layer19": Head(8, 16, 512, (3, 128, 1)),
        "RefinementBlock_layer24": Head(8, 16, 512, (32, 32, 3)),
        "RefinementBlockSeparable_layer24": SeparableHead(8, 16, 512, (32, 32, 3)),
    }


@goldens.needed
@pytest.mark.parametrize("name", pieces())
def test_layers_give_the_recorded_outputs_and_gradients(name: str):
    own, network = record(name), pieces()[name]
    if name.startswith("RefinementBlock"):
        network.convs = narrow(network.convs, 8, 4)  # the recorded heads are 4 wide inside
    fill(network, own)
    recorded = own.io("out.")
    ((key, given),) = own.io("in.").items()
    given.requires_grad_()
    made = network(given.flatten(1) if name == "SeparableBlock" else given)
    ((out, expected),) = [(k, v) for k, v in recorded.items() if not k.startswith("grad_in.")]
    torch.testing.assert_close(made.expand_as(expected), expected, rtol=1e-5, atol=1e-5)
    if f"grad_in.{key}" in recorded:
        cotangent = goldens.normal(f"cot/{out}", [*expected.shape]).float()
        (slope,) = torch.autograd.grad((made.expand_as(expected) * cotangent).sum(), given)
        torch.testing.assert_close(slope, recorded[f"grad_in.{key}"], rtol=1e-3, atol=1e-4)


def narrow(convs: Any, features: int, inner: int) -> nn.Sequential:
    """The same convolutions with other widths inside."""
    layers = [layer for layer in convs if isinstance(layer, nn.Conv2d)]
    widths = [features, *[inner] * (len(layers) - 1), layers[-1].out_channels]
    pairs = zip(layers, widths, widths[1:], strict=False)
    return nn.Sequential(
        *(m for layer, a, b in pairs for m in (nn.Conv2d(a, b, 3, layer.stride[0], 1), nn.LeakyReLU()))
    )


@goldens.needed
def test_a_shared_head():
    own = record("HyperRefinementBlock")
    head, kernel = SharedHead(8, 16, 512), SharedKernel(512, 3, 2, 3)
    head.convs = narrow(head.convs, 8, 4)
    weights = own.weights(head)
    kernel.load_state_dict({k.removeprefix("hypernet."): v for k, v in weights.items() if k.startswith("hypernet.")})
    fill(head, own, "hypernet.")
    torch.testing.assert_close(head(own.io("in.")["x"], kernel), own.io("out.")["delta"], rtol=1e-5, atol=1e-5)


@goldens.needed
def test_ranger_moves_as_recorded():
    io = load_file(FOLDER / "ranger_optimizer.io.safetensors")
    weights = [nn.Parameter(io[f"in.p{i}"].clone()) for i in range(3)]
    ranger = Ranger(weights, 0.01)
    for step in range(14):
        for i, weight in enumerate(weights):
            weight.grad = goldens.normal(f"g{i}_{step}", [*weight.shape]).float()
        ranger.step()
        for i, weight in enumerate(weights):
            if (key := f"out.p{i}_after{step + 1}") in io:
                torch.testing.assert_close(weight.detach(), io[key], rtol=1e-5, atol=1e-6)


def systems(name: str) -> str:
    return "hyperstyle" if name.startswith("SharedWeights") else "e4e"


WHOLE = ["WEncoder_irse50_recipe", "ProgressiveBackboneEncoder_recipe", "ResNetProgressiveBackboneEncoder_recipe"]
WHOLE += ["SharedWeightsHyperNetResNet_recipe", "SharedWeightsHyperNetResNetSeparable_recipe"]


@goldens.needed
@pytest.mark.parametrize("name", WHOLE)
def test_official_sizes_and_keys(name: str):
    own = record(name)
    for sizes, count, keys in own.defaults():
        with torch.device("meta"):
            network = official.network(systems(name), own.class_name, **{"num_layers": 50, "mode": "ir_se", **sizes}
                                       if own.class_name == "ProgressiveBackboneEncoder" else sizes)  # fmt: skip
        assert [(key, tuple(value.shape)) for key, value in network.state_dict().items()] == keys
        assert sum(p.numel() for p in network.parameters()) == count


def run_whole(name: str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """(what a whole network of official size gives, what is recorded)."""
    own = record(name)
    network: Any = official.network(systems(name), own.class_name, **own.arguments[1])
    official.load(network, own.weights(network)).eval()
    given = F.interpolate(own.io("in.")["small"], size=256, mode="bilinear", align_corners=False)
    with torch.no_grad():
        if name.startswith("WEncoder"):
            made = {"codes": network(given), "feat16": network.network.body(given)[-1][:, ::16]}
        elif name.startswith("SharedWeights"):
            made = {"feat16_ch": network.network.body(given)[:, ::16]}
            for number, delta in enumerate(network(given)):
                if delta is not None:
                    stats = [delta.mean(), delta.std(), delta.abs().max()]
                    made |= {f"delta{number}_slice": delta[:, :6, :6], f"delta{number}_stats": torch.stack(stats)}
        else:
            made = {"w": network(given), "w_stage1": network.network(given, 1)}
    return made, own.io("out.")


@goldens.needed
@pytest.mark.parametrize("name", [WHOLE[0], *(pytest.param(n, marks=pytest.mark.quality) for n in WHOLE[1:])])
def test_whole_networks_give_the_recorded_outputs(name: str):
    made, recorded = run_whole(name)
    assert recorded
    for key, value in recorded.items():
        torch.testing.assert_close(made[key], value, rtol=1e-4, atol=1e-4)


# -- losses and the whole chain ---------------------------------------------------------------


class Blank(nn.Module):
    """Gives a number for every constant of a record, none of which is needed."""

    def state_dict(self, *_: Any, **__: Any) -> Any:
        return defaultdict(lambda: torch.zeros((), dtype=torch.int64))


def under(prefix: str, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}


@goldens.needed
@pytest.mark.quality
def test_two_iterations_of_the_chain():
    own = record("HyperStyle_256_recipe")
    encoder: Any = official.network("e4e", "WEncoder", 50, "ir_se", output_size=256)
    decoder: Any = official.network("stylegan2", "Generator", 256, 512, 8, file="models/stylegan2/model.py")
    layers = own.arguments[1]["layers_to_tune"]
    network: Any = official.network("hyperstyle", "SharedWeightsHyperNetResNet", 256, layers_to_tune=layers)
    blank = nn.Module()
    blank.state_dict = lambda: {  # pyright: ignore
        **{f"w_encoder.{k}": v for k, v in encoder.state_dict().items()},
        **{f"decoder.{k}": v for k, v in decoder.state_dict().items()},
        **{f"hypernet.{k}": v for k, v in network.state_dict().items()},
    }
    weights = own.weights(blank)
    for part, prefix in ((encoder, "w_encoder."), (decoder, "decoder."), (network, "hypernet.")):
        state = under(prefix, weights)
        fixed = {k: v for k, v in part.state_dict().items() if k not in state or ".hypernet." in k}
        if prefix == "hypernet.":
            fixed = {k: state[f"shared_weight_hypernet.{k.rpartition('.')[2]}"] for k in fixed}
        official.load(part, {**state, **fixed}).eval()
    x = F.interpolate(own.io("in.")["small"], size=256, mode="bilinear", align_corners=False)
    made: dict[str, Tensor] = {}
    with torch.no_grad():
        w = encoder(x) + weights["latent_avg"][0]
        made["codes"] = w[:, 0]
        y: Tensor = decoder([w], input_is_latent=True)[0]
        total: Any = None
        made["y_inv_pool32"] = F.avg_pool2d(y, 8)
        for t in range(2):
            deltas = network(torch.cat([x, y], 1))
            total = deltas if total is None else [a if a is None else a + b for a, b in zip(total, deltas, strict=True)]
            y = decoder([w], input_is_latent=True, weights_deltas=total)[0]
            made |= {f"y_hat{t}_pool32": F.avg_pool2d(y, 8), f"y_hat{t}_crop": y[:, :, 100:132, 60:92]}
            made |= {f"delta{k}_it{t}": total[k][:, :4, :4] for k in (0, 14)}
    for key, value in own.io("out.").items():
        torch.testing.assert_close(made[key], value, rtol=1e-3, atol=1e-3)


@goldens.needed
def test_lpips_is_read_from_the_published_files(tmp_path: Path):
    own = record("LPIPS_alex_recipe")
    weights = own.weights(Blank())
    layers = under("net.layers.", weights)
    torch.save({f"features.{key}": value for key, value in layers.items()}, tmp_path / likeness.ALEXNET)
    linear = {f"lin{k.split('.')[1]}.model.1.weight": v for k, v in weights.items() if k.startswith("lin.")}
    torch.save(linear, tmp_path / likeness.LINEAR)
    given = {k: F.interpolate(v, size=128, mode="bilinear") for k, v in own.io("in.").items()}
    pair = (given["x"], given["y"], (128, 128), (0.8, 0.5))
    found = Likeness("lpips", "none", str(tmp_path)).terms(None, *pair)
    torch.testing.assert_close(found["perceptual"], 0.8 * own.io("out.")["lpips"].mean(), rtol=1e-4, atol=1e-5)
    with pytest.raises(WeightsError, match=r"no .*model_ir_se50.*--config.identity own"):
        Likeness("lpips", "face", str(tmp_path)).terms(None, *pair)


@goldens.needed
@pytest.mark.quality
def test_identity_is_read_from_the_published_file(tmp_path: Path):
    own = record("ArcFace_Backbone_recipe")
    weights = own.weights(Blank())
    torch.save(weights, tmp_path / likeness.FACE)
    given = {k: F.interpolate(v, size=256, mode="bilinear") for k, v in own.io("in.").items()}
    judge = Likeness("own", "face", str(tmp_path))
    face = judge.load_face()
    recorded = own.io("out.")
    torch.testing.assert_close(face(likeness.cut_face(given["y_hat"])), recorded["embedding"], rtol=1e-3, atol=1e-4)
    loss = (1 - judge.similarities(None, given["y_hat"], given["y"])).mean()
    torch.testing.assert_close(loss, recorded["id_loss"], rtol=1e-3, atol=1e-4)


# -- files ------------------------------------------------------------------------------------

SMALL = (4, 4, 8, 8)
ROSINALITY = "models/stylegan2/model.py"


def test_files_of_the_three_systems_become_runs_that_go_on_from_each_other(tmp_path: Path):
    torch.manual_seed(0)
    kind: dict[str, Any] = {"widths": [8, 8, 8, 8, 4, 2, 1], "channels": 3}
    decoder: Any = official.network("stylegan2", "Generator", 256, 8, 2, file=ROSINALITY, **kind)
    own = {f"decoder.{k}": v for k, v in decoder.state_dict().items()}
    mean = torch.randn(1, 8).repeat(14, 1)
    encoders: dict[str, Any] = {
        name: official.network("e4e", name, 50, **{size: 256}, widths=SMALL, style=8)
        for name, size in (("WEncoder", "output_size"), ("Encoder4Editing", "stylegan_size"),
                           ("GradualStyleEncoder", "stylegan_size"))
    }  # fmt: skip
    hyper: Any = official.network(
        "hyperstyle", "SharedWeightsHyperNetResNet", 256, widths=SMALL, vector=8, capacity=256, most=8
    )
    for name, network in {**encoders, "hyper": hyper}.items():
        prefix = "hypernet." if name == "hyper" else "encoder."
        state = {**{f"{prefix}{k}": v for k, v in network.state_dict().items()}, **own}
        torch.save({"state_dict": state, "latent_avg": mean, "opts": {"n": 1}}, tmp_path / f"{name}.pt")
    runs = {"generator": import_weights(tmp_path / "WEncoder.pt", "stylegan2", tmp_path / "g")}
    generator = {"generator": str(runs["generator"])}
    x = torch.randn(1, 3, 256, 256).clamp(-1, 1)
    for name, network in encoders.items():
        path = tmp_path / f"run-{name}"
        more = {"output_size": 256} if name == "WEncoder" else {}
        made = import_weights(tmp_path / f"{name}.pt", "e4e", path, class_name=name, arguments=more, config=generator)
        game: Any = load(made).game
        with torch.no_grad():
            torch.testing.assert_close(game.invert(x).w, network.eval()(x) + mean)
            torch.testing.assert_close(game.decode(game.invert(x)),
                                       decoder([network(x) + mean], input_is_latent=True)[0].clamp(-1, 1))  # fmt: skip
    config = {"encoder": str(tmp_path / "run-WEncoder"), "iterations": 1}
    game = load(import_weights(tmp_path / "hyper.pt", "hyperstyle", tmp_path / "h", config=config)).game
    with torch.no_grad():
        w = encoders["WEncoder"](x) + mean
        first = decoder([w], input_is_latent=True)[0]
        deltas = hyper.eval()(torch.cat([x, first], 1))
        torch.testing.assert_close(
            game.translate(x), decoder([w], input_is_latent=True, weights_deltas=deltas)[0].clamp(-1, 1)
        )
    bad = {**config, "encoder": str(tmp_path / "run-Encoder4Editing")}
    with pytest.raises(ModelError, match=r"space w, and .* was trained with space w\+"):
        import_weights(tmp_path / "hyper.pt", "hyperstyle", tmp_path / "h2", config=bad)


@pytest.mark.parametrize(
    ("name", "size", "options"),
    [("WEncoder", "output_size", {}), ("Encoder4Editing", "stylegan_size", {}),
     ("Encoder4Editing", "stylegan_size", {"class_name": "Encoder4Editing"})],
)  # fmt: skip
def test_no_run_is_made_of_a_body_without_squeeze_and_excitation(
    name: str, size: str, options: dict[str, Any], tmp_path: Path
):
    network: Any = official.network("e4e", name, 50, "ir", **{size: 16}, widths=SMALL, style=8)
    torch.save({f"encoder.{key}": value for key, value in network.state_dict().items()}, tmp_path / "ir.pt")
    with pytest.raises(WeightsError, match=r"no squeeze and excitation \(mode 'ir'\), which no setting of e4e"):
        import_weights(tmp_path / "ir.pt", "e4e", tmp_path / "run", **options)
