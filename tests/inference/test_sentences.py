"""Sentences as users give them: one, several, a file of them; unknown words, and what is no sentence."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ganforge.batches import Captioned, Facts
from ganforge.capabilities import Text
from ganforge.errors import GANForgeError, OptionError
from ganforge.game import Clock, Game
from ganforge.inference.sample import sample
from ganforge.inference.sentences import to_tokens
from ganforge.inference.trained import Trained
from ganforge.text.tokeniser import build_tokeniser

TOKENISER = build_tokeniser("words", ["a red star", "a blue disc", "a small green star"])
FACTS = Facts(1, 2, 4, vocabulary=TOKENISER.size, caption_length=TOKENISER.length, captions=1)


@dataclass(frozen=True)
class Config:
    lr: float = 0.1


class Echo(Game[Config, Captioned]):
    """Draws its tokens: pixel k of the first row is token k / 100; the second row is the mix, then the latent."""

    def __init__(self, config: Config, facts: Facts) -> None:
        super().__init__(config, facts)
        self.generator = nn.Identity()

    def players(self) -> dict[str, Any]:
        return {}

    def play(self, batches: Any, now: Clock) -> Any:
        yield from ()

    def noise(self, n: int) -> Tensor:
        return self.draw.uniform(n, 1)

    def generate(self, noise: Tensor, text: Text = None, text_b: Text = None, mix: float = 0.5) -> Tensor:
        assert text is not None
        assert len(text) == len(noise)  # models concatenate both
        share = torch.as_tensor(mix).view(-1, 1).expand(len(noise), 1)
        other = text if text_b is None else text_b
        first = (text * (1 - share) + other * share)[:, None, None] / 100
        second = torch.cat([share, noise, noise, noise], 1)[:, None, None]
        return torch.cat([first, second], 2)

    def sample(self, n: int, text: Text = None, style: float = 0.0) -> Tensor:
        return self.generate(self.noise(n), text)


@pytest.fixture
def run(tmp_path: Path) -> Trained:
    kept = ("a red star", "a blue disc")
    return Trained(Echo(Config(), FACTS), tmp_path, "echo", 1, tokeniser=TOKENISER, captions=kept)


def tokens_in(images: Tensor) -> list[list[int]]:
    return (images[:, 0, 0] * 100).round().long().tolist()


def encoded(*sentences: str) -> list[list[int]]:
    return TOKENISER.encode(sentences).tolist()


def test_one_sentence_is_that_of_all_images(run: Trained):
    assert tokens_in(run.sample(5, text="A red  star!", batch=2)) == encoded("a red star") * 5


def test_image_k_has_sentence_k_of_several_for_any_batch_and_start(run: Trained):
    both = encoded("a red star", "a blue disc")
    for batch in (1, 2, 3, 64):
        assert tokens_in(run.sample(5, text=["a red star", "a blue disc"], batch=batch)) == [*both, *both, both[0]]
    assert tokens_in(run.sample(2, start=3, text=["a red star", "a blue disc"])) == [both[1], both[0]]


def test_without_a_sentence_those_that_the_run_has_kept_are_shown(run: Trained):
    assert tokens_in(run.sample(3)) == encoded("a red star", "a blue disc", "a red star")


def test_a_file_has_a_sentence_a_line(run: Trained, tmp_path: Path):
    (tmp_path / "asked.txt").write_text("a blue disc\n\n a red star \n")
    assert tokens_in(run.sample(2, text=f"@{tmp_path / 'asked.txt'}")) == encoded("a blue disc", "a red star")
    (tmp_path / "empty.txt").write_text("\n")
    (tmp_path / "latin.txt").write_bytes(b"\xe9\xe8")
    for name, why in (("empty", "has no sentences"), ("latin", "is no text in UTF-8"), ("none", "cannot be read")):
        with pytest.raises(GANForgeError, match=rf"{name}\.txt {why}"):
            run.sample(2, text=f"@{tmp_path / name}.txt")


def test_tokens_are_taken_as_they_are(run: Trained):
    rows = torch.from_numpy(TOKENISER.encode(["a red star", "a blue disc", "a green star"]))
    assert tokens_in(run.sample(3, text=rows, batch=2)) == rows.tolist()
    assert tokens_in(run.sample(3, text=rows[:1])) == rows[:1].tolist() * 3


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "sentence is empty"),
        (" \n", "sentence is empty"),
        ([], "sentence is empty"),
        (["a red star", ""], "sentence is empty"),
        ("!?", "has no words"),
        ("gelbe Katze", "knows no word of 'gelbe Katze'"),
        (3, "is text, and not int"),
        ([3], "is text, and not list"),
        (torch.zeros(2, 4), r"Tokens are int64 \(N, 4\)"),
        (torch.zeros(2, 3, dtype=torch.int64), r"Tokens are int64 \(N, 4\)"),
        (torch.zeros(2, 4, dtype=torch.int64), "2 rows of tokens for 3 images"),
        (torch.full((1, 4), 99), r"Tokens run from 99 to 99; the run knows 0 to"),
        (torch.full((1, 4), -1), r"Tokens run from -1 to -1"),
    ],
)
def test_what_is_no_sentence_is_refused(run: Trained, text: Any, why: str):
    with pytest.raises(OptionError, match=why):
        run.sample(3, text=text)


def test_unknown_words_and_cut_sentences_are_named(caplog: pytest.LogCaptureFixture):
    to_tokens("a yellow star and a purple disc", TOKENISER, 1)
    assert "has 3 words that the run does not know: 'yellow', 'and', 'purple'" in caplog.text
    assert "longer than the run reads: its last 3 tokens are cut" in caplog.text


def test_a_run_without_captions_refuses_a_sentence(tmp_path: Path):
    run = Trained(Echo(Config(), FACTS), tmp_path, "echo", 1)
    with pytest.raises(OptionError, match="was trained without captions: leave --text out"):
        run.sample(1, text="a red star")


def test_an_interpolation_goes_from_one_sentence_to_the_other_with_one_latent_a_row(run: Trained):
    walk = run.interpolate(2, 5, text="a red star", text_b=["a blue disc", "a green star"])
    assert walk.shape == (2, 5, 1, 2, 4)
    torch.testing.assert_close(walk[:, :, 0, 1, 0], torch.linspace(0, 1, 5).expand(2, 5))
    assert tokens_in(walk[:, 0]) == encoded("a red star") * 2
    assert tokens_in(walk[:, -1]) == encoded("a blue disc", "a green star")
    assert (walk[:, :, 0, 1, 1] == walk[:, :1, 0, 1, 1]).all()
    assert walk[0, 0, 0, 1, 1] != walk[1, 0, 0, 1, 1]
    closed = run.interpolate(1, 5, text="a red star", text_b="a blue disc", closed=True)
    torch.testing.assert_close(closed[0, :, 0, 1, 0], torch.tensor([0, 0.5, 1, 0.5, 0]))


def test_an_interpolation_of_latents_keeps_its_sentence(run: Trained):
    walk = run.interpolate(3, 4, text=["a red star", "a blue disc"])
    assert tokens_in(walk[:, 0]) == tokens_in(walk[:, 3]) == encoded("a red star", "a blue disc", "a red star")


def test_a_number_for_each_image_is_checked_by_its_rows(run: Trained):
    with pytest.raises(OptionError, match="--style has 2 rows for 3 images"):
        run.sample(3, style=torch.zeros(2))


# -- a second run ------------------------------------------------------------------------------------


class Twice(Echo):
    """Enlarges images to twice their sides, and writes the sentence's second token into the first pixel."""

    def translate(self, images: Tensor, text: Text = None) -> Tensor:
        large = images.repeat_interleave(2, 2).repeat_interleave(2, 3)
        large[:, 0, 0, 0] = -1 if text is None else text[:, 1] / 100
        return large


def test_a_second_run_enlarges_samples_and_gets_the_same_sentences(run: Trained, tmp_path: Path):
    second = Trained(Twice(Config(), FACTS), tmp_path, "twice", 1, tokeniser=TOKENISER)
    sentences = ["a red star", "a blue disc"]
    for batch in (2, 5):
        path = sample(run, 5, out=tmp_path / "five.npz", upscale=second, depth="float", batch=batch, text=sentences)
        images = np.load(path)["images"]
        assert images.shape == (5, 4, 8, 1)
        expected = [encoded(sentences[k % 2])[0][1] / 100 for k in range(5)]
        np.testing.assert_allclose(images[:, 0, 0, 0], expected, atol=1e-6)
        np.testing.assert_allclose(images[:, ::2, 1::2, 0], run.sample(5, text=sentences)[:, 0], atol=1e-6)
    with pytest.raises(OptionError, match="echo cannot translate"):
        sample(run, 1, out=tmp_path / "one.npz", upscale=run, text="a red star")


def test_a_second_run_shows_the_kept_captions_of_the_first_where_no_sentence_is_given(run: Trained, tmp_path: Path):
    second = Trained(
        Twice(Config(), FACTS), tmp_path, "twice", 1, tokeniser=TOKENISER, captions=("a small green star",)
    )
    path = sample(run, 3, out=tmp_path / "three.npz", upscale=second, depth="float", batch=2)
    shown = np.load(path)["images"][:, 0, 0, 0]
    expected = [encoded(sentence)[0][1] / 100 for sentence in ("a red star", "a blue disc", "a red star")]
    np.testing.assert_allclose(shown, expected, atol=1e-6)
    rows = torch.from_numpy(TOKENISER.encode(["a blue disc", "a red star", "a green star"]))
    path = sample(run, 3, out=tmp_path / "rows.npz", upscale=second, depth="float", batch=2, text=rows)
    np.testing.assert_allclose(np.load(path)["images"][:, 0, 0, 0], rows[:, 1] / 100, atol=1e-6)


def test_a_translation_is_given_no_sentence_of_other_images(run: Trained, tmp_path: Path):
    second = Trained(Twice(Config(), FACTS), tmp_path, "twice", 1, tokeniser=TOKENISER, captions=("a red star",))
    assert (second.translate(torch.zeros(2, 1, 2, 4))[:, 0, 0, 0] == -1).all()


def test_rows_of_answers_are_checked_in_interpolations(run: Trained):
    rows = torch.from_numpy(TOKENISER.encode(["a red star", "a blue disc", "a green star"]))
    with pytest.raises(OptionError, match="3 rows of tokens for 2 images"):
        run.interpolate(2, 3, text=rows)
    with pytest.raises(OptionError, match="--mix has 3 rows for 2 images"):
        run.interpolate(2, 3, text="a red star", mix=torch.zeros(3))
    one = run.interpolate(2, 3, text=rows[:1])
    assert tokens_in(one.flatten(0, 1)) == rows[:1].tolist() * 6
