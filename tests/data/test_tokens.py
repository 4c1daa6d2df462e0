"""The column `tokens`: text in UTF-8, one of an image's captions by chance of its place."""

import numpy as np
import pytest

from ganforge.batches import Captioned, Facts
from ganforge.data.dataset import DataSet
from ganforge.data.loader import BatchLoader
from ganforge.data.tokens import TokenColumn, examples_of, pack_captions, tokenise, tokeniser_of
from ganforge.text.tokeniser import build_tokeniser
from tests.support.toys import run

LISTS = [["a red star", "a star"], ["빨간 별"], ["one", "two", "three  and\nmore"], ["é"]]


@pytest.fixture
def data() -> DataSet:
    images = np.zeros((4, 8, 8, 3), np.uint8)
    return DataSet("four", Facts(3, 8, 8), {"images": images, "tokens": pack_captions(LISTS)}, "four")  # pyright: ignore


def test_captions_come_back_from_utf_8():
    column = pack_captions(LISTS)
    assert len(column) == 4
    assert column.captions(1) == ["빨간 별"]
    assert column.captions(2) == ["one", "two", "three and more"]
    assert column.counts().tolist() == [2, 1, 3, 1]
    assert [*column.sentences()][:3] == ["a red star", "a star", "빨간 별"]
    assert column.examples() == ["a red star", "빨간 별", "one", "é"]
    assert column.examples(2) == ["a red star", "é"]
    with pytest.raises(TypeError, match="no tokeniser"):
        column[np.arange(2)]


def test_a_given_tokeniser_wins(data):
    own, given = tokenise(data, None, "words"), build_tokeniser("characters", ["abc"])
    assert own.facts.vocabulary == 2 + len(
        {"a", "red", "star", "빨간", "별", "one", "two", "three", "and", "more", "é"}
    )
    assert (own.facts.caption_length, own.facts.captions) == (3, 3)
    other = tokenise(data, given, "words")
    assert tokeniser_of(other) is given
    assert (other.facts.vocabulary, other.facts.caption_length, other.facts.captions) == (5, 3, 3)
    assert other.facts.tokeniser == given.hash != own.facts.tokeniser
    assert other.fingerprint == own.fingerprint
    assert examples_of(other) == ("a red star", "빨간 별", "one", "é")
    assert tokeniser_of(data) is None
    assert examples_of(data) == ()


def test_every_caption_has_its_turn_and_a_place_always_has_the_same(data):
    data = tokenise(data, None, "words")
    tokeniser = tokeniser_of(data)
    loader = BatchLoader(data, Captioned, run(batch=4))
    column = data.columns["tokens"]
    assert isinstance(column, TokenColumn)
    assert tokeniser is not None
    seen: set[tuple[int, str]] = set()
    for number in range(60):
        batch = loader.batch(number)
        again = BatchLoader(data, Captioned, run(batch=4)).batch(number)
        assert (batch.tokens == again.tokens).all()
        halves = [loader.batch(number, share, 2).tokens for share in range(2)]
        assert [row.tolist() for half in halves for row in half] == batch.tokens.tolist()
        for row, tokens in zip(loader.rows("", np.arange(4) + 4 * number), batch.tokens.numpy(), strict=True):
            (caption,) = [c for c in column.captions(row) if (tokeniser.encode([c])[0] == tokens).all()]
            seen.add((int(row), caption))
    assert seen == {(row, caption) for row in range(4) for caption in column.captions(row)}
    other = BatchLoader(data, Captioned, run(batch=4, seed=1))
    assert any((other.batch(k).tokens != loader.batch(k).tokens).any() for k in range(4))


def test_arrays_of_tokens_are_read_as_they_are():
    tokens = np.arange(8).reshape(4, 2)
    data = DataSet("four", Facts(3, 8, 8), {"images": np.zeros((4, 8, 8, 3), np.uint8), "tokens": tokens}, "four")
    loader = BatchLoader(data, Captioned, run(batch=4))
    assert sorted(loader.batch(0).tokens.tolist()) == tokens.tolist()
