"""Tokenisers: what a word is, in any script; deterministic and bounded; a file that is whole or refused."""

import json
import os
import unicodedata

import numpy as np
import pytest

from ganforge.errors import DataError, RunError
from ganforge.text import tokeniser as module
from ganforge.text.tokeniser import (
    MOST_CAPTIONS,
    PieceTokeniser,
    Tokeniser,
    build_tokeniser,
    load_captions,
    load_tokeniser,
)
from ganforge.text.vocabulary import split_letters, split_words

CAPTIONS = ["a small red star", "A large, RED circle!", "빨간 별 하나"]


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        ("A small, RED star.", ["a", "small", "red", "star"]),
        ("don't 'quote' the dogs' don\u2019t", ["don't", "quote", "the", "dogs", "don't"]),
        ("tri-colored double_sword2", ["tri", "colored", "double", "sword2"]),
        ("♥ for 5€", ["♥", "for", "5", "€"]),
        ("빨간 별이, 있다!", ["빨간", "별이", "있다"]),
        ("一只红猫 ねこ", ["一", "只", "红", "猫", "ね", "こ"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("\ufefftwo\u200bwords\tand\u00a0more\n", ["twowords", "and", "more"]),
        ("ÉTÉ Straße", ["été", "straße"]),
        (" .,;' ", []),
    ],
)
def test_words_of_a_sentence(sentence, words):
    assert split_words(sentence) == words


def test_letters_of_a_sentence():
    assert "".join(split_letters("  A  red\tSTAR \u200b! ")) == "a red star !"


@pytest.mark.parametrize("kind", ["words", "characters"])
def test_composed_and_decomposed_korean_are_alike(kind):
    tokeniser = build_tokeniser(kind, CAPTIONS)
    apart = unicodedata.normalize("NFD", CAPTIONS[2])
    assert apart != CAPTIONS[2]
    assert (tokeniser.encode([apart]) == tokeniser.encode([CAPTIONS[2]])).all()
    assert build_tokeniser(kind, [*CAPTIONS[:2], apart]).hash == tokeniser.hash


def test_tokens_fill_up_with_0_and_unknown_words_are_1():
    tokeniser = build_tokeniser("words", CAPTIONS)
    assert isinstance(tokeniser, Tokeniser)
    assert tokeniser.length == 4
    assert tokeniser.size == 2 + 9
    tokens = tokeniser.encode(["red star", "a blue star", "", "a small red star again"])
    assert tokens.dtype == np.int64
    red, star, a = (tokeniser.numbers[word] for word in ("red", "star", "a"))
    assert tokens[:3].tolist() == [[red, star, 0, 0], [a, 1, star, 0], [0, 0, 0, 0]]
    assert (tokens[3] == tokeniser.encode(["a small red star"])[0]).all()
    assert tokeniser.unknown("a blue, blue star and a SUN") == ["blue", "and", "sun"]
    assert tokeniser.cut("a small red star again") == 1
    assert tokeniser.cut("red star") == 0


def test_the_order_of_captions_does_not_matter_and_a_large_vocabulary_keeps_the_most_frequent(monkeypatch):
    assert build_tokeniser("words", CAPTIONS).hash == build_tokeniser("words", CAPTIONS[::-1]).hash
    monkeypatch.setitem(module.MOST, "words", 2)
    monkeypatch.setitem(module.LONGEST, "words", 3)
    few = build_tokeniser("words", CAPTIONS)
    assert few.pieces == ("a", "red")
    assert few.length == 3
    with pytest.raises(DataError, match="have no words"):
        build_tokeniser("words", ["", "..."])


@pytest.mark.parametrize("kind", ["words", "characters"])
def test_a_file_gives_the_same_tokeniser_and_its_captions(tmp_path, kind):
    tokeniser, path = build_tokeniser(kind, CAPTIONS), tmp_path / "tokeniser.json"
    tokeniser.save(path, [*CAPTIONS, *map(str, range(100))])
    assert "빨" in path.read_text("utf-8")
    again = load_tokeniser(path)
    assert again == tokeniser
    assert again.hash == tokeniser.hash
    assert load_captions(path)[:3] == tuple(CAPTIONS)
    assert len(load_captions(path)) == MOST_CAPTIONS
    tokeniser.save(path)
    assert load_captions(path) == ()
    assert load_tokeniser(path).hash == tokeniser.hash


def test_kinds_lengths_and_words_change_the_hash():
    made = [
        PieceTokeniser("words", ("a", "b"), 4),
        PieceTokeniser("characters", ("a", "b"), 4),
        PieceTokeniser("words", ("a", "b"), 5),
        PieceTokeniser("words", ("b", "a"), 4),
    ]
    assert len({tokeniser.hash for tokeniser in made}) == 4


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"pieces": ["a", "b", "d"]}, "was changed after it was written"),
        ({"length": 7}, "was changed after it was written"),
        ({"kind": "runes"}, "no tokeniser of a kind"),
        ({"pieces": "abc"}, "no list of words"),
        ({"pieces": ["a", 3]}, "no list of words"),
        ({"pieces": ["a", "a"]}, "stands there twice"),
        ({"length": 0}, "its length is 0"),
        ({"length": "9"}, "its length is '9'"),
        ({"length": 2**40}, "its length is"),
    ],
)
def test_a_file_that_was_changed_is_refused(tmp_path, change, why):
    path = tmp_path / "tokeniser.json"
    PieceTokeniser("words", ("a", "b", "c"), 4).save(path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(RunError, match=why):
        load_tokeniser(path)


def test_what_is_no_file_of_a_tokeniser_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "tokeniser.json"
    with pytest.raises(RunError, match="is missing"):
        load_tokeniser(path)
    os.mkfifo(path)
    with pytest.raises(RunError, match="is missing, or no file"):
        load_tokeniser(path)
    path.unlink()
    for text in ("[1, 2]", "{", "[" * 100_000, '"a"'):
        path.write_text(text)
        with pytest.raises(RunError, match="cannot be read"):
            load_tokeniser(path)
    path.write_text('{"captions": [1]}')
    with pytest.raises(RunError, match="no list of sentences"):
        load_captions(path)
    monkeypatch.setattr(module, "LARGEST", 5)
    with pytest.raises(RunError, match="more than 5 bytes"):
        load_tokeniser(path)
