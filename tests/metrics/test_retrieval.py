"""The share of images whose own caption is found: exact for features that are known, and chance for random ones."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

import ganforge
from ganforge.data.open import open_data
from ganforge.errors import OptionError
from ganforge.evaluation.inputs import EvalInputs, EvalOptions
from ganforge.metrics.image_set import select_images
from ganforge.metrics.retrieval import compute_retrieval, retrieve


@pytest.fixture(scope="module")
def inputs() -> EvalInputs:
    def open_again(held_out: bool = False) -> object:
        return open_data("shapes-captions", size=(8, 8), held_out=held_out, needed=("images", "tokens"))

    data = open_again(held_out=True)
    images = select_images(data, most=2)  # pyright: ignore
    return EvalInputs(images, images, data, open_again)  # pyright: ignore


def quiet(_: str) -> None:
    """Say nothing."""


def test_equal_captions_are_one():
    tokens = torch.tensor([[2, 3], [2, 3], [4, 0]])
    features = torch.eye(3)
    assert retrieve(features, features[[1, 0, 2]], tokens).tolist() == [True, True, True]
    assert retrieve(features, features[[2, 1, 0]], tokens).tolist() == [False, True, False]


def test_features_of_the_sentence_itself_find_all_and_random_ones_find_few(inputs: EvalInputs):
    source = torch.Generator().manual_seed(0)

    def told(images: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        own = torch.nn.functional.one_hot(tokens, 64).flatten(1).float()
        return own, own

    def random(images: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        return torch.randn(len(images), 8, generator=source), torch.randn(len(images), 8, generator=source)

    options = EvalOptions(n=1_000)
    for embed, low, high in ((told, 1.0, 1.0), (random, 0.0, 0.06)):
        figures = compute_retrieval(replace(inputs, embed=embed), options, quiet)
        assert [figure.name for figure in figures] == ["retrieval", "image_retrieval"]
        assert all(low <= figure.value <= high for figure in figures), figures
        assert not figures[0].notes
    with pytest.raises(OptionError, match="read images and sentences; of the models, text_encoder can"):
        compute_retrieval(inputs, options, quiet)


def test_evaluate_reports_it_for_a_text_encoder_and_nothing_of_images(tmp_path: Path):
    run = ganforge.train("text_encoder", preset="tiny", outdir=tmp_path, quiet=True, tensorboard=False)
    report = ganforge.evaluate(run, n=200)
    assert [figure.name for figure in report.figures] == ["retrieval", "image_retrieval"]
    with pytest.raises(OptionError, match="--metrics fid compares images, and a text encoder makes none"):
        ganforge.evaluate(run, metrics=("fid",), n=200)
