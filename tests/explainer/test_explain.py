"""Lessons: every model and every term of its steps has notes; traced networks agree with torch."""

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
from ganforge.catalogue import FOLDER, Model, build_stand_ins, find, names
from ganforge.cli import run as command
from ganforge.data.read_options import ReadOptions
from ganforge.errors import ContractError, GANForgeError, ModelError, OptionError, WeightsError
from ganforge.explainer import Lesson, explain
from ganforge.explainer.diagram import build_boxes, draw_network, fold_repeats
from ganforge.explainer.formulas import draw_formula, formula_to_text
from ganforge.explainer.layers import WHOLE_IMAGE, Network
from ganforge.explainer.networks import trace_networks
from ganforge.explainer.notes import NO_NOTES, Notes, read_notes
from ganforge.explainer.page import mark_code
from ganforge.game import Clock, Game, Move
from ganforge.nn.patchgan import PatchGAN
from ganforge.nn.resnet import ResNetGenerator
from ganforge.nn.strided import StridedGenerator
from ganforge.nn.unet import UNet
from ganforge.run import Run
from ganforge.tracing import (
    Round,
    Term,
    Turn,
    build_from_preset,
    clock_at,
    describe_round,
    find_rounds,
    probe_steps,
    trace_round,
)
from ganforge.tracing import trace_turns as turns


@pytest.fixture(params=names(), scope="module")
def model(request) -> Model:
    return find(request.param)


# -- notes: none missing, none stale ---------------------------------------------------------------


def settings(model: Model) -> Iterator[Any]:
    """`tiny`, with each choice that its Config offers, with those of the other presets, with those that notes name."""
    tiny, hints = model.preset("tiny").config, get_type_hints(model.game.Config, include_extras=True)
    choices = [name for name, hint in hints.items() if get_origin(hint) is Literal or hint is bool]
    yield tiny
    for preset in model.presets.values():
        yield replace(tiny, **{name: getattr(preset.config, name) for name in choices})
    for name in choices:
        for option in get_args(hints[name]) or (True, False):
            yield replace(tiny, **{name: option})
    for note in (note for each in read_notes(model.name).terms.values() for note in each if note.when):
        yield replace(tiny, **note.when)


def trace_model(model: Model, config: Any) -> list[Turn]:
    """The turns of its first and last step; none for settings that do not fit together, or need weights."""
    preset = model.preset("tiny")
    try:
        game = build_from_preset(model.game, preset, config, lambda own, facts: build_stand_ins(model, own, facts))
        return [turn for step in (0, preset.run.steps - 1) for turn in turns(game, clock_at(step, preset.run))]
    except (ModelError, WeightsError):
        return []


def find_problems(
    notes: Notes, terms: dict[str, list[tuple[Any, bool]]], players: set[str], needs_weights: bool
) -> list:
    """Notes without a term, and terms without a note; `terms` is {term: [(config, descended)]}."""
    problems = [] if notes.solves else ["there are no notes"]
    for term, uses in terms.items():
        for config, descended in uses:
            note = notes.find_term(term, config)
            if note is None:
                problems.append(f"{term} has no note under {config}")
            elif descended and not note.formula:
                problems.append(f"{term} has no formula")
    for term, term_notes in notes.terms.items():
        for note in term_notes:
            reached = any(notes.find_term(term, config) is note for config, _ in terms.get(term, []))
            if not reached and not (needs_weights and note.when):
                problems.append(f"{term} {note.when} is in no step")
    problems += [f"{player} has no note" for player in players - {*notes.players}]
    return problems + [f"{player} is no player" for player in {*notes.players} - players]


def test_every_term_of_every_step_has_a_note_and_no_note_is_stale(model):
    terms: dict[str, list[tuple[Any, bool]]] = {}
    players, broken = set(), False
    for config in settings(model):
        traced = trace_model(model, config)
        broken |= not traced
        for turn in traced:
            players.add(turn.player)
            for term in turn.terms:
                terms.setdefault(term.name, []).append((config, term.descended))
    assert find_problems(read_notes(model.name), terms, players, broken) == []


def test_missing_and_stale_notes_are_found():
    notes, model = read_notes("gan"), find("gan")
    config = model.preset("tiny").config
    terms = {term: [(config, True)] for term in ("discriminator/real", "discriminator/fake", "generator/fool")}
    players = {"discriminator", "generator"}
    assert find_problems(notes, terms, players, False) == ["generator/fool {'objective': 'minimax'} is in no step"]
    minimax = replace(config, objective="minimax")
    terms["generator/fool"].append((minimax, True))
    assert find_problems(notes, terms, players, False) == []
    more = {**terms, "generator/cycle": [(config, True)]}
    assert "generator/cycle has no note" in find_problems(notes, more, players, False)[0]
    assert find_problems(notes, terms, {*players, "critic"}, False) == ["critic has no note"]
    del terms["discriminator/real"]
    assert find_problems(notes, terms, players, False) == ["discriminator/real {} is in no step"]
    assert find_problems(NO_NOTES, {}, set(), False) == ["there are no notes"]


def test_notes_are_in_both_languages_and_formulas_can_be_drawn(model):
    notes = read_notes(model.name)
    texts = [notes.solves, notes.symbols, notes.result, *notes.trying, *notes.players.values()]
    texts += [note.meaning for term_notes in notes.terms.values() for note in term_notes]
    for text in texts:
        assert re.search("[가-힣]", text["ko"]), text
        assert not re.search("[가-힣]", text["en"]), text
    assert re.search("[가-힣]", notes.idea)
    assert len(notes.trying) >= 3
    for note in (note for term_notes in notes.terms.values() for note in term_notes):
        assert "<path" in draw_formula(note.formula)
        assert not set("\\{}") & set(formula_to_text(note.formula)), formula_to_text(note.formula)


def test_advised_options_exist(model):
    known = {f"--config.{field.name.replace('_', '-')}" for field in fields(model.game.Config)}
    known |= {f"--{field.name.replace('_', '-')}" for kind in (Run, ReadOptions) for field in fields(kind)}
    known |= {"--against"}
    for advice in read_notes(model.name).trying:
        for language in ("en", "ko"):
            assert {*re.findall(r"--[a-z][a-z0-9.-]*[a-z0-9]", advice[language])} <= known


def test_every_notes_file_belongs_to_a_model():
    assert {path.stem for path in (FOLDER / "words").glob("*")} <= {*names()}


def test_damaged_notes_are_a_contract_error(tmp_path):
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "mine.yaml").write_text("solves: {en: a}")
    with pytest.raises(ContractError, match=r"mine.yaml lacks 'idea'"):
        read_notes(str(tmp_path / "mine.py"))
    (tmp_path / "words" / "mine.yaml").write_text("solves: {en: a")
    with pytest.raises(ContractError, match=r"mine.yaml is not YAML"):
        read_notes(str(tmp_path / "mine.py"))
    assert read_notes(str(tmp_path / "other.py")) is NO_NOTES


# -- formulas --------------------------------------------------------------------------------------


def test_formulas_as_text():
    assert formula_to_text(r"-\frac{1}{2}\mathbb{E}_{x,y}[\log D(x, y)]") == "-1/2 E_(x,y)[log D(x, y)]"
    assert (
        formula_to_text(r"\lambda\,\mathbb{E}_{\hat{x}}[(\Vert\nabla f(\hat{x})\Vert - 1)^2]")
        == "λ E_x̂[(‖∇f(x̂)‖ - 1)²]"
    )
    assert formula_to_text(r"\frac{\lambda_{KL}}{2N}\sum\mu^2 - \log\sigma^{2}") == "λ_KL/(2N) Σμ² - log σ²"


def test_a_formula_that_cannot_be_drawn_is_a_contract_error():
    with pytest.raises(ContractError, match="cannot be drawn"):
        draw_formula(r"\frac{1}{")


# -- kinds of steps ---------------------------------------------------------------------------------


def test_kinds_of_steps_are_found_with_their_first_step():
    wgan, srgan = (explain(name, "tiny") for name in ("wgan", "srgan"))
    assert [[turn.times for turn in kind.turns] for kind in wgan.rounds] == [[3, 1], [2, 1]]
    assert [kind.step for kind in wgan.rounds] == [0, 1]
    players = [{turn.player for turn in kind.turns} for kind in srgan.rounds]
    assert players == [{"generator"}, {"generator", "discriminator"}]
    assert [network.name for network in srgan.networks] == ["generator", "discriminator"]
    assert [kind.step for kind in srgan.rounds] == [0, 2]
    run = replace(find("srgan").preset("tiny").run, steps=1000)
    game = build_from_preset(find("srgan").game, find("srgan").preset("tiny"), replace(srgan.config, pretraining=613))
    assert [kind.step for kind in find_rounds(game, run)] == [0, 613]
    assert probe_steps(1) == [0]
    assert probe_steps(1000) == [0, 1, 251, 501, 751, 999]


def test_a_step_is_described_in_lines():
    game = build_from_preset(find("wgan").game, find("wgan").preset("tiny"))
    assert describe_round(trace_round(game, Clock())) == [
        "critic descends real + fake, 3 times   (logs distance, says_real, says_fake)",
        "generator descends fool",
    ]
    terms = (Term("d/real", False, 0.0),)
    kind = Round(0, (Turn("d", False, terms),), 2)
    assert describe_round(kind) == ["d holds what it held   (logs real)", "all of this 2 times"]


def test_tracing_leaves_a_game_unchanged():
    found = find("dcgan")
    game = build_from_preset(found.game, found.preset("tiny"))
    before = {name: value.clone() for name, value in game.state_dict().items()}
    assert find_rounds(game, found.preset("tiny").run) == find_rounds(game, found.preset("tiny").run)
    trace_networks(game, Clock())
    assert all(torch.equal(value, before[name]) for name, value in game.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in game.modules())


# -- networks ----------------------------------------------------------------------------------------


class SingleNetwork(Game[Any, Images]):
    """One network that is called once a step."""

    def __init__(self, network: nn.Module, *inputs: Tensor) -> None:
        super().__init__(None, Facts(3, 64, 64))
        self.network, self.inputs = network, inputs

    def players(self) -> dict[str, Any]:
        return {}

    def play(self, batches: Any, now: Clock) -> Iterator[Move]:
        out = self.network(*self.inputs)
        yield Move("nobody", mean=out.mean())


def trace(network: nn.Module, *inputs: Tensor) -> Network:
    (found,) = trace_networks(SingleNetwork(network, *inputs), Clock())
    return found


def random_images(side: int = 64, channels: int = 3) -> Tensor:
    return torch.rand(2, channels, side, side)


def measured_field(network: nn.Module, side: int) -> int:
    """Pixels of a side that the central output depends on, by its gradient with all weights positive."""
    for parameter in network.parameters():
        parameter.data = parameter.data.abs() + 0.01 if parameter.ndim > 1 else parameter.data.zero_().add_(0.01)
    given = torch.rand(1, 3, side, side, requires_grad=True)
    out = network.eval()(given)
    out[..., out.shape[2] // 2, out.shape[3] // 2].sum().backward()
    assert given.grad is not None
    rows = given.grad.abs().sum((0, 1, 3)).nonzero().flatten()
    return int(rows[-1] - rows[0] + 1)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_a_patchgan_has_the_receptive_field_of_its_name(layers):
    found = trace(PatchGAN(3, 4, layers), random_images(128))
    assert found.layers[-1].receptive_field == ({1: 16, 2: 34, 3: 70}[layers],) * 2


@pytest.mark.parametrize(
    "network",
    [
        nn.Sequential(nn.Conv2d(3, 4, 5, 2, 2), nn.ReLU(), nn.Conv2d(4, 4, 3, 1, 2, dilation=2), nn.AvgPool2d(2)),
        nn.Sequential(nn.Conv2d(3, 4, 4, 2, 1), nn.AvgPool2d(3, 2, 1), nn.Conv2d(4, 2, 3, padding=1)),
        nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Upsample(scale_factor=2.0), nn.Conv2d(4, 3, 1)),
    ],
)
def test_receptive_fields_equal_those_of_gradients(network):
    assert trace(network, random_images()).layers[-1].receptive_field == (measured_field(network, 64),) * 2


def test_the_receptive_field_of_a_transposed_convolution():
    network = nn.Sequential(nn.Conv2d(3, 4, 4, 2, 1), nn.ConvTranspose2d(4, 3, 4, 2, 1))
    assert trace(network, random_images()).layers[-1].receptive_field == (measured_field(network, 64),) * 2 == (6, 6)


def test_a_linear_layer_sees_the_whole_image():
    network = nn.Sequential(nn.Conv2d(3, 4, 4, 2, 1), nn.Flatten(), nn.Linear(4 * 32 * 32, 1))
    fields_of = [layer.receptive_field for layer in trace(network, random_images()).layers]
    assert fields_of == [(4, 4), (WHOLE_IMAGE,) * 2, (WHOLE_IMAGE,) * 2]
    assert {
        layer.receptive_field for layer in trace(StridedGenerator(8, 4, 3, (4, 4), 2), torch.rand(2, 8)).layers
    } == {None}


@pytest.mark.parametrize(
    ("network", "given"),
    [
        (StridedGenerator(8, 4, 3, (4, 4), 2), torch.rand(2, 8)),
        (UNet(3, 3, 4, 4), random_images(32)),
        (ResNetGenerator(3, 3, 4, 2), random_images(16)),
    ],
)
def test_parameters_and_flops_add_up(network, given):
    found = trace(network, given)
    assert found.parameters == sum(p.numel() for p in network.parameters()) == sum(x.parameters for x in found.layers)
    with FlopCounterMode(display=False) as counter:
        network(given)
    assert found.flops * len(given) == counter.get_total_flops() == sum(x.flops for x in found.layers) * len(given)
    assert found.layers[-1].shape == tuple(network(given).shape[1:])


def test_skip_connections_of_a_unet_are_found():
    found = trace(UNet(3, 3, 4, 4), random_images(32))
    skips = [layer.inputs for layer in found.layers if layer.kind == "Concatenation"]
    assert len(skips) == 3
    for early, late in skips:
        assert found.layers[early].shape == found.layers[late].shape
    assert not [
        layer for layer in trace(UNet(3, 3, 4, 4, skips=False), random_images(32)).layers if len(layer.inputs) > 1
    ]


def test_residual_blocks_are_found_and_drawn_once():
    found = trace(ResNetGenerator(3, 3, 4, 6), random_images(16))
    assert [layer.kind for layer in found.layers].count("Sum") == 6
    boxes = fold_repeats(build_boxes(found))
    (repeat,) = [box for box in boxes if box.times > 1]
    assert (repeat.times, repeat.length) == (6, 3)
    assert len(boxes) == len(build_boxes(found)) - 5 * 3


def test_two_inputs_of_a_network_are_told_apart():
    class TwoInputs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(5, 2)

        def forward(self, z: Tensor, condition: Tensor) -> Tensor:
            return self.layer(torch.cat([z, condition], 1))

    found = trace(TwoInputs(), torch.rand(2, 3), torch.rand(2, 2))
    assert found.inputs == (("z", (3,)), ("condition", (2,)))
    assert found.layers[0].inputs == (-2, -1)
    assert found.layers[0].shape == (5,)


def test_diagrams_have_every_box(model):
    lesson = explain(model.name, "tiny")
    for network in lesson.networks:
        svg = ET.fromstring(draw_network(network))
        boxes = fold_repeats(build_boxes(network))
        assert len([e for e in svg if e.tag in ("rect", "circle")]) == len(boxes)


# -- pages and texts ---------------------------------------------------------------------------------


def test_a_page_is_self_contained_and_has_both_languages(model):
    lesson = explain(model.name, "tiny")
    page = lesson.html()
    assert not re.search(r"""(src|href)=["'](?!https?://)""", page)
    assert not re.search(r"<(img|link|iframe)|@import|url\((?!#)", page)
    for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        ET.fromstring(svg)
    for term in (term for kind in lesson.rounds for turn in kind.turns for term in turn.terms):
        assert (f"<td><code>{term.name.partition('/')[2]}</code></td>" in page) == term.descended
    for language in ("en", "ko"):
        text = " ".join(lesson.text(language).split())
        for texts in (lesson.notes.solves, lesson.notes.result):
            assert mark_code(texts[language]) in page
            assert " ".join(texts[language].split()) in text
    assert all(cell_len(line) <= 110 for line in lesson.text().splitlines())


def test_a_page_escapes_what_a_file_says():
    about = "Mine: a <b>bold</b> idea.  https://arxiv.org/abs/1406.2661."
    page = replace(explain("gan", "tiny"), title="a <b>bold</b> idea", about=about).html()
    assert "<b>" not in page
    assert page.count("a &lt;b&gt;bold&lt;/b&gt; idea") == 3  # title, heading, docstring
    assert '<a href="https://arxiv.org/abs/1406.2661">' in page
    assert mark_code("`<x>` & y") == "<code>&lt;x&gt;</code> &amp; y"


def test_a_users_own_file_is_explained_without_notes(tmp_path):
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


def test_equal_turns_in_a_row_are_shown_once():
    lesson = explain("wgan_gp", "tiny")
    assert "2 times in a row" in lesson.text()
    (kind,) = explain("instagan", "tiny").rounds
    assert (kind.times, [turn.player for turn in kind.turns]) == (2, ["generators", "discriminators"])
    assert all(term.value for turn in kind.turns for term in turn.terms)
    assert issubclass(ContractError, GANForgeError)
