"""What the preset of a paper does: learning rates as the engine sets them, momenta, noise and first weights.

Networks are narrower where that changes none of the compared values.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ganforge.batches import Facts, is_mask
from ganforge.catalogue import build_stand_ins, find
from ganforge.draw import RowDraw
from ganforge.engine import Engine
from ganforge.game import Clock, Game, parameters
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


Published = tuple[str, str, Check]
"""What is published, its source, and the comparison."""
