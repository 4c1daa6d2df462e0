"""A model that reads sentences: training, resuming and loading with the run's tokeniser, in one process or two."""

import json
import shutil
from dataclasses import replace
from typing import cast

import numpy as np
import pytest
import torch
from torch import nn

import ganforge
from ganforge.batches import Captioned, Facts
from ganforge.catalogue import find
from ganforge.data.loader import BatchLoader
from ganforge.data.open import open_data
from ganforge.engine import Engine
from ganforge.errors import DataError, GANForgeError, ModelError, RunError
from ganforge.inference import parts
from ganforge.inference.load import load_part
from ganforge.inference.parts import find_tokeniser, resolve
from ganforge.run import Run
from ganforge.runs.folder import RunFolder
from ganforge.text.encoders import Frozen, FrozenEncoder
from ganforge.text.tokeniser import MOST_CAPTIONS, FrozenTokeniser
from ganforge.training.chain import list_stages
from ganforge.training.plan import plan
from tests.support.toys import weights

SPEAK = '''
"""speak: an image of one colour for a sentence."""
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated
from torch import Tensor, nn
from torch.optim import SGD, Optimizer
from ganforge.batches import Captioned, Facts
from ganforge.game import Clock, Game, Move, Part
from ganforge.run import Preset, Run

@dataclass(frozen=True)
class Config:
    lr: float = 0.1

class Speak(Game[Config, Captioned]):
    averaged = ("words",)
    def __init__(self, config: Config, facts: Facts) -> None:
        super().__init__(config, facts)
        self.words = nn.EmbeddingBag(facts.vocabulary, facts.channels)
    def players(self) -> dict[str, Optimizer]:
        return {"words": SGD(self.words.parameters(), self.config.lr)}
    def play(self, batches: Iterator[Captioned], now: Clock) -> Iterator[Move]:
        real = next(batches)
        yield Move("words", l2=(self.words(real.tokens) - real.images.mean((2, 3))).square().mean())
'''
LISTEN = SPEAK.replace("lr: float = 0.1", 'lr: float = 0.1\n    text: Annotated[str, Part("MODEL")] = ""').replace(
    "facts: Facts) -> None:", "facts: Facts, text: nn.Module | None = None) -> None:"
)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("model") / "speak.py"
    path.write_text(SPEAK)
    return str(path)


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    few = {"batch": 8, "size": (8,), "sample_every": 0, "quiet": True, "device": "cpu", "threads": 1}
    return {**few, "outdir": tmp_path_factory.mktemp("runs")}


@pytest.fixture(scope="module")
def trained(model, options):
    return ganforge.train(model, steps=4, **options)


def test_the_run_keeps_its_tokeniser_and_some_captions(trained):
    config = RunFolder.open(trained.path).run_config
    assert config.data["asked"] == "shapes-captions"
    assert config.data["reading"]["tokens"] == "words"
    assert config.facts["tokeniser"] == trained.tokeniser.hash == trained.facts.tokeniser
    stored = json.loads((trained.path / "tokeniser.json").read_text("utf-8"))
    assert "star" in stored["pieces"]
    assert MOST_CAPTIONS - 8 < len(stored["captions"]) <= MOST_CAPTIONS  # some sentences are equal
    assert tuple(stored["captions"]) == trained.captions
    loaded = ganforge.load(trained.path, device="cpu")
    assert loaded.tokeniser == trained.tokeniser
    assert loaded.captions == trained.captions
    assert (loaded.tokeniser.encode(["a red star"]) > 1).sum() == 3


def test_a_longer_resumed_run_equals_one_that_had_this_length_from_the_start(trained, model, options):
    short = ganforge.train(model, steps=1, **options)
    longer = ganforge.resume(short.path, steps=4, quiet=True)
    assert torch.equal(weights(longer.game), weights(trained.game))
    assert longer.tokeniser == trained.tokeniser


def test_a_batch_in_two_pieces_is_the_batch_in_one(model):
    run = Run(batch=8, size=(8,), steps=3, sample_every=0, save_every=0)
    data = open_data("shapes-captions", size=(8, 8), needed=Captioned.columns())
    ends = []
    for accumulate in (1, 2):
        torch.manual_seed(0)
        game = find(model).game(find(model).game.Config(), data.facts)
        settings = Run(**{**vars(run), "accumulate": accumulate})
        engine = Engine(game, settings, BatchLoader(data, Captioned, settings))
        engine.train()
        ends.append(weights(game))
    torch.testing.assert_close(ends[0], ends[1])


def test_characters_are_asked_for(model, options):
    trained = ganforge.train(model, steps=1, tokens="characters", **options)
    assert trained.tokeniser.kind == "characters"
    again = ganforge.resume(trained.path, steps=2, quiet=True)
    assert again.tokeniser == trained.tokeniser
    with pytest.raises(GANForgeError, match="tokens"):
        ganforge.train(model, steps=1, tokens="syllables", **options)


def test_the_tokeniser_of_a_part_wins(trained, options, tmp_path, model):
    (tmp_path / "listen.py").write_text(LISTEN.replace("MODEL", trained.model))
    name, config = str(tmp_path / "listen.py"), {"text": str(trained.path)}
    planned = plan(name, "shapes-scenes", config=config, load=load_part, size=(8,), tokens="characters")
    assert planned.data.facts.tokeniser == trained.tokeniser.hash
    assert planned.held_out().facts.tokeniser == trained.tokeniser.hash
    listening = ganforge.train(name, "shapes-scenes", steps=1, config=config, **options)
    assert listening.tokeniser == trained.tokeniser
    assert listening.captions != trained.captions
    (loaded, kept) = (ganforge.load(listening.path), RunFolder.open(listening.path).path / "parts" / "text")
    assert loaded.tokeniser == trained.tokeniser
    assert ganforge.load(kept).tokeniser == trained.tokeniser


def test_a_persons_own_text_encoder_is_treated_as_ours(options, tmp_path, monkeypatch):
    """Its data may be any, its tokeniser wins over that of another part, and a chain trains it at its own size."""
    encoder, speaker = tmp_path / "encoder.py", tmp_path / "speak.py"
    encoder.write_text(SPEAK.replace('"""speak', '"""encoder'))
    speaker.write_text(SPEAK)
    fields = (
        'lr: float = 0.1\n    aside: Annotated[str, Part("./speak.py")] = ""\n'
        '    text: Annotated[str, Part("./encoder.py", text=True, needed=True)] = ""'
    )
    arguments = "facts: Facts, text: nn.Module, aside: nn.Module | None = None) -> None:"
    text = SPEAK.replace("lr: float = 0.1", fields).replace("facts: Facts) -> None:", arguments)
    (tmp_path / "listen.py").write_text(text)
    small, aside = (
        ganforge.train(str(file), steps=1, tokens=kind, **options)
        for file, kind in ((encoder, "characters"), (speaker, "words"))
    )
    config = {"text": str(small.path), "aside": str(aside.path)}
    name = str(tmp_path / "listen.py")
    settings = find(name).game.Config(**config)
    loaded = resolve(settings, load_part, name)
    assert find_tokeniser(settings, loaded) == small.tokeniser
    planned = plan(name, config={"text": str(small.path)}, load=load_part, size=(16,))
    assert planned.data.facts.tokeniser == small.tokeniser.hash
    (stage,) = list_stages(find(name), "small", find(name).game.Config())
    assert (stage.name, stage.sized) == ("text", False)
    pretrained = Frozen(FrozenEncoder(nn.Identity(), 4, "mean", 1), cast(FrozenTokeniser, aside.tokeniser), tmp_path)
    monkeypatch.setattr(parts, "load_encoder", lambda spelling: pretrained)
    chosen = replace(settings, text="hf:someone/nothing", aside="")
    assert resolve(chosen, load_part, name)["text"].game is pretrained.encoder


def test_held_out_data_are_read_with_the_words_of_the_training_data(model):
    planned = plan(model, "shapes-captions", load=load_part, size=(8,))
    assert planned.held_out().facts == planned.data.facts


def test_other_data_are_read_with_the_words_of_the_run(trained, tmp_path):
    """The number of captions an image may differ: no network depends on it."""
    shutil.copytree(trained.path, tmp_path / "run")
    again = ganforge.resume(tmp_path / "run", steps=trained.step + 1, data="shapes-scenes", quiet=True)
    assert again.tokeniser == trained.tokeniser
    assert again.step == trained.step + 1


def test_a_tokeniser_that_is_missing_or_another_is_refused(model, options):
    trained = ganforge.train(model, steps=1, **options)
    file = trained.path / "tokeniser.json"
    own = file.read_text("utf-8")
    ganforge.train(model, steps=1, tokens="characters", **options).tokeniser.save(file)
    for verb in (ganforge.load, ganforge.resume):
        with pytest.raises(RunError, match="is not the tokeniser that the run was trained with"):
            verb(trained.path)
    file.unlink()
    for verb in (ganforge.load, ganforge.resume):
        with pytest.raises(RunError, match="is missing"):
            verb(trained.path)
    file.write_text(own, "utf-8")
    assert ganforge.load(trained.path).tokeniser.hash == trained.facts.tokeniser


def test_data_without_captions_are_refused(model, options):
    with pytest.raises(DataError, match=r"This model needs tokens.*metadata.jsonl"):
        ganforge.train(model, "shapes-maps", steps=1, **options)


def test_models_that_read_nothing_keep_no_tokeniser(options):
    trained = ganforge.train("gan", preset="tiny", steps=1, quiet=True, outdir=options["outdir"])
    assert trained.tokeniser is None
    assert trained.captions == ()
    assert not (trained.path / "tokeniser.json").exists()
    assert ganforge.load(trained.path).tokeniser is None
    assert not trained.facts.vocabulary


def test_an_example_has_tokens_of_the_vocabulary():
    tokens = Captioned.example(64, Facts(3, 8, 8, vocabulary=5, caption_length=3)).tokens
    assert tokens.shape == (64, 3)
    assert {*np.unique(tokens.numpy()).tolist()} == {0, 1, 2, 3, 4}


def test_what_does_not_fit_is_said_before_a_part_is_trained(tmp_path):
    with pytest.raises(ModelError, match="on a Stage I of 16x16 give --size 64 64"):
        ganforge.train("stackgan", preset="tiny", outdir=tmp_path / "runs", quiet=True, config={"stage": 2})
    assert not (tmp_path / "runs").exists()
