"""Each paper's published settings, with their source, against what the preset of that paper does.

What is compared is what the preset makes: learning rates as the engine sets them at a step, the momenta in the
optimisers, the noise and the first weights of a game that was built.  Networks are narrower where that changes none of
the compared values.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ganforge.batches import Facts, Images, is_mask
from ganforge.catalogue import build_stand_ins, find, names
from ganforge.draw import RowDraw
from ganforge.engine import Engine
from ganforge.game import Clock, Game, parameters
from ganforge.models import dcgan, gan
from ganforge.run import Run
from tests.support.words import WordTable

NARROW: dict[str, dict[str, Any]] = {
    "gan": {"marginals": 3},
    "lsgan": {"width": 8},
    "wgan": {"width": 16},
    "wgan_gp": {"width": 16},
    "f_anogan": {"width": 16},
    "anogan": {},
    "autoencoder": {"width": 16},
    "infogan": {"width": 32, "hidden": 128},
    "pix2pix": {"width": 8, "judge_width": 16},
    "regression": {"width": 8},
    "cyclegan": {"width": 8, "judge_width": 16, "pool": 1},
    "bicyclegan": {"width": 16, "judge_width": 16},
    "stargan": {"width": 8},
    "instagan": {"width": 8, "blocks": 1, "pool": 1},
    "srgan": {"width": 8, "blocks": 1, "judge_width": 8, "content": "pixel"},
    "rbdn": {"width": 24},
    "lostgan": {"width": 2, "mask_width": 8, "judge_width": 2, "content": "none"},
    "spade": {"width": 8, "judge_width": 16, "content": "none"},
    "gan_cls": {"width": 8, "judge_width": 8},
    "stackgan": {"width": 8, "judge_width": 8},
    "text_encoder": {"image_width": 4},
    "gigagan": {"capacity": 2, "widest": 8, "start": 8, "width": 4, "judge_capacity": 2, "judge_widest": 8, "style": 8,
                "text_width": 8, "judge_text_width": 8, "head": 4, "judge_head": 4, "features": 8, "content": "pixel"},
    "r3gan": {"width": 64, "group": 8},
    "stylegan2": {"latent": 8, "style": 8, "capacity": 64, "most": 8},
    "e4e": {"widths": (4, 4, 8, 8), "depths": (1, 1, 1, 1), "perception": "own", "identity": "own"},
    "hyperstyle": {"widths": (4, 4, 8, 8), "depths": (1, 1, 1, 1), "vector": 8, "perception": "own", "identity": "own"},
}  # fmt: skip


@dataclass(frozen=True)
class Built:
    """A preset, and a game and an engine made of it."""

    run: Run
    config: Any
    """As published, not as narrow as the game."""
    game: Game[Any, Any]
    engine: Engine

    def rates(self, step: int) -> list[float]:
        """The learning rate of every parameter group in step `step`, by the schedule of the run and of the game."""
        self.engine.step = step
        self.engine.set_learning_rates(self.engine.clock())
        return [group["lr"] for optimiser in self.engine.players.values() for group in optimiser.param_groups]

    def groups(self) -> Iterator[dict[str, Any]]:
        for optimiser in self.engine.players.values():
            yield from optimiser.param_groups


class NoImages:
    """A loader that is asked for nothing but its size."""

    count = 60_000

    def batch(self, number: int, share: int, shares: int) -> Any:
        raise AssertionError


@cache
def built(model: str, preset: str) -> Built:
    found = find(model)
    chosen = found.preset(preset)
    needed, run = found.game.batch_type.columns(), chosen.run
    facts = Facts(run.channels or 3, run.size[0], run.size[-1], ("circle", "square"))
    if "source" in needed:
        facts = replace(facts, source_channels=run.channels or 3)
    if model == "stargan":
        facts = replace(facts, labels=(), attributes=chosen.config.attributes)
    if "label_map" in needed:
        facts = replace(facts, regions=("sky", "sea", "land"), instance_maps=True)
    facts = replace(facts, instances=2 if any(map(is_mask, needed)) else 0)
    if "boxes" in needed:
        facts = replace(facts, labels=(), objects=("", "circle", "square"), most=2)
    if "tokens" in needed:
        facts = replace(facts, labels=(), vocabulary=72, caption_length=201, captions=10)
    torch.manual_seed(0)
    game = found.game(replace(chosen.config, **NARROW.get(model, {})), facts, **parts_of(model, preset, facts))
    return Built(run, chosen.config, game, Engine(game, replace(run, accumulate=1), NoImages()))


def parts_of(model: str, preset: str, facts: Facts) -> dict[str, Any]:
    """What a model of sentences needs: a text encoder of the authors' width, or the run of Stage I."""
    found = find(model)
    if model not in ("gan_cls", "stackgan"):
        return build_stand_ins(found, found.preset(preset).config, facts)
    if preset != "paper-stage-2":
        return {"text": WordTable(1_024)}
    first = replace(find(model).preset("paper").config, **NARROW[model])
    small = replace(facts, height=facts.height // 4, width=facts.width // 4)
    return {"stage1": find(model).game(first, small, text=WordTable(1_024))}


# -- what is compared -------------------------------------------------------------------------------

Check = Callable[[Built], None]


def run_has(**published: Any) -> Check:
    """Settings of the run: batch, steps, size, flip, crop, native."""

    def check(own: Built) -> None:
        assert {name: getattr(own.run, name) for name in published} == published

    return check


def config_has(**published: Any) -> Check:
    """Settings of the model's Config: weights of losses, sizes of networks, numbers of moves."""

    def check(own: Built) -> None:
        assert {name: getattr(own.config, name) for name in published} == published

    return check


def rate_is(at: Mapping[int, float | list[float]]) -> Check:
    """{step: the learning rate, of all parameters or of each group}."""

    def check(own: Built) -> None:
        for step, published in at.items():
            rates = own.rates(step)
            assert rates == pytest.approx(published if isinstance(published, list) else [published] * len(rates)), step

    return check


def rate_halves(rate: float, every: int) -> Check:
    """The learning rate, halved after so many epochs, again and again."""

    def check(own: Built) -> None:
        for epoch, times in ((0, 0), (every - 1, 0), (every, 1), (3 * every, 3)):
            own.rates(0)
            own.game.tune(own.engine.players, Clock(epoch=epoch))
            assert [group["lr"] for group in own.groups()] == pytest.approx([rate / 2**times] * len([*own.groups()]))

    return check


def epoch_rate_is(at: Mapping[int, float]) -> Check:
    """{epoch: the learning rate}, of a game that sets it."""

    def check(own: Built) -> None:
        for epoch, published in at.items():
            own.game.tune(own.engine.players, Clock(epoch=epoch))
            assert [group["lr"] for group in own.groups()] == pytest.approx([published]), epoch

    return check


def text_weights_are_uniform(limit: float) -> Check:
    """All weights and biases of the text network."""

    def check(own: Built) -> None:
        for weight in own.game.get_submodule("text_network").parameters():
            assert limit * 0.9 < float(weight.detach().abs().max()) <= limit

    return check


def betas_are(beta1: float, beta2: float) -> Check:
    """Adam's."""

    def check(own: Built) -> None:
        assert {group["betas"] for group in own.groups()} == {(beta1, beta2)}

    return check


def follows_images(at: Mapping[int, tuple[float, float]]) -> Check:
    """{images of each player: (Adam's rate, its second momentum)}, where two batches are drawn in a step."""

    def check(own: Built) -> None:
        for images, published in at.items():
            own.engine.set_learning_rates(Clock(seen=2 * images))
            for group in own.groups():
                assert (group["lr"], group["betas"][1]) == pytest.approx(published), images
                assert group["betas"][0] == 0

    return check


def momentum_is(at: Mapping[int, float]) -> Check:
    """{epoch: the momentum}."""

    def check(own: Built) -> None:
        for epoch, published in at.items():
            own.game.tune(own.engine.players, Clock(epoch=epoch))
            assert {round(group["momentum"], 6) for group in own.groups()} == {published}

    return check


def decay_is(*published: float) -> Check:
    """The L2 penalty of each parameter group, or of all."""

    def check(own: Built) -> None:
        found = [group["weight_decay"] for group in own.groups()]
        assert found == ([*published] if len(published) > 1 else [*published] * len(found))

    return check


def noise_is(kind: str, low: float, high: float = 0.0) -> Check:
    """Uniform in [low, high), or normal with deviation `low`."""

    def check(own: Built) -> None:
        own.game.draw = RowDraw(0)
        z = own.game.noise(2_000)[:, : own.config.latent]  # pyright: ignore
        if kind == "normal":
            assert z.std().item() == pytest.approx(low, rel=0.02)
            assert z.abs().max() > 3.5 * low
        else:
            assert (z.min().item(), z.max().item()) == pytest.approx((low, high), abs=1e-2)
            assert z.var().item() == pytest.approx((high - low) ** 2 / 12, rel=0.03)

    return check


def weights_are(kind: str, scale: float, networks: str) -> Check:
    """First weights of convolutions and linear layers: normal, xavier with a gain, or uniform in +-scale."""

    def check(own: Built) -> None:
        for network in map(own.game.get_submodule, networks.split()):
            for weight in map(weight_of, network.modules()):
                if weight is None or weight.numel() < 500:
                    continue
                fan = weight.shape[0] * weight[0, 0].numel() + weight.shape[1] * weight[0, 0].numel()
                deviation = {"normal": scale, "xavier": scale * (2 / fan) ** 0.5, "uniform": scale / 3**0.5}[kind]
                assert weight.std().item() == pytest.approx(deviation, rel=0.15), weight.shape
                assert kind != "uniform" or weight.abs().max() <= scale

    return check


def weight_of(layer: nn.Module) -> Tensor | None:
    return layer.weight if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear) else None


def has_parameters(**published: int) -> Check:
    """{network: number of its parameters}."""

    def check(own: Built) -> None:
        found = parameters(own.game)
        assert {name: found[name] for name in published} == published

    return check


# -- the table --------------------------------------------------------------------------------------

Published = tuple[str, str, Check]  # what, source, comparison

MNIST_YAML = "goodfeli/adversarial, mnist.yaml"
CGAN = "section 4.1"
DCGAN, DCGAN_CODE = "section 4", "Newmu/dcgan_code, faces/train_uncond_dcgan.py"
PYTORCH = "pytorch/examples, dcgan/main.py"
INFOGAN = "openai/InfoGAN, launchers/run_mnist_exp.py"
INFOGAN_OPS = "openai/InfoGAN, infogan/misc/custom_ops.py"
PIX2PIX = "section 3.3"
TEXT = "reedscot/cvpr2016, train_sje_hybrid.lua"
CYCLEGAN = "section 4"
BICYCLEGAN = "junyanz/BicycleGAN, scripts/train_facades.sh"
STARGAN = "section 5, training"
INSTAGAN = "sangwoomo/instagan, README.md, jeans2skirt"
GAN_CLS, GAN_CLS_CODE = "2016, section 5", "reedscot/icml2016, main_cls.lua"
STACKGAN, STACKGAN_CODE = "2017, section 4.2", "hanzhanggit/StackGAN-Pytorch"
GIGAGAN = "arXiv 2303.05511"
LOSTGAN, LOSTGAN_CODE = "2019, experiments", "WillSuen/LostGANs, train.py"
SRGAN, ESRGAN = "section 3.2", "ESRGAN, section 4.1"
DENOISING, RELIGHTING = "venkai/RBDN, training/denoising", "venkai/RBDN, training/relighting"
COLOURING, COLOUR_RATES = "venkai/RBDN, training/colorization", [3.16e-3, 3.16e-4, 3.16e-4, 3.16e-4, 3.16e-3]
R3GAN = "brownvc/R3GAN, train.py"
E4E = "omertov/encoder4editing, README and options/train_options.py"
HYPERSTYLE = "yuval-alaluf/hyperstyle, README and coach_hyperstyle.py"
STYLEGAN2 = "NVlabs/stylegan2-ada-pytorch, train.py"
SPADE, SPADE_CODE = "section 4", "NVlabs/SPADE, options/train_options.py"
SPADE_TERMS = {"gan": "hinge", "features": 10.0, "content": "vgg", "content_weight": 10.0, "kl": 0.05, "use_vae": False}
FIRST_RATES = [1e-7, 1e-8, 1e-8, 1e-8, 1e-7]  # weights, biases, the last layer's two, norms

TABLE: dict[tuple[str, str], list[Published]] = {
    ("gan", "paper"): [
        ("batch", MNIST_YAML, run_has(batch=100, size=(28,), channels=1)),
        ("rate", MNIST_YAML, rate_is({0: 0.1, 1: 0.1 / 1.000004, 250_000: 0.1 / 1.000004**250_000})),
        ("momentum", MNIST_YAML, momentum_is({0: 0.5, 1: 0.5, 250: 0.7, 500: 0.7})),
        ("noise", "goodfeli/adversarial, __init__.py, get_noise", noise_is("uniform", -(3**0.5), 3**0.5)),
        ("first weights of G", MNIST_YAML, weights_are("uniform", 0.05, "generator")),
        ("first weights of D", MNIST_YAML, weights_are("uniform", 0.005, "discriminator")),
        ("D's cost", "goodfeli/adversarial, AdversaryCost2", config_has(discriminator_weight=0.5)),
        ("networks", MNIST_YAML, config_has(latent=100, width=1200, units=240, pieces=5, output="sigmoid")),
        ("output bias", "init_sigmoid_bias_from_marginals of 50,000 images", config_has(marginals=500)),
        ("length", "open: a departure", run_has(steps=300_000)),
    ],
    ("cgan", "paper"): [
        ("batch", CGAN, run_has(batch=100, size=(28,), channels=1)),
        ("rate", CGAN, rate_is({0: 0.1, 10_000: 0.1 / 1.00004**10_000, 299_999: 1e-6})),
        ("momentum", CGAN, momentum_is({0: 0.5, 250: 0.7})),
        ("noise", CGAN, noise_is("uniform", 0.0, 1.0)),
        ("networks", CGAN, config_has(latent=100, networks="perceptrons")),
    ],
    ("dcgan", "paper"): [
        ("batch", DCGAN, run_has(batch=128, size=(64,))),
        ("rate", DCGAN, rate_is({0: 2e-4, 100_000: 2e-4})),
        ("betas", DCGAN, betas_are(0.5, 0.999)),
        ("first weights", DCGAN, weights_are("normal", 0.02, "generator discriminator")),
        ("noise", f"figure 1, {DCGAN_CODE}", noise_is("uniform", -1.0, 1.0)),
        ("L2", DCGAN_CODE, decay_is(1e-5)),
        ("networks", "figure 1", config_has(latent=100, width=128, kernel=5)),
        ("length", "figure 3: 5 epochs of 3,033,042 bedrooms", run_has(steps=118_500)),
        # 100 to 1,024 x 4 x 4, then kernels of 5 x 5 to 512, 256, 128 and 3 maps, and four norms
        ("parameters", "figure 1", has_parameters(generator=18_855_040)),
    ],
    ("dcgan", "pytorch"): [
        ("batch", PYTORCH, run_has(batch=64, size=(64,))),
        ("rate", PYTORCH, rate_is({0: 2e-4, 99_999: 2e-4})),
        ("betas", PYTORCH, betas_are(0.5, 0.999)),
        ("first weights", PYTORCH, weights_are("normal", 0.02, "generator discriminator")),
        ("noise", PYTORCH, noise_is("normal", 1.0)),
        ("L2", PYTORCH, decay_is(0.0)),
        ("parameters", PYTORCH, has_parameters(generator=3_576_704, discriminator=2_765_568)),
    ],
    ("lsgan", "paper"): [
        ("batch", "section 4", run_has(batch=64, size=(112,))),
        ("rate", "section 4, scenes", rate_is({0: 1e-3, 299_999: 1e-3})),
        ("betas", "section 4", betas_are(0.5, 0.999)),
        ("noise", "figure 2", config_has(latent=1024)),
    ],
    ("wgan", "paper"): [
        ("batch", "algorithm 1", run_has(batch=64, size=(64,))),
        ("rate", "algorithm 1", rate_is({0: 5e-5, 99_999: 5e-5})),
        ("critic", "algorithm 1", config_has(limit=0.01, critic_moves=5, optimiser="rmsprop", clip="after")),
        (
            "critic at first",
            "martinarjovsky/WassersteinGAN, main.py",
            config_has(thorough_moves=100, thorough_start=25),
        ),
        ("noise", "martinarjovsky/WassersteinGAN, main.py", noise_is("normal", 1.0)),
        ("first weights", "martinarjovsky/WassersteinGAN", weights_are("normal", 0.02, "generator critic")),
    ],
    ("wgan_gp", "paper"): [
        ("batch", "algorithm 1", run_has(batch=64)),
        ("length", "igul222/improved_wgan_training, gan_64x64.py", run_has(steps=200_000)),
        ("rate", "algorithm 1", rate_is({0: 1e-4})),
        ("betas", "algorithm 1", betas_are(0.0, 0.9)),
        ("penalty", "algorithm 1", config_has(penalty=10.0, critic_moves=5)),
        ("noise", "igul222/improved_wgan_training, gan_64x64.py", noise_is("normal", 1.0)),
    ],
    ("f_anogan", "paper"): [
        ("batch", "tSchlegl/f-AnoGAN, z_encoding_izif.py", run_has(batch=64, size=(64,), channels=1)),
        ("length", "tSchlegl/f-AnoGAN, z_encoding_izif.py", run_has(steps=50_000)),
        ("rate", "tSchlegl/f-AnoGAN, z_encoding_izif.py", rate_is({0: 5e-5, 49_999: 5e-5})),
        ("losses", "section 2.2", config_has(training="izi_f", feature_weight=1.0)),
        ("codes", "tSchlegl/f-AnoGAN, z_reg_type tanh_fc", config_has(bound="tanh", reach=1.0)),
        ("networks", "tSchlegl/f-AnoGAN, wgangp_64x64.py", config_has(width=64)),
    ],
    ("anogan", "paper"): [
        ("descent", "section 3", config_has(steps=500, feature_weight=0.1)),
        ("patches", "section 3: 64 x 64, grey", run_has(size=(64,), channels=1)),
    ],
    ("autoencoder", "paper"): [
        ("as f_anogan", "tSchlegl/f-AnoGAN, z_encoding_izif.py", run_has(batch=64, size=(64,), steps=50_000)),
        ("code", "f_anogan's", config_has(latent=128, width=64)),
        ("rate", "departure 3", rate_is({0: 1e-4, 49_999: 1e-4})),
    ],
    ("infogan", "paper"): [
        ("batch", INFOGAN, run_has(batch=128, size=(28,), channels=1)),
        ("length", INFOGAN, run_has(steps=100 * 50)),
        ("rates of D and G", INFOGAN, rate_is({0: [2e-4, 1e-3], 4_999: [2e-4, 1e-3]})),
        ("betas", "infogan/algos/infogan_trainer.py", betas_are(0.5, 0.999)),
        ("noise", INFOGAN, noise_is("uniform", -1.0, 1.0)),
        ("codes", INFOGAN, config_has(latent=62, categories=(10,), continuous=2, deviation="fixed")),
        ("lambda", INFOGAN, config_has(categorical_weight=1.0, continuous_weight=1.0)),
        ("leak", INFOGAN_OPS, config_has(leak=0.01)),
        ("first weights", INFOGAN_OPS, weights_are("normal", 0.02, "generator discriminator")),
    ],
    ("pix2pix", "paper"): [
        ("batch", "section 6.2, facades", run_has(batch=1, size=(256,))),
        ("length", "section 6.2: 200 epochs of 400 pairs", run_has(steps=80_000)),
        ("jitter", "section 6.2", run_has(flip=True, crop=True, native=False)),
        ("rate", "phillipi/pix2pix, train.lua", rate_is({0: 2e-4, 40_000: 2e-4, 79_999: 2e-4})),
        ("betas", PIX2PIX, betas_are(0.5, 0.999)),
        ("first weights", "section 6.2", weights_are("normal", 0.02, "generator discriminator")),
        ("loss", "section 6.2", config_has(weight=100.0, patch=70, objective="l1+cgan", dropout=True, norm="batch")),
    ],
    ("regression", "paper"): [
        ("as pix2pix", "section 6.2", run_has(batch=1, size=(256,), steps=80_000, flip=True, crop=True)),
        ("rate", "phillipi/pix2pix, train.lua", rate_is({0: 2e-4, 79_999: 2e-4})),
        ("betas", PIX2PIX, betas_are(0.5, 0.999)),
        ("first weights", "section 6.2", weights_are("normal", 0.02, "generator")),
    ],
    ("cyclegan", "paper"): [
        ("batch", CYCLEGAN, run_has(batch=1, size=(256,), flip=True, crop=True)),
        ("length", "section 7.1: 200 epochs of 1,334 images", run_has(steps=200 * 1_334)),
        ("rate", CYCLEGAN, rate_is({0: 2e-4, 133_400: 2e-4, 200_100: 1e-4})),
        ("betas", "junyanz/CycleGAN, options.lua", betas_are(0.5, 0.999)),
        ("first weights", "section 7.1", weights_are("normal", 0.02, "to_a to_b is_a is_b")),
        ("losses", CYCLEGAN, config_has(cycle_a=10.0, cycle_b=10.0, pool=50, gan="lsgan", patch=70, blocks=9)),
        ("identity", "junyanz/CycleGAN, options.lua: horse2zebra has none", config_has(identity=0.0)),
    ],
    ("bicyclegan", "paper"): [
        ("batch", BICYCLEGAN, run_has(batch=2, size=(256,))),
        ("length", f"{BICYCLEGAN}: 200 + 200 epochs of 400 pairs", run_has(steps=400 * 200)),
        ("no jitter", f"{BICYCLEGAN}: loaded at 256", run_has(flip=True, crop=False)),
        ("rate", "models/networks.py, get_scheduler", rate_is({0: 2e-4, 40_000: 2e-4, 60_000: 1e-4})),
        ("betas", "options/train_options.py", betas_are(0.5, 0.999)),
        ("first weights", "init_type xavier", weights_are("xavier", 0.02, "generator encoder discriminator")),
        ("losses", "section 4", config_has(latent=8, l1=10.0, code=0.5, kl=0.01, dropout=True)),
    ],
    ("stargan", "paper"): [
        ("batch", STARGAN, run_has(batch=16, size=(128,), flip=True)),
        ("length", "yunjey/stargan, main.py: 200,000 iterations, 5 a step", run_has(steps=200_000 // 5)),
        ("rate", STARGAN, rate_is({0: 1e-4, 20_000: 1e-4, 30_000: 5e-5})),
        ("betas", STARGAN, betas_are(0.5, 0.999)),
        ("losses", STARGAN, config_has(classify=1.0, reconstruct=10.0, penalty=10.0, critic_moves=5)),
    ],
    ("instagan", "paper"): [
        ("batch", INSTAGAN, run_has(batch=1, size=(300, 200), flip=True, crop=True)),
        ("length", f"{INSTAGAN}: 400 + 200 epochs of 1,000 images", run_has(steps=600_000)),
        ("rate", INSTAGAN, rate_is({0: 2e-4, 399_999: 2e-4, 500_000: 1e-4, 599_999: 1e-9})),
        ("betas", "options/train_options.py", betas_are(0.5, 0.999)),
        ("first weights", "models/networks.py", weights_are("normal", 0.02, "to_a to_b")),
        (
            "losses",
            "models/insta_gan_model.py",
            config_has(cycle_a=10.0, identity=1.0, context=1.0, pool=50, instances=4, together=2),
        ),
    ],
    ("lostgan", "paper"): [
        ("batch", LOSTGAN_CODE, run_has(batch=128, size=(128,), flip=True)),
        ("length", f"{LOSTGAN}: 200 epochs of 25,210 images and mirrors", run_has(steps=200 * (2 * 25_210 // 128))),
        ("rate", LOSTGAN_CODE, rate_is({0: 1e-4, 78_599: 1e-4})),
        ("betas", LOSTGAN_CODE, betas_are(0.0, 0.999)),
        ("weights of the scores", LOSTGAN_CODE, config_has(object_weight=1.0, image_weight=0.1)),
        ("content", LOSTGAN_CODE, config_has(pixel_weight=1.0, vgg_weight=1.0, content="vgg")),
        ("networks", "model/resnet_generator_v2.py", config_has(version=2, latent=128, embedding=180, width=64)),
        ("discriminator", "model/rcnn_discriminator.py", config_has(judge_width=64)),
        ("masks", "INSTALL.md: torch 1.0", config_has(align_corners=True, whole_image=False)),
    ],
    ("lostgan", "paper-vg"): [
        ("batch", LOSTGAN_CODE, run_has(batch=128, size=(128,), flip=True)),
        ("length", f"{LOSTGAN}: 200 epochs of 62,565 images and mirrors", run_has(steps=200 * (2 * 62_565 // 128))),
        ("rate", LOSTGAN_CODE, rate_is({0: 1e-4, 195_399: 1e-4})),
        ("betas", LOSTGAN_CODE, betas_are(0.0, 0.999)),
        ("the whole image is an object", "data/vg.py", config_has(whole_image=True)),
    ],
    ("gan_cls", "paper"): [
        ("batch", GAN_CLS, run_has(batch=64, size=(64,), flip=True, crop=True)),
        ("length", f"{GAN_CLS}: 600 epochs of 8,855 birds", run_has(steps=83_000)),
        ("rate", GAN_CLS, rate_halves(2e-4, 100)),
        ("betas", GAN_CLS, betas_are(0.5, 0.999)),
        ("noise", GAN_CLS, noise_is("normal", 1.0)),
        ("text", "2016, section 4.1", config_has(projected=128, text_norm=False, joint=True)),
        ("interpolation", "2016, section 4.3", config_has(beta=0.5, variant="int-cls")),
        ("half a batch of interpolated texts", GAN_CLS_CODE, config_has(between_weight=0.5)),
        ("networks", GAN_CLS_CODE, config_has(width=128, judge_width=64, residual=1, latent=100)),
        (
            "first weights",
            GAN_CLS_CODE,
            weights_are("normal", 0.02, "generator.body discriminator.features discriminator.judge"),
        ),
    ],
    **{
        ("stackgan", preset): [
            ("batch", STACKGAN, run_has(batch=64, size=size, flip=True, crop=True)),
            ("length", f"{STACKGAN}: 600 epochs of 8,855 birds", run_has(steps=83_000)),
            ("rate", STACKGAN, rate_halves(2e-4, 100)),
            ("betas", STACKGAN_CODE, betas_are(0.5, 0.999)),
            ("networks", STACKGAN_CODE, config_has(stage=stage, width=128, judge_width=64, blocks=4)),
            ("condition", STACKGAN, config_has(condition=128, latent=100, objective="released")),
            ("first weights", STACKGAN_CODE, weights_are("normal", 0.02, "generator discriminator")),
        ]
        for preset, stage, size in (("paper", 1, (64,)), ("paper-stage-2", 2, (256,)))
    },
    ("text_encoder", "paper"): [
        ("batch", TEXT, run_has(batch=40)),
        (
            "rate",
            f"{TEXT}, train_flowers_hybrid.sh: 0.98 of it after every epoch",
            epoch_rate_is({0: 7e-4, 2: 7e-4 * 0.98**2}),
        ),
        ("first weights", TEXT, text_weights_are_uniform(0.08)),
        ("loss", f"equation 5; {TEXT}", config_has(symmetric=True)),
        (
            "networks",
            "reedscot/icml2016, HybridCNNLong.lua",
            config_has(filters=(384, 512, 512), width=1024, average=True),
        ),
    ],
    ("srgan", "paper"): [
        ("batch", SRGAN, run_has(batch=16, size=(96,), native=True, crop=True)),
        ("length", f"{SRGAN}: 1e6, 1e5 and 1e5 updates", run_has(steps=1_200_000)),
        ("first stage", SRGAN, config_has(pretraining=1_000_000)),
        ("rate", SRGAN, rate_is({0: 1e-4, 999_999: 1e-4, 1_099_999: 1e-4, 1_100_000: 1e-5, 1_199_999: 1e-5})),
        ("betas", SRGAN, betas_are(0.9, 0.999)),
        ("D's loss", "equation 2", config_has(discriminator_weight=1.0, fool_weight=1e-3, vgg_weight=0.006)),
    ],
    ("srgan", "esrgan"): [
        ("batch", ESRGAN, run_has(batch=16, size=(128,))),
        ("length", ESRGAN, run_has(steps=1_400_000)),
        ("rate, first stage", ESRGAN, rate_is({k * 200_000: 2e-4 / 2**k for k in range(5)} | {999_999: 1.25e-5})),
        (
            "rate, second stage",
            ESRGAN,
            rate_is({1_000_000 + step: 1e-4 / 2**k for k, step in enumerate((0, 50_000, 100_000, 200_000, 300_000))}),
        ),
        ("losses", "xinntao/BasicSR", config_has(discriminator_weight=0.5, fool_weight=5e-3, relativistic=True)),
    ],
    ("rbdn", "paper"): [
        ("batch", f"{DENOISING}/train.prototxt", run_has(batch=64, size=(128,), channels=1)),
        ("mirror and native windows", f"{DENOISING}/train.prototxt", run_has(flip=True, crop=True, native=True)),
        ("length", f"{DENOISING}/solver.prototxt", run_has(steps=500_000)),
        ("rate", f"{DENOISING}/train.prototxt", rate_is({0: FIRST_RATES, 250_000: [r / 100 for r in FIRST_RATES]})),
        ("momentum", f"{DENOISING}/solver.prototxt", momentum_is({0: 0.9})),
        ("L2", f"{DENOISING}/train.prototxt, decay 1 everywhere", decay_is(5e-4)),
        ("first weights", f"{DENOISING}/train.prototxt", weights_are("normal", 1e-3, "generator")),
        ("branches", f"{DENOISING}/train.prototxt", config_has(branches=3, width=64, depth=9, white=255.0)),
    ],
    ("gigagan", "paper"): [
        ("size", f"{GIGAGAN}: a base of 64 pixels", run_has(size=(64,))),
        ("text", f"{GIGAGAN}, section 3.1", config_has(networks="base", reading="paper", texts=True)),
        ("attention", f"{GIGAGAN}, section 3.2: by distances", config_has(distance=True, judge_distance=True)),
        ("pyramid", f"{GIGAGAN}, section 3.3: five sizes, 64 to 4", config_has(enter=(64, 32, 16, 8, 4))),
        ("nothing of others", GIGAGAN, config_has(decoders=(), skips=0, judge_skips=0, shuffle=False)),
    ],
    ("gigagan", "paper-upsampler"): [
        ("size", f"{GIGAGAN}, section 3.4: 64 to 512", run_has(size=(512,))),
        ("scale", f"{GIGAGAN}, section 3.4", config_has(networks="upsampler", scale=8, reading="paper")),
    ],
    ("spade", "paper"): [
        ("batch", SPADE, run_has(batch=32, size=(256,))),
        ("length", f"{SPADE}: 100 epochs of COCO-Stuff's 118,287 images", run_has(steps=100 * (118_287 // 32))),
        ("jitter", "README.md: resize_and_crop from 286", run_has(flip=True, crop=True, native=False)),
        ("rates of G and D", SPADE, rate_is({0: [1e-4, 4e-4], 369_599: [1e-4, 4e-4]})),
        ("betas", SPADE_CODE, betas_are(0.0, 0.9)),
        ("losses", SPADE_CODE, config_has(**SPADE_TERMS)),
        (
            "networks",
            SPADE_CODE,
            config_has(width=64, hidden=128, judge_width=64, judge_layers=4, scales=2, latent=256),
        ),
        (
            "first weights of D",
            "models/networks/base_network.py",
            weights_are("xavier", 0.02, "discriminator.scales.0.0"),
        ),
    ],
    ("spade", "paper-ade"): [
        ("batch", SPADE, run_has(batch=32, size=(256,), flip=True, crop=True)),
        ("length", f"{SPADE}: 200 epochs of 20,210 images", run_has(steps=200 * (20_210 // 32))),
        ("rates of G and D", SPADE, rate_is({0: [1e-4, 4e-4], 63_100: [1e-4, 4e-4], 94_650: [5e-5, 2e-4]})),
        ("no instances", "README.md: --no_instance", config_has(boundaries=False)),
    ],
    ("spade", "paper-cityscapes"): [
        (
            "batch",
            "NVlabs/SPADE, data/cityscapes_dataset.py",
            run_has(batch=16, size=(256, 512), flip=True, crop=False),
        ),
        ("length", f"{SPADE}: 200 epochs of 2,975 images", run_has(steps=200 * (2_975 // 16))),
        ("rates of G and D", SPADE, rate_is({0: [1e-4, 4e-4], 27_750: [5e-5, 2e-4]})),
        ("doublings", "data/cityscapes_dataset.py", config_has(layers="more", boundaries=True)),
    ],
    ("r3gan", "paper"): [
        ("batch", "README.md", run_has(batch=256, size=(256,), flip=True)),
        (
            "rate and beta2",
            R3GAN,
            follows_images({0: (2e-4, 0.9), 10_000_000: (1.25e-4, 0.945), 20_000_000: (5e-5, 0.99)}),
        ),
        ("gamma", f"{R3GAN}, FFHQ-256", config_has(gamma=150.0, final_gamma=15.0, decay=20_000_000)),
        ("averages", f"{R3GAN}, FFHQ-256", config_has(final_half_life=500_000.0)),
        ("no ramp-up", "training/training_loop.py", run_has(ema_rampup=None)),
        ("augmentation", f"{R3GAN}, FFHQ-256", config_has(final_augment_p=0.3)),
        ("its schedule", R3GAN, run_has(augment="ada", augment_p="game")),
        ("networks", f"{R3GAN}, FFHQ-256", config_has(latent=64, width=768, full=32, group=16, blocks=2, expansion=2)),
        ("length", "open: a departure", run_has(steps=78_125)),
    ],
    ("r3gan", "cifar"): [
        ("batch", "README.md", run_has(batch=512, size=(32,), flip=True)),
        ("gamma", f"{R3GAN}, CIFAR10", config_has(gamma=0.05, final_gamma=0.005)),
        ("averages", f"{R3GAN}, CIFAR10", config_has(final_half_life=5e6, decay=20_000_000)),
        ("augmentation", f"{R3GAN}, CIFAR10", config_has(final_augment_p=0.55)),
        ("classes", "README.md: --cond=1", config_has(conditional=True)),
    ],
    ("r3gan", "ffhq64"): [
        ("batch", "README.md", run_has(batch=256, size=(64,), flip=True)),
        ("gamma", f"{R3GAN}, FFHQ-64", config_has(gamma=2.0, final_gamma=0.2, final_augment_p=0.3)),
    ],
    ("r3gan", "imagenet32"): [
        ("batch", "README.md", run_has(batch=4096, size=(32,), flip=True)),
        ("gamma", f"{R3GAN}, ImageNet-32", config_has(gamma=0.5, final_gamma=0.05, final_augment_p=0.5)),
        ("averages", f"{R3GAN}, ImageNet-32", config_has(final_half_life=5e7, decay=200_000_000)),
        ("networks", f"{R3GAN}, ImageNet-32", config_has(width=1536, group=32, conditional=True)),
    ],
    ("r3gan", "imagenet64"): [
        ("batch", "README.md", run_has(batch=4096, size=(64,), flip=True)),
        ("gamma", f"{R3GAN}, ImageNet-64", config_has(gamma=1.0, final_gamma=0.1, final_augment_p=0.4)),
    ],
    ("e4e", "paper"): [
        ("batch", E4E, run_has(batch=8, size=(1024,), flip=True, steps=200_000)),
        ("rates", E4E, rate_is({0: [1e-4, 2e-5], 199_999: [1e-4, 2e-5]})),
        ("networks", f"{E4E}, IR-SE50", config_has(widths=(64, 128, 256, 512), depths=(3, 4, 14, 3))),
        ("losses", E4E, config_has(mse_weight=1.0, perceptual_weight=0.8, identity_weight=0.5, side=256)),
        ("discriminator", E4E, config_has(adversarial=0.1, pool=50, gamma=10.0, r1_every=16)),
        ("deltas", E4E, config_has(space="w+", delta_weight=2e-4, wait=20_000, every=2_000, relative=True)),
    ],
    ("e4e", "psp"): [
        (
            "codes",
            "eladrich/pixel2style2pixel, README",
            config_has(relative=False, adversarial=0.0, identity_weight=0.1),
        ),
        ("rate", "eladrich/pixel2style2pixel, options", rate_is({0: 1e-4})),
    ],
    ("hyperstyle", "paper"): [
        ("batch", HYPERSTYLE, run_has(batch=8, size=(1024,), flip=True, steps=500_000)),
        ("rate", HYPERSTYLE, rate_is({0: 1e-4, 499_999: 1e-4})),
        ("iterations", "section 3.3", config_has(iterations=5, separable=False, layers=())),
        (
            "networks",
            f"{HYPERSTYLE}, ResNet34",
            config_has(widths=(64, 128, 256, 512), depths=(3, 4, 6, 3), vector=512),
        ),
        ("losses", HYPERSTYLE, config_has(mse_weight=1.0, perceptual_weight=0.8, identity_weight=0.1, side=256)),
    ],
    ("stylegan2", "paper"): [
        ("batch", f"{STYLEGAN2}, stylegan2", run_has(batch=32, size=(1024,), augment="none", ema_rampup=None)),
        ("length", "section 5: 25 million images", run_has(steps=25_000_000 // 32)),
        ("rates", f"{STYLEGAN2}, lazy ratios 4/5 and 16/17", rate_is({0: [0.002 * 4 / 5, 0.002 * 16 / 17]})),
        ("mapping", STYLEGAN2, config_has(latent=512, style=512, mapping_layers=8, capacity=32_768, most=512)),
        ("R1 and path length", STYLEGAN2, config_has(gamma=10.0, r1_every=16, path_weight=2.0, path_every=4)),
        ("mixing and batch deviation", STYLEGAN2, config_has(mixing=0.9, group=4, half_life=10_000.0)),
        ("forms", "figure 7", config_has(generator_form="skip", discriminator_form="resnet")),
    ],
    ("stylegan2", "paper256"): [
        ("batch", f"{STYLEGAN2}, paper256", run_has(batch=64, size=(256,), augment="ada", steps=25_000_000 // 64)),
        ("rates", STYLEGAN2, rate_is({0: [0.0025 * 4 / 5, 0.0025 * 16 / 17]})),
        ("column", STYLEGAN2, config_has(group=8, capacity=16_384, gamma=1.0, half_life=20_000.0, mapping_layers=8)),
    ],
    ("stylegan2", "paper512"): [
        ("batch", f"{STYLEGAN2}, paper512", run_has(batch=64, size=(512,), augment="ada", steps=25_000_000 // 64)),
        ("rates", STYLEGAN2, rate_is({0: [0.0025 * 4 / 5, 0.0025 * 16 / 17]})),
        ("column", STYLEGAN2, config_has(group=8, capacity=32_768, gamma=0.5, half_life=20_000.0, mapping_layers=8)),
    ],
    ("stylegan2", "paper1024"): [
        ("batch", f"{STYLEGAN2}, paper1024", run_has(batch=32, size=(1024,), augment="ada", steps=25_000_000 // 32)),
        ("rates", STYLEGAN2, rate_is({0: [0.002 * 4 / 5, 0.002 * 16 / 17]})),
        ("column", STYLEGAN2, config_has(group=4, capacity=32_768, gamma=2.0, half_life=10_000.0, mapping_layers=8)),
    ],
    ("stylegan2", "cifar"): [
        ("batch", f"{STYLEGAN2}, cifar", run_has(batch=64, size=(32,), augment="ada", ema_rampup=0.05)),
        ("length", STYLEGAN2, run_has(steps=100_000_000 // 64)),
        ("rates", STYLEGAN2, rate_is({0: [0.0025 * 4 / 5, 0.0025 * 16 / 17]})),
        ("column", STYLEGAN2, config_has(group=32, capacity=32_768, gamma=0.01, half_life=500_000.0, mapping_layers=2)),
        ("what is left out", STYLEGAN2, config_has(path_weight=0.0, mixing=0.0, discriminator_form="orig")),
    ],
    ("rbdn", "relighting"): [
        ("batch", f"{RELIGHTING}: 32, iter_size 2", run_has(batch=64, accumulate=2, size=(224,))),
        ("mirror", f"{RELIGHTING}/train.prototxt", run_has(flip=True, crop=True)),
        ("length", f"{RELIGHTING}/solver.prototxt", run_has(steps=40_000)),
        ("rate", f"{RELIGHTING}/solver.prototxt", rate_is({0: FIRST_RATES, 12_000: [r / 10 for r in FIRST_RATES]})),
        ("L2", f"{RELIGHTING}/train.prototxt", decay_is(5e-4)),
    ],
    ("rbdn", "colouring"): [
        ("batch", f"{COLOURING}/train.prototxt", run_has(batch=128)),
        ("length", f"{COLOURING}/solver.prototxt", run_has(steps=184_000)),
        ("rate", f"{COLOURING}/solver.prototxt", rate_is({0: COLOUR_RATES, 45_000: [r * 0.316 for r in COLOUR_RATES]})),
        ("L2", f"{COLOURING}/solver.prototxt", decay_is(1e-3)),
        ("networks", f"{COLOURING}/train.prototxt", config_has(branches=4, width=64, depth=9, colours=True)),
    ],
}
ROWS = [
    pytest.param(model, preset, check, id=f"{model}-{preset}-{what} ({source})")
    for (model, preset), rows in TABLE.items()
    for what, source, check in rows
]


@pytest.mark.parametrize(("model", "preset", "check"), ROWS)
def test_a_preset_has_the_published_setting(model: str, preset: str, check: Check) -> None:
    check(built(model, preset))


def test_every_paper_is_in_the_table() -> None:
    assert {model for model, preset in TABLE if preset == "paper"} == set(names())


def test_regression_trains_as_pix2pix_does() -> None:
    one, other = find("regression").presets, find("pix2pix").presets
    for preset in ("small", "paper"):
        assert one[preset].run == other[preset].run
        assert one[preset].config.lr == other[preset].config.lr


# -- settings that only show in a step ------------------------------------------------------------------


def test_the_output_bias_of_gan_makes_the_mean_image() -> None:
    """With weights of 0 the first fakes are the mean of the first batches, in both ranges of pixels."""
    facts = Facts(1, 4, 4)
    means = torch.linspace(-0.9, 0.9, 16).view(1, 1, 4, 4)
    for output in ("sigmoid", "tanh"):
        game = gan.GAN(gan.Config(latent=4, width=8, units=4, output=output, marginals=2), facts)
        nn.init.zeros_(game.generator[4].weight)
        nn.init.zeros_(game.generator[4].bias)
        game.draw = RowDraw(0)
        drawn = []
        batches = (drawn.append(k) or Images(means + (-1) ** k * 0.05) for k in range(9))
        next(game.play(batches, Clock()))
        assert len(drawn) == 3  # two for the mean, one for D
        torch.testing.assert_close(game.sample(2), means.expand(2, -1, -1, -1), rtol=0, atol=1e-5)
        next(game.play(batches, Clock(step=1)))
        assert len(drawn) == 4  # later steps do not measure again


def test_the_discriminator_of_gan_sees_pixels_of_its_own_range() -> None:
    facts, seen = Facts(1, 4, 4), []
    game = gan.GAN(gan.Config(latent=4, width=8, units=4, output="sigmoid"), facts).eval()
    game.discriminator[2].register_forward_hook(lambda _net, inputs, _out: seen.append(inputs[0]))
    game.discriminator(torch.linspace(-1, 1, 16).view(1, 1, 4, 4))
    torch.testing.assert_close(seen[0], torch.linspace(0, 1, 16)[None])


def test_the_cost_of_gan_s_discriminator_is_halved() -> None:
    values = []
    for weight in (1.0, 0.5):
        torch.manual_seed(0)
        config = gan.Config(latent=4, width=8, units=4, discriminator_weight=weight)
        game = gan.GAN(config, Facts(1, 4, 4)).eval()
        game.draw = RowDraw(0)
        move = next(game.play(iter([Images.example(6, Facts(1, 4, 4))]), Clock()))
        values.append(move.terms["real"] + move.terms["fake"])
    torch.testing.assert_close(values[1], values[0] / 2)


def test_a_step_of_the_chapter_is_a_step_of_keras() -> None:
    """D on real images, D on fakes of a generator at rest, then G, in training, on the same noise."""
    game = dcgan.DCGAN(find("dcgan").preset("chapter").config, Facts(1, 8, 8))
    for norm in (layer for layer in game.generator.modules() if isinstance(layer, nn.BatchNorm2d)):
        nn.init.constant_(norm.get_buffer("running_mean"), 0.3)  # far from the statistics of any batch
    game.draw = RowDraw(0)
    noise = game.noise(6)
    game.draw, seen, modes = RowDraw(0), [], []
    game.discriminator.register_forward_hook(lambda _net, inputs, _out: seen.append(inputs[0].detach().clone()))
    game.generator.register_forward_hook(lambda net, _in, _out: modes.append(net.training))
    before = {name: buffer.clone() for name, buffer in game.generator.named_buffers()}
    moves, batch = [], Images.example(6, Facts(1, 8, 8))
    for move in game.play(iter([batch]), Clock()):
        moves.append((move.player, *move.terms))
        if len(moves) == 2:
            assert all(torch.equal(buffer, before[name]) for name, buffer in game.generator.named_buffers())
    assert moves == [
        ("discriminator", "real", "says_real"),
        ("discriminator", "fake", "says_fake"),
        ("generator", "fool"),
    ]
    assert modes == [False, True]
    assert game.generator.training
    torch.testing.assert_close(seen[0], batch.images)
    game.generator.load_state_dict(before, strict=False)
    with torch.no_grad():
        torch.testing.assert_close(seen[1], game.generator.eval()(noise))
        torch.testing.assert_close(seen[2], game.generator.train()(noise))
    assert not torch.allclose(seen[1], seen[2])


def test_old_configs_keep_their_networks_and_rates() -> None:
    """New settings have defaults under which a run that was begun without them goes on as before."""
    strided = dcgan.DCGAN(dcgan.Config(), Facts(3, 64, 64))
    assert parameters(strided) == {"generator": 3_576_704, "discriminator": 2_765_568}
    plain = gan.GAN(gan.Config(), Facts(1, 8, 8))
    assert [type(layer).__name__ for layer in plain.discriminator][:2] == ["Flatten", "Dropout"]
    assert [type(layer).__name__ for layer in plain.generator][-2:] == ["Tanh", "Unflatten"]
    rbdn = find("rbdn")
    old = rbdn.game(rbdn.game.Config(width=4), Facts(1, 16, 16, source_channels=1)).players()["generator"]
    assert [(g["lr"], g["weight_decay"]) for g in old.param_groups] == [
        (1e-7, 5e-4), (pytest.approx(1e-8), 0.0), (pytest.approx(1e-8), 5e-4), (pytest.approx(1e-8), 0.0)
    ]  # fmt: skip
