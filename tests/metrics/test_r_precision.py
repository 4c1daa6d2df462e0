"""R-precision is exact for features that are known, chance for random ones, and needs a text encoder of its own."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import ganforge
from ganforge.errors import OptionError
from ganforge.evaluation.inputs import EvalInputs, EvalOptions, open_inputs
from ganforge.inference.trained import Trained
from ganforge.metrics.r_precision import compute_r_precision
from ganforge.models.gan_cls import GANCLS


def quiet(_: str) -> None:
    """Say nothing."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Trained, Trained, Trained]:
    """A text encoder, a run that draws by it, and another text encoder."""
    plain = {"outdir": tmp_path_factory.mktemp("runs"), "quiet": True, "tensorboard": False}
    own = ganforge.train("text_encoder", preset="tiny", **plain)
    run = ganforge.train("gan_cls", preset="tiny", config={"text": str(own.path)}, **plain)
    letters = {"networks": "char-cnn-rnn"}
    return own, run, ganforge.train("text_encoder", preset="tiny", config=letters, seed=1, **plain)


@pytest.fixture(scope="module")
def inputs(runs: tuple[Trained, Trained, Trained]) -> EvalInputs:
    return open_inputs(runs[1], None, EvalOptions(n=1_000, reader=str(runs[2].path)), None)


def test_features_of_the_sentence_find_all_and_random_ones_find_few(inputs: EvalInputs):
    source = torch.Generator().manual_seed(0)
    match = inputs.match
    assert match is not None

    def told(start: int, stop: int) -> tuple[Tensor, Tensor, Tensor]:
        _, _, tokens = match(start, stop)
        own = torch.nn.functional.one_hot(tokens, 64).flatten(1).float()
        return own, own, tokens

    def random(start: int, stop: int) -> tuple[Tensor, Tensor, Tensor]:
        seen, read = torch.randn(2, stop - start, 8, generator=source)
        return seen, read, match(start, stop)[2]

    for own, low, high in ((told, 1.0, 1.0), (random, 0.0, 0.06)):
        (figure,) = compute_r_precision(replace(inputs, match=own), EvalOptions(n=1_000), quiet)
        assert low <= figure.value <= high


def test_the_sentences_are_those_that_the_images_were_drawn_for(
    inputs: EvalInputs, runs: tuple[Trained, Trained, Trained], monkeypatch: pytest.MonkeyPatch
):
    _, run, reader = runs
    asked = list[Tensor]()
    generate = GANCLS.generate

    def generate_and_keep(self: GANCLS, noise: Tensor, text: Tensor, *more: Any) -> Tensor:
        asked.append(text)
        return generate(self, noise, text, *more)

    monkeypatch.setattr(GANCLS, "generate", generate_and_keep)
    assert inputs.match is not None
    _, _, tokens = inputs.match(40, 50)
    sentences = inputs.fake.sentences[40:50]
    assert run.tokeniser is not None
    assert reader.tokeniser is not None
    assert torch.equal(torch.cat(asked).cpu(), torch.from_numpy(run.tokeniser.encode(sentences)))
    assert torch.equal(tokens, torch.from_numpy(reader.tokeniser.encode(sentences)))


def test_evaluate_takes_another_encoder_than_the_runs_own(runs: tuple[Trained, Trained, Trained], tmp_path: Path):
    own, run, reader = runs
    options = {"metrics": ("r_precision",), "n": 100, "out": tmp_path / "report.json"}
    (figure,) = ganforge.evaluate(run, reader=str(reader.path), **options).figures
    assert figure.name == "r_precision"
    assert figure.low is not None
    assert figure.low <= figure.value
    with pytest.raises(OptionError, match="was trained with the text encoder"):
        ganforge.evaluate(run, reader=str(own.path), **options)
    with pytest.raises(
        OptionError,
        match=r"of gan_cls: name one that .* of the models, text_encoder can",
    ):
        ganforge.evaluate(run, reader=str(run.path), **options)
    with pytest.raises(OptionError, match="needs a run that draws sentences, and --reader"):
        ganforge.evaluate(run, **options)
