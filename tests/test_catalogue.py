"""Every model keeps the contract.  A new file in ganforge/models is tested by being there."""

import copy
import inspect
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ganforge.batches import Batch, Captioned, Facts, Images, Labelled, is_mask
from ganforge.capabilities import capabilities
from ganforge.catalogue import Model, build_stand_ins, find, headline, names
from ganforge.draw import RowDraw
from ganforge.engine import Callback, Engine
from ganforge.errors import ModelError
from ganforge.game import Game, parameters_of, rest
from ganforge.inference.inference_mode import inference_mode
from ganforge.run import Run
from ganforge.runs.checkpoint import Checkpoints
from tests.support.toys import make_loader


def facts_of(run: Run, kind: type[Batch] = Images) -> Facts:
    """What data that a model needs would decide: grey sources, two instances, three regions, three boxes."""
    columns, channels = kind.columns(), run.channels or 3
    source, instances = run.channels or 1 if "source" in columns else 0, 2 if any(map(is_mask, columns)) else 0
    facts = Facts(channels, run.size[0], run.size[-1], ("circle", "square", "star"), (), source, instances)
    if "label_map" in columns:
        return replace(facts, labels=(), regions=("sky", "sea", "land"))
    if "tokens" in columns:
        return replace(facts, labels=(), vocabulary=12, caption_length=9, captions=1)
    return replace(facts, labels=(), objects=("", "circle", "star"), most=3) if "boxes" in columns else facts


def tiny(model: Model) -> tuple[Game, Run, Facts]:
    """A model's tiny preset with its first weights; the run plays in fp32 and exactly."""
    preset = model.preset("tiny")
    facts = facts_of(preset.run, model.game.batch_type)
    torch.manual_seed(0)
    parts = build_stand_ins(model, preset.config, facts)
    return rest(model.game(preset.config, facts, **parts), parts), replace(preset.run, log_every=1, save_every=0), facts


def engine_of(model: Model, checkpoints: Checkpoints | None = None, **changes) -> Engine:
    game, run, facts = tiny(model)
    run = replace(run, **changes)
    return Engine(game, run, make_loader(run, facts, model.game.batch_type), checkpoints)


@pytest.fixture(params=names(), scope="module")
def model(request) -> Model:
    return find(request.param)


def test_it_has_the_presets_and_says_what_it_is(model):
    assert {"tiny", "small", "paper"} <= set(model.presets)
    assert headline(model.name).startswith(f"{model.name}: ")
    assert "http" in model.about
    assert "Departures" in model.about
    assert f"ganforge train {model.name}" in model.about


def test_a_step_moves_every_player_and_no_other_parameter(model):
    engine = engine_of(model)
    before = copy.deepcopy(engine.game.state_dict())
    engine.train()
    after = engine.game.state_dict()
    names_of = {id(p): name for name, p in engine.game.named_parameters()}
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    for player, optimiser in engine.players.items():
        own = {names_of[id(p)] for p in parameters_of(optimiser)}
        assert own & moved, f"{player} did not move"
    owned = {names_of[id(p)] for o in engine.players.values() for p in parameters_of(o)}
    strays = (moved & set(names_of.values())) - owned
    assert not strays, f"{strays} belong to no player but moved"
    assert all(torch.isfinite(t).all() for t in after.values())


class Stop(Callback):
    """Stops a run after some steps; its length, which learning rates may depend on, stays."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def after_step(self, engine: Engine) -> None:
        engine.stopping = engine.step == self.steps


def test_stopping_and_resuming_equals_not_stopping(model, tmp_path):
    whole = engine_of(model)
    whole.train()
    half = whole.run.steps // 2
    stopped = engine_of(model, Checkpoints(tmp_path))
    stopped.callbacks = [Stop(half)]
    stopped.train()
    second = engine_of(model)
    _, state = Checkpoints(tmp_path).load()
    second.restore(state)
    assert second.step == half
    second.train()
    for one, other in ((whole.game, second.game), (whole.averaged, second.averaged)):
        for (name, a), b in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
            assert torch.equal(a, b), name
    for name in whole.players:
        a, b = (e.players[name].state_dict()["state"] for e in (whole, second))
        for index, values in a.items():
            for key, value in values.items():
                assert torch.equal(torch.as_tensor(value), torch.as_tensor(b[index][key])), (name, index, key)


def test_capabilities_answer_in_range_and_repeat_under_a_seed(model):
    engine = engine_of(model)
    can = capabilities(engine.game)
    assert can or hasattr(engine.game, "embed"), "a game that can do nothing"
    averaged = engine.train()
    for verb, answer in {"sample": sampled, "translate": translated}.items():
        if verb not in can:
            continue
        whole, *parts = (answer(averaged, start, rows) for start, rows in ((0, 5), (0, 2), (2, 3)))
        assert whole.shape[:2] == (5, engine.game.facts.channels)
        assert whole.abs().max() <= 1
        torch.testing.assert_close(torch.cat(parts), whole, rtol=1e-4, atol=1e-5)
        assert not torch.allclose(whole[0], whole[1])


def sampled(game: Game, start: int, rows: int) -> torch.Tensor:
    """Images `start` ... of seed 3."""
    with inference_mode(game):
        game.draw = RowDraw(3, start)
        pictures = game.sample(rows, **sentences(game, "sample", start, rows))
    assert pictures.shape[2:] == (game.facts.height, game.facts.width)
    return pictures


def sentences(game: Game, verb: str, start: int, rows: int) -> dict[str, torch.Tensor]:
    """Rows `start` ... of sentences, where the method reads them: GANForge always gives some."""
    if "text" not in inspect.signature(getattr(game, verb)).parameters or not hasattr(game, "text"):
        return {}
    return {"text": Captioned.example(8, game.facts, 1).tokens[start : start + rows]}


def translated(game: Game, start: int, rows: int) -> torch.Tensor:
    """The same rows of five images, translated under seed 3, with an example for everything that must be said."""
    facts, chance, given = game.facts, torch.Generator().manual_seed(1), {}
    sides = (facts.height, facts.width)
    images = torch.rand(5, facts.source_channels or facts.channels, *sides, generator=chance) * 2 - 1
    example = type(game).batch_type.example(5, facts, 1)
    for name, parameter in inspect.signature(game.translate).parameters.items():
        if name in ("boxes", "box_labels", "label_map"):
            given[name] = getattr(example, name)
        elif name == "masks":
            given[name] = torch.rand(5, facts.instances or 2, *sides, generator=chance).round()
        elif name != "images" and parameter.default is parameter.empty:
            given[name] = Labelled.example(5, facts).condition  # a label or attributes
    given |= sentences(game, "translate", 0, 5)
    with inference_mode(game):
        game.draw = RowDraw(3, start)
        takes_images = "images" in inspect.signature(game.translate).parameters
        given = ({"images": images} if takes_images else {}) | given
        pictures = game.translate(**{name: value[start : start + rows] for name, value in given.items()})
    height, width = pictures.shape[2:]
    assert (height % sides[0], width % sides[1]) == (0, 0)  # super-resolution makes a multiple
    assert height // sides[0] == width // sides[1]
    return pictures


def test_samples_are_generated_from_noise(model):
    engine = engine_of(model)
    if not hasattr(model.game, "sample"):
        pytest.skip("it does not sample")
    with inference_mode(engine.averaged) as game:
        game.draw = RowDraw(1)
        noise = game.noise(3)
        game.draw = RowDraw(1)
        assert noise.ndim == 2
        asked = sentences(game, "sample", 0, 3)
        torch.testing.assert_close(game.generate(noise, **asked).shape, game.sample(3, **asked).shape)


def test_the_log_has_the_discriminators_outputs(model):
    engine = engine_of(model)
    for _ in range(engine.run.steps):  # a game may start without its discriminators
        engine.train_step()
    row = engine.means.take()
    said = {name.split("/")[1] for name in row}
    assert all(hasattr(engine.game, name) for name in model.game.augmented)
    assert not model.game.augmented or {"says_real", "says_fake"} <= said


def test_an_unknown_model_gets_the_nearest_names():
    with pytest.raises(ModelError, match=r"There is no model 'dcgam'. Did you mean dcgan"):
        find("dcgam")


def test_an_unknown_preset_gets_the_known_ones():
    with pytest.raises(ModelError, match=r"gan has no preset 'huge'; it has tiny, small, paper"):
        find("gan").preset("huge")


def test_a_file_that_cannot_be_imported_names_the_line(tmp_path):
    (tmp_path / "mine.py").write_text("x = 1\ny = = 2\n")
    with pytest.raises(ModelError, match=r"mine.py cannot be imported \(line 2\)"):
        find(str(tmp_path / "mine.py"))
    with pytest.raises(ModelError, match=r"There is no file"):
        find(str(tmp_path / "absent.py"))


@pytest.mark.parametrize("page", ["README.md", "README.ko.md"])
def test_the_readme_has_a_row_for_every_model_and_a_page_behind_it(page: str):
    root = Path(__file__).parents[1]
    rows = re.findall(r"^\| \[`(\w+)`\]\((docs/models/\w+\.md)\)", (root / page).read_text("utf-8"), re.MULTILINE)
    assert sorted(name for name, _ in rows) == sorted(names())
    assert all((root / path).is_file() for _, path in rows)
