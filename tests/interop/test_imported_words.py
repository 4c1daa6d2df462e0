"""Imported models of sentences: their text encoder is a part that the user names."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import ganforge
from ganforge import official
from ganforge.errors import ModelError
from ganforge.inference.trained import Trained
from ganforge.interop.importing import import_weights

SENTENCES = ["a red star", "a large blue circle"]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("runs")
    return ganforge.train("text_encoder", preset="tiny", steps=1, sample_every=0, quiet=True, outdir=folder)


def test_a_generator_of_gan_cls_draws_sentences_with_the_encoder_that_is_named(encoder: Trained, tmp_path: Path):
    theirs = official.network("gan_cls", "netG", txtSize=encoder.game.text_width, nt=6, nz=5, ngf=2).eval()
    save_file(theirs.state_dict(), tmp_path / "netG.safetensors")
    config = {"text": str(encoder.path)}
    path = import_weights(tmp_path / "netG.safetensors", "gan_cls", tmp_path / "run", config=config)
    run = ganforge.load(path, device="cpu")
    images = run.sample(2, text=SENTENCES)
    assert images.shape == (2, 3, 64, 64)
    assert encoder.tokeniser is not None
    tokens = torch.from_numpy(encoder.tokeniser.encode(SENTENCES))
    with torch.no_grad():
        text = run.game.text(tokens, tokens > 0)[1]  # pyright: ignore
        noise = torch.randn(2, 5)
        ours, expected = run.game.generator(noise, text), theirs(noise[:, :, None, None], text)  # pyright: ignore
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)


def test_without_an_encoder_the_import_says_which_part_is_missing(tmp_path: Path):
    theirs = official.network("gan_cls", "netG", txtSize=8, nt=6, nz=5, ngf=2)
    save_file(theirs.state_dict(), tmp_path / "netG.safetensors")
    with pytest.raises(ModelError, match="is built on the part 'text', and none is named"):
        import_weights(tmp_path / "netG.safetensors", "gan_cls", tmp_path / "run")
    assert not (tmp_path / "run").exists()
