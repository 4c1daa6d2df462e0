"""Lessons: every model and every term of its rounds has words; what is told of networks is what they are."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
import torch
from rich.cells import cell_len
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import ganforge
from ganforge.batches import Facts, Images
from ganforge.catalogue import FOLDER, Model, find, names
from ganforge.cli import run as command
from ganforge.errors import ContractError, GANForgeError, ModelError, OptionError, WeightsError
from ganforge.explainer import Lesson, explain
from ganforge.explainer.diagram import boxes_of, drawing, folded
from ganforge.explainer.formulas import drawn, spelled
from ganforge.explainer.layers import EVERYTHING, Network
from ganforge.explainer.networks import networks
from ganforge.explainer.notes import NOTHING, Words, words_of
from ganforge.explainer.page import marked
from ganforge.game import Clock, Game, Move
from ganforge.nn.patchgan import PatchGAN
from ganforge.nn.resnet import ResNetGenerator
from ganforge.nn.strided import StridedGenerator
from ganforge.nn.unet import UNet
from ganforge.run import Run
from ganforge.tracing import Turn, built, clock, moments, rounds
from ganforge.tracing import played as turns


@pytest.fixture(params=names(), scope="module")
def model(request) -> Model:
    return find(request.param)


# -- words: none missing, none stale ---------------------------------------------------------------


def settings(model: Model) -> Iterator[Any]:
    """`tiny`, with each choice that its Config offers, with those of the other presets, with those that words name."""
    tiny, hints = model.preset("tiny").config, get_type_hints(model.game.Config, include_extras=True)
    choices = [name for name, hint in hints.items() if get_origin(hint) is Literal or hint is bool]
    yield tiny
    for preset in model.presets.values():
        yield replace(tiny, **{name: getattr(preset.config, name) for name in choices})
    for name in choices:
        for option in get_args(hints[name]) or (True, False):
            yield replace(tiny, **{name: option})
    for about in (about for each in words_of(model.name).terms.values() for about in each if about.when):
        yield replace(tiny, **about.when)


def played(model: Model, config: Any) -> list[Turn]:
    """The turns of its first and last round; none for settings that do not fit together, or need weights."""
    preset = model.preset("tiny")
    try:
        game = built(model.game, preset, config)
        return [turn for step in (0, preset.run.steps - 1) for turn in turns(game, clock(step, preset.run))]
    except (ModelError, WeightsError):
        return []


def complaints(words: Words, seen: dict[str, list[tuple[Any, bool]]], players: set[str], needs_weights: bool) -> list:
    """What is said of nothing, and what nothing is said of; `seen` is {term: [(config, descended)]}."""
    found = [] if words.solves else ["nothing is said"]
    for term, times in seen.items():
        for config, descended in times:
            about = words.about(term, config)
            if about is None:
                found.append(f"{term} has no words under {config}")
            elif descended and not about.formula:
                found.append(f"{term} has no formula")
    for term, abouts in words.terms.items():
        for about in abouts:
            reached = any(words.about(term, config) is about for config, _ in seen.get(term, []))
            if not reached and not (needs_weights and about.when):
                found.append(f"{term} {about.when} is in no round")
    found += [f"{player} has no words" for player in players - {*words.players}]
    return found + [f"{player} does not play" for player in {*words.players} - players]


def test_every_term_of_every_round_has_words_and_no_words_are_stale(model):
    seen: dict[str, list[tuple[Any, bool]]] = {}
    players, broken = set(), False
    for config in settings(model):
        found = played(model, config)
        broken |= not found
        for turn in found:
            players.add(turn.player)
            for term in turn.terms:
                seen.setdefault(term.name, []).append((config, term.descended))
    assert complaints(words_of(model.name), seen, players, broken) == []


def test_missing_and_stale_words_are_complained_about():
    words, model = words_of("gan"), find("gan")
    config = model.preset("tiny").config
    seen = {term: [(config, True)] for term in ("discriminator/real", "discriminator/fake", "generator/fool")}
    players = {"discriminator", "generator"}
    assert complaints(words, seen, players, False) == ["generator/fool {'objective': 'minimax'} is in no round"]
    minimax = replace(config, objective="minimax")
    seen["generator/fool"].append((minimax, True))
    assert complaints(words, seen, players, False) == []
    more = {**seen, "generator/cycle": [(config, True)]}
    assert "generator/cycle has no words" in complaints(words, more, players, False)[0]
    assert complaints(words, seen, {*players, "critic"}, False) == ["critic has no words"]
    del seen["discriminator/real"]
    assert complaints(words, seen, players, False) == ["discriminator/real {} is in no round"]
    assert complaints(NOTHING, {}, set(), False) == ["nothing is said"]


def test_words_are_in_both_languages_and_formulas_can_be_read(model):
    words = words_of(model.name)
    texts = [words.solves, words.symbols, words.result, *words.trying, *words.players.values()]
    texts += [about.says for abouts in words.terms.values() for about in abouts]
    for text in texts:
        assert re.search("[가-힣]", text["ko"]), text
        assert not re.search("[가-힣]", text["en"]), text
    assert re.search("[가-힣]", words.idea)
    assert len(words.trying) >= 3
    for about in (about for abouts in words.terms.values() for about in abouts):
        assert "<path" in drawn(about.formula)
        assert not set("\\{}") & set(spelled(about.formula)), spelled(about.formula)


def test_options_that_are_advised_exist(model):
    known = {f"--config.{field.name.replace('_', '-')}" for field in fields(model.game.Config)}
    known |= {f"--{field.name.replace('_', '-')}" for field in fields(Run)} | {"--against"}
    for advice in words_of(model.name).trying:
        for language in ("en", "ko"):
            assert {*re.findall(r"--[a-z][a-z0-9.-]*[a-z0-9]", advice[language])} <= known


def test_words_of_models_that_are_none():
    assert {path.stem for path in (FOLDER / "words").glob("*")} <= {*names()}


def test_damaged_words_are_named(tmp_path):
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "mine.yaml").write_text("solves: {en: a}")
    with pytest.raises(ContractError, match=r"mine.yaml lacks 'idea'"):
        words_of(str(tmp_path / "mine.py"))
    (tmp_path / "words" / "mine.yaml").write_text("solves: {en: a")
    with pytest.raises(ContractError, match=r"mine.yaml is not YAML"):
        words_of(str(tmp_path / "mine.py"))
    assert words_of(str(tmp_path / "other.py")) is NOTHING


# -- formulas --------------------------------------------------------------------------------------


def test_formulas_in_letters():
    assert spelled(r"-\frac{1}{2}\mathbb{E}_{x,y}[\log D(x, y)]") == "-1/2 E_(x,y)[log D(x, y)]"
    assert spelled(r"\lambda\,\mathbb{E}_{\hat{x}}[(\Vert\nabla f(\hat{x})\Vert - 1)^2]") == "λ E_x̂[(‖∇f(x̂)‖ - 1)²]"
    assert spelled(r"\frac{\lambda_{KL}}{2N}\sum\mu^2 - \log\sigma^{2}") == "λ_KL/(2N) Σμ² - log σ²"


def test_a_formula_that_cannot_be_drawn_is_named():
    with pytest.raises(ContractError, match="cannot be drawn"):
        drawn(r"\frac{1}{")


# -- rounds ----------------------------------------------------------------------------------------


def test_kinds_of_rounds_are_found_where_they_are():
    wgan, srgan = (explain(name, "tiny") for name in ("wgan", "srgan"))
    assert [[turn.times for turn in kind.turns] for kind in wgan.rounds] == [[3, 1], [2, 1]]
    assert [kind.step for kind in wgan.rounds] == [0, 1]
    who = [{turn.player for turn in kind.turns} for kind in srgan.rounds]
    assert who == [{"generator"}, {"generator", "discriminator"}]
    assert [network.name for network in srgan.networks] == ["generator", "discriminator"]
    assert [kind.step for kind in srgan.rounds] == [0, 2]
    run = replace(find("srgan").preset("tiny").run, steps=1000)
    game = built(find("srgan").game, find("srgan").preset("tiny"), replace(srgan.config, pretraining=613))
    assert [kind.step for kind in rounds(game, run)] == [0, 613]
    assert moments(1) == [0]
    assert moments(1000) == [0, 1, 251, 501, 751, 999]


def test_a_traced_game_is_left_as_it_was():
    found = find("dcgan")
    game = built(found.game, found.preset("tiny"))
    before = {name: value.clone() for name, value in game.state_dict().items()}
    assert rounds(game, found.preset("tiny").run) == rounds(game, found.preset("tiny").run)
    networks(game, Clock())
    assert all(torch.equal(value, before[name]) for name, value in game.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in game.modules())


# -- networks: what is told is what they are ---------------------------------------------------------


class Alone(Game[Any, Images]):
    """One network that is called once a round."""

    def __init__(self, network: nn.Module, *given: Tensor) -> None:
        super().__init__(None, Facts(3, 64, 64))
        self.network, self.given = network, given

    def players(self) -> dict[str, Any]:
        return {}

    def play(self, deal: Any, now: Clock) -> Iterator[Move]:
        out = self.network(*self.given)
        yield Move("nobody", mean=out.mean())


def traced(network: nn.Module, *given: Tensor) -> Network:
    (found,) = networks(Alone(network, *given), Clock())
    return found


def pictures(side: int = 64, channels: int = 3) -> Tensor:
    return torch.rand(2, channels, side, side)


def measured_field(network: nn.Module, side: int) -> int:
    """Pixels of a side that the middle of the result depends on, by its gradient, all weights positive."""
    for parameter in network.parameters():
        parameter.data = parameter.data.abs() + 0.01 if parameter.ndim > 1 else parameter.data.zero_().add_(0.01)
    given = torch.rand(1, 3, side, side, requires_grad=True)
    out = network.eval()(given)
    out[..., out.shape[2] // 2, out.shape[3] // 2].sum().backward()
    assert given.grad is not None
    rows = given.grad.abs().sum((0, 1, 3)).nonzero().flatten()
    return int(rows[-1] - rows[0] + 1)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_a_patch_is_as_large_as_its_name(layers):
    found = traced(PatchGAN(3, 4, layers), pictures(128))
    assert found.layers[-1].field == ({1: 16, 2: 34, 3: 70}[layers],) * 2


@pytest.mark.parametrize(
    "network",
    [
        nn.Sequential(nn.Conv2d(3, 4, 5, 2, 2), nn.ReLU(), nn.Conv2d(4, 4, 3, 1, 2, dilation=2), nn.AvgPool2d(2)),
        nn.Sequential(nn.Conv2d(3, 4, 4, 2, 1), nn.AvgPool2d(3, 2, 1), nn.Conv2d(4, 2, 3, padding=1)),
        nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Upsample(scale_factor=2.0), nn.Conv2d(4, 3, 1)),
    ],
)
def test_receptive_fields_are_those_of_gradients(network):
    assert traced(network, pictures()).layers[-1].field == (measured_field(network, 64),) * 2


def test_what_is_enlarged_by_a_transposed_convolution_sees_a_kernel_more():
    network = nn.Sequential(nn.Conv2d(3, 4, 4, 2, 1), nn.ConvTranspose2d(4, 3, 4, 2, 1))
    assert traced(network, pictures()).layers[-1].field == (measured_field(network, 64),) * 2 == (6, 6)


def test_a_verdict_on_all_there_is_sees_everything():
    network = nn.Sequential(nn.Conv2d(3, 4, 4, 2, 1), nn.Flatten(), nn.Linear(4 * 32 * 32, 1))
    fields_of = [layer.field for layer in traced(network, pictures()).layers]
    assert fields_of == [(4, 4), (EVERYTHING,) * 2, (EVERYTHING,) * 2]
    assert {layer.field for layer in traced(StridedGenerator(8, 4, 3, (4, 4), 2), torch.rand(2, 8)).layers} == {None}


@pytest.mark.parametrize(
    ("network", "given"),
    [
        (StridedGenerator(8, 4, 3, (4, 4), 2), torch.rand(2, 8)),
        (UNet(3, 3, 4, 4), pictures(32)),
        (ResNetGenerator(3, 3, 4, 2), pictures(16)),
    ],
)
def test_parameters_and_flops_add_up(network, given):
    found = traced(network, given)
    assert found.parameters == sum(p.numel() for p in network.parameters()) == sum(x.parameters for x in found.layers)
    with FlopCounterMode(display=False) as counter:
        network(given)
    assert found.flops * len(given) == counter.get_total_flops() == sum(x.flops for x in found.layers) * len(given)
    assert found.layers[-1].shape == tuple(network(given).shape[1:])


def test_skips_of_a_unet_are_found():
    found = traced(UNet(3, 3, 4, 4), pictures(32))
    skips = [layer.inputs for layer in found.layers if layer.kind == "Concatenation"]
    assert len(skips) == 3
    for early, late in skips:
        assert found.layers[early].shape == found.layers[late].shape
    assert not [layer for layer in traced(UNet(3, 3, 4, 4, skips=False), pictures(32)).layers if len(layer.inputs) > 1]


def test_sums_of_residual_blocks_are_found_and_drawn_once():
    found = traced(ResNetGenerator(3, 3, 4, 6), pictures(16))
    assert [layer.kind for layer in found.layers].count("Sum") == 6
    boxes = folded(boxes_of(found))
    (stretch,) = [box for box in boxes if box.times > 1]
    assert (stretch.times, stretch.stretch) == (6, 3)
    assert len(boxes) == len(boxes_of(found)) - 5 * 3


def test_a_network_of_two_inputs_knows_them_apart():
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(5, 2)

        def forward(self, z: Tensor, condition: Tensor) -> Tensor:
            return self.layer(torch.cat([z, condition], 1))

    found = traced(Two(), torch.rand(2, 3), torch.rand(2, 2))
    assert found.given == (("z", (3,)), ("condition", (2,)))
    assert found.layers[0].inputs == (-2, -1)
    assert found.layers[0].shape == (5,)


def test_drawings_are_whole(model):
    lesson = explain(model.name, "tiny")
    for network in lesson.networks:
        picture = ET.fromstring(drawing(network))
        boxes = folded(boxes_of(network))
        assert len([e for e in picture if e.tag in ("rect", "circle")]) == len(boxes)


# -- pages and texts ---------------------------------------------------------------------------------


def test_a_page_needs_nothing_else_and_says_everything_twice(model):
    lesson = explain(model.name, "tiny")
    page = lesson.html()
    assert not re.search(r"""(src|href)=["'](?!https?://)""", page)
    assert not re.search(r"<(img|link|iframe)|@import|url\((?!#)", page)
    for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        ET.fromstring(svg)
    for term in (term for kind in lesson.rounds for turn in kind.turns for term in turn.terms):
        assert f"<code>{term.name.partition('/')[2]}</code>" in page
    for language in ("en", "ko"):
        text = " ".join(lesson.text(language).split())
        for said in (lesson.words.solves, lesson.words.result):
            assert marked(said[language]) in page
            assert " ".join(said[language].split()) in text
    assert all(cell_len(line) <= 110 for line in lesson.text().splitlines())


def test_a_file_of_ones_own_is_explained_without_words(tmp_path):
    source = (Path(__file__).parents[2] / "docs" / "adding-a-model.md").read_text().partition("```python\n")[2]
    (tmp_path / "mine.py").write_text(source.partition("```")[0])
    lesson = ganforge.explain(str(tmp_path / "mine.py"), html=tmp_path / "mine.html")
    assert isinstance(lesson, Lesson)
    assert lesson.name == "mine"
    assert [turn.player for turn in lesson.rounds[0].turns] == ["discriminator", "generator"]
    assert "least squares" in str(lesson)
    assert (tmp_path / "mine.html").read_text() == lesson.html()


def test_the_command(tmp_path, capsys):
    assert command(["explain", "gan", "--preset", "tiny"]) == 0
    assert "What it solves" in capsys.readouterr().out
    assert command(["explain", "gan", "--preset", "tiny", "--lang", "ko"]) == 0
    assert "무엇을 푸는가" in capsys.readouterr().out
    assert command(["explain", "gan", "--preset", "tiny", "--html", str(tmp_path / "a.html")]) == 0
    assert (tmp_path / "a.html").read_text().startswith("<!doctype html>")
    assert command(["explain", "gam"]) == 1
    assert "gan" in capsys.readouterr().err
    with pytest.raises(OptionError, match="no lesson in 'fr'"):
        explain("gan", lang="fr")  # pyright: ignore[reportArgumentType]


def test_equal_turns_in_a_row_are_told_once():
    lesson = explain("wgan_gp", "tiny")
    assert "2 times in a row" in lesson.text()
    (kind,) = explain("instagan", "tiny").rounds
    assert (kind.times, [turn.player for turn in kind.turns]) == (2, ["generators", "discriminators"])
    assert all(term.value for turn in kind.turns for term in turn.terms)
    assert issubclass(ContractError, GANForgeError)
