"""AnoGAN's and f-AnoGAN's networks, losses and scores against those of the authors' code and of its port."""

import json
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ganforge import official
from ganforge.batches import Facts, Images
from ganforge.game import Game
from ganforge.models import anogan, f_anogan, wgan_gp
from ganforge.nn.last_layer import features_of
from ganforge.nn.penalties import slope_penalty
from tests.support import goldens

FOUND = {golden.path.name: golden for golden in goldens.goldens("anogan")}
FACTS = Facts(1, 64, 64)
ROUNDING = {"rtol": 0.0, "atol": 2e-5}  # the recorded images are 1e-5 from those of double precision


def recorded(name: str) -> goldens.Golden:
    """A golden whose name is not that of one class."""
    path = goldens.SHARED / "golden" / "generation" / "anogan" / name
    return goldens.Golden(path, json.loads(path.with_suffix(".json").read_text(encoding="utf-8")))


def built(name: str, **more: Any) -> tuple[official.Adapter, goldens.Golden]:
    golden = FOUND[name]
    network = official.network("anogan", golden.class_name, file=golden.file, **golden.arguments[1], **more)
    return official.load(network, golden.weights(network)).eval(), golden


# -- networks ---------------------------------------------------------------------------------


@goldens.needed
def test_the_generator():
    network, golden = built("official_Generator")
    (noise,) = golden.inputs()
    noise.requires_grad_()
    made = network(noise)
    torch.testing.assert_close(made, golden.io("out.")["img"], **ROUNDING)
    check_gradients(network, golden, {"img": made}, noise, "z")


@goldens.needed
def test_the_critic_and_its_features():
    network, golden = built("official_Discriminator")
    small = golden.inputs()[0].requires_grad_()
    score, features = network(enlarged(small))
    expected = golden.io("out.")
    torch.testing.assert_close(score, expected["critic"], rtol=0, atol=1e-5)
    torch.testing.assert_close(features, expected["features"], rtol=0, atol=1e-5)
    check_gradients(network, golden, {"critic": score, "features": features}, small, "small")


@goldens.needed
def test_the_encoder_with_every_bound():
    golden = FOUND["official_Encoder"]
    outputs = golden.io("out.z_")
    assert len(outputs) == len(golden.outputs("eval"))
    for kind, expected in outputs.items():
        network, _ = built("official_Encoder", z_reg_type=None if kind == "None" else kind)
        code = network(enlarged(golden.inputs()[0]))
        torch.testing.assert_close(code, expected, rtol=0, atol=1e-5)


def enlarged(small: Tensor) -> Tensor:
    return interpolate(small, scale_factor=4, mode="bilinear")


def check_gradients(
    network: official.Adapter, golden: goldens.Golden, outputs: dict[str, Tensor], given: Tensor, name: str
) -> None:
    """The recorded gradient of the input, and its length for every tensor of the network."""
    total = torch.zeros(())
    for key, value in outputs.items():
        total = total + (value * goldens.normal(f"cot/{key}", list(value.shape)).float()).sum()
    total.backward()
    torch.testing.assert_close(given.grad, golden.io("out.grad_in.")[name], rtol=1e-3, atol=1e-5)
    parameters = dict(network.network.named_parameters())
    for theirs, length in golden.facts["param_grad_l2"].items():
        if "moving" in theirs:
            continue
        gradient = parameters[network.keys()[theirs]].grad
        assert gradient is not None
        assert float(gradient.norm()) == pytest.approx(length, rel=1e-3)


@goldens.needed
@pytest.mark.parametrize("name", ["Generator", "Discriminator", "Encoder"])
def test_sizes_and_keys(name: str):
    layout = recorded("official_default_layout").facts["official_defaults"]
    sizes = next(size for size in layout if size["name"].startswith(name))
    golden = FOUND[f"official_{name}"]
    for arguments, count in ((sizes["args"], sizes["parameter_count"]), (golden.arguments[1], golden.parameters)):
        with torch.device("meta"):
            network = official.network("anogan", golden.class_name, file=golden.file, **arguments)
        state = network.state_dict()
        assert sum(value.numel() for value in state.values()) == count
        if arguments is sizes["args"]:
            assert [[key, [*value.shape]] for key, value in state.items()] == sizes["state_dict"]


@goldens.needed
def test_the_games_have_these_networks():
    generator, golden = built("official_Generator")
    critic, _ = built("official_Discriminator")
    game = wgan_gp.WGANGP(wgan_gp.Config(latent=6, width=2, networks="residual"), FACTS).eval()
    game.generator.load_state_dict(generator.weights())
    game.critic.load_state_dict(critic.weights())
    noise = golden.inputs()[0]
    torch.testing.assert_close(game.generate(noise).flatten(1), golden.io("out.")["img"], **ROUNDING)
    small, expected = FOUND["official_Discriminator"].inputs()[0], FOUND["official_Discriminator"].io("out.")
    torch.testing.assert_close(features_of(game, enlarged(small)), expected["features"], rtol=0, atol=1e-5)
    encoder, _ = built("official_Encoder")
    whole = f_anogan.FAnoGAN(f_anogan.Config(width=2), FACTS, generator=game).eval()
    whole.encoder.load_state_dict(encoder.weights())
    images = enlarged(FOUND["official_Encoder"].inputs()[0])
    code = FOUND["official_Encoder"].io("out.z_")["tanh_fc"]
    torch.testing.assert_close(whole.translate(images), game.generate(code), **ROUNDING)


# -- losses and scores ------------------------------------------------------------------------


class Port(Game[wgan_gp.Config, Images]):
    """The port's GAN, as a part."""

    augmented = ("critic",)

    def __init__(self, config: Any, generator: official.Adapter, critic: official.Adapter) -> None:
        super().__init__(config, Facts(1, 16, 16))
        self.generate, self.critic = generator, critic

    def players(self) -> Any: ...

    def play(self, batches: Any, now: Any) -> Any: ...


def load_port() -> tuple[dict[str, official.Adapter], goldens.Golden]:
    golden = recorded("port_scores_and_gp")
    named = {"G": "Generator", "D": "Discriminator", "E": "Encoder"}
    networks = {
        key: official.network("anogan", name, file="mvtec_ad/model.py", **golden.arguments[1]).eval()
        for key, name in named.items()
    }
    weights = golden.weights(torch.nn.ModuleDict(networks))
    for key, network in networks.items():
        official.load(network, goldens.pick(weights, f"{key}."))
    return networks, golden


@goldens.needed
@pytest.mark.parametrize("kappa", [1.0, 0.25])
def test_the_loss_and_the_score_are_those_of_the_port(kappa: float):
    networks, golden = load_port()
    inputs, outputs = golden.io("in."), golden.io("out.")
    part = Port(wgan_gp.Config(latent=6), networks["G"], networks["D"])
    game = f_anogan.FAnoGAN(f_anogan.Config(width=4, feature_weight=kappa), Facts(1, 16, 16), generator=part).eval()
    game.encoder = networks["E"]  # pyright: ignore
    images = inputs["img"]
    torch.testing.assert_close(game.encoder(images), outputs["z"], rtol=0, atol=1e-4)
    torch.testing.assert_close(game.translate(images), outputs["fake"], rtol=0, atol=1e-4)
    residual, features = game.residuals(images, outputs["fake"])
    assert features is not None
    torch.testing.assert_close(residual.mean(), outputs["img_distance"])
    torch.testing.assert_close(features.mean(), kappa * outputs["feature_loss"], rtol=1e-4, atol=1e-6)
    expected = outputs["img_distance"] + kappa * outputs["feature_loss"]
    torch.testing.assert_close(game.score(images).mean(), expected, rtol=1e-4, atol=1e-6)
    if kappa == 1:
        torch.testing.assert_close(expected, outputs["anomaly_score_kappa1"])
    again = (game.encoder(game.translate(images)) - outputs["z"]).square().mean()
    torch.testing.assert_close(again, outputs["z_distance"], rtol=1e-4, atol=1e-6)


@goldens.needed
def test_the_penalty_is_that_of_the_port():
    networks, golden = load_port()
    inputs, outputs = golden.io("in."), golden.io("out.")
    share = goldens.normal("alpha", [3, 1, 1, 1]).float().sigmoid()
    between = share * inputs["img"] + (1 - share) * inputs["fake"]

    def critic(images: Tensor) -> Tensor:
        return networks["D"](images)[0]

    penalty = slope_penalty(critic, between)
    torch.testing.assert_close(penalty.detach(), outputs["gradient_penalty"], rtol=1e-4, atol=1e-5)
    loss = critic(inputs["fake"]).mean() - critic(inputs["img"]).mean() + 10 * penalty
    torch.testing.assert_close(loss.detach(), outputs["d_loss"], rtol=1e-4, atol=1e-5)


@goldens.needed
def test_anogan_scores_as_the_formula(monkeypatch: pytest.MonkeyPatch):
    golden = recorded("anogan_2017_formula")
    inputs, outputs = golden.io("in."), golden.io("out.")
    game = wgan_gp.WGANGP(wgan_gp.Config(latent=4, width=4, networks="perceptrons"), Facts(1, 4, 4))
    game = anogan.AnoGAN(anogan.Config(), Facts(1, 4, 4), generator=game)
    found = {id(inputs["x"]): inputs["fx"], id(inputs["gz"]): inputs["fgz"]}
    monkeypatch.setattr(anogan, "features_of", lambda _game, images: found[id(images)])
    torch.testing.assert_close(game.mismatch(inputs["x"], inputs["gz"]), outputs["score"])
    assert game.config.feature_weight == golden.arguments[1]["lambda_"]
